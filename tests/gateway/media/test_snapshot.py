"""Pictures of running streams: the newest one, at any size, H.264 and H.265."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
import pytest

from gateway.domain.errors import Gone, NotFound, Unavailable
from gateway.domain.snapshot import Snapshot
from gateway.media import snapshot as module
from gateway.media.snapshot import SnapshotMedia, make_jpeg
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import video_units
from tests.support.plane import STREAM, PlaneBench, plane_bench
from tests.support.samples import stream, units

BOTH = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC], ids=str)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[PlaneBench, SnapshotMedia]]:
    async with plane_bench() as bench:
        media = SnapshotMedia(bench.plane)
        yield bench, media
        assert media.pending == 0


def grey(jpeg: bytes) -> bytes:
    """The luma of a JPEG, full range."""
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as source:
        frame = next(source.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        return bytes(frame.reformat(format="gray").planes[0])


def reference(codec: Codec, number: int, **options: int | str) -> bytes:
    """The luma of one picture of the same stream as FFmpeg's own decoder and scaler give it."""
    data = stream(codec, **options)
    with av.open(io.BytesIO(data), "r", format=codec.value) as source:
        for at, frame in enumerate(source.decode(video=0)):
            if at == number:
                return bytes(frame.reformat(format="gray").planes[0])
    raise AssertionError("no such picture")


def difference(one: bytes, other: bytes) -> float:
    """Mean distance of two pictures' levels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


@BOTH
def test_the_newest_picture_is_shown_and_not_the_key_frame(codec: Codec) -> None:
    made = make_jpeg(units(codec, frames=30, gop=30))
    assert (made.width, made.height, made.behind) == (320, 240, 0.0)
    luma = grey(made.jpeg)
    assert difference(luma, reference(codec, 29, frames=30, gop=30)) < 3
    assert difference(luma, reference(codec, 0, frames=30, gop=30)) > 3


@BOTH
@pytest.mark.parametrize(
    ("width", "size"),
    [
        (None, (320, 240)),
        (320, (320, 240)),
        (160, (160, 120)),
        (101, (100, 76)),
        (4000, (320, 240)),
    ],
)
def test_a_width_keeps_the_shape_and_never_enlarges(
    codec: Codec, width: int | None, size: tuple[int, int]
) -> None:
    made = make_jpeg(units(codec, frames=3, gop=3), width)
    assert (made.width, made.height) == size
    with av.open(io.BytesIO(made.jpeg), format="mjpeg") as source:
        stream = source.streams.video[0]
        assert (stream.width, stream.height) == size
    assert made.jpeg.startswith(b"\xff\xd8")
    assert made.jpeg.endswith(b"\xff\xd9")


def test_a_picture_after_a_loss_is_the_last_that_decodes() -> None:
    whole = units(Codec.H264, frames=20, gop=20)
    broken = MediaUnit(Codec.H264, whole[9].pts, whole[9].dts, False, b"\x00\x00\x00\x01\x41\xff")
    made = make_jpeg([*whole[:9], broken])
    assert made.width == 320
    assert made.behind >= 0


def test_b_frames_come_out_in_their_order() -> None:
    data = units(Codec.H264, frames=12, gop=12, b_frames=2)
    assert make_jpeg(data).width == 320


def test_a_long_group_of_pictures_stops_at_its_budget_and_says_how_old_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DECODE_BUDGET", 0.0)
    made = make_jpeg(units(Codec.H264, frames=26, gop=26))
    assert 0.5 < made.behind <= 1.0


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x00\x00\x01\x65", b"\xff" * 200])
def test_garbage_gives_no_picture(payload: bytes) -> None:
    with pytest.raises((ValueError, av.FFmpegError)):
        make_jpeg([MediaUnit(Codec.H264, 0, 0, True, payload)])


async def test_the_cached_group_of_pictures_is_enough() -> None:
    async with running() as (bench, media):
        bench.feed(video_units(count=30))
        made = await media.begin(STREAM).picture()
        assert (made.width, made.height) == (160, 128)
        assert bench.viewers() == {}


async def test_a_stream_that_has_just_begun_is_waited_for_and_counts_as_watched() -> None:
    async with running() as (bench, media):
        task = media.begin(STREAM)
        assert bench.viewers() == {"snapshot": 1}
        async with asyncio.TaskGroup() as group:
            making = group.create_task(task.picture(80))
            await asyncio.sleep(0.05)
            bench.feed(video_units(count=2))
        assert making.result().width == 80
        assert bench.viewers() == {}


async def test_no_key_frame_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYFRAME_WAIT", 0.05)
    async with running() as (bench, media):
        with pytest.raises(Unavailable, match="no key frame within") as caught:
            await media.begin(STREAM).picture()
        assert caught.value.code == "no_picture"
        assert bench.viewers() == {}


async def test_the_end_of_the_stream_ends_the_waiting_with_its_reason() -> None:
    async with running() as (bench, media):
        async with asyncio.TaskGroup() as group:
            making = group.create_task(expect_gone(media))
            await asyncio.sleep(0.05)
            await bench.close("source_lost", "No packet for 10 s")
        assert making.result() == ("source_lost", "No packet for 10 s")


async def expect_gone(media: SnapshotMedia) -> tuple[str, str]:
    with pytest.raises(Gone) as caught:
        await media.begin(STREAM).picture()
    return caught.value.code, caught.value.detail


async def test_what_cannot_be_decoded_is_said() -> None:
    async with running() as (bench, media):
        bench.feed([MediaUnit(Codec.H264, 0, 0, True, b"\x00\x00\x00\x01\x65\x88\x80")])
        with pytest.raises(Unavailable, match="cannot be decoded"):
            await media.begin(STREAM).picture()


async def test_too_many_at_once_are_refused_and_all_others_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 8)
    async with running() as (bench, media):
        bench.feed(video_units(count=5))
        tasks = [media.begin(STREAM) for _ in range(8)]
        with pytest.raises(Unavailable) as caught:
            media.begin(STREAM)
        assert caught.value.code == "too_many_snapshots"
        async with asyncio.TaskGroup() as group:
            made = [group.create_task(task.picture()) for task in tasks]
        assert len({item.result().jpeg for item in made}) == 1


async def test_who_does_not_get_its_turn_in_time_is_told_and_holds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, make = threading.Event(), module.make_jpeg

    def stuck(group: list[MediaUnit], width: int | None = None) -> Snapshot:
        go.wait(30)
        return make(group, width)

    monkeypatch.setattr(module, "make_jpeg", stuck)
    monkeypatch.setattr(module, "TURN_WAIT", 0.2)
    async with running() as (bench, media):
        bench.feed(video_units(count=5))
        try:
            # The first is in work for too long, the others never get their turn in time.
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(refusal(media)) for _ in range(3)]
        finally:
            go.set()
        assert {task.result() for task in asked} == {"snapshot_too_late"}
        assert (media.pending, bench.viewers()) == (0, {})
        monkeypatch.setattr(module, "TURN_WAIT", 30.0)
        assert (await media.begin(STREAM).picture()).width == 160


async def refusal(media: SnapshotMedia) -> str:
    with pytest.raises(Unavailable) as caught:
        await media.begin(STREAM).picture()
    return caught.value.code


async def test_who_gives_up_holds_nothing() -> None:
    async with running() as (bench, media):
        media.begin(STREAM).leave()
        task = media.begin(STREAM)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await task.picture()
        assert (media.pending, bench.viewers()) == (0, {})


async def test_an_unknown_stream_is_not_found() -> None:
    async with running() as (_, media):
        with pytest.raises(NotFound):
            media.begin("x/y")
