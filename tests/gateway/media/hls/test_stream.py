"""Segments of a running stream: made for who asks, waited for with a deadline, ended with a reason."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import Gone, Invalid, NotFound, Unavailable
from gateway.media.hls import stream as module
from gateway.media.hls.initial import has_sound
from gateway.media.hls.options import HlsOptions
from gateway.media.hls.plane import HlsMedia
from gb28181.es.unit import Codec, MediaUnit
from tests.support.hls import Playlist, check_rules, read_playlist
from tests.support.media import aac_units, ffprobe, g711_units, interleave, video_units
from tests.support.plane import STREAM, PlaneBench, plane_bench

GOP = 25


def never(code: str, detail: str) -> None:
    raise AssertionError(f"ended: {code} {detail}")


@asynccontextmanager
async def running(**options: float) -> AsyncIterator[tuple[PlaneBench, HlsMedia]]:
    values: dict[str, Any] = {"idle": 0.05, "start_wait": 5.0, **options}
    async with asyncio.timeout(30), plane_bench(audio_wait=0.2) as bench:
        media = HlsMedia(bench.plane, HlsOptions(**values))
        try:
            yield bench, media
        finally:
            media.close()
        assert (media.segmenters, media.viewings) == (0, 0)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def play(bench: PlaneBench, units: list[MediaUnit]) -> None:
    """Feed with pauses in which the worker threads can keep up."""
    for unit in units:
        bench.feed([unit])
        await asyncio.sleep(0.001)


def read(raw: bytes) -> Playlist:
    found = read_playlist(raw)
    check_rules(found)
    return found


@pytest.mark.parametrize(
    ("units", "codecs"),
    [
        (interleave(video_units(count=110), g711_units(110)), 'CODECS="avc1.42c00b,mp4a.40.2"'),
        (interleave(video_units(count=110), aac_units(70)), 'CODECS="avc1.42c00b,mp4a.40.2"'),
        (video_units(Codec.HEVC, count=110), 'CODECS="hvc1.'),
    ],
    ids=["h264-g711", "h264-aac", "hevc"],
)
async def test_the_stream_is_cut_and_ffprobe_reads_every_segment(
    tmp_path: Path, units: list[MediaUnit], codecs: str
) -> None:
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, units)
        master = (await share.master("over/there.m3u8")).decode()
        assert codecs in master
        assert "RESOLUTION=160x128" in master
        assert "FRAME-RATE=25.000" in master
        assert master.endswith("\nover/there.m3u8\n")
        shown = read(await share.playlist())
        assert [round(item.duration, 2) for item in shown.items] == [1.0, 1.0, 1.0]
        init = share.init(0)
        assert init is not None
        assert has_sound(init) == ("mp4a" in master)
        for number in range(3):
            segment = share.segment(number)
            assert segment is not None
            file = tmp_path / f"{number}.mp4"
            await asyncio.to_thread(file.write_bytes, init + segment)
            counted = await asyncio.to_thread(ffprobe, file, "stream=codec_type,nb_read_packets")
            assert f"stream,video,{GOP}" in counted
        share.leave()


async def test_all_who_join_share_one_muxer_and_the_work_ends_some_time_after_the_last() -> None:
    async with running() as (bench, media):
        shares = [media.join(STREAM, never) for _ in range(3)]
        await play(bench, video_units(count=60))
        assert (media.segmenters, media.viewings, bench.viewers()) == (1, 3, {"hls": 1})
        playlists = [await share.playlist() for share in shares]
        assert playlists[0] is playlists[1] is playlists[2]
        for share in shares:
            share.leave()
            share.leave()
        assert (media.segmenters, bench.viewers()) == (1, {"hls": 1})
        await until(lambda: not media.segmenters)
        assert bench.viewers() == {}


async def test_who_comes_back_in_time_finds_the_segments_there() -> None:
    async with running(idle=5.0) as (bench, media):
        first = media.join(STREAM, never)
        await play(bench, video_units(count=60))
        raw = await first.playlist()
        first.leave()
        second = media.join(STREAM, never)
        assert await second.playlist() is raw
        assert media.segmenters == 1
        second.leave()


async def test_a_reload_blocks_until_the_part_is_there() -> None:
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        units = video_units(count=110)
        await play(bench, units[:55])
        before = read(await share.playlist())
        number, part = before.open.number, len(before.open.parts)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(share.playlist(number, part))
            hinted = group.create_task(share.part(number, part))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            assert not hinted.done()
            await play(bench, units[55:72])
        after = read(waiting.result())
        assert len(after.open.parts) == part + 1
        assert hinted.result() is not None
        assert await share.part(number, part + 5) is None
        share.leave()


async def test_a_reload_has_a_deadline_that_names_what_did_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK_TARGETS", 0.05)
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, video_units(count=60))
        for waiting in (share.playlist(3, None), share.part(2, 0)):
            with pytest.raises(Unavailable, match="nothing new for") as caught:
                await waiting
            assert caught.value.code == "hls_late"
        share.leave()


async def test_nobody_may_wait_for_what_is_far_ahead() -> None:
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, video_units(count=60))
        for number, part in ((4, None), (9, 0), (2, 40)):
            with pytest.raises(Invalid) as caught:
                await share.playlist(number, part)
            assert caught.value.code == "hls_too_far"
        share.leave()


@pytest.mark.parametrize("units", [[], g711_units(50)], ids=["nothing", "sound-only"])
async def test_a_stream_without_pictures_is_refused_in_words(units: list[MediaUnit]) -> None:
    async with running(start_wait=0.2) as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, units)
        with pytest.raises(Unavailable, match="No key frame came within"):
            await share.master("x")
        with pytest.raises(Unavailable, match="No segment was complete"):
            await share.playlist()
        share.leave()


async def test_a_single_group_of_pictures_gives_estimates_but_no_playlist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "VARIANT_PATIENCE", 0.05)
    async with running(start_wait=0.5) as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, video_units(count=20))
        variant = await share.variant()
        assert variant.bandwidth > 1000
        with pytest.raises(Unavailable, match="key frames are far apart"):
            await share.playlist()
        share.leave()


async def test_the_end_of_the_stream_ends_all_shares_and_waits_once() -> None:
    async with running() as (bench, media):
        told: list[tuple[str, str]] = []
        shares = [media.join(STREAM, lambda *end: told.append(end)) for _ in range(2)]
        await play(bench, video_units(count=60))
        await shares[0].playlist()
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(refused(asked))
                for share in shares
                for asked in (share.playlist(3, None), share.part(2, 0))
            ]
            await asyncio.sleep(0.02)
            await bench.close("source_lost", "No packet for 10 s")
        assert [task.result() for task in waiting] == ["source_lost"] * 4
        assert told == [("source_lost", "No packet for 10 s")] * 2
        with pytest.raises(Gone):
            shares[0].segment(0)
        shares[0].leave()
        with pytest.raises(NotFound):
            media.join(STREAM, never)


async def refused(waiting: Any) -> str:
    with pytest.raises(Gone) as caught:
        await waiting
    return caught.value.code


async def test_leaving_wakes_ones_own_waits_and_nobody_elses() -> None:
    async with running() as (bench, media):
        one, other = media.join(STREAM, never), media.join(STREAM, never)
        units = video_units(count=110)
        await play(bench, units[:60])
        await one.playlist()
        async with asyncio.TaskGroup() as group:
            mine = group.create_task(refused(one.playlist(3, None)))
            others = group.create_task(other.playlist(2, 0))
            await asyncio.sleep(0.02)
            one.leave()
            await play(bench, units[60:110])
        assert mine.result() == "viewing_ended"
        assert read(others.result()).open.number >= 2
        other.leave()


async def test_a_new_picture_size_is_a_discontinuity_with_an_init_of_its_own() -> None:
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, video_units(count=60))
        before = read(await share.playlist())
        await play(bench, video_units(count=110, width=320, height=240, start=60 * 3_600))
        await until(lambda: share.init(1) is not None)
        await play(bench, video_units(count=60, width=320, height=240, start=170 * 3_600))
        shown = read(await share.playlist())
        [changed] = [item for item in shown.items if item.discontinuity]
        assert before.items[0].init == "init-0.mp4"
        assert changed.init == shown.items[-1].init == "init-1.mp4"
        assert share.init(0) != share.init(1)
        assert "RESOLUTION=320x240" in (await share.master("x")).decode()
        share.leave()


async def test_sound_that_comes_late_is_taken_in_with_a_discontinuity_once() -> None:
    async with running() as (bench, media):
        share = media.join(STREAM, never)
        await play(bench, video_units(count=60))
        assert "mp4a" not in (await share.master("x")).decode()
        late = interleave(
            video_units(count=135, start=60 * 3_600), g711_units(135, start=60 * 3_600)
        )
        await play(bench, late)
        shown = read(await share.playlist())
        assert [item.discontinuity for item in shown.items].count(True) == 1
        assert "mp4a.40.2" in (await share.master("x")).decode()
        init = share.init(1)
        assert init is not None
        assert has_sound(init)
        assert share.init(2) is None
        assert bench.viewers() == {"hls": 1}
        share.leave()


@pytest.mark.parametrize("init", [b"", b"\0" * 100, b"\xff" * 40, b"\0\0\0\x10moov\0\0\0\x01trak"])
def test_what_is_no_init_has_no_sound(init: bytes) -> None:
    assert not has_sound(init)
