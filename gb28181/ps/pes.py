"""PES packet headers and time stamps (ISO/IEC 13818-1 2.4.3.6).

::

    00 00 01 id | length(16) | 10 scrambling(2) priority alignment copyright original
    | PTS_DTS(2) ESCR ES_rate DSM copy CRC extension | header_data_length(8)
    | 0010 PTS[32..30] 1  PTS[29..15] 1  PTS[14..0] 1 | ...
"""

from gb28181.errors import PsError

__all__ = ["build_pes_header", "parse_pes_header"]

_MPEG1_STUFFING = 16


def parse_pes_header(data: bytes, position: int, end: int) -> tuple[int | None, int | None, int]:
    """Parse the header of the packet whose start code is at `position` and that ends at `end`.

    Returns:
        PTS, DTS (90 kHz, 33 bits, or None) and where the payload begins.

    Raises:
        PsError: the header is longer than the packet, or not one.
    """
    start = position + 6
    if end <= start:
        return None, None, end  # an empty packet
    if data[start] & 0xC0 != 0x80:
        return _parse_mpeg1(data, start, end)
    payload = start + 3 + (data[start + 2] if start + 2 < end else 0)
    if payload > end:
        raise PsError("PES header is longer than its packet", position=position)
    flags = data[start + 1] >> 6
    pts = dts = None
    # 10 is PTS only, 11 both; 01 is forbidden. Devices set the flag without the field.
    if flags >= 2 and payload >= start + 8:
        pts = _parse_time(data, start + 3)
        if flags == 3 and payload >= start + 13:
            dts = _parse_time(data, start + 8)
    return pts, dts, payload


def _parse_time(data: bytes, position: int) -> int:
    return (
        (data[position] >> 1 & 7) << 30
        | data[position + 1] << 22
        | (data[position + 2] >> 1) << 15
        | data[position + 3] << 7
        | data[position + 4] >> 1
    )


def _parse_mpeg1(data: bytes, start: int, end: int) -> tuple[int | None, int | None, int]:
    # ISO/IEC 11172-1 2.4.3.3, from encoders older than the standard.
    position = start
    while position < end and data[position] == 0xFF:
        position += 1
    if position - start > _MPEG1_STUFFING or position >= end:
        raise PsError("no PES header", position=start)
    if data[position] & 0xC0 == 0x40:
        position += 2
    kind = data[position] >> 4 if position < end else 0
    if kind == 2 and position + 5 <= end:
        return _parse_time(data, position), None, position + 5
    if kind == 3 and position + 10 <= end:
        return _parse_time(data, position), _parse_time(data, position + 5), position + 10
    if position < end and data[position] == 0x0F:
        return None, None, position + 1
    raise PsError("no PES header", position=start)


def build_pes_header(
    stream_id: int,
    payload_length: int,
    *,
    pts: int | None = None,
    dts: int | None = None,
    length_zero: bool = False,
) -> bytes:
    """Build the header of a packet with `payload_length` bytes behind it; DTS only with PTS."""
    if pts is None:
        fields, flags = b"", 0x00
    elif dts is None or dts == pts:
        fields, flags = _build_time(2, pts), 0x80
    else:
        fields, flags = _build_time(3, pts) + _build_time(1, dts), 0xC0
    length = 0 if length_zero else 3 + len(fields) + payload_length
    # 0x8C: data_alignment_indicator where a frame begins.
    first = 0x8C if pts is not None else 0x88
    return (
        b"\x00\x00\x01"
        + bytes((stream_id,))
        + length.to_bytes(2)
        + bytes((first, flags, len(fields)))
        + fields
    )


def _build_time(prefix: int, value: int) -> bytes:
    value &= 0x1_FFFF_FFFF
    word = prefix << 36 | (value >> 30) << 33 | 1 << 32
    word |= (value >> 15 & 0x7FFF) << 17 | 1 << 16 | (value & 0x7FFF) << 1 | 1
    return word.to_bytes(5)
