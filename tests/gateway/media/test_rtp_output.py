"""A stream as RTP payloads: tracks, sharing, late viewers, what ends it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from gateway.domain.device import MediaTransport
from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.media import OutputFormat, ReceiverSpec
from gateway.domain.rtp_out import RtpFrame, RtpTrack
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.receiver import MediaReceiver
from gateway.media.rtp_output import RtpOutputs
from gb28181.es.aac import parse_audio_specific_config
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import (
    RecordingEvents,
    RecordingSink,
    aac_units,
    g711_units,
    interleave,
    video_units,
)

NAME = "34020000001320000001"


@dataclass
class Taker:
    """A sink that keeps what it got."""

    tracks: Sequence[RtpTrack] = ()
    batches: list[Sequence[RtpFrame]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    starts: int = 0
    broken: bool = False

    def start(self, tracks: Sequence[RtpTrack]) -> None:
        self.tracks = tracks
        self.starts += 1

    def frames(self, frames: Sequence[RtpFrame]) -> None:
        if self.broken:
            raise RuntimeError("a fault of this viewer")
        self.batches.append(frames)

    def close(self, code: str, detail: str) -> None:
        self.closed.append((code, detail))

    def of(self, track: int) -> list[RtpFrame]:
        return [frame for batch in self.batches for frame in batch if frame.track == track]


@dataclass
class Bench:
    plane: EmbeddedMedia
    outputs: RtpOutputs
    receiver: MediaReceiver
    events: RecordingEvents
    clock: list[float]

    def feed(self, units: list[MediaUnit]) -> None:
        """Feed as if every unit arrived at its own time."""
        for unit in units:
            self.clock[0] = max(self.clock[0], unit.dts / 90_000)
            self.receiver.stream.feed([unit], self.clock[0])

    async def play(self, units: list[MediaUnit]) -> None:
        """Feed, with a pause after the first ones in which the tracks are found."""
        self.feed(units[:6])
        await settle()
        self.feed(units[6:])

    async def join(self, kind: str = "rtsp", *, from_gop: bool = True) -> Taker:
        taker = Taker()
        self.outputs.attach(NAME, taker, kind, from_gop=from_gop)
        await settle()
        return taker


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(options: MediaOptions | None = None) -> AsyncIterator[Bench]:
    clock = [0.0]
    events = RecordingEvents()
    plane = EmbeddedMedia(
        host="127.0.0.1",
        ports=(42_000, 42_400),
        drain=0.0,
        options=options,
        clock=lambda: clock[0],
    )
    async with plane:
        spec = ReceiverSpec(stream_id=NAME, session_id="s", transport=MediaTransport.UDP, ssrc=1)
        receiver = await plane.open_receiver(spec, events)
        assert isinstance(receiver, MediaReceiver)
        yield Bench(plane, RtpOutputs(plane, clock=lambda: clock[0]), receiver, events, clock)


async def test_tracks_are_told_once_before_the_frames_with_what_sdp_needs() -> None:
    async with running() as bench:
        taker = await bench.join()
        bench.feed(interleave(video_units(count=3), g711_units(3)))
        await settle()
        assert [(t.encoding, t.clock_rate, t.payload_type) for t in taker.tracks] == [
            ("H264", 90_000, 96),
            ("PCMA", 8_000, 8),
        ]
        assert "sprop-parameter-sets=" in taker.tracks[0].fmtp
        assert taker.starts == 1
        assert taker.batches[0][0].keyframe
        assert bench.plane.streams()[0].viewers == {"rtsp": 1}


@pytest.mark.parametrize("ahead", [0, 7_200])
async def test_a_source_with_b_frames_is_known_by_its_first_key_frame(ahead: int) -> None:
    async with running() as bench:
        taker = await bench.join()
        units = [
            MediaUnit(unit.codec, unit.dts + ahead, unit.dts, unit.keyframe, unit.payload)
            for unit in video_units(count=3)
        ]
        bench.feed(interleave(units, g711_units(3)))
        await settle()
        assert taker.tracks[0].reordered is (ahead > 0)
        # RTSP players get them as they are.
        assert [frame.timestamp for frame in taker.of(0)] == [ahead, ahead + 3_600, ahead + 7_200]


async def test_h265_and_aac_are_described_by_their_own_parameters() -> None:
    async with running() as bench:
        taker = await bench.join()
        bench.feed(interleave(video_units(Codec.HEVC, count=3), aac_units(3)))
        await settle()
        assert [track.encoding for track in taker.tracks] == ["H265", "mpeg4-generic"]
        assert "sprop-vps=" in taker.tracks[0].fmtp
        config = bytes.fromhex(taker.tracks[1].fmtp.partition("config=")[2])
        assert (
            parse_audio_specific_config(config).sample_rate == taker.tracks[1].clock_rate == 16_000
        )


async def test_a_stream_without_sound_starts_when_no_sound_came_in_time() -> None:
    async with running(MediaOptions(audio_wait=0.05)) as bench:
        taker = await bench.join()
        bench.feed(video_units(count=5))
        async with asyncio.timeout(10):
            while not taker.starts:
                await asyncio.sleep(0.01)
        bench.feed(video_units(count=8)[5:])
        assert [track.kind for track in taker.tracks] == ["video"]
        assert len(taker.of(0)) == 8


async def test_all_viewers_get_the_same_frame_objects() -> None:
    async with running() as bench:
        bench.feed(interleave(video_units(count=30), g711_units(30)))
        first, second = await bench.join(), await bench.join("webrtc")
        bench.feed(interleave(video_units(count=40), g711_units(40))[60:])
        assert first.tracks is second.tracks
        assert [id(f) for f in first.of(0)[-10:]] == [id(f) for f in second.of(0)[-10:]]
        assert bench.plane.streams()[0].viewers == {"rtsp": 1, "webrtc": 1}
        assert bench.events.log[-1] == ("viewers", 2)


async def test_a_late_viewer_begins_with_the_last_key_frame_or_waits_for_the_next() -> None:
    async with running() as bench:
        video, audio = video_units(count=60, gop=25), g711_units(60)
        whole = interleave(video, audio)
        first = await bench.join()
        bench.feed(whole[:60])
        late = await bench.join()
        assert late.batches[0][0].keyframe
        assert len(late.of(0)) == 5
        waiting = await bench.join("webrtc", from_gop=False)
        bench.feed(whole[60:98])
        assert waiting.batches == []
        bench.feed(whole[98:])
        assert waiting.batches[0][0].keyframe
        assert waiting.of(0) == first.of(0)[-10:]


async def test_a_viewer_can_ask_for_the_frames_since_the_last_key_frame_again() -> None:
    async with running() as bench:
        taker = Taker()
        viewer = bench.outputs.attach(NAME, taker, "rtsp", from_gop=False)
        whole = interleave(video_units(count=60, gop=25), g711_units(60))
        await bench.play(whole[:60])
        taker.batches.clear()
        viewer.replay()
        assert [frame.keyframe for frame in taker.of(0)] == [True, False, False, False, False]
        bench.feed(whole[60:64])
        numbers = [frame.sequence for frame in taker.of(0)]
        assert numbers == sorted(set(numbers))


async def test_sequence_numbers_and_time_stamps_go_on_without_a_gap() -> None:
    async with running() as bench:
        taker = await bench.join()
        await bench.play(interleave(video_units(count=40, width=640, height=480), g711_units(40)))
        for track, step in ((0, 3_600), (1, 320)):
            frames = taker.of(track)
            assert len(frames) > 35
            sequence, timestamp = frames[0].sequence, frames[0].timestamp
            for number, frame in enumerate(frames):
                assert (frame.sequence, frame.timestamp) == (sequence, timestamp + number * step)
                sequence += len(frame.payloads)
                assert frame.size == sum(map(len, frame.payloads))


async def test_sound_whose_stamps_tremble_is_stamped_by_its_samples() -> None:
    async with running() as bench:
        taker = await bench.join()
        sound = g711_units(100)
        for number, unit in enumerate(sound):
            unit.pts += (number * 7 % 5 - 2) * 900
            unit.dts = unit.pts
        await bench.play(interleave(video_units(count=100), sound))
        stamps = [frame.timestamp for frame in taker.of(1)]
        assert {b - a for a, b in pairwise(stamps)} == {320}


async def test_sound_that_pauses_leaves_a_gap_in_the_stamps_as_wide_as_in_time() -> None:
    async with running() as bench:
        taker = await bench.join()
        sound = g711_units(10) + g711_units(10, start=90_000)
        await bench.play(interleave(video_units(count=40), sound))
        stamps = [frame.timestamp for frame in taker.of(1)]
        assert stamps[10] - stamps[0] == 8_000


async def test_more_samples_than_time_never_let_the_stamps_go_back() -> None:
    async with running() as bench:
        taker = await bench.join()
        sound = g711_units(100)
        for number, unit in enumerate(sound):
            unit.pts = unit.dts = number * 1_800  # 40 ms of sound every 20 ms
        await bench.play(interleave(video_units(count=50), sound))
        stamps = [frame.timestamp for frame in taker.of(1)]
        assert stamps == sorted(set(stamps))
        assert stamps[-1] <= 2 * 8_000 + 800 + 320


async def test_sound_goes_out_with_the_next_picture_or_alone_after_a_while() -> None:
    async with running() as bench:
        taker = await bench.join()
        bench.feed(interleave(video_units(count=2), g711_units(10)))
        await settle()
        assert [[frame.track for frame in batch] for batch in taker.batches[1:]] == []
        bench.feed(g711_units(16)[10:])
        assert taker.batches[1:] != []
        assert all(frame.track == 1 for batch in taker.batches[1:] for frame in batch)


async def test_another_picture_size_ends_all_viewers_as_codec_changed() -> None:
    async with running() as bench:
        taker = await bench.join()
        bench.feed(interleave(video_units(count=25), g711_units(25)))
        await settle()
        bench.feed(video_units(count=2, width=320, height=240, start=25 * 3_600))
        assert [code for code, _ in taker.closed] == ["codec_changed"]
        assert bench.plane.streams()[0].viewers == {}
        again = await bench.join()
        bench.feed(g711_units(2, start=27 * 3_600))
        await settle()
        assert again.starts == 1


async def test_another_sound_codec_ends_all_viewers_as_codec_changed() -> None:
    async with running() as bench:
        taker = await bench.join()
        bench.feed(interleave(video_units(count=10), g711_units(10)))
        await settle()
        bench.feed(g711_units(1, codec=Codec.PCM_MULAW, start=36_000))
        assert [code for code, _ in taker.closed] == ["codec_changed"]


async def test_sound_that_comes_late_is_for_those_who_join_from_then_on() -> None:
    async with running(MediaOptions(audio_wait=0.01)) as bench:
        bench.feed(video_units(count=5))
        bench.clock[0] += 1
        silent = await bench.join()
        assert [track.kind for track in silent.tracks] == ["video"]
        bench.clock[0] += 1
        bench.feed(interleave(video_units(count=20), g711_units(20))[10:])
        loud = await bench.join()
        assert [track.kind for track in loud.tracks] == ["video", "audio"]
        also = await bench.join()
        assert also.tracks is loud.tracks
        bench.feed(interleave(video_units(count=22), g711_units(22))[40:])
        assert silent.closed == []
        assert {frame.track for batch in silent.batches for frame in batch} == {0}


async def test_the_end_of_the_stream_reaches_every_viewer_with_its_reason() -> None:
    async with running() as bench:
        bench.feed(interleave(video_units(count=5), g711_units(5)))
        takers = [await bench.join(), await bench.join()]
        early = Taker()
        await bench.receiver.close("device_bye", "The device hung up")
        assert [taker.closed for taker in takers] == [[("device_bye", "The device hung up")]] * 2
        with pytest.raises(NotFound):
            bench.outputs.attach(NAME, early, "rtsp")


async def test_a_viewer_waiting_for_a_key_frame_is_told_when_the_stream_ends() -> None:
    async with running() as bench:
        taker = await bench.join()
        await bench.receiver.close("no_packet", "Nothing came")
        assert taker.starts == 0
        assert [code for code, _ in taker.closed] == ["no_packet"]


async def test_a_detached_viewer_hears_nothing_more_and_the_last_one_ends_the_work() -> None:
    async with running() as bench:
        taker, other = Taker(), Taker()
        viewer = bench.outputs.attach(NAME, taker, "rtsp")
        second = bench.outputs.attach(NAME, other, "rtsp")
        bench.feed(interleave(video_units(count=5), g711_units(5)))
        await settle()
        viewer.detach()
        viewer.detach()
        bench.feed(interleave(video_units(count=9), g711_units(9))[10:])
        assert len(taker.of(0)) < len(other.of(0))
        second.skipped(3)
        second.detach()
        facts = bench.plane.streams()[0]
        assert (facts.viewers, facts.skipped) == ({}, 3)
        assert bench.events.log[-1] == ("viewers", 0)
        assert taker.closed == other.closed == []


async def test_a_fault_of_one_viewer_ends_that_one_only() -> None:
    async with running() as bench:
        bench.feed(interleave(video_units(count=5), g711_units(5)))
        good = await bench.join()
        bad = Taker(broken=True)
        with capture_logs() as logs:
            bench.outputs.attach(NAME, bad, "rtsp")
        bench.feed(interleave(video_units(count=9), g711_units(9))[10:])
        assert [code for code, _ in bad.closed] == ["viewer_failed"]
        assert len(good.of(0)) == 9
        assert [log["event"] for log in logs] == ["viewer_failed"]


async def test_viewers_over_the_limit_of_a_stream_are_refused_whatever_the_face() -> None:
    async with running(MediaOptions(max_viewers_per_stream=2)) as bench:
        bench.feed(interleave(video_units(count=5), g711_units(5)))
        await bench.join()
        bench.receiver.stream.attach(OutputFormat.FLV, RecordingSink(), audio=True)
        with pytest.raises(Unavailable, match="2 viewers"):
            bench.outputs.attach(NAME, Taker(), "webrtc")


async def test_a_group_of_pictures_over_the_limit_is_not_kept_and_a_viewer_waits() -> None:
    async with running(MediaOptions(gop_bytes=1)) as bench:
        first = await bench.join()
        bench.feed(interleave(video_units(count=50), g711_units(50))[:20])
        await settle()
        late = await bench.join()
        assert (late.starts, late.batches) == (first.starts, [])
        bench.feed(interleave(video_units(count=50), g711_units(50))[20:60])
        await settle()
        assert late.starts == 1
        assert late.batches[0][0].keyframe


async def test_what_was_sent_counts_as_the_first_output_of_the_session() -> None:
    async with running() as bench:
        await bench.join()
        bench.feed(interleave(video_units(count=5), g711_units(5)))
        await settle()
        assert "first_output" in bench.events.names()
