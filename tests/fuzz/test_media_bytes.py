"""Media bytes from a hostile or broken sender: nothing raises, nothing grows, nothing lies.

Invariants, whatever comes: `feed` raises only the framer's documented error; what is held is
bounded; a unit flagged as key frame brings its parameter sets and a random access picture;
decoding times of a track grow and no picture is shown before it is decoded.
"""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gb28181.errors import RtpError
from gb28181.es import h264, hevc
from gb28181.es.unit import Codec, MediaUnit
from gb28181.limits import MAX_FRAME
from gb28181.ps.demuxer import PsDemuxer
from gb28181.ps.muxer import PsMuxer, PsQuirks
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.framing import FramingLost, StreamFramer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer import packetize, packetize_h264, packetize_hevc
from gb28181.rtp.reorder import RtpReorderer
from tests.support.samples import sound, units

IS_KEYFRAME = {Codec.H264: h264.is_keyframe, Codec.HEVC: hevc.is_keyframe}
QUIRKS: tuple[dict[str, Any], ...] = (
    {}, {"pes_length_zero": True}, {"empty_pes_first": True}, {"no_psm": True}, {"max_pes_length": 300},
)  # fmt: skip
START_CODES = [bytes((0, 0, 1, code)) for code in (0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xC0, 0xE0, 0x65, 0x67)]  # fmt: skip


def check(found: list[MediaUnit]) -> None:
    """The invariants of units that came out together."""
    last: dict[Codec, int] = {}
    for unit in found:
        track = unit.codec
        assert unit.payload
        assert len(unit.payload) <= MAX_FRAME + 40_000
        assert unit.pts >= unit.dts
        assert unit.dts > last.get(track, unit.dts - 1)
        last[track] = unit.dts
        if unit.is_video:
            assert unit.payload[:4] == b"\x00\x00\x00\x01"
            assert not unit.keyframe or IS_KEYFRAME[unit.codec](unit.payload)
        else:
            assert unit.keyframe


def held(demuxer: PsDemuxer) -> Any:
    return demuxer._size + demuxer._video._size + len(demuxer._audio._carry)


PIECES = st.lists(
    st.one_of(st.binary(max_size=60), st.sampled_from(START_CODES), st.just(bytes(5000))),
    max_size=8,
).map(b"".join)


