"""PES headers and program stream maps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import PsError
from gb28181.ps.pes import build_pes_header, parse_pes_header
from gb28181.ps.psm import build_psm, parse_psm

TIME = st.integers(0, 2**33 - 1)


@given(pts=TIME, dts=TIME, length=st.integers(0, 1000))
def test_a_built_header_parses_back(pts: int, dts: int, length: int) -> None:
    data = build_pes_header(0xE0, length, pts=pts, dts=dts) + bytes(length)
    expected = dts if dts != pts else None
    assert parse_pes_header(data, 0, len(data)) == (pts, expected, len(data) - length)


def test_a_header_without_time_is_nine_bytes() -> None:
    data = build_pes_header(0xC0, 4) + b"data"
    assert parse_pes_header(data, 0, len(data)) == (None, None, 9)


def test_a_header_longer_than_its_packet_is_an_error() -> None:
    with pytest.raises(PsError, match="longer than its packet"):
        parse_pes_header(bytes.fromhex("000001e00004 8c 80 05 21"), 0, 10)


def test_a_time_flag_without_the_field_is_no_time() -> None:
    data = bytes.fromhex("000001e00005 80 80 00 aabb")
    assert parse_pes_header(data, 0, len(data)) == (None, None, 9)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("ff ff 0f", (None, None)),
        ("ff 60 20 21 00 01 1c 21", (3600, None)),
        ("31 00 01 38 41 11 00 01 1c 21", (7200, 3600)),
    ],
)
def test_headers_of_mpeg_1_are_understood(header: str, expected: Any) -> None:
    fields = bytes.fromhex(header)
    data = b"\x00\x00\x01\xe0" + (len(fields) + 2).to_bytes(2) + fields + b"ab"
    pts, dts, start = parse_pes_header(data, 0, len(data))
    assert (pts, dts) == expected
    assert data[start:] == b"ab"


@given(st.binary(max_size=40))
def test_any_header_parses_or_is_a_ps_error(data: bytes) -> None:
    packet = b"\x00\x00\x01\xe0" + len(data).to_bytes(2) + data
    try:
        _, _, start = parse_pes_header(packet, 0, len(packet))
    except PsError:
        return
    assert 6 <= start <= len(packet)


@given(st.dictionaries(st.integers(0xC0, 0xEF), st.integers(0, 255), max_size=30))
def test_a_built_map_parses_back(types: dict[int, int]) -> None:
    program = parse_psm(build_psm(types))
    assert program.types == types
    assert program.crc_ok


def test_a_map_with_zero_length_of_entries_or_a_wrong_crc_is_still_read() -> None:
    psm = bytearray(build_psm({0xE0: 0x24, 0xC0: 0x0F}))
    psm[10:12] = b"\x00\x00"
    program = parse_psm(bytes(psm))
    assert program.types == {0xE0: 0x24, 0xC0: 0x0F}
    assert not program.crc_ok


def test_descriptors_in_a_map_are_read_over() -> None:
    entries = b"\x1b\xe0\x00\x02\x0a\x0b" + b"\x90\xc0\x00\x00"
    body = b"\xe0\xff\x00\x03\x01\x02\x03" + len(entries).to_bytes(2) + entries + bytes(4)
    program = parse_psm(b"\x00\x00\x01\xbc" + len(body).to_bytes(2) + body)
    assert program.types == {0xE0: 0x1B, 0xC0: 0x90}


@given(st.binary(max_size=80))
def test_any_map_parses(data: bytes) -> None:
    assert len(parse_psm(b"\x00\x00\x01\xbc" + len(data).to_bytes(2) + data).types) <= 36
