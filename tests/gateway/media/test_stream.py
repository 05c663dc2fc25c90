"""Units in, FLV and MP4 out: containers, late joiners, slow viewers, changes in the middle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.domain.media import OutputFormat
from gateway.media.options import MediaOptions
from gateway.media.stream import LiveStream
from gateway.media.worker import MediaWorker
from gb28181.aio.tasks import TaskScope
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import (
    RecordingEvents,
    RecordingSink,
    aac_units,
    ffprobe,
    g711_units,
    interleave,
    read_back,
    video_units,
)

FLV, MP4 = OutputFormat.FLV, OutputFormat.MP4


@dataclass
class Bench:
    """A stream whose clock is the time of the last unit fed."""

    stream: LiveStream
    events: RecordingEvents
    clock: list[float]

    async def play(self, units: list[MediaUnit]) -> None:
        """Feed with pauses in which the worker threads can keep up."""
        for unit in units:
            self.feed([unit])
            await asyncio.sleep(0.001)

    def feed(self, units: list[MediaUnit]) -> None:
        """Feed as if every unit arrived at its own time."""
        for unit in units:
            self.clock[0] = unit.dts / 90_000
            self.stream.feed([unit], self.clock[0])


@asynccontextmanager
async def running(options: MediaOptions | None = None) -> AsyncIterator[Bench]:
    crashes: list[tuple[str, Exception]] = []
    worker = MediaWorker(2)
    events = RecordingEvents()
    clock = [0.0]
    async with TaskScope(lambda name, exc: crashes.append((name, exc))) as scope:
        stream = LiveStream(
            "test",
            events,
            worker=worker,
            options=options or MediaOptions(),
            clock=lambda: clock[0],
            spawn=lambda coro, name: scope.spawn(coro, name=name),
        )
        try:
            yield Bench(stream, events, clock)
        finally:
            await stream.close("stopped", "The test is over")
            await worker.close()
    assert crashes == []


def picture_count(sink: RecordingSink) -> int:
    return read_back(sink.data)[1]


@pytest.mark.parametrize("output", list(OutputFormat))
@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
@pytest.mark.parametrize("sound", [g711_units(), aac_units()], ids=["g711", "aac"])
async def test_every_pair_of_codecs_can_be_read_back(
    output: OutputFormat, codec: Codec, sound: list[MediaUnit]
) -> None:
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(output, sink, audio=True)
        units = interleave(video_units(codec, 51), sound)
        await bench.play(units)
        await sink.until(lambda s: len(s.writes) >= 50)
        stamps, decoded = read_back(sink.data)
        assert decoded >= 50
        assert stamps["video"][0][0] == 0
        assert stamps["video"][49][0] == pytest.approx(49 * 0.04, abs=0.002)
        assert len(stamps["audio"]) >= 10
        assert 0 <= stamps["audio"][0][0] < 0.2
        assert stamps["audio"][-1][0] > 1.2
        assert bench.events.names()[:3] == ["viewers", "decodable", "first_output"]


@pytest.mark.parametrize("output", list(OutputFormat))
@pytest.mark.parametrize("fault", ["back", "still", "burst"])
async def test_stamps_of_sound_that_do_not_rise_end_nothing(
    output: OutputFormat, fault: str
) -> None:
    pictures, sound = video_units(count=51), aac_units(30)
    match fault:
        case "back":
            # A tenth of a second back, now and then.
            stamps = [
                unit.pts - (9_000 if number % 5 == 4 else 0) for number, unit in enumerate(sound)
            ]
        case "still":
            stamps = [0] * len(sound)
        case _:
            # All that waited comes at once, with one stamp.
            stamps = [unit.pts if number < 5 else sound[5].pts for number, unit in enumerate(sound)]
    odd = {
        id(unit): MediaUnit(unit.codec, at, at, unit.keyframe, unit.payload)
        for unit, at in zip(sound, stamps, strict=True)
    }
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(output, sink, audio=True)
        units = interleave(pictures, sound)
        for unit in units:
            # As if it came in one packet: the arrival tells nothing about the sound either.
            bench.clock[0] = max(bench.clock[0], unit.dts / 90_000 if unit.is_video else 0.0)
            bench.stream.feed([odd.get(id(unit), unit)], bench.clock[0])
            await asyncio.sleep(0.002)
        await sink.until(lambda s: len(s.writes) >= 50)
        found, decoded = read_back(sink.data)
        assert decoded >= 50
        assert len(found["audio"]) >= 25
        times = [at for at, *_ in found["audio"]]
        assert times == sorted(times)


@pytest.mark.parametrize("output", list(OutputFormat))
async def test_debian_ffprobe_reads_h264_with_sound(output: OutputFormat, tmp_path: Path) -> None:
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(output, sink, audio=True)
        await bench.play(interleave(video_units(count=51), g711_units()))
        await sink.until(lambda s: len(s.writes) >= 50)
    file = tmp_path / f"out.{output.value}"
    file.write_bytes(sink.data)
    lines = ffprobe(file, "stream=codec_name,width,height,sample_rate,nb_read_packets")
    assert lines[0].startswith("stream,h264,160,128,5")
    assert lines[1].startswith("stream,aac,8000,")


async def test_hevc_in_flv_is_marked_as_enhanced_flv_does() -> None:
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=False)
        bench.feed(video_units(Codec.HEVC, 10))
        await sink.until(lambda s: len(s.writes) >= 11)
        assert b"\x90hvc1" in sink.writes[0]
        assert sink.writes[1][11 : 11 + 5] == b"\x93hvc1"


async def test_hevc_in_mp4_is_tagged_hvc1_as_safari_wants() -> None:
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(MP4, sink, audio=False)
        bench.feed(video_units(Codec.HEVC, 10))
        await sink.until(lambda s: len(s.writes) >= 10)
        assert b"hvc1" in sink.writes[0]


class BrokenSink(RecordingSink):
    """A viewer whose connection cannot be written to any more, for whatever reason."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def write(self, data: bytes) -> None:
        if len(self.writes) >= self._after:
            raise RuntimeError("the handler is closed")
        super().write(data)


