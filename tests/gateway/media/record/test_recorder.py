"""From units to files: cuts, sound, gaps, full and slow disks; FFmpeg reads what comes out."""

import asyncio
import errno
import hashlib
import os
import threading
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.domain.media import OutputFormat
from gateway.domain.recording import RecordFile, RecordSpec, RecordState
from gateway.media.record.disk import DiskFile
from gateway.media.viewer import Chunk
from gb28181.es.unit import Codec
from tests.support.media import aac_units, g711_units, interleave, video_units
from tests.support.recordings import (
    BEGIN,
    CHANNEL,
    DEVICE,
    STREAM,
    RecordBench,
    RecordNotes,
    probe,
    record_bench,
)

SECOND = 90_000
LATE = timedelta(seconds=0.2)


async def finished(bench: RecordBench, notes: RecordNotes) -> list[RecordFile]:
    """The files, once all are closed, each as long on disk as its row says."""
    await notes.until(lambda notes: len(notes.closed) == len(notes.opened))
    for file in notes.closed:
        assert file.state is RecordState.CLOSED
        assert (bench.root / file.path).stat().st_size == file.bytes
    return notes.closed


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC], ids=str)
async def test_a_recording_with_sound_plays_in_full_and_says_how_long_it_is(
    tmp_path: Path, codec: Codec
) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        units = interleave(video_units(codec, 100), aac_units(62))
        await bench.play(units[:35])
        recorder = await bench.record(notes)
        await bench.play(units[35:])
        await recorder.close()
        (file,) = await finished(bench, notes)
    found = await asyncio.to_thread(probe, tmp_path / file.path)
    # The picture that comes last is known only when another follows.
    assert found.pictures in {99, 100}
    assert found.video_seconds == pytest.approx(file.seconds, abs=0.001)
    assert file.seconds == pytest.approx(found.pictures / 25, abs=0.001)
    assert found.audio_seconds == pytest.approx(found.video_seconds, abs=0.1)
    assert file.mime.split(",")[1] == "mp4a.40.2"
    assert abs(file.begin - BEGIN) < LATE
    assert notes.ended == []


async def test_files_are_cut_at_key_frames_and_begin_at_zero_without_a_gap(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path, file_seconds=2.0) as bench:
        units = interleave(video_units(count=250), g711_units(250))
        await bench.play(units[:20])
        recorder = await bench.record(notes)
        await bench.play(units[20:], pause=0.002)
        await recorder.close()
        files = await finished(bench, notes)
    assert len(files) >= 4
    for file, following in pairwise(files):
        assert file.end == following.begin
        assert file.seconds == pytest.approx(2.0)
    for file in files:
        found = await asyncio.to_thread(probe, tmp_path / file.path)
        assert found.pictures == round(file.seconds * 25)
        assert found.first == 0.0
        assert found.keyframes[0] == 0.0
    assert sum(file.seconds for file in files) >= 9.8


async def test_sound_that_is_transcoded_late_lies_beside_its_pictures(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path, file_seconds=2.0) as bench:
        recorder = None
        for unit in interleave(video_units(count=200), g711_units(200)):
            await bench.play([unit], pause=0.002)
            recorder = recorder or await bench.record(notes)
        assert recorder is not None
        await recorder.close()
        files = await finished(bench, notes)
    middle = await asyncio.to_thread(probe, tmp_path / files[1].path)
    steps = {round(b - a, 3) for a, b in pairwise(middle.sound)}
    assert steps == {0.128}
    assert middle.sound[0] < 0.128


async def test_sound_that_comes_later_is_in_the_next_file(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path, file_seconds=1.0) as bench:
        await bench.play(video_units(count=30))
        recorder = await bench.record(notes)
        rest = interleave(video_units(count=150)[30:], aac_units(75, start=2 * SECOND))
        await bench.play(rest, pause=0.002)
        await recorder.close()
        files = await finished(bench, notes)
    assert "mp4a" not in files[0].mime
    assert "mp4a.40.2" in files[-1].mime
    assert files[0].head != files[-1].head


