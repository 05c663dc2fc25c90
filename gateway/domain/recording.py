"""Recordings: what is to be recorded, the files that came of it, and the ports behind which they lie."""

import asyncio
import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = [
    "MAX_FILE_SPAN",
    "ChannelUsage",
    "Clip",
    "ClipPart",
    "DiskSpace",
    "RecordEvents",
    "RecordFile",
    "RecordMode",
    "RecordPlan",
    "RecordSpec",
    "RecordState",
    "Recorder",
    "RecorderFigures",
    "RecordingFiles",
    "RecordingIndex",
    "RecordingMedia",
]

MAX_FILE_SPAN = 6 * 3600
"""Seconds one file may span at most; whoever looks for what covers an instant looks back no further."""


class RecordMode(enum.StrEnum):
    """When a channel is recorded."""

    OFF = "off"
    ALWAYS = "always"
    WEEKLY = "weekly"
    """In the windows of the plan."""
    EVENT = "event"
    """When the device raises an alarm for the channel, or somebody asks for it."""


class RecordState(enum.StrEnum):
    """Life of a file."""

    OPEN = "open"
    """Being written, or left behind by a crash."""
    CLOSED = "closed"
    DAMAGED = "damaged"
    """Recovered with something missing; plays as far as it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlan:
    """What is to be recorded of one channel."""

    device_id: str
    channel_id: str
    mode: RecordMode
    windows: tuple[str, ...] = ()
    """Of mode `weekly`: `Mon-Fri 08:00-18:00`, `daily 22:00-06:00`; wall time of `zone`."""
    zone: str = "Asia/Shanghai"
    """IANA name of the time zone the windows are read in."""
    stream: int = 0
    """0 main stream, 1 first sub stream."""
    keep_days: int | None = None
    """Days for which files are kept; None: as configured."""
    pre_seconds: float | None = None
    """Of mode `event`: seconds before the event that are recorded too; above 0 the camera sends all the time. None: as configured."""
    post_seconds: float | None = None
    """Of mode `event`: seconds recorded after the last alarm. None: as configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """One file of the recordings."""

    file_id: str
    device_id: str
    channel_id: str
    path: str
    """Below the directory of the recordings, with `/`."""
    begin: datetime
    """Wall time of its first picture."""
    end: datetime
    """Wall time at which its last picture ends; of an open file as far as known."""
    stream: int = 0
    bytes: int = 0
    locked: bool = False
    """Retention leaves it."""
    state: RecordState = RecordState.OPEN
    cause: str = ""
    """Why it was recorded: `always`, `weekly`, `alarm`, `manual`, also `alarm:5/2`."""
    mime: str = ""
    """RFC 6381 codecs: `avc1.64001f,mp4a.40.2`."""
    head: str = ""
    """Digest of the tracks' parameters; only files with the same can be played as one."""
    dropped: int = 0
    """Pictures lost because the disk was too slow."""
    sha256: str = ""
    """Of the whole file, hex; empty until it was worked out after closing."""

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUsage:
    """What is kept of one channel."""

    device_id: str
    channel_id: str
    files: int
    bytes: int
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """The disk the recordings lie on."""

    total: int
    free: int
    """Bytes we may still write."""


class RecordingIndex(Protocol):
    """Knows every file; implemented by the store.

    The futures are resolved once the write would survive a power failure, or fail with `Unavailable`.
    Reading raises `Unavailable` too.
    """

    def save_recording(self, file: RecordFile) -> asyncio.Future[None]:
        """Write one file's row durably."""

    def delete_recordings(self, file_ids: Sequence[str]) -> asyncio.Future[None]:
        """Delete rows durably; those that are not there are no error."""

    async def recording(self, file_id: str) -> RecordFile | None:
        """Return one file."""

    async def recordings(
        self,
        *,
        device_id: str | None = None,
        channel_id: str | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
        limit: int = 1000,
        offset: int = 0,
    ) -> list[RecordFile]:
        """Return files that overlap [begin, end), in the order of their begin."""

    async def open_recordings(self) -> list[RecordFile]:
        """Return the rows in state `open`."""

    async def oldest_recordings(
        self,
        limit: int,
        *,
        device_id: str | None = None,
        channel_id: str | None = None,
        before: datetime | None = None,
    ) -> list[RecordFile]:
        """Return files that are neither locked nor open, oldest first.

        Args:
            limit: At most so many.
            device_id: Only of this device ...
            channel_id: ... and this channel.
            before: Only what ended before.
        """

    async def unhashed_recordings(self, limit: int) -> list[RecordFile]:
        """Return files that are not open and have no digest, oldest first."""

    async def recording_usage(self) -> list[ChannelUsage]:
        """Return what is kept of each channel, by device and channel."""


# Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSpec:
    """What a recorder writes."""

    device_id: str
    channel_id: str
    stream: int = 0
    cause: str = ""
    pre_seconds: float = 0.0
    """Seconds kept in memory while it is armed and does not write."""
    armed: bool = False
    """Begin without writing."""


@dataclass(slots=True, kw_only=True)
class RecorderFigures:
    """Counters of a recorder since it was made."""

    files: int = 0
    bytes: int = 0
    frames: int = 0
    dropped: int = 0
    """Pictures lost because the disk was too slow."""


class RecordEvents(Protocol):
    """What the owner of a recorder is told; called on the loop, must not block or raise."""

    def file_opened(self, file: RecordFile) -> None:
        """A file is being written."""

    def file_closed(self, file: RecordFile) -> None:
        """It is complete on disk."""

    def file_removed(self, file: RecordFile) -> None:
        """It had been opened and holds no picture: nothing is left of it."""

    def record_ended(self, code: str, detail: str) -> None:
        """The recorder has ended by itself; told once, after the last file was closed.

        Args:
            code: An end of the stream, `disk_full`, `disk_failed`, `too_slow`.
            detail: A sentence for people.
        """


class Recorder(Protocol):
    """Records one stream; counts as its viewer until closed."""

    @property
    def file(self) -> RecordFile | None:
        """The file that is being written, as far as it is on disk."""

    @property
    def figures(self) -> RecorderFigures:
        """Counters."""

    def write(self, cause: str) -> None:
        """Write from now on, what is kept in memory first; if it writes already, note the cause for the next file."""

    def rest(self) -> None:
        """Close the file and keep only the last seconds in memory."""

    async def close(self) -> None:
        """Close the file and let the stream go; idempotent. `record_ended` is not told."""


class RecordingMedia(Protocol):
    """Makes recorders; in the media plane."""

    def record(self, stream_id: str, spec: RecordSpec, events: RecordEvents) -> Recorder:
        """Join a stream that is being received.

        Raises:
            NotFound: no receiver has that stream id.
            Unavailable: `too_many_viewers`.
        """


# Files


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPart:
    """A stretch of a clip without a gap."""

    begin: datetime
    end: datetime
    at: float
    """Seconds from the begin of the clip at which it plays."""


class Clip(Protocol):
    """Recordings cut and joined into one MP4 file that is made while it is read."""

    @property
    def parts(self) -> Sequence[ClipPart]:
        """What it shows, in order; between them nothing was recorded, and it plays on without a pause."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def mime(self) -> str:
        """RFC 6381 codecs."""

    @property
    def etag(self) -> str:
        """The same for the same bytes; empty if what is asked for still grows."""

    @property
    def next(self) -> datetime | None:
        """Where recordings go on that cannot be joined to these (other codec or size, or a limit)."""

    @property
    def complete(self) -> bool:
        """Whether it ends because nothing more is recorded in the range."""

    def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` to `last`, both included, in pieces.

        Raises:
            Unavailable: `recording_unreadable`: a file is gone or damaged.
        """


class RecordingFiles(Protocol):
    """The directory of the recordings."""

    async def space(self) -> DiskSpace:
        """Return how much room there is.

        Raises:
            Unavailable: `disk_failed`.
        """

    async def recover(self, file: RecordFile) -> RecordFile | None:
        """Bring a file left open by a crash into order: cut after its last whole fragment.

        Returns:
            It as it is now; None if nothing of it is left, also on disk.

        Raises:
            Unavailable: `disk_failed`: it cannot be read or written now.
        """

    async def orphans(self, known: Sequence[str]) -> list[RecordFile]:
        """Return files of the last two days whose path is not among those known."""

    async def remove(self, path: str) -> None:
        """Delete a file; one that is not there is no error.

        Raises:
            Unavailable: `disk_failed`.
        """

    async def digest(self, path: str) -> str:
        """Return the SHA-256 of a file, hex.

        Raises:
            Unavailable: `recording_unreadable`.
        """

    async def whole(self, file: RecordFile) -> Clip:
        """Return one file as it lies on disk.

        Raises:
            Unavailable: `recording_unreadable`.
        """

    async def clip(self, files: Sequence[RecordFile], begin: datetime, end: datetime) -> Clip:
        """Cut out what was recorded from the key frame at or before `begin` to `end`.

        Args:
            files: Those that overlap, of one channel, in order.
            begin: First instant.
            end: Last instant.

        Raises:
            NotFound: `not_recorded`: nothing of that time is there.
            Unavailable: `recording_unreadable`.
        """
