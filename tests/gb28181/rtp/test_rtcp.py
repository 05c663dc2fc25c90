"""RTCP packets and reception statistics."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import RtpError
from gb28181.rtp.packet import is_rtcp
from gb28181.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_rtcp,
    serialize_rtcp,
)
from gb28181.rtp.stats import ReceptionStats

U32 = st.integers(0, 2**32 - 1)
BLOCK = st.builds(
    ReportBlock,
    ssrc=U32,
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=U32,
    jitter=U32,
    last_sr=U32,
    delay_since_sr=U32,
)
BLOCKS = st.lists(BLOCK, max_size=3).map(tuple)
PACKET = st.one_of(
    st.builds(
        SenderReport,
        ssrc=U32,
        ntp_time=st.integers(0, 2**64 - 1),
        rtp_time=U32,
        packet_count=U32,
        octet_count=U32,
        reports=BLOCKS,
    ),
    st.builds(ReceiverReport, ssrc=U32, reports=BLOCKS),
    st.builds(
        SourceDescription,
        names=st.lists(st.tuples(U32, st.text(max_size=20)), max_size=3).map(tuple),
    ),
    st.builds(Bye, sources=st.lists(U32, max_size=3).map(tuple), reason=st.text(max_size=20)),
)


@given(st.lists(PACKET, max_size=4))
def test_compound_packets_parse_back_and_are_whole_words(packets: list[RtcpPacket]) -> None:
    data = serialize_rtcp(*packets)
    assert len(data) % 4 == 0
    assert parse_rtcp(data) == packets


@given(st.binary(max_size=100))
def test_any_bytes_are_packets_or_an_rtp_error(data: bytes) -> None:
    try:
        parse_rtcp(data)
    except RtpError:
        return


def test_a_receiver_report_has_the_layout_of_rfc_3550() -> None:
    block = ReportBlock(
        ssrc=0x01020304, fraction_lost=0x40, packets_lost=-1, highest_sequence=0x00010002,
        jitter=5, last_sr=6, delay_since_sr=7,
    )  # fmt: skip
    data = serialize_rtcp(ReceiverReport(ssrc=0x0A0B0C0D, reports=(block,)))
    assert data.hex(" ", 4) == (
        "81c90007 0a0b0c0d 01020304 40ffffff 00010002 00000005 00000006 00000007"
    )
    assert is_rtcp(data)


@pytest.mark.parametrize(
    "data",
    [b"\x80\xc9\x00", b"\x80\xc9\x00\x02\x00\x00\x00\x00", b"\x00\xc9\x00\x00", b"\x81\xc9\x00\x01\0\0\0\0"],
)  # fmt: skip
def test_a_packet_that_is_cut_off_is_an_error(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_rtcp(data)


def test_unknown_types_are_left_out_and_padding_is_taken_off() -> None:
    unknown = b"\x80\xcc\x00\x01name"
    bye = b"\xa1\xcb\x00\x02\x00\x00\x00\x09\x00\x00\x00\x04"
    assert parse_rtcp(unknown + bye) == [Bye(sources=(9,))]


def receive(
    stats: ReceptionStats,
    sequences: Iterable[int],
    *,
    interval: float = 0.04,
    ticks: int = 3600,
    first: int = 0,
) -> None:
    for index, sequence in enumerate(sequences):
        stats.receive_fields(
            7, sequence & 0xFFFF, (first + index) * ticks, (first + index) * interval
        )


def report(stats: ReceptionStats, now: float) -> ReportBlock:
    block = stats.report_block(now)
    assert block is not None
    return block


def test_nothing_received_gives_no_report() -> None:
    assert ReceptionStats().report_block(0.0) is None


def test_loss_is_told_as_total_and_as_share_since_the_last_report() -> None:
    stats = ReceptionStats()
    receive(stats, [s for s in range(100) if s % 4 != 1])
    first = report(stats, 4.0)
    assert (first.packets_lost, first.fraction_lost, first.highest_sequence) == (25, 64, 99)
    receive(stats, range(100, 200), first=100)
    second = report(stats, 8.0)
    assert (second.packets_lost, second.fraction_lost, second.highest_sequence) == (25, 0, 199)


def test_the_highest_sequence_counts_its_cycles() -> None:
    stats = ReceptionStats()
    receive(stats, range(65_530, 65_540))
    block = report(stats, 1.0)
    assert block.highest_sequence == 0x10003
    assert block.packets_lost == 0


def test_duplicates_make_the_loss_negative() -> None:
    stats = ReceptionStats()
    receive(stats, [1, 2, 2, 3])
    assert report(stats, 1.0).packets_lost == -1


def test_even_arrival_has_no_jitter_and_uneven_has() -> None:
    even, uneven = ReceptionStats(), ReceptionStats()
    for index in range(200):
        even.receive_fields(7, index, index * 3600, index * 0.04)
        uneven.receive_fields(7, index, index * 3600, index * 0.04 + (index % 2) * 0.01)
    assert report(even, 9.0).jitter == 0
    assert 800 <= report(uneven, 9.0).jitter <= 900


def test_the_delay_since_a_sender_report_is_told_in_its_units() -> None:
    stats = ReceptionStats()
    receive(stats, [1])
    sent = SenderReport(
        ssrc=7, ntp_time=0x1122_3344_5566_7788, rtp_time=0, packet_count=1, octet_count=1
    )
    stats.receive_sender_report(sent, 10.0)
    block = report(stats, 12.5)
    assert (block.last_sr, block.delay_since_sr) == (0x3344_5566, 163_840)


def test_a_sender_that_starts_again_is_counted_from_there() -> None:
    stats = ReceptionStats()
    receive(stats, range(1000, 1010))
    receive(stats, range(40_000, 40_010))
    assert report(stats, 1.0).packets_lost == 0
    stats.receive_fields(8, 5, 0, 2.0)
    assert report(stats, 2.0).ssrc == 8
