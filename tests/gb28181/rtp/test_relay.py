"""Relayed packets: bytes kept, headers stamped for each receiver, loss shown as it was."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer import packetize
from gb28181.rtp.relay import (
    MAX_BATCH_BYTES,
    MAX_RUN_PACKETS,
    FrameStart,
    RelayBatch,
    RelayPacker,
    RelayStamp,
    count_packets,
)

SSRC = 7


def datagrams(batches: Sequence[RelayBatch]) -> list[bytes]:
    """What the system makes of the runs."""
    return [
        bytes(run.view[at : at + run.size])
        for batch in batches
        for run in batch.datagrams.runs
        for at in range(0, len(run.view), run.size)
    ]


def frame(number: int, size: int, *, key: bool = False, sequence: int = 0) -> list[RtpPacket]:
    unit = MediaUnit(Codec.H264, number * 3600, number * 3600, key, bytes([number]) * size)
    data = packetize(
        PsMuxer(Codec.H264).mux(unit),
        payload_type=96,
        ssrc=SSRC,
        sequence=sequence,
        timestamp=unit.pts,
    )
    return [RtpPacket.parse(one) for one in data]


def packet(
    sequence: int,
    size: int = 100,
    *,
    ssrc: int = SSRC,
    marker: bool = False,
    payload_type: int = 96,
) -> RtpPacket:
    return RtpPacket(payload_type, marker, sequence & 0xFFFF, 3600, ssrc, bytes(size))


def stamped(batches: Sequence[RelayBatch], stamp: RelayStamp) -> list[RtpPacket]:
    for batch in batches:
        stamp.apply(batch.datagrams)
    return [RtpPacket.parse(data) for data in datagrams(batches)]


@st.composite
def streams(draw: st.DrawFn) -> list[RtpPacket]:
    sizes = st.one_of(st.just(1388), st.integers(0, 3000), st.just(9000))
    packets = []
    sequence = draw(st.integers(0, 0xFFFF))
    for size in draw(st.lists(sizes, min_size=1, max_size=120)):
        sequence = (sequence + draw(st.sampled_from([1, 1, 1, 1, 2, 50]))) & 0xFFFF
        start = draw(st.booleans()) and size > 4
        payload = (b"\x00\x00\x01\xba" if start else b"") + bytes(size - 4 if start else size)
        packets.append(
            RtpPacket(
                96, draw(st.booleans()), sequence, draw(st.integers(0, 2**32 - 1)), 7, payload
            )
        )
    return packets


@given(streams(), st.integers(0, 2**32 - 1), st.integers(0, 127), st.integers(0, 2**17))
def test_any_stream_keeps_its_bytes_and_gets_the_receivers_headers(
    packets: list[RtpPacket], ssrc: int, payload_type: int, offset: int
) -> None:
    batches = RelayPacker().pack(packets)
    other = RelayStamp(ssrc=3, payload_type=8, offset=99)
    mine = RelayStamp(ssrc=ssrc, payload_type=payload_type, offset=offset)
    stamped(batches, other)
    got = stamped(batches, mine)
    assert b"".join(p.payload for p in got) == b"".join(p.payload for p in packets)
    assert {(p.ssrc, p.payload_type) for p in got} == {(ssrc, payload_type)}
    assert sum(p.marker for p in got) == sum(p.marker for p in packets)
    assert got[0].sequence == (offset + 1) & 0xFFFF
    lost = sum(((b.sequence - a.sequence) & 0xFFFF) - 1 for a, b in pairwise(packets))
    assert sum(((b.sequence - a.sequence) & 0xFFFF) - 1 for a, b in pairwise(got)) == lost
    stamps = [p.timestamp for p in packets]
    assert list(dict.fromkeys(p.timestamp for p in got)) == list(dict.fromkeys(stamps))
    for batch in batches:
        assert len(batch.datagrams.data) <= MAX_BATCH_BYTES
        assert batch.octets == sum(run.octets for run in batch.datagrams.runs)
        assert batch.packets == sum(run.count for run in batch.datagrams.runs)
        for run in batch.datagrams.runs:
            assert run.count == -(-len(run.view) // run.size) <= MAX_RUN_PACKETS
    framed: list[bytes] = []
    for batch in batches:
        mine.apply(batch.framed)
        data = bytes(batch.framed.view)
        while data:
            size = int.from_bytes(data[:2])
            framed.append(data[2 : 2 + size])
            data = data[2 + size :]
        assert [run.octets for run in batch.framed.runs] == [
            run.octets for run in batch.datagrams.runs
        ]
    assert framed == datagrams(batches)


def test_a_frame_is_one_run_and_says_whether_it_is_a_key_frame() -> None:
    packets = [*frame(1, 20_000, key=True), *frame(2, 20_000, sequence=15)]
    (batch,) = RelayPacker().pack(packets)
    assert [(run.count, run.begins) for run in batch.datagrams.runs] == [
        (15, FrameStart.KEY),
        (15, FrameStart.PACK),
    ]
    assert batch.begins is FrameStart.KEY
    assert batch.timestamp == packets[-1].timestamp


@pytest.mark.parametrize("payload", [b"\x00\x00\x01\xba", b"\x00\x00\x01\xba" + bytes(10)])
def test_a_pack_header_cut_short_is_the_start_of_some_frame(payload: bytes) -> None:
    (batch,) = RelayPacker().pack([RtpPacket(96, False, 0, 0, SSRC, payload)])
    assert batch.begins is FrameStart.PACK


def test_a_frame_over_64_kb_is_several_batches_of_44_packets_at_most() -> None:
    packets = frame(1, 150_000)
    batches = RelayPacker().pack(packets)
    assert [batch.packets for batch in batches] == [44, 44, 21]
    assert [batch.begins for batch in batches] == [
        FrameStart.PACK,
        FrameStart.NONE,
        FrameStart.NONE,
    ]


def test_small_packets_are_no_longer_runs_than_the_kernel_takes() -> None:
    (batch,) = RelayPacker().pack([packet(number) for number in range(100)])
    assert [run.count for run in batch.datagrams.runs] == [44, 44, 12]


def test_large_packets_are_cut_and_the_marker_stays_on_the_last_part() -> None:
    big = RtpPacket(96, True, 5, 3600, SSRC, bytes(range(256)) * 20)
    got = stamped(
        RelayPacker().pack([big, packet(6)]), RelayStamp(ssrc=1, payload_type=96, offset=0)
    )
    assert [len(p.payload) for p in got] == [1388, 1388, 1388, 956, 100]
    assert [p.marker for p in got] == [False, False, False, True, False]
    assert [p.sequence for p in got] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([65_534, 65_535, 0, 1], [1, 1, 1]),
        ([10, 11, 14, 15], [1, 3, 1]),
        ([10, 11, 5000, 5001], [1, 2, 1]),
        ([10, 11, 11, 12], [1, 2, 1]),
        ([5000, 5001, 10, 11], [1, 2, 1]),
    ],
)
def test_gaps_stay_and_jumps_become_one_missing_packet(
    numbers: list[int], expected: list[int]
) -> None:
    got = stamped(
        RelayPacker().pack([packet(number) for number in numbers]),
        RelayStamp(ssrc=1, payload_type=96, offset=65_530),
    )
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(got)] == expected


def test_another_ssrc_and_a_restart_become_one_missing_packet() -> None:
    packer = RelayPacker()
    first = packer.pack([packet(1), packet(2), packet(3, ssrc=8), packet(4, ssrc=8)])
    packer.restart()
    second = packer.pack([packet(5, ssrc=8)])
    stamp = RelayStamp(ssrc=1, payload_type=96, offset=0)
    assert [p.sequence for p in stamped(first + second, stamp)] == [1, 2, 4, 5, 7]


def test_packets_that_are_not_of_the_stream_leave_no_gap_but_loss_beside_them_does() -> None:
    mixed = [packet(1), packet(2, payload_type=8), packet(3), packet(6, payload_type=8), packet(7)]
    batches = RelayPacker().pack(mixed, lambda payload_type: payload_type == 96)
    got = stamped(batches, RelayStamp(ssrc=1, payload_type=96, offset=0))
    assert [p.sequence for p in got] == [1, 2, 5]


def test_numbers_of_a_sender_on_tcp_count_only_once_they_proved_right() -> None:
    odd = [packet(number * 7) for number in range(5)]
    stamp = RelayStamp(ssrc=1, payload_type=96, offset=0)
    assert [p.sequence for p in stamped(RelayPacker(reliable=True).pack(odd), stamp)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    right = [packet(number) for number in range(20)] + [packet(22)]
    assert stamped(RelayPacker(reliable=True).pack(right), stamp)[-1].sequence == 23


def test_muxed_frames_are_cut_and_numbered_after_what_was_passed_on() -> None:
    packer = RelayPacker()
    packer.pack([packet(1), packet(2)])
    packer.restart()
    (batch,) = packer.pack_frame(bytes(3000), timestamp=2**32 + 5, keyframe=True)
    got = stamped([batch], RelayStamp(ssrc=1, payload_type=96, offset=0))
    assert [(p.sequence, p.timestamp, p.marker) for p in got] == [
        (3, 5, False),
        (4, 5, False),
        (5, 5, True),
    ]
    assert batch.begins is FrameStart.KEY


@pytest.mark.parametrize("size", [1, 1388, 1389, 2776, 3000, 200_000])
def test_the_packets_of_a_frame_can_be_counted_beforehand(size: int) -> None:
    batches = RelayPacker().pack_frame(bytes(size), timestamp=0, keyframe=False)
    assert sum(batch.packets for batch in batches) == count_packets(bytes(size))
