"""Bodies about streams given to upper platforms."""

from dataclasses import fields
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from gateway.domain.bridge import BridgeRecord
from gateway.http.schemas.base import OutModel, PageQuery, Text

__all__ = ["BridgeList", "BridgeOut", "BridgeQuery"]


class BridgeOut(OutModel):
    """A stream given to an upper platform, or what became of it."""

    bridge_id: Text
    platform_id: Text
    shared_id: Text
    """The channel's code as that platform knows it."""
    device_id: Text
    channel_id: Text
    kind: Text
    created_at: datetime
    session_id: Text
    """The session with the device that feeds it."""
    transport: Text
    """Our own role towards the platform: `udp`, `tcp_passive`, `tcp_active`."""
    ssrc: Text
    remote: Text
    established_after: float | None
    """Seconds from the INVITE to our 200."""
    first_packet_after: float | None
    end: Text | None
    """Why it ended; null while it runs."""
    failure: bool
    """Whether somebody should look into it."""
    status: int | None
    """Status of our answer, if it was a refusal."""
    detail: Text
    ended_at: datetime | None

    @classmethod
    def of(cls, record: BridgeRecord) -> Self:
        """Convert a record."""
        values: dict[str, Any] = {
            item.name: getattr(record, item.name)
            for item in fields(record)
            if item.name != "call_id"
        }
        return cls(**values, failure=record.end is not None and record.end.is_failure)


class BridgeList(OutModel):
    """Streams given to upper platforms: running ones, then ended ones, newest first."""

    items: list[BridgeOut]
    total: int


class BridgeQuery(PageQuery):
    """Which streams."""

    platform_id: str | None = Field(default=None, max_length=20)
    device_id: str | None = Field(default=None, max_length=64)
    state: Literal["running", "ended", "failed"] | None = None
