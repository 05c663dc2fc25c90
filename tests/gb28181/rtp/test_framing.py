"""RTP packets out of TCP streams."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.limits import MAX_RTP_RESYNC_BYTES
from gb28181.rtp.framing import Framing, FramingLost, StreamFramer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.rtcp import ReceiverReport, serialize_rtcp

SSRC = 326_000_017
RANDOM = random.Random(7)
PACKETS = [
    RtpPacket(96, False, index, 0, SSRC, RANDOM.randbytes(RANDOM.randrange(20, 1400))).serialize()
    for index in range(60)
]
PACKETS.insert(30, serialize_rtcp(ReceiverReport(ssrc=5)))


Framer = Callable[[list[bytes]], bytes]


def rfc4571(packets: list[bytes]) -> Any:
    return b"".join(len(packet).to_bytes(2) + packet for packet in packets)


def interleaved(packets: list[bytes]) -> Any:
    return b"".join(b"$\x00" + len(packet).to_bytes(2) + packet for packet in packets)


def preamble(packets: list[bytes]) -> Any:
    head = b"\x01\x00\x01\x00" + bytes(252)
    return head + b"".join(b"\x24\x00" + len(packet).to_bytes(2) + packet for packet in packets)


VARIANTS = pytest.mark.parametrize(
    ("frame", "framing"),
    [
        (rfc4571, Framing.RFC4571),
        (interleaved, Framing.INTERLEAVED),
        (preamble, Framing.PREAMBLE),
    ],
)


def run(data: bytes, *, step: int = 1000, ssrc: int | None = SSRC) -> Any:
    framer, found = StreamFramer(ssrc), []
    for at in range(0, len(data), step):
        found += framer.feed(data[at : at + step])
    return found, framer


@VARIANTS
def test_each_framing_is_recognised_and_every_cut_gives_the_same_packets(
    frame: Framer, framing: Framing
) -> None:
    data = frame(PACKETS)
    for step in (1, 2, 3, 5, 13, 257, 1460, len(data)):
        found, framer = run(data, step=step)
        assert found == PACKETS
        assert framer.framing is framing
        assert framer.resyncs == 0


@VARIANTS
@pytest.mark.parametrize("ssrc", [SSRC, None, 99])
def test_after_a_hole_the_way_back_is_found_by_the_ssrc(
    frame: Framer, framing: Framing, ssrc: int | None
) -> None:
    data = frame(PACKETS)
    for hole in (1, 2, 3, 100, 5000):
        for start in (3000, 9001, 15_002):
            found, framer = run(data[:start] + data[start + hole :], ssrc=ssrc)
            missing = [packet for packet in PACKETS if packet not in found]
            wrong = [packet for packet in found if packet not in PACKETS]
            assert len(wrong) <= 1, "the one in whose middle the hole is"
            # The hole itself, and the packet it ends in.
            assert sum(map(len, missing)) <= hole + 3 * 1500
            assert framer.framing is framing


@VARIANTS
def test_garbage_between_packets_is_skipped(frame: Framer, framing: Framing) -> None:
    first, second = frame(PACKETS[:20]), frame(PACKETS[20:])
    if framing is Framing.PREAMBLE:
        second = second[256:]
    found, framer = run(first + b"\x00\x64" + b"garbage" * 20 + second)
    assert found == PACKETS
    assert framer.resyncs == 1
    assert framer.skipped_bytes == 142


def test_empty_frames_are_skipped() -> None:
    found, framer = run(b"\x00\x00" + rfc4571(PACKETS[:2]) + b"\x00\x00" + rfc4571(PACKETS[2:]))
    assert found == PACKETS
    assert framer.resyncs == 0


def test_a_packet_of_256_bytes_is_not_taken_for_a_preamble() -> None:
    packet = RtpPacket(96, False, 1, 0, SSRC, bytes(244)).serialize()
    found, framer = run(rfc4571([packet, *PACKETS]))
    assert found == [packet, *PACKETS]
    assert framer.framing is Framing.RFC4571


def test_a_carriage_return_before_each_payload_is_taken_out_behind_a_preamble() -> None:
    payloads = [b"\x00\x00\x01\xba first", b"second", b"\rthird"]
    sent = [RtpPacket(96, False, i, 0, SSRC, b"\r" + p).serialize() for i, p in enumerate(payloads)]
    found, _ = run(preamble(sent))
    assert [RtpPacket.parse(packet).payload for packet in found] == payloads


def test_a_new_ssrc_is_followed() -> None:
    other = [RtpPacket(96, False, i, 0, 77, bytes(50)).serialize() for i in range(5)]
    found, framer = run(rfc4571(PACKETS[:10] + other))
    # The last packet of an unknown sender counts only when another follows.
    assert found == PACKETS[:10] + other
    assert framer.resyncs == 0


@pytest.mark.parametrize("head", [b"", rfc4571(PACKETS[:3])])
def test_without_a_packet_in_64_kb_the_stream_is_given_up(head: bytes) -> None:
    framer = StreamFramer(SSRC)
    framer.feed(head)
    noise = bytes(range(1, 120)) * 10

    def feed_noise() -> None:
        for _ in range(2 * MAX_RTP_RESYNC_BYTES // len(noise)):
            framer.feed(noise)

    with pytest.raises(FramingLost):
        feed_noise()


@given(st.lists(st.binary(max_size=400), max_size=12))
def test_any_bytes_give_packets_or_framing_lost(chunks: list[bytes]) -> None:
    framer = StreamFramer(SSRC)
    try:
        for chunk in chunks:
            for packet in framer.feed(chunk):
                assert packet[0] >> 6 == 2
    except FramingLost:
        return
    assert len(framer._rest) <= 65_535 + 260
