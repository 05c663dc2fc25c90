"""Access units to RTP payloads without headers: H.264 (RFC 6184, mode 1), H.265 (RFC 7798), AAC (RFC 3640), G.711 (RFC 3551).

Made once for any number of receivers, each of which puts its own headers in front. What stands
before the picture (parameter sets, SEI) goes into one aggregation packet::

    H.264 STAP-A | F NRI 24 | size(16) NAL | ...      FU-A | F NRI 28 | S E R type | ...
    H.265 AP     | F 48 layer TID | size(16) NAL ...  FU   | F 49 layer TID | S E type | ...
    AAC-hbr      | AU-headers-length(16) = 16 bits | AU-size(13) AU-Index(3) = 0 | frame or part of it
"""

import binascii
from collections.abc import Iterator

from gb28181.es import aac, h264, hevc
from gb28181.es.annexb import nal_spans
from gb28181.es.unit import Codec

__all__ = [
    "MAX_G711_PAYLOAD",
    "aac_fmtp",
    "aac_payloads",
    "g711_payloads",
    "video_fmtp",
    "video_payloads",
]

MAX_G711_PAYLOAD = 480
"""60 ms: the longest packet that WebRTC players ask for, and three of the usual 20 ms."""
_STAP_A, _FU_A = 24, 28
_AP, _FU = 48, 49
_AU_HEADERS = b"\x00\x10"
"""One AU header of 16 bits."""
_MAX_AU = 0x1FFF
_H264_LEFT_OUT = frozenset({h264.NalType.AUD, 12, 0, *range(24, 32)})
_HEVC_LEFT_OUT = frozenset({hevc.NalType.AUD, 38, *range(48, 64)})
"""Delimiters, for which RTP has the marker; filler data; types that mean something else in RTP."""


def video_payloads(codec: Codec, access_unit: bytes, limit: int) -> list[bytes]:
    """Cut one Annex B access unit into payloads of at most `limit` bytes, in order.

    Args:
        codec: H.264 or H.265.
        access_unit: NAL units behind start codes.
        limit: Bytes of a payload; 16 or more.
    """
    if codec is Codec.HEVC:
        return _hevc_payloads(access_unit, limit)
    return _h264_payloads(access_unit, limit)


def _h264_payloads(data: bytes, limit: int) -> list[bytes]:
    payloads: list[bytes] = []
    small: list[bytes] = []
    view = memoryview(data)
    for start, end in nal_spans(data):
        header = data[start]
        kind = header & 0x1F
        if kind in _H264_LEFT_OUT:
            continue
        if end - start <= limit:
            if not 1 <= kind <= 5:
                small.append(data[start:end])
                continue
            if small:
                payloads += _h264_aggregates(small, limit)
                small = []
            payloads.append(data[start:end])
            continue
        if small:
            payloads += _h264_aggregates(small, limit)
            small = []
        payloads += _fragments(bytes((header & 0xE0 | _FU_A,)), kind, view[start + 1 : end], limit)
    if small:
        payloads += _h264_aggregates(small, limit)
    return payloads


def _hevc_payloads(data: bytes, limit: int) -> list[bytes]:
    payloads: list[bytes] = []
    small: list[bytes] = []
    view = memoryview(data)
    for start, end in nal_spans(data):
        kind = data[start] >> 1 & 0x3F
        if kind in _HEVC_LEFT_OUT or end - start < 3:
            continue
        if end - start <= limit and kind > hevc.NalType.LAST_VCL:
            small.append(data[start:end])
            continue
        if small:
            payloads += _hevc_aggregates(small, limit)
            small = []
        if end - start <= limit:
            payloads.append(data[start:end])
            continue
        header = bytes((data[start] & 0x81 | _FU << 1, data[start + 1]))
        payloads += _fragments(header, kind, view[start + 2 : end], limit)
    if small:
        payloads += _hevc_aggregates(small, limit)
    return payloads


