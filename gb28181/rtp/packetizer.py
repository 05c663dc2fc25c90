"""Media to RTP packets: PS (GB Annex C.1, RFC 2250 3), H.264 (RFC 6184), H.265 (RFC 7798)."""

import struct

from gb28181.es.annexb import iter_nals

__all__ = ["DEFAULT_MTU", "packetize", "packetize_h264", "packetize_hevc"]

DEFAULT_MTU = 1400
"""Largest RTP packet; leaves room for IP, UDP, tunnels and PPPoE on Ethernet."""
_HEADER = struct.Struct("!BBHII")
_HEADER_SIZE = 12
_FU_A = 28
_FU = 49


def packetize(
    payload: bytes,
    *,
    payload_type: int,
    ssrc: int,
    sequence: int,
    timestamp: int,
    mtu: int = DEFAULT_MTU,
    marker: bool = True,
) -> list[bytes]:
    """Cut one PS packet (or audio run) into RTP packets of one time stamp.

    The last has the marker, unless `marker` is False. The next packet's sequence number is
    `sequence` plus the number of packets, modulo 2**16. All but the last have `mtu` bytes.
    """
    step = mtu - _HEADER_SIZE
    chunks = [payload[at : at + step] for at in range(0, len(payload), step)]
    return _wrap(chunks, payload_type, ssrc, sequence, timestamp, marker=marker)


def packetize_h264(
    access_unit: bytes,
    *,
    payload_type: int,
    ssrc: int,
    sequence: int,
    timestamp: int,
    mtu: int = DEFAULT_MTU,
) -> list[bytes]:
    """Cut one Annex B access unit by RFC 6184: single NAL units and FU-A (mode 1)."""
    room = mtu - _HEADER_SIZE
    chunks: list[bytes] = []
    for nal in iter_nals(access_unit):
        if len(nal) <= room:
            chunks.append(nal)
            continue
        indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
        chunks += _fragment(bytes((indicator,)), kind, nal[1:], room)
    return _wrap(chunks, payload_type, ssrc, sequence, timestamp, marker=True)


def packetize_hevc(
    access_unit: bytes,
    *,
    payload_type: int,
    ssrc: int,
    sequence: int,
    timestamp: int,
    mtu: int = DEFAULT_MTU,
) -> list[bytes]:
    """Cut one Annex B access unit by RFC 7798: single NAL units and FU."""
    room = mtu - _HEADER_SIZE
    chunks: list[bytes] = []
    for nal in iter_nals(access_unit):
        if len(nal) <= room:
            chunks.append(nal)
            continue
        header = bytes((nal[0] & 0x81 | _FU << 1, nal[1]))
        chunks += _fragment(header, nal[0] >> 1 & 0x3F, nal[2:], room)
    return _wrap(chunks, payload_type, ssrc, sequence, timestamp, marker=True)


def _fragment(header: bytes, kind: int, body: bytes, room: int) -> list[bytes]:
    step = room - len(header) - 1
    chunks = []
    for at in range(0, len(body), step):
        start = 0x80 if at == 0 else 0
        end = 0x40 if at + step >= len(body) else 0
        chunks.append(header + bytes((start | end | kind,)) + body[at : at + step])
    return chunks


def _wrap(
    chunks: list[bytes],
    payload_type: int,
    ssrc: int,
    sequence: int,
    timestamp: int,
    *,
    marker: bool,
) -> list[bytes]:
    pack = _HEADER.pack
    timestamp &= 0xFFFF_FFFF
    packets = [
        pack(0x80, payload_type, (sequence + index) & 0xFFFF, timestamp, ssrc) + chunk
        for index, chunk in enumerate(chunks)
    ]
    if marker and packets:
        last = (sequence + len(packets) - 1) & 0xFFFF
        packets[-1] = pack(0x80, payload_type | 0x80, last, timestamp, ssrc) + chunks[-1]
    return packets
