"""What was recorded: lists, stretches of time, days, and clips to play."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from gateway.domain.errors import Forbidden, Invalid, NotFound
from gateway.domain.recording import ChannelUsage, Clip, RecordFile, RecordingFiles, RecordingIndex
from gateway.recording.service import RecordingService

__all__ = [
    "MAX_CLIP",
    "SUB_STREAM",
    "DayOverview",
    "RecordedRange",
    "RecordingLibrary",
    "main_stream_only",
]

MAX_CLIP = timedelta(hours=24)
"""One clip at most."""
MAX_FILES = 20_000
"""Files looked at for one answer: a month of a channel has some 4,500."""
PAGE = 1000
SEAMLESS = timedelta(seconds=1)
"""Between two files: nobody would call that a gap."""
MAX_DAYS = 62
SUB_STREAM = 1
"""`RecordFile.stream` of the first sub stream."""
_ID = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRange:
    """A stretch of time without a gap and of one cause."""

    begin: datetime
    end: datetime
    cause: str
    locked: bool
    """Whether all of it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOverview:
    """One day of a calendar."""

    day: date
    seconds: float
    """Recorded."""
    events: bool
    """Whether an alarm or a command is among the causes."""
    locked: bool
    """Whether something is locked."""


class RecordingLibrary:
    """Reads what was recorded, what is being written included.

    Args:
        index: Knows the files.
        files: Cuts and joins them.
        service: Knows what is being written.
    """

    def __init__(
        self, index: RecordingIndex, files: RecordingFiles, service: RecordingService
    ) -> None:
        self._index = index
        self._files = files
        self._service = service

    async def usage(self) -> list[ChannelUsage]:
        """Return what is kept of each channel."""
        return await self._index.recording_usage()

    async def find(self, file_id: str) -> RecordFile:
        """Return one file.

        Raises:
            NotFound: `recording_unknown`.
        """
        file = await self._service.keeper.find(file_id) if _ID.fullmatch(file_id) else None
        if file is None:
            raise NotFound("recording_unknown", f"There is no recording {file_id[:64]}")
        return self._current([file])[0]

    async def files(
        self,
        device_id: str,
        channel_id: str,
        *,
        begin: datetime | None = None,
        end: datetime | None = None,
        limit: int = MAX_FILES,
    ) -> list[RecordFile]:
        """Return the files of a channel that overlap, in order."""
        found: list[RecordFile] = []
        while len(found) < limit:
            page = await self._index.recordings(
                device_id=device_id,
                channel_id=channel_id,
                begin=begin,
                end=end,
                limit=min(PAGE, limit - len(found)),
                offset=len(found),
            )
            found += page
            if len(page) < PAGE:
                break
        known = {file.file_id for file in found}
        # An open file's row says that it has just begun, or is on its way.
        for file in self._service.written(device_id, channel_id):
            late = begin is not None and file.end <= begin
            early = end is not None and file.begin >= end
            if file.file_id not in known and not (late or early) and len(found) < limit:
                found.append(file)
        return sorted(self._current(found), key=lambda file: (file.begin, file.file_id))

    async def ranges(
        self, device_id: str, channel_id: str, begin: datetime, end: datetime
    ) -> list[RecordedRange]:
        """Return when something was recorded, in order; what lies between is a gap."""
        ranges: list[RecordedRange] = []
        for file in await self.files(device_id, channel_id, begin=begin, end=end):
            first, last = max(file.begin, begin), min(file.end, end)
            if last <= first:
                continue
            before = ranges[-1] if ranges else None
            if (
                before is not None
                and first - before.end <= SEAMLESS
                and (before.cause, before.locked) == (file.cause, file.locked)
            ):
                ranges[-1] = RecordedRange(
                    begin=before.begin,
                    end=max(before.end, last),
                    cause=file.cause,
                    locked=file.locked,
                )
            else:
                ranges.append(
                    RecordedRange(begin=first, end=last, cause=file.cause, locked=file.locked)
                )
        return ranges

    async def days(
        self, device_id: str, channel_id: str, first: date, last: date, zone: tzinfo
    ) -> list[DayOverview]:
        """Return the days from `first` to `last` on which something was recorded.

        Raises:
            Invalid: `invalid_range`.
        """
        if not 0 <= (last - first).days < MAX_DAYS:
            raise Invalid("invalid_range", f"{MAX_DAYS} days at most, the first before the last")
        begin = _midnight(first, zone)
        found = await self.ranges(
            device_id, channel_id, begin, _midnight(last + timedelta(1), zone)
        )
        days = []
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            start, stop = _midnight(day, zone), _midnight(day + timedelta(1), zone)
            inside = [item for item in found if item.begin < stop and item.end > start]
            if inside:
                seconds = sum(
                    (min(item.end, stop) - max(item.begin, start)).total_seconds()
                    for item in inside
                )
                days.append(
                    DayOverview(
                        day=day,
                        seconds=seconds,
                        events=any(item.cause not in {"always", "weekly"} for item in inside),
                        locked=any(item.locked for item in inside),
                    )
                )
        return days

    async def clip(
        self,
        device_id: str,
        channel_id: str,
        begin: datetime,
        end: datetime | None,
        *,
        sub_stream: bool = False,
    ) -> Clip:
        """Return what was recorded from an instant on; 24 hours at most.

        Begins at the key frame at or before `begin`; if nothing was recorded then, at the next one.

        Args:
            device_id: Of this device ...
            channel_id: ... and this channel.
            begin: First instant.
            end: Last instant; None: as long as a clip may last.
            sub_stream: Only what was recorded of the sub stream.

        Raises:
            Invalid: `invalid_range`.
            NotFound: `not_recorded`.
            Forbidden: `sub_stream_only`: only the main stream was recorded then.
            Unavailable: `recording_unreadable`.
        """
        stop = begin + MAX_CLIP if end is None else end
        if not timedelta() < stop - begin <= MAX_CLIP:
            raise Invalid("invalid_range", "A clip ends after its begin and lasts up to 24 hours")
        files = await self.files(device_id, channel_id, begin=begin, end=stop)
        usable = [file for file in files if file.bytes]
        if not usable:
            raise NotFound(
                "not_recorded",
                f"Nothing was recorded from {begin.isoformat()} to {stop.isoformat()}",
            )
        if sub_stream:
            usable = [file for file in usable if file.stream == SUB_STREAM]
            if not usable:
                raise main_stream_only()
        return await self._files.clip(usable, begin, stop)

    async def whole(self, file: RecordFile) -> Clip:
        """Return one file as it lies on disk.

        Raises:
            Unavailable: `recording_unreadable`.
        """
        return await self._files.whole(file)

    def _current(self, files: Sequence[RecordFile]) -> list[RecordFile]:
        written = {file.file_id: file for file in self._service.written()}
        return [
            file
            if (live := written.get(file.file_id)) is None
            else replace(live, locked=file.locked)
            for file in self._service.keeper.newest(files)
        ]


def main_stream_only() -> Forbidden:
    """Return the refusal of pictures of the main stream to those who may see the sub stream only."""
    return Forbidden(
        "sub_stream_only",
        "Only the sub stream is shared, and this was recorded of the main stream",
    )


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
