"""Bodies about recordings."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from gateway.domain.recording import Clip, RecordFile, RecordMode, RecordPlan, RecordState
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text
from gateway.recording.events import MAX_EVENT
from gateway.recording.library import DayOverview, RecordedRange
from gateway.recording.plans import MAX_POST, MAX_PRE
from gateway.recording.status import ChannelStatus, DiskStatus, Phase
from gateway.sharing.policy.window import MAX_WINDOWS

__all__ = [
    "ClipOut",
    "ClipQuery",
    "DayList",
    "DayOut",
    "DayQuery",
    "EventIn",
    "FileQuery",
    "LockIn",
    "PlanIn",
    "PlanList",
    "PlanOut",
    "RangeList",
    "RangeQuery",
    "RecordStatusList",
    "RecordStatusOut",
    "RecordedChannelList",
    "RecordedChannelOut",
    "RecordingList",
    "RecordingOut",
    "recording_list",
]


def _plus(value: object) -> object:
    # In a query string an unescaped plus is a space: 2026-11-21T18:00:00+08:00.
    return value.replace(" ", "+") if isinstance(value, str) and "T" in value else value


def _this_age(value: datetime) -> datetime:
    # What is counted from it must stay a date.
    if not 2000 <= value.year <= 2200:
        raise ValueError("expected a time between the years 2000 and 2200")
    return value


Instant = Annotated[AwareDatetime, AfterValidator(_this_age)]
Moment = Annotated[Instant, BeforeValidator(_plus)]
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2200, 12, 31)


class RangeQuery(InModel):
    """Which time."""

    begin: Moment | None = Field(default=None, alias="from")
    """Default: 24 hours before `to`."""
    end: Moment | None = Field(default=None, alias="to")
    """Default: now."""


class FileQuery(PageQuery):
    """Which files."""

    device_id: str = Field(max_length=64)
    channel_id: str = Field(max_length=64)
    begin: Moment | None = Field(default=None, alias="from")
    end: Moment | None = Field(default=None, alias="to")


class DayQuery(InModel):
    """Which days."""

    first: date = Field(alias="from", ge=_FIRST_DAY, le=_LAST_DAY)
    last: date = Field(alias="to", ge=_FIRST_DAY, le=_LAST_DAY)
    """Included; 62 days at most."""
    zone: str = Field(default="Asia/Shanghai", max_length=64)
    """Time zone (IANA) in which days begin."""


class ClipQuery(InModel):
    """What is to be played or taken away."""

    start: Moment
    """Begins at the key frame at or before it, or where something is recorded next."""
    end: Moment | None = None
    """Default: as far as it goes, 24 hours at most."""


class RecordingOut(OutModel):
    """One file."""

    file_id: str
    device_id: str
    channel_id: str
    stream: int
    begin: datetime
    end: datetime
    """Of an open file: as far as it is on disk."""
    seconds: float
    bytes: int
    locked: bool
    state: RecordState
    cause: Text
    """`always`, `weekly`, `manual`, `alarm:METHOD/TYPE`."""
    mime: str
    """RFC 6381 codecs."""
    dropped: int
    """Pictures lost because the disk was too slow."""
    sha256: str
    """Of the file at `files/{file_id}.mp4`, hex; empty until it was worked out after closing."""


class RecordingList(OutModel):
    """Files in the order of their begin."""

    items: list[RecordingOut]
    more: bool
    """Whether there are more behind this page."""


class RangeOut(OutModel):
    """A stretch of time."""

    begin: datetime
    end: datetime
    cause: Text
    locked: bool


class GapOut(OutModel):
    """A stretch of time in which nothing was recorded."""

    begin: datetime
    end: datetime


class RangeList(OutModel):
    """What was recorded in a time, for a bar: files without a gap and of one cause are one."""

    begin: datetime
    end: datetime
    items: list[RangeOut]
    gaps: list[GapOut]
    seconds: float
    """Recorded in all."""

    @classmethod
    def of(cls, begin: datetime, end: datetime, ranges: Sequence[RecordedRange]) -> Self:
        """Return the answer."""
        gaps, at = [], begin
        for item in ranges:
            if (item.begin - at).total_seconds() > 1:
                gaps.append(GapOut(begin=at, end=item.begin))
            at = max(at, item.end)
        if (end - at).total_seconds() > 1:
            gaps.append(GapOut(begin=at, end=end))
        seconds = sum((item.end - item.begin).total_seconds() for item in ranges)
        items = [RangeOut.model_validate(item) for item in ranges]
        return cls(begin=begin, end=end, items=items, gaps=gaps, seconds=seconds)


class DayOut(OutModel):
    """One day of a calendar."""

    day: date
    seconds: float
    events: bool
    """Whether an alarm or a command is among the causes."""
    locked: bool


class DayList(OutModel):
    """Days on which something was recorded."""

    items: list[DayOut]

    @classmethod
    def of(cls, days: Sequence[DayOverview]) -> Self:
        """Return the answer."""
        return cls(items=[DayOut.model_validate(day) for day in days])


class PartOut(OutModel):
    """A stretch of a clip without a gap."""

    begin: datetime
    end: datetime
    at: float
    """Seconds from the begin of the clip at which it plays."""


class ClipOut(OutModel):
    """What a clip shows: parts play one behind the other without a pause, whatever lies between."""

    begin: datetime
    end: datetime
    seconds: float
    """How long it plays."""
    parts: list[PartOut]
    bytes: int
    mime: str
    """For `MediaSource`: `video/mp4; codecs="..."`."""
    next: datetime | None
    """Where recordings go on that cannot be joined to these (other codec or picture size): play from there."""
    url: str
    """Of the clip, path and query."""
    download_url: str

    @classmethod
    def of(cls, clip: Clip, url: str, download_url: str) -> Self:
        """Return the answer."""
        last = clip.parts[-1]
        return cls(
            begin=clip.parts[0].begin,
            end=last.end,
            seconds=last.at + (last.end - last.begin).total_seconds(),
            parts=[PartOut.model_validate(part) for part in clip.parts],
            bytes=clip.size,
            mime=f'video/mp4; codecs="{clip.mime}"' if clip.mime else "video/mp4",
            next=clip.next,
            url=url,
            download_url=download_url,
        )


class RecordedChannelOut(OutModel):
    """What is kept of one channel."""

    device_id: str
    channel_id: str
    name: Text
    files: int
    bytes: int
    begin: datetime
    end: datetime


class RecordedChannelList(OutModel):
    """Channels of which something is kept."""

    items: list[RecordedChannelOut]
    total: int


class LockIn(InModel):
    """Which time is to be locked or unlocked: all files that overlap it."""

    start: Instant
    end: Instant


class PlanIn(InModel):
    """What is to be recorded of a channel."""

    mode: RecordMode = Field(strict=False)
    windows: list[str] = Field(default=[], max_length=MAX_WINDOWS)
    """Of mode `weekly`: `Mon-Fri 08:00-18:00`, `daily 22:00-06:00`."""
    zone: str = Field(default="Asia/Shanghai", max_length=64)
    """Time zone (IANA) the windows are read in."""
    stream: int = Field(default=0, ge=0, le=1)
    """0 main stream, 1 first sub stream."""
    keep_days: int | None = Field(default=None, ge=0, le=36_500)
    """Days for which files are kept; 0: until the space is needed; null: as configured."""
    pre_seconds: float | None = Field(default=None, ge=0, le=MAX_PRE)
    """Of mode `event`: seconds before an event; above 0 the camera sends all the time."""
    post_seconds: float | None = Field(default=None, ge=0, le=MAX_POST)
    """Of mode `event`: seconds after the last alarm."""

    def plan(self, device_id: str, channel_id: str) -> RecordPlan:
        """Return the domain's value."""
        return RecordPlan(
            device_id=device_id,
            channel_id=channel_id,
            mode=self.mode,
            windows=tuple(self.windows),
            zone=self.zone,
            stream=self.stream,
            keep_days=self.keep_days,
            pre_seconds=self.pre_seconds,
            post_seconds=self.post_seconds,
        )


