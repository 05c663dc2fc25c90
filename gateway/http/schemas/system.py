"""Bodies about the gateway itself."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from gateway.http.schemas.base import InModel, OutModel, Text
from gateway.http.schemas.session import SessionOut

__all__ = [
    "CauseOut",
    "DeviceCounts",
    "DiagnosisOut",
    "ExplainIn",
    "ListenerOut",
    "PortCounts",
    "SessionCounts",
    "StatusOut",
    "StoreOut",
    "TroubleOut",
    "Words",
]


class Words(OutModel):
    """A sentence in both languages."""

    zh: str
    en: str


class CauseOut(OutModel):
    """A likely cause and what to do about it."""

    cause: Words
    remedy: Words


class DiagnosisOut(OutModel):
    """Why a session did not give a picture."""

    session: SessionOut
    failed_stage: Text | None
    """The stage that was not reached; null if nothing failed."""
    summary: Words
    observations: list[Words]
    """Facts of this session that point somewhere."""
    causes: list[CauseOut]
    """Most likely first."""


class ExplainIn(InModel):
    """Which session to explain."""

    session_id: str | None = Field(default=None, max_length=64)
    """Null is the latest failed one."""


class DeviceCounts(OutModel):
    """Devices by presence."""

    total: int
    online: int
    offline: int


class SessionCounts(OutModel):
    """Sessions now and lately."""

    running: int
    starting: int
    failed_last_hour: int


class PortCounts(OutModel):
    """RTP port pairs."""

    leased: int
    draining: int
    total: int


class StoreOut(OutModel):
    """Whether what must be kept is kept."""

    ok: bool
    detail: Text
    since: datetime | None
    pending: int
    dropped: int


class ListenerOut(OutModel):
    """Where SIP is listened for."""

    transport: Text
    host: Text
    port: int


class TroubleOut(OutModel):
    """One thing that is wrong, and since when."""

    severity: Literal["warning", "error"]
    """`error`: the gateway itself cannot do its work."""
    code: Text
    subject: Text
    """Device, channel or part it is about; empty: the gateway."""
    since: datetime | None
    count: int
    detail: Text


class StatusOut(OutModel):
    """What an operator reads first."""

    state: Literal["ok", "warning", "error"]
    version: Text
    started_at: datetime
    now: datetime
    sip: list[ListenerOut]
    devices: DeviceCounts
    channels: int
    sessions: SessionCounts
    streams: int
    viewers: int
    ports: PortCounts
    store: StoreOut
    troubles: list[TroubleOut]
    """Most urgent first; offline devices are cut off at 100."""