def _h264_aggregates(nals: list[bytes], limit: int) -> Iterator[bytes]:
    for group in _groups(nals, limit - 1):
        # 5.7.1: F and NRI are the highest of the aggregated units.
        nri = max(nal[0] & 0x60 for nal in group)
        forbidden = max(nal[0] & 0x80 for nal in group)
        yield _aggregate(bytes((forbidden | nri | _STAP_A,)), group)


def _hevc_aggregates(nals: list[bytes], limit: int) -> Iterator[bytes]:
    for group in _groups(nals, limit - 2):
        # 4.4.2: layer and temporal id are the lowest of the aggregated units.
        layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in group)
        temporal = min(nal[1] & 7 for nal in group)
        forbidden = max(nal[0] & 0x80 for nal in group)
        header = bytes((forbidden | _AP << 1 | layer >> 5, (layer & 31) << 3 | temporal))
        yield _aggregate(header, group)


def _groups(nals: list[bytes], room: int) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for nal in nals:
        if group and size + 2 + len(nal) > room:
            yield group
            group, size = [], 0
        group.append(nal)
        size += 2 + len(nal)
    yield group


def _aggregate(header: bytes, group: list[bytes]) -> bytes:
    if len(group) == 1:
        return group[0]
    return header + b"".join(part for nal in group for part in (len(nal).to_bytes(2), nal))


def _fragments(header: bytes, kind: int, body: memoryview, limit: int) -> list[bytes]:
    step = limit - len(header) - 1
    middle = header + bytes((kind,))
    join = b"".join
    pieces = [join((middle, body[at : at + step])) for at in range(step, len(body), step)]
    first = join((header, bytes((0x80 | kind,)), body[:step]))
    last = pieces[-1]
    pieces[-1] = join((header, bytes((0x40 | kind,)), last[len(middle) :]))
    return [first, *pieces]


def aac_payloads(frame: bytes, limit: int) -> list[bytes]:
    """Cut one raw AAC frame (RFC 3640 3.3.6): one payload, or fragments if it is longer than `limit`.

    Raises:
        ValueError: the frame is longer than an AU header can say.
    """
    if len(frame) > _MAX_AU:
        raise ValueError(f"an AAC frame of {len(frame)} bytes is over {_MAX_AU}")
    # Each fragment tells the size of the whole frame (3.2.1).
    header = _AU_HEADERS + (len(frame) << 3).to_bytes(2)
    step = limit - len(header)
    return [header + frame[at : at + step] for at in range(0, len(frame), step)]


def g711_payloads(samples: bytes, limit: int = MAX_G711_PAYLOAD) -> list[bytes]:
    """Cut a run of G.711; each payload has a time stamp of its own, as many ticks later as the one before has bytes."""
    return [samples[at : at + limit] for at in range(0, len(samples), limit)]


def video_fmtp(codec: Codec, sets: tuple[bytes, ...]) -> str:
    """Return the format parameters of a video track (RFC 6184 8.1, RFC 7798 7.1).

    Args:
        codec: H.264 or H.265.
        sets: Its parameter sets, without start codes.
    """
    if codec is Codec.HEVC:
        names = {
            hevc.NalType.VPS: "sprop-vps",
            hevc.NalType.SPS: "sprop-sps",
            hevc.NalType.PPS: "sprop-pps",
        }
        return ";".join(
            f"{name}={','.join(_base64(nal) for nal in sets if hevc.nal_type(nal) == kind)}"
            for kind, name in names.items()
        )
    sps = next((nal for nal in sets if h264.nal_type(nal) == h264.NalType.SPS), b"")
    level = f";profile-level-id={sps[1:4].hex()}" if len(sps) > 3 else ""
    sprop = ",".join(_base64(nal) for nal in sets)
    return f"packetization-mode=1{level};sprop-parameter-sets={sprop}"


def aac_fmtp(config: aac.AudioSpecificConfig) -> str:
    """Return the format parameters of an AAC-hbr track (RFC 3640 4.1)."""
    return (
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
        f";config={config.serialize().hex()}"
    )


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