class PlanOut(OutModel):
    """What is to be recorded of a channel."""

    device_id: str
    channel_id: str
    mode: RecordMode
    windows: list[str]
    zone: str
    stream: int
    keep_days: int | None
    pre_seconds: float | None
    post_seconds: float | None


class PlanList(OutModel):
    """All plans."""

    items: list[PlanOut]
    total: int


class EventIn(InModel):
    """A command to record now."""

    seconds: float | None = Field(default=None, gt=0, le=MAX_EVENT)
    """How long; null: as after an alarm. A running event is made longer, never shorter."""


class DiskOut(OutModel):
    """The disk of the recordings."""

    state: str
    """`ok`, `disk_full`, `disk_failed`: then nothing is recorded until it works again."""
    since: datetime
    detail: str
    total: int
    free: int
    recorded: int
    """Bytes of all recordings."""
    removed: int
    """Files retention deleted since the start."""


class RecordStatusOut(OutModel):
    """How the recording of a channel goes."""

    device_id: str
    channel_id: str
    phase: Phase
    since: datetime
    reason: str
    detail: Text
    tries: int
    """That failed since the last picture."""
    next_try: datetime | None
    event_until: datetime | None
    dropped: int
    plan: PlanOut | None
    file: RecordingOut | None
    """What is being written."""

    @classmethod
    def of(cls, status: ChannelStatus) -> Self:
        """Return the answer."""
        return cls.model_validate(status)


class RecordStatusList(OutModel):
    """All channels with a plan or an event, and the disk."""

    items: list[RecordStatusOut]
    total: int
    disk: DiskOut

    @classmethod
    def of(cls, found: Sequence[ChannelStatus], total: int, disk: DiskStatus) -> Self:
        """Return the answer."""
        items = [RecordStatusOut.of(status) for status in found]
        return cls(items=items, total=total, disk=DiskOut.model_validate(disk))


def recording_list(files: Sequence[RecordFile], *, more: bool) -> RecordingList:
    """Return the answer."""
    return RecordingList(items=[RecordingOut.model_validate(file) for file in files], more=more)
