"""Clips: cut and joined files, byte for byte, read again by FFmpeg."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.recording import Clip, RecordFile, RecordState
from gateway.media.record.box import BoxError
from gateway.media.record.join import join_files
from gateway.media.record.place import file_path, parse_place
from gateway.media.record.scan import read_index, scan
from gateway.media.record.sidx import Stretch, build_sidx, coarsened, parse_sidx
from tests.support.media import aac_units, interleave, video_units
from tests.support.recordings import BEGIN, RecordBench, RecordNotes, probe, record_bench

SECOND = 90_000


async def read(clip: Clip, first: int = 0, last: int | None = None) -> bytes:
    last = clip.size - 1 if last is None else last
    return b"".join([piece async for piece in clip.read(first, last)])


@asynccontextmanager
async def recorded(
    root: Path, *, change: bool = False
) -> AsyncIterator[tuple[RecordBench, list[RecordFile]]]:
    """Twelve seconds in files of two, with two seconds missing after the sixth; then another picture size."""
    notes = RecordNotes()
    async with record_bench(root, file_seconds=2.0) as bench:
        units = interleave(video_units(count=300), aac_units(187))
        await bench.play([unit for unit in units if unit.dts < SECOND // 2])
        recorder = await bench.record(notes)
        await bench.play([unit for unit in units if SECOND // 2 <= unit.dts < 6 * SECOND])
        await recorder.close()
        await bench.play([unit for unit in units if 6 * SECOND <= unit.dts < 8.5 * SECOND])
        recorder = await bench.record(notes)
        await bench.play([unit for unit in units if unit.dts >= 8.5 * SECOND])
        if change:
            larger = video_units(count=75, width=320, height=240, start=12 * SECOND)
            sound = aac_units(46, start=12 * SECOND)
            await bench.play(interleave(larger, sound), pause=0.004)
        await recorder.close()
        await notes.until(lambda notes: len(notes.closed) == len(notes.opened))
        yield bench, sorted(notes.closed, key=lambda file: file.begin)


async def test_a_file_that_retention_took_meanwhile_is_a_gap_of_the_clip(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        await bench.directory.remove(files[0].path)
        clip = await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))
        assert clip.parts[0].begin >= files[1].begin
        assert len(await read(clip)) == clip.size
        for file in files[1:]:
            await bench.directory.remove(file.path)
        with pytest.raises(NotFound):
            await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))


async def test_an_index_that_was_being_written_when_the_machine_stopped_is_found_out(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path) as (bench, files):
        file = replace(files[0], state=RecordState.OPEN)
        path = tmp_path / file.path
        whole = await asyncio.to_thread(path.read_bytes)
        at = whole.index(b"sidx") - 4
        size = int.from_bytes(whole[at : at + 4])
        for torn in range(0, size, 3):
            # Nothing, part or all of it was written; the rest are zeros.
            damaged = whole[: at + torn] + bytes(size - torn) + whole[at + size :]
            await asyncio.to_thread(path.write_bytes, damaged)
            found = await bench.directory.recover(file)
            assert found is not None, torn
            assert (found.bytes, found.end) == (files[0].bytes, files[0].end), torn
        again = await asyncio.to_thread(path.read_bytes)
        assert again == whole


async def test_a_damaged_fragment_is_told_and_no_fault_of_the_gateway(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        path = tmp_path / files[0].path
        data = bytearray(await asyncio.to_thread(path.read_bytes))
        # The number of its track.
        at = data.index(b"tfhd") + 8
        data[at : at + 4] = (262_145).to_bytes(4)
        await asyncio.to_thread(path.write_bytes, bytes(data))
        clip = await bench.directory.clip(files[:1], BEGIN, BEGIN + timedelta(seconds=30))
        with pytest.raises(Unavailable) as told:
            await read(clip)
        assert told.value.code == "recording_unreadable"


async def test_a_gap_plays_without_a_pause_and_is_told(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        clip = await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))
        data = await read(clip)
    assert len(data) == clip.size
    first, second = clip.parts
    assert second.begin - first.end > timedelta(seconds=1)
    assert second.at == pytest.approx((first.end - first.begin).total_seconds(), abs=0.1)
    (tmp_path / "clip.mp4").write_bytes(data)
    found = await asyncio.to_thread(probe, tmp_path / "clip.mp4")
    assert found.pictures == sum(round(file.seconds * 25) for file in files)
    total = second.at + (second.end - second.begin).total_seconds()
    assert found.video_seconds == pytest.approx(total, abs=0.05)
    for one, other in pairwise(found.sound):
        assert 0 < other - one < 0.2
    assert clip.etag
    assert clip.complete


async def test_any_range_of_bytes_equals_that_part_of_the_whole(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        clip = await bench.directory.clip(
            files, BEGIN + timedelta(seconds=3), BEGIN + timedelta(seconds=11)
        )
        data = await read(clip)
        again = await bench.directory.clip(
            files, BEGIN + timedelta(seconds=3), BEGIN + timedelta(seconds=11)
        )
        assert again.etag == clip.etag
        size = clip.size
        for first in (0, 1, 50, 2_000, size // 3, size // 2, size - 2, size - 1):
            for length in (1, 7, 3_000, size):
                last = min(first + length, size) - 1
                assert await read(again, first, last) == data[first : last + 1]


async def test_what_cannot_be_joined_is_left_for_another_clip(tmp_path: Path) -> None:
    async with recorded(tmp_path, change=True) as (bench, files):
        end = BEGIN + timedelta(seconds=60)
        clip = await bench.directory.clip(files, BEGIN, end)
        assert clip.next == next(file.begin for file in files if file.head != files[0].head)
        rest = [file for file in files if file.end > clip.next]
        following = await bench.directory.clip(rest, clip.next, end)
        (tmp_path / "rest.mp4").write_bytes(await read(following))
    assert (await asyncio.to_thread(probe, tmp_path / "rest.mp4")).width == 320
    assert following.next is None


async def test_a_clip_begins_with_the_key_frame_at_or_before_an_instant(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        file = files[1]
        for seconds in (0.0, 0.5, 0.999, 1.0, 1.7):
            begin = file.begin + timedelta(seconds=seconds)
            clip = await bench.directory.clip(files, begin, begin + timedelta(seconds=0.1))
            assert clip.parts[0].begin == file.begin + timedelta(seconds=int(seconds))
        gap = files[2].end + timedelta(seconds=0.5)
        clip = await bench.directory.clip(files, gap, gap + timedelta(seconds=10))
        assert clip.parts[0].begin > gap
        with pytest.raises(NotFound):
            await bench.directory.clip(files, BEGIN - timedelta(days=1), BEGIN - timedelta(hours=1))


async def test_a_file_that_is_gone_ends_the_reading_with_a_reason(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        clip = await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))
        await bench.directory.remove(files[2].path)
        with pytest.raises(Unavailable) as caught:
            await read(clip)
        assert caught.value.code == "recording_unreadable"
        with pytest.raises(Unavailable):
            await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))


async def test_a_reader_that_leaves_in_the_middle_leaves_no_file_open(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (bench, files):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
        clip = await bench.directory.clip(files, BEGIN, BEGIN + timedelta(seconds=30))
        pieces = clip.read(0, clip.size - 1)
        async for _ in pieces:
            break
        close = getattr(pieces, "aclose")  # noqa: B009 - an async generator
        await close()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecordFile]:
    """One file of four seconds."""
    root = tmp_path_factory.mktemp("sample")

    async def make() -> RecordFile:
        notes = RecordNotes()
        async with record_bench(root) as bench:
            units = interleave(video_units(count=105), aac_units(65))
            await bench.play(units[:12])
            recorder = await bench.record(notes)
            await bench.play(units[12:])
            await recorder.close()
        return notes.closed[0]

    file = asyncio.run(make())
    return root / file.path, file


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_is_recovered_to_its_last_whole_fragment(
    sample: tuple[Path, RecordFile], tmp_path: Path, data: st.DataObject
) -> None:
    whole, _ = sample
    content = whole.read_bytes()
    length = data.draw(st.integers(0, len(content)))
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[:length])
    file = os.open(path, os.O_RDONLY)
    try:
        found = scan(file)
    except BoxError:
        found = None
    finally:
        os.close(file)
    opened = os.open(whole, os.O_RDONLY)
    try:
        complete = scan(opened)
    finally:
        os.close(opened)
    first = complete.stretches[0]
    if found is None:
        assert length < first.offset + first.size
        return
    assert found.size + found.left == length
    assert found.size <= complete.size
    assert found.stretches[:-1] == complete.stretches[: len(found.stretches) - 1]
    assert found.stretches[-1].size <= complete.stretches[len(found.stretches) - 1].size


@given(st.binary(max_size=400), st.integers(0, 3_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rubbish_in_a_file_gives_the_documented_error_only(
    sample: tuple[Path, RecordFile], tmp_path: Path, rubbish: bytes, position: int
) -> None:
    content = bytearray(sample[0].read_bytes())
    content[position : position + len(rubbish)] = rubbish
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    begin = sample[1].begin
    row = replace(sample[1], path="bad.mp4", state=RecordState.CLOSED)
    file = os.open(path, os.O_RDONLY)
    try:
        for look in (scan, read_index):
            with suppress(BoxError):
                look(file)
    finally:
        os.close(file)
    with suppress(BoxError):
        join_files(tmp_path, [row], begin, begin + timedelta(hours=1))


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=300),
    st.integers(0, 10**6),
)
def test_an_index_comes_back_as_it_was(spans: list[tuple[int, int]], gap: int) -> None:
    stretches, begin = [], 7
    offset = 1_000 + 40 + 12 * len(spans) + gap
    for size, duration in spans:
        stretches.append(Stretch(offset, size, begin, duration))
        offset, begin = offset + size, begin + duration
    assert parse_sidx(build_sidx(stretches, gap=gap), 1_000) == stretches
    for most in (1, 10, 300):
        joined = coarsened(stretches, most)
        assert len(joined) <= most
        assert sum(item.size for item in joined) == sum(size for size, _ in spans)
        assert (joined[0].begin, joined[-1].begin + joined[-1].duration) == (7, begin)


@given(st.text(max_size=64), st.text(max_size=64), st.datetimes())
def test_no_name_leads_out_of_the_directory(device: str, channel: str, at: datetime) -> None:
    at = at.replace(tzinfo=BEGIN.tzinfo)
    path = file_path(device, channel, 1, at, "0123456789abcdef")
    assert ".." not in path.split("/")
    assert all(part.isascii() and not part.startswith("/") for part in path.split("/"))
    place = parse_place(path)
    if device and channel and at.year >= 1000:
        assert place is not None
        assert place.file_id == "0123456789abcdef"
        assert abs(place.begin - at) < timedelta(milliseconds=1)