@pytest.mark.parametrize("after", [0, 3, 20])
async def test_a_viewer_that_fails_is_let_go_and_the_others_watch_on(after: int) -> None:
    with capture_logs() as logs:
        async with running() as bench:
            await one_that_fails(bench, after)
    assert [entry["event"] for entry in logs].count("viewer_failed") == 2


async def one_that_fails(bench: Bench, after: int) -> None:
    early, broken = RecordingSink(), BrokenSink(after)
    bench.stream.attach(FLV, early, audio=False)
    bench.stream.attach(FLV, broken, audio=False)
    bench.feed(video_units(count=10))
    await early.until(lambda s: len(s.writes) >= 10)
    late = BrokenSink(after)
    bench.stream.attach(FLV, late, audio=False)
    bench.feed(video_units(count=40)[10:])
    await early.until(lambda s: len(s.writes) >= 40)
    for sink in (broken, late):
        assert len(sink.writes) == after
        assert sink.closed is not None
        assert sink.closed[0] == "viewer_failed"
    assert sum(bench.stream.viewers().values()) == 1
    assert picture_count(early) >= 39


@pytest.mark.parametrize("output", list(OutputFormat))
async def test_a_late_joiner_gets_the_cached_group_at_once_in_the_same_bytes(
    output: OutputFormat,
) -> None:
    async with running() as bench:
        first, second = RecordingSink(), RecordingSink()
        bench.stream.attach(output, first, audio=True)
        bench.feed(video_units(count=40))
        await first.until(lambda s: len(s.writes) >= 40)
        bench.stream.attach(output, second, audio=True)
        assert second.writes[0] == first.writes[0]
        assert len(second.writes) >= 15
        assert second.writes[1] is first.writes[26]
        stamps, decoded = read_back(second.data)
        assert decoded >= 14
        assert stamps["video"][0][0] == 1.0


async def test_a_viewer_of_a_running_stream_starts_with_the_cached_group() -> None:
    async with running() as bench:
        bench.feed(video_units(count=40))
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=True)
        await sink.until(lambda s: len(s.writes) >= 16)
        stamps, decoded = read_back(sink.data)
        assert (stamps["video"][0][0], decoded) == (0, 15)


async def test_websocket_viewers_share_one_framed_copy() -> None:
    async with running() as bench:
        one, two, raw = RecordingSink("ws"), RecordingSink("ws"), RecordingSink()
        for sink in (one, two, raw):
            bench.stream.attach(FLV, sink, audio=True)
        bench.feed(video_units(count=10))
        await raw.until(lambda s: len(s.writes) >= 11)
        assert one.writes[3] is two.writes[3]
        assert one.writes[3][0] == 0x82
        assert one.writes[3].endswith(raw.writes[3])


