"""Live encoders: the picture decodes, the clock runs, the bit rate is kept, threads end."""

import asyncio
import itertools
import threading

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from gateway.simulator.encoder import EncodedTick, EncoderPool
from gateway.simulator.picture import PictureLayout, read_text
from gateway.simulator.sound import open_sound
from gateway.simulator.stream import StreamSpec
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.demuxer import PsDemuxer

SMALL = StreamSpec(width=320, height=180, bitrate=256_000)


def crash(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


async def collect(spec: StreamSpec, count: int) -> list[EncodedTick]:
    ticks: list[EncodedTick] = []
    enough = asyncio.Event()

    def receive(tick: EncodedTick) -> None:
        ticks.append(tick)
        if len(ticks) == count:
            enough.set()

    pool = EncoderPool(crash)
    try:
        subscription = pool.subscribe(spec, receive)
        async with asyncio.timeout(10):
            await enough.wait()
        subscription.close()
    finally:
        await pool.close()
    return ticks


def pictures(ticks: list[EncodedTick], codec: Codec) -> list[VideoFrame]:
    decoder = av.CodecContext.create(codec.value, "r")
    assert isinstance(decoder, VideoCodecContext)
    found: list[VideoFrame] = []
    for tick in ticks:
        for unit in tick.units:
            if unit.is_video:
                found += list(decoder.decode(av.Packet(unit.payload)))
    return [*found, *decoder.decode(None)]


def clocks(frames: list[VideoFrame], spec: StreamSpec) -> list[str]:
    layout = PictureLayout(spec.width, spec.height)
    return [
        read_text(bytes(f.planes[0]), stride=f.planes[0].line_size, layout=layout) for f in frames
    ]


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
async def test_the_clock_in_decoded_pictures_runs_in_real_time(codec: Codec) -> None:
    spec = StreamSpec(video=codec, width=320, height=180, bitrate=256_000)
    ticks = await collect(spec, 12)

    shown = [milliseconds(clock) for clock in clocks(pictures(ticks, codec), spec)]
    assert len(shown) == 12
    steps = [b - a for a, b in itertools.pairwise(shown)]
    assert steps == [40] * 11
    assert ticks[0].keyframe


async def test_subscribers_share_one_thread_and_a_new_one_gets_a_key_frame_soon() -> None:
    pool = EncoderPool(crash)
    first: list[EncodedTick] = []
    second: list[EncodedTick] = []
    try:
        one = pool.subscribe(SMALL, first.append)
        async with asyncio.timeout(15):
            while len(first) < 12:
                await asyncio.sleep(0.01)
        two = pool.subscribe(SMALL, second.append)
        async with asyncio.timeout(15):
            while not any(tick.keyframe for tick in second):
                await asyncio.sleep(0.01)
        assert pool.running == 1
        assert len(second) <= 20, "far less than a GOP of 50"
        one.close()
        one.close()
        two.close()
        assert pool.running == 1, "lingers for the next one"
    finally:
        await pool.close()

    assert pool.running == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("encoder")]


async def test_key_frames_come_at_the_gop_and_carry_parameter_sets() -> None:
    ticks = await collect(StreamSpec(width=320, height=180, bitrate=256_000, gop=0.2), 12)

    assert [tick.number for tick in ticks if tick.keyframe] == [0, 5, 10]
    for tick in (ticks[0], ticks[5], ticks[10]):
        assert b"\x00\x00\x00\x01\x67" in tick.units[0].payload[:8]


@pytest.mark.slow
@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
async def test_the_bit_rate_is_reached_and_not_exceeded(codec: Codec) -> None:
    spec = StreamSpec(video=codec, width=320, height=180, fps=50, bitrate=512_000, audio=None)
    ticks = await collect(spec, 125)

    # The rate controller starts with a full buffer of half a second; take it out.
    sizes = [len(unit.payload) for tick in ticks for unit in tick.units]
    rate = sum(sizes[25:]) * 8 * 50 / len(sizes[25:])
    assert 0.93 * 512_000 < rate < 1.07 * 512_000


@pytest.mark.parametrize("audio", [Codec.PCM_ALAW, Codec.PCM_MULAW, Codec.AAC])
async def test_the_program_stream_gives_back_the_units(audio: Codec) -> None:
    spec = StreamSpec(width=320, height=180, bitrate=256_000, audio=audio)
    ticks = await collect(spec, 20)

    demuxer = PsDemuxer()
    found: list[MediaUnit] = []
    for tick in ticks:
        found += demuxer.feed(tick.ps, timestamp=tick.units[0].pts, marker=True)
    found += demuxer.flush()
    sent = [unit for tick in ticks for unit in tick.units]
    for kind in (True, False):
        a = [u for u in sent if u.is_video is kind]
        b = [u for u in found if u.is_video is kind]
        assert [u.pts for u in a] == [u.pts for u in b]
        assert b"".join(u.payload for u in a) == b"".join(u.payload for u in b)
        assert {u.codec for u in b} == {spec.video if kind else audio}


def levels(frames: list[AudioFrame]) -> list[float]:
    resampler = av.AudioResampler(format="s16", layout="mono")
    found = []
    for frame in frames:
        for part in resampler.resample(frame):
            samples = memoryview(bytes(part.planes[0])[: part.samples * 2]).cast("h")
            found.append(max(map(abs, samples)) / 32768)
    return found


@pytest.mark.parametrize("codec", [Codec.PCM_ALAW, Codec.PCM_MULAW, Codec.AAC])
def test_the_beep_sounds_on_the_full_second(codec: Codec) -> None:
    sound = open_sound(codec, start=90_000, phase=0.5)
    units = sound.until(90_000 + 2 * 90_000)
    decoder = av.CodecContext.create(codec.value, "r")
    assert isinstance(decoder, AudioCodecContext)
    if codec is not Codec.AAC:
        decoder.sample_rate = 8000
        decoder.layout = "mono"
    loud = []
    for unit in units:
        payload = unit.payload
        for frame in decoder.decode(av.Packet(payload)):
            assert isinstance(frame, AudioFrame)
            if max(levels([frame]), default=0) > 0.3:
                loud.append((unit.pts - 90_000) / 90_000)

    seconds = {round(time) for time in loud}
    assert len(loud) >= 3
    assert all(0.4 <= time % 1 <= 0.7 for time in loud)
    assert seconds <= {0, 1, 2}


@pytest.mark.parametrize("codec", [Codec.PCM_ALAW, Codec.AAC])
def test_sound_is_continuous_and_given_once(codec: Codec) -> None:
    sound = open_sound(codec, start=0, phase=0.0)
    units = [unit for end in range(3600, 90_001, 3600) for unit in sound.until(end)]
    times = [unit.pts for unit in units]

    assert times == sorted(set(times))
    assert times[0] <= 64 * 90
    assert times[-1] >= 90_000 - 2 * 64 * 90
    assert sound.until(90_000) == []
