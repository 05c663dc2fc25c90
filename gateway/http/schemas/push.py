"""Bodies of push targets."""

from datetime import datetime
from typing import Self

from pydantic import Field

from gateway.domain.push import PushConfig, PushState, PushStatus, shown_target
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text

__all__ = ["PushChange", "PushIn", "PushList", "PushOut", "PushQuery"]

_URL = Field(min_length=8, max_length=2048)
_NAME = Field(default="", max_length=100)


class PushIn(InModel):
    """A channel and where it goes."""

    device_id: str = Field(min_length=1, max_length=64)
    channel_id: str = Field(min_length=1, max_length=64)
    url: str = _URL
    """`rtmp://host/app/name`, `rtsp://host/path` (`rtmps`, `rtsps`: by TLS) or `srt://host:port`, with user, password or
    key as the target wants them; kept sealed and never shown whole. Of `rtmps` without user and password, and of `rtmps`
    and `srt` up to 900 bytes: what is secret must not be seen among the arguments of the program that sends."""
    name: str = _NAME
    """For people."""
    stream: int = Field(default=0, ge=0, le=1)
    """0 main, 1 first sub stream."""
    department: str = Field(default="", max_length=64)
    """Who receives it: the policy then decides as for this department. Empty: a server of our own domain."""
    enabled: bool = True
    tls_verify: bool = True
    """Whether a target by TLS must show a certificate of an authority that is trusted here."""


class PushChange(InModel):
    """What is to be changed; the rest stays."""

    url: str | None = Field(default=None, min_length=8, max_length=2048)
    name: str | None = Field(default=None, max_length=100)
    stream: int | None = Field(default=None, ge=0, le=1)
    department: str | None = Field(default=None, max_length=64)
    enabled: bool | None = None
    tls_verify: bool | None = None


class PushQuery(PageQuery):
    """Which ones."""

    device_id: str | None = Field(default=None, max_length=64)
    channel_id: str | None = Field(default=None, max_length=64)


class PushOut(OutModel):
    """A push, and how it is now."""

    push_id: str
    device_id: Text
    channel_id: Text
    kind: str
    """`rtmp`, `rtmps`, `rtsp`, `rtsps` or `srt`."""
    target: Text
    """The URL without user, password, query and stream key."""
    name: Text
    stream: int
    department: Text
    enabled: bool
    tls_verify: bool
    owner: Text
    created_at: datetime
    state: PushState
    since: datetime
    """Since when it is in this state."""
    reason: str
    """Stable word of the last failure; empty if there is none."""
    detail: Text
    tries: int
    """Failures in a row."""
    next_try_at: datetime | None
    bytes: int
    """Handed to the target since it runs."""

    @classmethod
    def of(cls, config: PushConfig, status: PushStatus) -> Self:
        """Return one as it is shown."""
        return cls(
            push_id=config.push_id,
            device_id=config.device_id,
            channel_id=config.channel_id,
            kind=config.kind.value,
            target=shown_target(config.url),
            name=config.name,
            stream=config.stream,
            department=config.department,
            enabled=config.enabled,
            tls_verify=config.tls_verify,
            owner=config.owner,
            created_at=config.created_at,
            state=status.state,
            since=status.since,
            reason=status.reason,
            detail=status.detail,
            tries=status.tries,
            next_try_at=status.next_try_at,
            bytes=status.bytes,
        )


class PushList(OutModel):
    """Pushes."""

    items: list[PushOut]
    total: int