async def test_a_viewer_without_sound_gets_no_audio_track() -> None:
    async with running() as bench:
        mute, full = RecordingSink(), RecordingSink()
        bench.stream.attach(FLV, mute, audio=False)
        bench.stream.attach(FLV, full, audio=True)
        await bench.play(interleave(video_units(), g711_units()))
        await mute.until(lambda s: len(s.writes) >= 51)
        assert "audio" in read_back(full.data)[0]
        assert list(read_back(mute.data)[0]) == ["video"]


async def test_a_stream_without_sound_starts_after_a_bounded_wait() -> None:
    async with running(MediaOptions(audio_wait=0.05)) as bench:
        sink = RecordingSink()
        bench.stream.attach(MP4, sink, audio=True)
        bench.feed(video_units(count=30))
        await sink.until(lambda s: len(s.writes) >= 30)
        assert list(read_back(sink.data)[0]) == ["video"]


async def test_sound_that_comes_later_is_for_new_viewers_and_restarts_nobody() -> None:
    async with running(MediaOptions(audio_wait=0.0)) as bench:
        old, new = RecordingSink(), RecordingSink()
        bench.stream.attach(FLV, old, audio=True)
        bench.feed(video_units(count=10))
        await old.until(lambda s: len(s.writes) >= 11)
        later = interleave(video_units()[10:], aac_units(start=36_000))
        bench.feed(later[:40])
        bench.stream.attach(FLV, new, audio=True)
        await new.until(lambda s: len(s.writes) >= 2)
        bench.feed(later[40:])
        await old.until(lambda s: len(s.writes) >= 51)
        assert list(read_back(old.data)[0]) == ["video"]
        assert set(read_back(new.data)[0]) == {"video", "audio"}
        assert old.closed is None
        assert bench.stream.viewers() == {"flv": 2}


async def test_another_picture_size_ends_the_viewers_and_new_ones_work() -> None:
    async with running(MediaOptions(audio_wait=0.0)) as bench:
        old = RecordingSink()
        bench.stream.attach(MP4, old, audio=True)
        bench.feed(video_units(count=30))
        await old.until(lambda s: len(s.writes) >= 30)
        bench.feed(video_units(count=30, width=320, height=240, start=30 * 3600))
        await old.until(lambda s: s.closed is not None)
        assert old.closed is not None
        assert old.closed[0] == "codec_changed"
        new = RecordingSink()
        bench.stream.attach(MP4, new, audio=True)
        await new.until(lambda s: len(s.writes) >= 5)
        assert read_back(new.data)[1] >= 4
        assert bench.stream.video is not None
        assert (bench.stream.video.width, bench.stream.video.height) == (320, 240)


async def test_another_video_codec_ends_the_viewers() -> None:
    async with running(MediaOptions(audio_wait=0.0)) as bench:
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=True)
        bench.feed(video_units(count=30))
        await sink.until(lambda s: len(s.writes) >= 30)
        bench.feed(video_units(Codec.HEVC, count=5, start=30 * 3600))
        await sink.until(lambda s: s.closed is not None)
        assert bench.stream.viewers() == {}
        assert bench.events.log[-1] == ("viewers", 0)


async def test_another_audio_codec_ends_the_viewers_with_sound() -> None:
    async with running() as bench:
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=True)
        bench.feed(interleave(video_units(count=25), aac_units(16)))
        await sink.until(lambda s: len(s.writes) >= 20)
        bench.feed(interleave(video_units()[25:], aac_units(10, rate=8_000, start=25 * 3600 + 900)))
        await sink.until(lambda s: s.closed is not None)
        assert sink.closed is not None
        assert sink.closed[0] == "codec_changed"


@pytest.mark.parametrize("output", list(OutputFormat))
async def test_a_slow_viewer_loses_its_own_frames_only_and_resumes_at_a_key_frame(
    output: OutputFormat,
) -> None:
    options = MediaOptions(audio_wait=0.0, viewer_bytes=400)
    async with running(options) as bench:
        slow, fast = RecordingSink(), RecordingSink()
        bench.stream.attach(output, slow, audio=True)
        bench.stream.attach(output, fast, audio=True)
        units = video_units(count=101)
        bench.feed(units[:30])
        await fast.until(lambda s: len(s.writes) >= 30)
        slow.stuck = True
        bench.feed(units[30:70])
        slow.stuck = False
        bench.feed(units[70:])
        assert picture_count(fast) >= 100
        stamps, decoded = read_back(slow.data)
        assert len(stamps["video"]) < 80
        assert decoded == len(stamps["video"])
        assert 3.0 in [dts for dts, _ in stamps["video"]]
        assert slow.closed is None


