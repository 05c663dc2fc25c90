"""Channels re-published to media servers elsewhere."""

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.source import shown_url

__all__ = [
    "Push",
    "PushConfig",
    "PushEvents",
    "PushKind",
    "PushMedia",
    "PushSpec",
    "PushState",
    "PushStatus",
    "shown_target",
]


def shown_target(url: str) -> str:
    """Return a target's URL that can be shown: the last part of an RTMP path is its stream key."""
    shown = shown_url(url)
    if not shown.lower().startswith("rtmp"):
        return shown
    head, _, key = shown.rpartition("/")
    return f"{head}/***" if key and head.count("/") >= 2 else shown


class PushKind(enum.StrEnum):
    """Protocols a target may speak; the scheme of its URL."""

    RTMP = "rtmp"
    RTMPS = "rtmps"
    RTSP = "rtsp"
    RTSPS = "rtsps"
    SRT = "srt"


class PushState(enum.StrEnum):
    """How a push is now."""

    DISABLED = "disabled"
    STARTING = "starting"
    """The camera is asked, or the target connected to."""
    RUNNING = "running"
    WAITING = "waiting"
    """It failed or ended; the next try is scheduled."""
    DENIED = "denied"
    """The sharing policy does not allow it; asked again when that changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """One channel and where it goes."""

    push_id: str
    device_id: str
    channel_id: str
    url: str = field(repr=False)
    """May hold a password or stream key, so only `shown_target` of it is ever shown or logged."""
    name: str = ""
    stream: int = 0
    """0 main, 1 first sub stream."""
    department: str = ""
    """Who receives it: what the policy allows this department decides. Empty: a server of our own domain."""
    enabled: bool = True
    tls_verify: bool = True
    """Whether a target by TLS must show a certificate that is trusted here."""
    owner: str = ""
    """Who set it up."""
    created_at: datetime

    @property
    def kind(self) -> PushKind:
        """What the target speaks."""
        return PushKind(self.url.partition(":")[0].lower())


@dataclass(slots=True, kw_only=True)
class PushStatus:
    """How a push is, and since when."""

    state: PushState
    since: datetime
    reason: str = ""
    """Stable word of the last failure: an `EndReason`, a reason of the policy, `push_refused`, `push_lost`,
    `push_timeout`, `too_slow`; empty once it runs."""
    detail: str = ""
    """A sentence for people."""
    tries: int = 0
    """Failures in a row."""
    next_try_at: datetime | None = None
    bytes: int = 0
    """Handed to the target since it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSpec:
    """What the media plane must know."""

    push_id: str
    kind: PushKind
    url: str = field(repr=False)
    connect_timeout: float
    """Seconds until the target must have taken the stream."""
    tls_verify: bool = True
    """Whether a target by TLS must show a certificate that is trusted here."""


class PushEvents(Protocol):
    """What the owner of a push is told; called on the loop, must not block or raise."""

    def push_connected(self) -> None:
        """The target takes the stream."""

    def push_ended(self, code: str, detail: str) -> None:
        """It is over; once, also after `close`.

        Args:
            code: `push_refused`, `push_timeout`, `push_lost`, `too_slow`, or the end of the stream.
            detail: A sentence for people, without the target's secrets.
        """


class Push(Protocol):
    """A running push; it counts as a viewer of its stream."""

    @property
    def sent(self) -> int:
        """Bytes handed to the target."""

    def close(self, code: str, detail: str) -> None:
        """End it in good order; `push_ended` follows. Idempotent."""


class PushMedia(Protocol):
    """The media plane's part."""

    def missing(self, kind: PushKind) -> str | None:
        """Return what this machine lacks for a kind of target, None if nothing."""

    def push(self, stream_id: str, spec: PushSpec, events: PushEvents) -> Push:
        """Begin to send a stream to a target.

        Raises:
            NotFound: no such stream.
            Unavailable: `too_many_viewers`.
        """
