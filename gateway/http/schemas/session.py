"""Bodies about sessions and streams."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from gateway.domain.session import Ended, SessionRecord
from gateway.http.schemas.base import OutModel, PageQuery, Text

__all__ = [
    "EndedOut",
    "SessionList",
    "SessionOut",
    "SessionQuery",
    "SsrcOut",
    "StreamList",
    "StreamOut",
    "TrackOut",
]


class SsrcOut(OutModel):
    """SSRC values as ten digits; disagreement explains many black pictures."""

    offered: Text | None
    answered: Text | None
    received: Text | None


class EndedOut(OutModel):
    """Why a session ended."""

    reason: Text
    detail: Text
    sip_status: int | None
    failure: bool
    """Whether somebody should look into it."""

    @classmethod
    def of(cls, ended: Ended) -> Self:
        """Convert an end."""
        return cls(
            reason=ended.reason.value,
            detail=ended.detail,
            sip_status=ended.sip_status,
            failure=ended.reason.is_failure,
        )


class SessionOut(OutModel):
    """One session's diagnosis."""

    session_id: Text
    kind: Text
    device_id: Text
    channel_id: Text
    stream: int
    """0 the main stream, 1 the first sub stream."""
    transport: Text
    foreign: bool
    """Media comes from a foreign source: there is no INVITE, no port and no SSRC."""
    state: Text
    created_at: datetime
    stage: Text
    """The last stage reached."""
    stages: dict[Text, float]
    """Seconds after the request at which each stage was reached."""
    ssrc: SsrcOut
    first_reader: float | None
    """Seconds after the request at which the first viewer was attached."""
    call_id: Text | None
    viewers: int
    remarks: list[Text]
    """Deviations of the device that were tolerated."""
    ended: EndedOut | None
    ended_at: datetime | None

    @classmethod
    def of(cls, record: SessionRecord) -> Self:
        """Convert a record."""
        ended = record.ended
        return cls(
            session_id=record.session_id,
            kind=record.kind.value,
            device_id=record.device_id,
            channel_id=record.channel_id,
            stream=record.stream,
            transport=record.transport,
            foreign=record.foreign,
            state=record.state.value,
            created_at=record.created_at,
            stage=record.stage_reached.value,
            stages={stage.value: round(at, 4) for stage, at in record.stages.items()},
            ssrc=SsrcOut.model_validate(record.ssrc),
            first_reader=record.first_reader,
            call_id=record.call_id,
            viewers=record.viewers,
            remarks=record.remarks,
            ended=EndedOut.of(ended) if ended else None,
            ended_at=record.ended_at,
        )

    def outside(self) -> Self:
        """Return what people outside may know: nothing of the signalling or the device's ways."""
        ended = self.ended and self.ended.model_copy(update={"detail": ""})
        return self.model_copy(
            update={
                "call_id": None,
                "remarks": [],
                "ssrc": SsrcOut(offered=None, answered=None, received=None),
                "ended": ended,
            }
        )


class SessionList(OutModel):
    """A page of sessions: running ones first, then ended ones, newest first."""

    items: list[SessionOut]
    total: int


class TrackOut(OutModel):
    """One track as found in the stream."""

    codec: Text
    width: int | None
    height: int | None
    fps: float | None
    sample_rate: int | None
    channels: int | None
    mime_codec: Text


class StreamOut(OutModel):
    """A running stream and its counters."""

    stream_id: Text
    session_id: Text
    video: TrackOut | None
    audio: TrackOut | None
    source: Text
    payload: Text
    ssrc: Text
    packets: int
    bytes: int
    lost: int
    reordered: int
    discarded: int
    skipped: int
    """Frames that slow viewers lost."""
    remark: Text
    """What is odd about the source; empty if nothing."""
    bitrate_kbps: float
    frames: int
    keyframes: int
    viewers: dict[Text, int]
    started_s: float
    """Seconds since the receiver was opened."""

    def outside(self) -> Self:
        """Return what people outside may know: not where the device is."""
        return self.model_copy(update={"source": "", "remark": "", "ssrc": ""})


class StreamList(OutModel):
    """The running streams."""

    items: list[StreamOut]
    total: int


class SessionQuery(PageQuery):
    """Which sessions."""

    device_id: str | None = Field(default=None, max_length=64)
    channel_id: str | None = Field(default=None, max_length=64)
    state: Literal["running", "ended", "failed"] | None = None
    """`running` is every one that has not ended."""