async def test_a_start_over_the_limit_is_no_slowness() -> None:
    async with running(MediaOptions(audio_wait=0.0, viewer_bytes=400)) as bench:
        bench.feed(video_units(count=50, gop=50))
        first, second = RecordingSink(), RecordingSink()
        for sink in (first, second):
            sink.stuck = True
            bench.stream.attach(FLV, sink, audio=True)
            await sink.until(lambda s: len(s.writes) >= 51)
            assert read_back(sink.data)[1] == 50


async def test_without_a_cache_a_late_viewer_waits_for_the_next_key_frame() -> None:
    async with running(MediaOptions(audio_wait=0.0, gop_bytes=0)) as bench:
        first, late = RecordingSink(), RecordingSink()
        bench.stream.attach(FLV, first, audio=True)
        units = video_units(count=60)
        await bench.play(units[:40])
        bench.stream.attach(FLV, late, audio=True)
        assert len(late.writes) == 1
        bench.feed(units[40:])
        assert read_back(first.data)[1] == 60
        assert read_back(late.data)[1] == 10


async def test_a_viewer_that_stays_behind_is_closed_as_too_slow() -> None:
    options = MediaOptions(audio_wait=0.0, viewer_bytes=400, viewer_patience=0.0)
    async with running(options) as bench:
        slow, fast = RecordingSink(), RecordingSink()
        bench.stream.attach(FLV, slow, audio=True)
        bench.stream.attach(FLV, fast, audio=True)
        units = video_units(count=100)
        bench.feed(units[:30])
        await fast.until(lambda s: len(s.writes) >= 31)
        slow.stuck = True
        bench.feed(units[30:])
        assert slow.closed is not None
        assert slow.closed[0] == "too_slow"
        assert fast.closed is None
        assert bench.stream.viewers() == {"flv": 1}
        assert bench.stream.skipped() > 0


async def test_without_viewers_nothing_is_muxed() -> None:
    async with running() as bench:
        sink = RecordingSink()
        viewer = bench.stream.attach(FLV, sink, audio=True)
        bench.feed(interleave(video_units(count=30), g711_units(30)))
        await bench.events.until("first_output")
        viewer.detach()
        viewer.detach()
        assert bench.stream.viewers() == {}
        written = len(sink.writes)
        bench.feed(video_units()[30:])
        assert len(sink.writes) == written
        assert [value for name, value in bench.events.log if name == "viewers"] == [1, 0]


async def test_closing_tells_every_viewer_why() -> None:
    async with running() as bench:
        waiting, watching = RecordingSink(), RecordingSink()
        bench.stream.attach(MP4, waiting, audio=True)
        bench.stream.attach(FLV, watching, audio=True)
        await bench.stream.close("source_lost", "No packet for 10 s")
        assert waiting.closed == watching.closed == ("source_lost", "No packet for 10 s")


async def test_a_key_frame_that_cannot_be_opened_is_followed_by_another_try() -> None:
    async with running(MediaOptions(audio_wait=0.0)) as bench:
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=True)
        broken = MediaUnit(Codec.H264, 0, 0, True, b"\x00\x00\x00\x01\x65garbage")
        bench.feed([broken, *video_units(count=20, start=3600)])
        await sink.until(lambda s: len(s.writes) >= 20)
        assert picture_count(sink) == 20


async def test_video_that_no_key_frame_makes_readable_is_reported() -> None:
    async with running(MediaOptions(audio_wait=0.0)) as bench:
        sink = RecordingSink()
        bench.stream.attach(FLV, sink, audio=True)
        for number in range(5):
            junk = b"\x00\x00\x01\x67\x42\xff" + bytes([number]) * 40
            bench.feed([MediaUnit(Codec.H264, number * 3600, number * 3600, True, junk)])
            await asyncio.sleep(0.02)
        assert await bench.events.until("unsupported")
        assert sink.closed is not None
        assert sink.closed[0] == "codec_unsupported"
        assert "first_output" not in bench.events.names()


async def test_facts_of_the_tracks_are_known_without_viewers() -> None:
    async with running() as bench:
        bench.feed(interleave(video_units(count=3), aac_units(3)))
        video, audio = bench.stream.video, bench.stream.audio
        assert video is not None
        assert audio is not None
        assert (video.codec, video.width, video.height) == ("h264", 160, 128)
        assert video.mime_codec.startswith("avc1.")
        assert (audio.codec, audio.sample_rate, audio.channels) == ("aac", 16_000, 1)
        assert audio.mime_codec == "mp4a.40.2"
