"""Packets of one session: numbering, time stamps, size, drops, sender reports."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Self

from gateway.simulator.encoder import EncoderPool
from gateway.simulator.outgoing import OutgoingMedia
from gateway.simulator.quirk import Quirk
from gateway.simulator.stream import StreamSpec
from gb28181.es.unit import Codec
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.rtcp import SenderReport, SourceDescription, parse_rtcp

SPEC = StreamSpec(width=320, height=180, bitrate=256_000)


class Recorder:
    """A sink that keeps what it takes; `refuse` counts the sends it does not."""

    def __init__(self) -> None:
        self.frames: list[list[RtpPacket]] = []
        self.refuse = 0
        self.sizes: set[int] = set()

    def send(self, packets: list[bytes]) -> bool:
        if self.refuse:
            self.refuse -= 1
            return False
        self.sizes |= set(map(len, packets))
        self.frames.append([RtpPacket.parse(packet) for packet in packets])
        return True

    def send_rtcp(self, data: bytes) -> None:
        raise AssertionError("reports are the session's")

    def abandon(self) -> None:
        raise AssertionError("nobody abandons here")

    async def close(self) -> None:
        pass


class Sending:
    def __init__(self, *quirks: Quirk, mtu: int = 1400, seed: int = 1) -> None:
        self.sink = Recorder()
        self.errors: list[Exception] = []
        self.pool = EncoderPool(lambda name, error: self.errors.append(error))
        self.media = OutgoingMedia(
            SPEC,
            pool=self.pool,
            sink=self.sink,
            ssrc=200_000_017,
            quirks=frozenset(quirks),
            mtu=mtu,
            seed=seed,
        )

    async def __aenter__(self) -> Self:
        self.media.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.media.stop()
        self.media.stop()
        await self.pool.close()
        assert not self.errors

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.01)


async def test_packets_are_numbered_without_gaps_and_a_frame_has_one_time() -> None:
    async with Sending(mtu=500) as it:
        await it.until(lambda: len(it.sink.frames) >= 10)
    packets = [packet for frame in it.sink.frames for packet in frame]

    first = packets[0].sequence
    assert [p.sequence for p in packets] == [(first + n) & 0xFFFF for n in range(len(packets))]
    assert all(len({p.timestamp for p in frame}) == 1 for frame in it.sink.frames)
    times = [frame[0].timestamp for frame in it.sink.frames]
    assert {(b - a) & 0xFFFF_FFFF for a, b in itertools.pairwise(times)} == {3600}
    assert [p.marker for p in packets].count(True) == len(it.sink.frames)
    assert max(it.sink.sizes) == 500
    assert bytes(packets[0].payload[:4]) == b"\x00\x00\x01\xba"


async def test_two_sessions_of_one_encoder_differ_in_numbering_only() -> None:
    async with Sending(seed=1) as one, Sending(seed=2) as other:
        await one.until(lambda: one.sink.frames and other.sink.frames)
    a, b = one.sink.frames[0][0], other.sink.frames[0][0]

    assert a.sequence != b.sequence
    assert a.timestamp != b.timestamp


async def test_after_a_drop_the_stream_goes_on_with_a_key_frame() -> None:
    async with Sending() as it:
        await it.until(lambda: len(it.sink.frames) >= 3)
        it.sink.refuse = 1
        await it.until(lambda: it.media.counters.dropped_frames == 1)
        before = len(it.sink.frames)
        await it.until(lambda: len(it.sink.frames) > before)
    resumed = b"".join(bytes(packet.payload) for packet in it.sink.frames[before])

    assert b"\x00\x00\x01\xbc" in resumed
    assert it.media.counters.dropped_frames == 1


async def test_a_sender_report_counts_what_was_sent() -> None:
    async with Sending() as it:
        await it.until(lambda: len(it.sink.frames) >= 3)
        report, names = parse_rtcp(it.media.sender_report())
    packets = [packet for frame in it.sink.frames for packet in frame]

    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packet_count) == (200_000_017, len(packets))
    assert report.octet_count == sum(len(packet.payload) for packet in packets)
    assert 0 <= (report.rtp_time - packets[-1].timestamp) & 0xFFFF_FFFF < 90_000
    assert report.ntp_time >> 32 > 3_900_000_000
    assert isinstance(names, SourceDescription)


async def test_the_codec_changes_with_a_key_frame() -> None:
    async with Sending() as it:
        await it.until(lambda: len(it.sink.frames) >= 2)
        it.media.change_codec()
        before = len(it.sink.frames)
        await it.until(lambda: len(it.sink.frames) > before)
        assert it.media.spec.video is Codec.HEVC
    assert b"\x00\x00\x01\xbc" in bytes(it.sink.frames[before][0].payload)


async def test_send_nothing_starts_no_encoder() -> None:
    async with Sending(Quirk.SEND_NOTHING) as it:
        assert it.pool.running == 0
        it.media.change_codec()
        assert it.pool.running == 0
