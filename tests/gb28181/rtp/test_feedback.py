"""RTCP feedback: lost packets and wanted pictures, and any bytes."""

import pytest
from aiortc.rtp import RtcpPsfbPacket, RtcpRtpfbPacket
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import RtpError
from gb28181.rtp.feedback import MAX_NACKED, LostPackets, PictureWanted, parse_feedback
from gb28181.rtp.rtcp import ReceiverReport, serialize_rtcp

REPORT = serialize_rtcp(ReceiverReport(ssrc=1))


@given(st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=60))
def test_packets_named_by_another_implementation_are_found(numbers: set[int]) -> None:
    data = bytes(RtcpRtpfbPacket(fmt=1, ssrc=5, media_ssrc=7, lost=sorted(numbers)))
    (found,) = parse_feedback(REPORT + data)
    assert isinstance(found, LostPackets)
    assert found.ssrc == 7
    assert set(found.sequences) == numbers


def test_pictures_are_wanted_in_two_ways() -> None:
    pli = bytes(RtcpPsfbPacket(fmt=1, ssrc=5, media_ssrc=7))
    fir = bytes(RtcpPsfbPacket(fmt=4, ssrc=5, media_ssrc=0, fci=(9).to_bytes(4) + bytes(4)))
    remb = bytes(RtcpPsfbPacket(fmt=15, ssrc=5, media_ssrc=0, fci=b"REMB" + bytes(8)))
    assert parse_feedback(REPORT + pli + remb + fir) == [PictureWanted(7), PictureWanted(9)]


def test_numbers_of_one_packet_are_bounded() -> None:
    body = b"\x00\x01\xff\xff" * 340
    packet = bytes((0x81, 205)) + (2 + 340).to_bytes(2) + bytes(8) + body
    found = parse_feedback(packet * 3)
    assert sum(len(item.sequences) for item in found if isinstance(item, LostPackets)) == MAX_NACKED


@pytest.mark.parametrize(
    "data", [b"\x81", b"\x41\xcd\x00\x02", b"\x81\xcd\x00\x02", b"\x81\xcd\x00\x01" + bytes(4)]
)
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_feedback(data)


@given(st.binary(max_size=120))
def test_any_bytes_give_feedback_or_the_one_error(data: bytes) -> None:
    for text in (data, REPORT + data, b"\x81\xcd\x00\x03" + data):
        try:
            found = parse_feedback(text)
        except RtpError:
            continue
        assert all(isinstance(item, LostPackets | PictureWanted) for item in found)
