"""From units to files: cuts, sound, gaps, full and slow disks; FFmpeg reads what comes out."""

import subprocess
from datetime import timedelta
from pathlib import Path

from gateway.domain.recording import RecordFile, RecordState
from gb28181.es.unit import Codec
from tests.support.media import aac_units, g711_units, interleave, video_units
from tests.support.recordings import BEGIN, RecordBench, RecordNotes, record_bench

FRAME = 3_600
SECOND = 90_000


def decoded(path: Path) -> int:
    """How many pictures the distribution's FFmpeg decodes; it must have nothing to complain about."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v",
         "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stderr == ""
    return int(shown.stdout)


def durations(path: Path) -> list[float]:
    """Durations of the tracks as the head and the index say."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=duration", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [float(line) for line in shown.stdout.split() if line != "N/A"]


async def finished(bench: RecordBench, notes: RecordNotes) -> list[RecordFile]:
    await notes.until(lambda notes: len(notes.closed) == len(notes.opened))
    for file in notes.closed:
        assert file.state is RecordState.CLOSED
        assert (bench.root / file.path).stat().st_size == file.bytes
    return notes.closed


async def test_a_recording_with_sound_plays_in_full_and_says_how_long_it_is(tmp_path: Path) -> None:
    notes = RecordNotes()
    async with record_bench(tmp_path) as bench:
        video, audio = video_units(count=100), aac_units(count=62)
        await bench.play(interleave(video[:25], audio[:10]))
        recorder = bench.record(notes)
        await bench.play(interleave(video[25:], audio[10:]))
        await recorder.close()
        (file,) = await finished(bench, notes)
    path = tmp_path / file.path
    # The picture that comes last is known only when another follows.
    assert decoded(path) >= 98
    assert file.seconds >= 98 / 25
    assert max(durations(path)) == pytest_approx(file.seconds)
    assert file.mime.startswith("avc1.") and file.mime.endswith(",mp4a.40.2")
    assert abs(file.begin - BEGIN) < timedelta(seconds=0.2)
    assert notes.ended == []


def pytest_approx(value: float) -> object:
    import pytest

    return pytest.approx(value, abs=0.1)
