"""Bodies about everything at a glance."""

from datetime import datetime
from typing import Literal

from gateway.http.schemas.base import OutModel, Text
from gateway.http.schemas.system import DeviceCounts, PortCounts, SessionCounts

__all__ = ["AffectedOut", "DiskOut", "OverviewOut", "PlatformCounts", "TroubleGroupOut"]


class AffectedOut(OutModel):
    """Somebody or something that a trouble is about."""

    kind: Literal["device", "channel", "platform", "stranger", "part"]
    id: Text
    """Device id, `device/channel`, platform id, or the part of the gateway."""
    name: Text
    since: datetime | None
    session_id: Text | None
    """The session to look at."""


class TroubleGroupOut(OutModel):
    """All that is wrong for one reason."""

    severity: Literal["info", "warning", "error"]
    """`error`: the gateway itself cannot do its work; `info`: perhaps nothing is."""
    topic: Literal["gateway", "devices", "sessions", "sharing"]
    code: Text
    since: datetime | None
    """The earliest of them."""
    count: int
    detail: Text
    affected: list[AffectedOut]
    """The latest few."""


class DiskOut(OutModel):
    """Space where the gateway keeps its data; bytes."""

    total: int
    free: int


class PlatformCounts(OutModel):
    """Upper platforms."""

    total: int
    online: int


class OverviewOut(OutModel):
    """Everything at a glance; people of other departments get counts of what they may see."""

    state: Literal["ok", "warning", "error"]
    version: Text
    now: datetime
    started_at: datetime | None
    devices: DeviceCounts
    channels: int
    streams: int
    viewers: int
    sessions: SessionCounts
    ports: PortCounts | None
    platforms: PlatformCounts | None
    disk: DiskOut | None
    """Null until it was looked at, or if it cannot be."""
    troubles: list[TroubleGroupOut]
    """Most urgent first."""
