"""How the recording of a channel goes."""

import enum
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.recording import RecordFile, RecordPlan

__all__ = ["ChannelStatus", "DiskStatus", "Phase"]


class Phase(enum.StrEnum):
    """What a channel's recording is about."""

    OFF = "off"
    WAITING = "waiting"
    """Nothing is to be recorded now: outside the windows, no event."""
    ARMED = "armed"
    """The last seconds are kept in memory, in case of an event."""
    STARTING = "starting"
    RECORDING = "recording"
    RETRYING = "retrying"
    """There is no stream; it is asked for again."""
    OFFLINE = "offline"
    """The same, because the device is offline."""
    DISK_FULL = "disk_full"
    """The disk takes no more; goes on by itself when there is room."""
    DISK_FAILED = "disk_failed"
    """The disk fails; goes on by itself when it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """One channel."""

    device_id: str
    channel_id: str
    phase: Phase
    since: datetime
    reason: str = ""
    """Stable word: an end of the stream, `device_offline`, `disk_full`, ..."""
    detail: str = ""
    """A sentence for people."""
    tries: int = 0
    """That failed since the last picture."""
    next_try: datetime | None = None
    plan: RecordPlan | None = None
    event_until: datetime | None = None
    """Until when an event is recorded."""
    file: RecordFile | None = None
    """What is being written."""
    dropped: int = 0
    """Pictures lost because the disk was too slow, since the recording began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """The disk of the recordings."""

    state: str
    """`ok`, `disk_full`, `disk_failed`."""
    since: datetime
    detail: str = ""
    total: int = 0
    """Bytes; 0 while it was not looked at."""
    free: int = 0
    recorded: int = 0
    """Bytes of all recordings."""
    removed: int = 0
    """Files that retention deleted since the start."""
