"""RTP packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import RtpError
from gb28181.rtp.packet import RtpPacket, is_rtcp

HEADER = bytes.fromhex("80 e0 12 34 00 01 51 80 13 6c 94 51")


def test_the_fixed_header_is_read() -> None:
    packet = RtpPacket.parse(HEADER + b"payload")
    assert packet == RtpPacket(96, True, 0x1234, 86_400, 0x136C9451, b"payload")
    assert packet.serialize() == HEADER + b"payload"


def test_contributing_sources_extension_and_padding_are_left_out() -> None:
    data = b"\xb2" + HEADER[1:] + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"data" + b"\0\0\3"
    assert RtpPacket.parse(data).payload == b"data"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected 12 bytes of RTP header, got 0"),
        (HEADER[:11], "expected 12 bytes of RTP header, got 11"),
        (b"\x40" + HEADER[1:], "expected RTP version 2, got 1"),
        (b"\x83" + HEADER[1:] + bytes(11), "RTP packet ends inside its header"),
        (b"\x90" + HEADER[1:] + bytes(3), "RTP packet ends inside its header extension"),
        (b"\x90" + HEADER[1:] + b"\0\0\0\2" + bytes(7), "RTP packet ends inside its header"),
        (b"\xa0" + HEADER[1:] + b"\x05\x05", "RTP padding of 5 bytes in 2"),
        (b"\xa0" + HEADER[1:] + b"\x05\x00", "RTP padding of 0 bytes in 2"),
        (b"\xa0" + HEADER[1:], "RTP padding of 0 bytes in 0"),
    ],
)
def test_what_is_not_a_packet_is_told_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(RtpError) as caught:
        RtpPacket.parse(data)
    assert str(caught.value) == message


@given(
    st.builds(
        RtpPacket,
        payload_type=st.integers(0, 127),
        marker=st.booleans(),
        sequence=st.integers(0, 65_535),
        timestamp=st.integers(0, 2**32 - 1),
        ssrc=st.integers(0, 2**32 - 1),
        payload=st.binary(max_size=50),
    )
)
def test_a_serialized_packet_parses_back(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.serialize()) == packet


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_an_rtp_error(data: bytes) -> None:
    try:
        packet = RtpPacket.parse(data)
    except RtpError:
        return
    assert bytes(packet.payload) in data


def test_rtcp_is_told_from_rtp_by_its_second_byte() -> None:
    assert is_rtcp(b"\x81\xc9\x00\x07")
    assert is_rtcp(b"\x80\xc8")
    assert not is_rtcp(b"\x80\xe0")
    assert not is_rtcp(b"\x80\x60")
    assert not is_rtcp(b"\x80\x88")
    assert not is_rtcp(b"\x80")
    assert not is_rtcp(b"\x00\xc8")
