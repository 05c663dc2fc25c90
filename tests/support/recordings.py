"""A stream that is recorded: real units, real muxers, real files, clocks of the test."""

import asyncio
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.domain.errors import NotFound
from gateway.domain.recording import Recorder, RecordFile, RecordSpec
from gateway.media.options import MediaOptions
from gateway.media.record.directory import RecordDirectory
from gateway.media.record.media import RecordMedia
from gateway.media.record.option import RecordOptions
from gateway.media.record.recorder import StreamRecorder
from gateway.media.stream import LiveStream
from gateway.media.worker import MediaWorker
from gb28181.aio.tasks import TaskScope
from gb28181.es.unit import MediaUnit
from tests.support.media import RecordingEvents

__all__ = [
    "BEGIN",
    "CHANNEL",
    "DEVICE",
    "STREAM",
    "Probed",
    "RecordBench",
    "RecordNotes",
    "probe",
    "record_bench",
]

DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
STREAM = f"{DEVICE}/{CHANNEL}"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class RecordNotes:
    """Keeps what a recorder tells its owner."""

    opened: list[RecordFile] = field(default_factory=list)
    closed: list[RecordFile] = field(default_factory=list)
    removed: list[RecordFile] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def file_opened(self, file: RecordFile) -> None:
        self.opened.append(file)
        self.changed.set()

    def file_closed(self, file: RecordFile) -> None:
        self.closed.append(file)
        self.changed.set()

    def file_removed(self, file: RecordFile) -> None:
        self.removed.append(file)
        self.changed.set()

    def record_ended(self, code: str, detail: str) -> None:
        self.ended.append((code, detail))
        self.changed.set()

    async def until(self, condition: Callable[["RecordNotes"], bool]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(10):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


@dataclass
class RecordBench:
    """A stream whose clocks are those of the last unit fed."""

    stream: LiveStream
    media: RecordMedia
    directory: RecordDirectory
    root: Path
    clock: list[float]
    gone: bool = False
    offset: timedelta = timedelta()
    """By which our wall clock is ahead of the camera's."""

    def live(self, stream_id: str) -> LiveStream:
        if stream_id != STREAM or self.gone:
            raise NotFound("stream_not_found", "No such stream")
        return self.stream

    def wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.clock[0]) + self.offset

    async def play(self, units: list[MediaUnit], pause: float = 0.0005) -> None:
        """Feed as if every unit arrived at its own time, with pauses in which threads can keep up."""
        for unit in units:
            self.clock[0] = unit.dts / 90_000
            self.stream.feed([unit], self.clock[0])
            await asyncio.sleep(pause)

    async def record(self, notes: RecordNotes, **changes: Any) -> Recorder:
        """Record the stream, of which a key frame was played; returns once its muxers are open."""
        values = {"device_id": DEVICE, "channel_id": CHANNEL, "cause": "always"} | changes
        recorder = self.media.record(STREAM, RecordSpec(**values), notes)
        assert isinstance(recorder, StreamRecorder)
        async with asyncio.timeout(10):
            while recorder._maker is None:
                await asyncio.sleep(0.005)
        return recorder


@asynccontextmanager
async def record_bench(root: Path, **options: Any) -> AsyncIterator[RecordBench]:
    """Open a stream to record; files below `root`."""
    crashes: list[tuple[str, Exception]] = []
    worker = MediaWorker(2)
    clock = [0.0]
    async with TaskScope(lambda name, exc: crashes.append((name, exc))) as scope:
        stream = LiveStream(
            "test",
            RecordingEvents(),
            worker=worker,
            options=MediaOptions(),
            clock=lambda: clock[0],
            spawn=lambda coro, name: scope.spawn(coro, name=name),
        )
        bench: RecordBench
        media = RecordMedia(
            _Late(lambda: bench),
            RecordOptions(directory=root, **({"file_seconds": 3600.0} | options)),
            new_id=lambda: secrets.token_hex(8),
            wall=lambda: bench.wall(),  # noqa: PLW0108 - made below
            clock=lambda: clock[0],
        )
        directory = RecordDirectory(root, lambda: bench.wall())  # noqa: PLW0108 - the same
        bench = RecordBench(stream, media, directory, root, clock)
        try:
            async with media:
                yield bench
        finally:
            await stream.close("stopped", "The test is over")
            await worker.close()
    assert crashes == []


@dataclass(frozen=True)
class Probed:
    """What the distribution's FFmpeg finds in a file."""

    pictures: int
    """Decoded."""
    width: int
    video_seconds: float
    audio_seconds: float
    first: float
    """Time of the first picture."""
    keyframes: list[float]
    sound: list[float]
    """Times of the sound's frames."""


def probe(path: Path | str, *arguments: str) -> Probed:
    """Look at a file or URL; FFmpeg must have nothing to complain about. Blocks."""

    def ask(*entries: str) -> Any:
        shown = subprocess.run(
            ["ffprobe", "-v", "error", "-of", "json", *arguments, *entries, str(path)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert shown.stderr == ""
        return json.loads(shown.stdout)

    streams = ask("-count_frames", "-show_streams")["streams"]
    video = next(item for item in streams if item["codec_type"] == "video")
    audio: dict[str, Any] = next((item for item in streams if item["codec_type"] == "audio"), {})
    packets = ask("-show_packets")["packets"]
    pictures = [item for item in packets if item["codec_type"] == "video"]
    return Probed(
        pictures=int(video["nb_read_frames"]),
        width=int(video["width"]),
        video_seconds=float(video.get("duration", 0)),
        audio_seconds=float(audio.get("duration", 0)),
        first=float(pictures[0]["pts_time"]),
        keyframes=[float(item["pts_time"]) for item in pictures if "K" in item["flags"]],
        sound=[float(item["pts_time"]) for item in packets if item["codec_type"] == "audio"],
    )


class _Late:
    def __init__(self, bench: Callable[[], RecordBench]) -> None:
        self._bench = bench

    def live(self, stream_id: str) -> LiveStream:
        return self._bench().live(stream_id)