@pytest.mark.parametrize("gop", [10, 25, 40])
@pytest.mark.parametrize("watched", [False, True])
async def test_no_picture_is_lost_or_doubled_when_sound_comes_later(
    tmp_path: Path, gop: int, watched: bool
) -> None:
    notes, count = RecordNotes(), 200
    async with record_bench(tmp_path, file_seconds=1.0) as bench:
        units = video_units(count=count, gop=gop)
        await bench.play(units[:8])
        recorder = await bench.record(notes)
        await bench.play(units[8:15], pause=0.002)
        rest = interleave(units[15:], aac_units(90, start=SECOND * 15 // 25))
        await bench.play(rest[:12], pause=0.002)
        if watched:
            # Somebody's output has the sound before ours is taken anew.
            bench.stream.tap(OutputFormat.MP4, Ignored(), "test")
        await bench.play(rest[12:], pause=0.002)
        await recorder.close()
        files = await finished(bench, notes)
    assert "mp4a" not in files[0].mime
    assert "mp4a.40.2" in files[1].mime
    found = [await asyncio.to_thread(probe, tmp_path / file.path) for file in files]
    assert sum(one.pictures for one in found) in {count - 1, count}
    for file, following in pairwise(files):
        assert abs(following.begin - file.end) < timedelta(seconds=0.1)
    assert notes.ended == []


class Ignored:
    """A taker of chunks that wants none."""

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        pass

    def chunk(self, chunk: Chunk) -> None:
        pass

    def close(self, code: str, detail: str) -> None:
        pass


async def test_a_change_of_picture_size_begins_a_new_file_and_nothing_ends(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        await bench.play(video_units(count=5))
        recorder = await bench.record(notes)
        await bench.play(video_units(count=50)[5:], pause=0.002)
        larger = video_units(count=50, width=320, height=240, start=2 * SECOND)
        await bench.play(larger, pause=0.002)
        await recorder.close()
        files = await finished(bench, notes)
    sizes = [(await asyncio.to_thread(probe, tmp_path / file.path)).width for file in files]
    assert sizes == [160, 320]
    assert notes.ended == []


async def test_the_end_of_the_stream_closes_the_file_before_it_is_told(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        await bench.play(video_units(count=40))
        recorder = await bench.record(notes)
        await bench.play(video_units(count=60)[40:])
        await bench.stream.close("source_lost", "Gone")
        await notes.until(lambda notes: bool(notes.ended))
        assert notes.ended == [("source_lost", "Gone")]
        assert [file.state for file in notes.closed] == [RecordState.CLOSED]
        assert recorder.file is None
        await recorder.close()


async def test_an_armed_recorder_writes_nothing_until_told_and_then_what_came_before(
    tmp_path: Path,
) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        video = video_units(count=250)
        await bench.play(video[:5])
        recorder = await bench.record(notes, armed=True, pre_seconds=3.0, cause="")
        await bench.play(video[5:200])
        assert notes.opened == []
        recorder.write("alarm:2")
        await bench.play(video[200:])
        recorder.rest()
        (file,) = await finished(bench, notes)
        await recorder.close()
    assert file.cause == "alarm:2"
    # From a key frame at least 3 s before the 8th second on.
    assert timedelta(seconds=3.5) <= file.begin - BEGIN <= timedelta(seconds=5) + LATE
    assert file.seconds >= 4.0


async def test_pictures_a_slow_disk_cannot_take_are_counted_and_the_gap_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, let_go = RecordNotes(), threading.Event()
    append = DiskFile.append

    def slow(self: DiskFile, data: bytes, begin: int, end: int, *, keyframe: bool) -> object:
        assert let_go.wait(20)
        return append(self, data, begin, end, keyframe=keyframe)

    monkeypatch.setattr(DiskFile, "append", slow)
    async with record_bench(tmp_path, max_waiting=8_000) as bench:
        video = video_units(count=500)
        await bench.play(video[:5])
        recorder = await bench.record(notes)
        await bench.play(video[5:300])
        assert recorder.figures.dropped > 0
        let_go.set()
        await notes.until(lambda notes: bool(notes.closed))
        await bench.play(video[300:], pause=0.002)
        await recorder.close()
        first, *_, last = await finished(bench, notes)
    assert first.dropped > 0
    assert last.begin - first.end > timedelta(seconds=1)
    assert recorder.figures.dropped + recorder.figures.frames >= 495
    for file in notes.closed:
        found = await asyncio.to_thread(probe, tmp_path / file.path)
        assert found.pictures == round(file.seconds * 25)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "disk_failed")]
)
async def test_a_disk_that_refuses_ends_the_recorder_and_leaves_a_file_that_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    notes, written = RecordNotes(), []
    write = os.write

    def refuse(file: int, data: bytes) -> int:
        written.append(len(data))
        if len(written) == 5:
            # Half of it, then nothing more.
            return write(file, data[: len(data) // 2])
        if len(written) > 5:
            raise OSError(number, os.strerror(number))
        return write(file, data)

    async with record_bench(tmp_path) as bench:
        await bench.play(video_units(count=5))
        await bench.record(notes)
        monkeypatch.setattr("gateway.media.record.disk.os.write", refuse)
        with capture_logs() as logs:
            await bench.play(video_units(count=200)[5:], pause=0.002)
            await notes.until(lambda notes: bool(notes.ended))
        monkeypatch.undo()
        (file,) = await finished(bench, notes)
    assert notes.ended[0][0] == code
    assert os.strerror(number) in notes.ended[0][1]
    assert [entry["event"] for entry in logs].count("recording_failed") == 1
    found = await asyncio.to_thread(probe, tmp_path / file.path)
    assert found.pictures == round(file.seconds * 25) > 0


async def test_a_directory_that_cannot_be_made_leaves_no_row_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    notes = RecordNotes()
    async with record_bench(tmp_path / "file" / "below") as bench:
        await bench.play(video_units(count=5))
        await bench.record(notes)
        with capture_logs():
            await bench.play(video_units(count=100)[5:], pause=0.002)
            await notes.until(lambda notes: bool(notes.ended))
        assert notes.ended[0][0] == "disk_failed"
        assert [file.file_id for file in notes.removed] == [file.file_id for file in notes.opened]


async def test_wall_times_follow_our_clock_when_the_cameras_drifts(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path, file_seconds=3.0) as bench:
        await bench.play(video_units(count=5))
        recorder = await bench.record(notes)
        units = video_units(count=300)[5:]
        await bench.play(units[:100])
        bench.offset = timedelta(seconds=10)
        await bench.play(units[100:])
        await recorder.close()
        files = await finished(bench, notes)
    assert files[0].begin - BEGIN < LATE
    last = files[-1]
    camera = sum(file.seconds for file in files[:-1])
    assert abs(last.begin - BEGIN - timedelta(seconds=10 + camera)) < timedelta(seconds=1)


async def test_the_digest_of_a_closed_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        await bench.play(video_units(count=5))
        recorder = await bench.record(notes)
        await bench.play(video_units(count=50)[5:])
        await recorder.close()
        (file,) = await finished(bench, notes)
        digest = await bench.directory.digest(file.path)
    assert digest == hashlib.sha256((tmp_path / file.path).read_bytes()).hexdigest()


async def test_a_recorder_of_a_stream_that_gives_no_key_frame_leaves_nothing(
    tmp_path: Path,
) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        spec = RecordSpec(device_id=DEVICE, channel_id=CHANNEL)
        recorder = bench.media.record(STREAM, spec, notes)
        await bench.play([unit for unit in video_units(count=20) if not unit.keyframe])
        await recorder.close()
    assert (notes.opened, os.listdir(tmp_path)) == ([], [])  # noqa: PTH208 - a test
