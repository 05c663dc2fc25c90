"""The canonical line of a session that has ended, and its place in the device's timeline."""

import structlog

from gateway.domain.device import TimelineKind
from gateway.domain.session import SessionRecord
from gateway.sessions.ports import DeviceDirectory

__all__ = ["report_end"]

log = structlog.get_logger()


def report_end(record: SessionRecord, devices: DeviceDirectory) -> None:
    """Log a session's end; failures are noted with the device."""
    ended = record.ended
    assert ended is not None
    emit = log.warning if ended.reason.is_failure else log.info
    emit(
        "session_ended",
        session_id=record.session_id,
        device_id=record.device_id,
        channel_id=record.channel_id,
        reason=ended.reason.value,
        detail=ended.detail,
        sip_status=ended.sip_status,
        stage=record.stage_reached.value,
        stages={stage.value: round(at, 3) for stage, at in record.stages.items()},
        transport=record.transport,
        call_id=record.call_id,
    )
    if ended.reason.is_failure:
        devices.note(
            record.device_id,
            TimelineKind.SESSION_ENDED,
            f"{record.channel_id}: {ended.reason.value} after {record.stage_reached.value}: "
            f"{ended.detail}",
        )