@given(st.lists(st.tuples(PIECES, st.integers(0, 3), st.booleans()), max_size=30))
def test_any_payloads_go_through_the_demuxer(payloads: list[tuple[bytes, int, bool]]) -> None:
    demuxer = PsDemuxer()
    found = []
    for payload, time, marker in payloads:
        found += demuxer.feed(payload, timestamp=time * 3600, marker=marker)
        assert held(demuxer) <= 2 * MAX_FRAME
    check(found + demuxer.flush())


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 8, 96, 98, 100, 102, 4]), PIECES, st.booleans()), max_size=30
    )
)
def test_any_payloads_of_any_type_go_through_the_depacketizer(
    packets: list[tuple[int, bytes, bool]],
) -> None:
    depacketizer = Depacketizer({96: "PS"})
    found = []
    for index, (number, payload, marker) in enumerate(packets):
        found += depacketizer.feed(RtpPacket(number, marker, index, index // 3, 1, payload))
    check(found + depacketizer.flush())


def damage(data: bytes, rng: random.Random) -> Any:
    """One of the things that happen to packets."""
    position = rng.randrange(len(data)) if data else 0
    before, after = data[:position], data[position:]
    return rng.choice(
        (
            before + bytes([rng.randrange(256)]) + after[1:],
            before + b"\xff" * len(after[:4]) + after[4:],
            before + rng.choice(START_CODES) + after,
            before + rng.randbytes(rng.randrange(20)) + after,
            before,
            after,
            b"",
        )
    )


def camera(rng: random.Random) -> Any:
    """RTP packets of some stream."""
    codec = rng.choice([Codec.H264, Codec.HEVC])
    video, audio = units(codec, slices=rng.choice([1, 2])), sound(Codec.PCM_ALAW, 30)
    muxer = PsMuxer(codec, Codec.PCM_ALAW, quirks=PsQuirks(**rng.choice(QUIRKS)))
    as_ps, marker = rng.random() < 0.7, rng.random() < 0.8
    packets: list[bytes] = []
    for picture, noise in zip(video, audio, strict=True):
        common = {"ssrc": 7, "sequence": len(packets), "timestamp": picture.pts, "mtu": 600}
        if as_ps:
            frame = muxer.mux(picture, noise)
            packets += packetize(frame, payload_type=96, marker=marker, **common)
        elif codec is Codec.H264:
            packets += packetize_h264(picture.payload, payload_type=98, **common)
        else:
            packets += packetize_hevc(picture.payload, payload_type=100, **common)
    return video, packets


@settings(deadline=None)  # the first one makes the streams
@given(st.integers(0, 2**32))
def test_damaged_streams_come_out_damaged_but_honest(seed: int) -> None:
    rng = random.Random(seed)
    _, packets = camera(rng)
    reorderer, depacketizer = RtpReorderer(window=rng.choice([1, 8, 64])), Depacketizer()
    found = []
    for data in packets:
        fate = rng.random()
        if fate < 0.03:
            continue
        sent = [data]
        if fate < 0.06:
            sent = [data, rng.choice(packets)]
        elif fate < 0.12:
            sent = [data[:12] + damage(data[12:], rng)]
        elif fate < 0.14:
            sent = [damage(data, rng)]
        for one in sent:
            try:
                packet = RtpPacket.parse(one)
            except RtpError:
                continue
            for ordered in reorderer.feed(packet, 0.0):
                found += depacketizer.feed(ordered)
    for ordered in reorderer.flush():
        found += depacketizer.feed(ordered)
    check(found + depacketizer.flush())


@settings(deadline=None)  # the first one makes the streams
@given(st.integers(0, 2**32))
def test_lost_and_shuffled_packets_never_make_a_picture_that_was_not_sent(seed: int) -> None:
    rng = random.Random(seed)
    video, packets = camera(rng)
    sent = {bytes(nal) for unit in video for nal in unit.payload.split(b"\x00\x00\x01")}
    order = sorted(range(1, len(packets) - 1), key=lambda i: i + rng.random() * 6)
    # A loss at the very end shows to nobody where a PES has no length.
    survivors = [0, *(i for i in order if rng.random() > 0.04), len(packets) - 1]
    reorderer, depacketizer = RtpReorderer(window=16), Depacketizer()
    found = []
    for index in survivors:
        for ordered in reorderer.feed(RtpPacket.parse(packets[index]), 0.0):
            found += depacketizer.feed(ordered)
    for ordered in reorderer.flush():
        found += depacketizer.feed(ordered)
    found += depacketizer.flush()
    check(found)
    for unit in found:
        nals = [nal.rstrip(b"\x00") for nal in unit.payload.split(b"\x00\x00\x01")]
        assert not unit.is_video or {nal for nal in nals if nal} <= {
            nal.rstrip(b"\x00") for nal in sent
        }


@settings(deadline=None)  # the first one makes the streams
@given(st.integers(0, 2**32))
def test_a_damaged_tcp_stream_is_followed_or_given_up(seed: int) -> None:
    rng = random.Random(seed)
    _, packets = camera(rng)
    prefix = rng.choice([b"", b"$\x00"])
    framed = [prefix + len(packet).to_bytes(2) + packet for packet in packets]
    data = b"".join(damage(one, rng) if rng.random() < 0.02 else one for one in framed)
    framer, found, position = StreamFramer(7), [], 0
    while position < len(data):
        step = rng.randrange(1, 3000)
        try:
            found += framer.feed(data[position : position + step])
        except FramingLost:
            break
        position += step
        assert len(framer._rest) <= 65_540
    assert sum(packet in packets for packet in found) >= len(packets) // 8 or framer.skipped_bytes


@pytest.mark.parametrize("head", [b"\x00\x00\x01\xe0\x00\x00\x80\x00\x00", b"\x00\x00\x01\xe0\xff\xff\x80\x00\x00", b""])  # fmt: skip
@pytest.mark.parametrize("marker", [True, False])
def test_an_endless_stream_of_one_byte_packets_stays_cheap_and_bounded(
    head: bytes, marker: bool
) -> None:
    demuxer = PsDemuxer()
    demuxer.feed(head, timestamp=0)
    for time in range(30_000):
        demuxer.feed(b"\x11", timestamp=time, marker=marker and time % 2 == 0)
    assert held(demuxer) <= 2 * MAX_FRAME
