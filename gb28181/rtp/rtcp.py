"""RTCP packets: SR, RR, SDES, BYE (RFC 3550 6).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|  count  |      PT       |       length in words - 1     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

import struct
from dataclasses import dataclass

from gb28181.errors import RtpError
from gb28181.limits import MAX_RTCP_PACKETS

__all__ = [
    "Bye",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "parse_rtcp",
    "serialize_rtcp",
]

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!QIII")
_REPORT = struct.Struct("!IIIIII")
_CNAME = 1
_MAX_BLOCKS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """How one source is received (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    packets_lost: int
    """In all; negative when duplicates outnumber losses."""
    highest_sequence: int
    """With the count of cycles in the upper 16 bits."""
    jitter: int
    """In time stamp units."""
    last_sr: int
    """Middle 32 bits of the NTP time of the last SR, 0 if none came."""
    delay_since_sr: int
    """In 1/65536 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """What a sender sent and how it receives others."""

    ssrc: int
    ntp_time: int
    """64-bit NTP time."""
    rtp_time: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """How a receiver receives."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """Canonical names by SSRC; other items are read over."""

    names: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """Sources that leave."""

    sources: tuple[int, ...]
    reason: str = ""


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Bye


def parse_rtcp(data: bytes | memoryview) -> list[RtcpPacket]:
    """Parse a compound packet; packets of other types are left out.

    Raises:
        RtpError: a header or body is cut off or not version 2.
    """
    data = bytes(data)
    packets: list[RtcpPacket] = []
    position = count = 0
    while position < len(data) and count < MAX_RTCP_PACKETS:
        if position + 4 > len(data) or data[position] >> 6 != 2:
            raise RtpError("expected an RTCP header", position=position)
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if end > len(data):
            raise RtpError(f"RTCP packet of {4 + 4 * words} bytes is cut off", position=position)
        body = data[position + 4 : end]
        if first & 0x20 and body:
            body = body[: max(0, len(body) - body[-1])]
        packet = _parse_one(kind, first & 0x1F, body, position)
        if packet is not None:
            packets.append(packet)
        position = end
        count += 1
    return packets


def _parse_one(kind: int, count: int, body: bytes, position: int) -> RtcpPacket | None:
    try:
        if kind == _SR:
            ntp_time, rtp_time, packets, octets = _SENDER_INFO.unpack_from(body, 4)
            return SenderReport(
                ssrc=int.from_bytes(body[:4]),
                ntp_time=ntp_time,
                rtp_time=rtp_time,
                packet_count=packets,
                octet_count=octets,
                reports=_parse_reports(body, 24, count),
            )
        if kind == _RR:
            (ssrc,) = struct.unpack_from("!I", body)
            return ReceiverReport(ssrc=ssrc, reports=_parse_reports(body, 4, count))
        if kind == _BYE:
            return _parse_bye(body, count)
        if kind == _SDES:
            return _parse_sdes(body, count)
    except (struct.error, IndexError):
        raise RtpError(f"RTCP packet of type {kind} is cut off", position=position) from None
    return None


def _parse_reports(body: bytes, position: int, count: int) -> tuple[ReportBlock, ...]:
    reports = []
    for index in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _REPORT.unpack_from(
            body, position + index * _REPORT.size
        )
        lost = loss & 0xFFFFFF
        reports.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                packets_lost=lost - (1 << 24) if lost & 0x800000 else lost,
                highest_sequence=highest,
                jitter=jitter,
                last_sr=last_sr,
                delay_since_sr=delay,
            )
        )
    return tuple(reports)


def _parse_bye(body: bytes, count: int) -> Bye:
    sources = struct.unpack_from(f"!{count}I", body)
    rest = body[4 * count :]
    reason = rest[1 : 1 + rest[0]].decode(errors="replace") if rest else ""
    return Bye(sources=sources, reason=reason)


def _parse_sdes(body: bytes, count: int) -> SourceDescription:
    names: list[tuple[int, str]] = []
    position = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, position)
        position += 4
        while body[position]:
            kind, length = body[position], body[position + 1]
            text = body[position + 2 : position + 2 + length]
            if kind == _CNAME:
                names.append((ssrc, text.decode(errors="replace")))
            position += 2 + length
        position += 4 - position % 4
    return SourceDescription(names=tuple(names))


def serialize_rtcp(*packets: RtcpPacket) -> bytes:
    """Build a compound packet; by RFC 3550 6.1 it begins with SR or RR and has a CNAME."""
    return b"".join(_serialize_one(packet) for packet in packets)


def _serialize_one(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            info = _SENDER_INFO.pack(
                packet.ntp_time,
                packet.rtp_time & 0xFFFF_FFFF,
                packet.packet_count & 0xFFFF_FFFF,
                packet.octet_count & 0xFFFF_FFFF,
            )
            body = packet.ssrc.to_bytes(4) + info + _serialize_reports(packet.reports)
            return _frame(_SR, len(packet.reports[:_MAX_BLOCKS]), body)
        case ReceiverReport():
            body = packet.ssrc.to_bytes(4) + _serialize_reports(packet.reports)
            return _frame(_RR, len(packet.reports[:_MAX_BLOCKS]), body)
        case SourceDescription():
            chunks = [_serialize_name(ssrc, name) for ssrc, name in packet.names[:_MAX_BLOCKS]]
            return _frame(_SDES, len(chunks), b"".join(chunks))
        case Bye():
            sources = packet.sources[:_MAX_BLOCKS]
            body = b"".join(ssrc.to_bytes(4) for ssrc in sources)
            if packet.reason:
                text = packet.reason.encode()[:255]
                body += bytes((len(text),)) + text
            return _frame(_BYE, len(sources), body)


def _serialize_reports(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _REPORT.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.packets_lost & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_sr,
        )
        for block in reports[:_MAX_BLOCKS]
    )


def _serialize_name(ssrc: int, name: str) -> bytes:
    text = name.encode()[:255]
    chunk = ssrc.to_bytes(4) + bytes((_CNAME, len(text))) + text
    return chunk + bytes(4 - len(chunk) % 4)


def _frame(kind: int, count: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
