"""The status report: counts, what is wrong and since when."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from heapq import nlargest

from gateway.domain.device import Device, OfflineReason
from gateway.domain.session import SessionRecord, SessionState
from gateway.domain.store import StoreHealth
from gateway.http.deps import HttpDeps
from gateway.http.report_sharing import sharing_troubles
from gateway.http.schemas.system import (
    DeviceCounts,
    ListenerOut,
    PortCounts,
    SessionCounts,
    StatusOut,
    StoreOut,
    TroubleOut,
)

__all__ = ["MAX_OFFLINE", "failed_lately", "machine_troubles", "status_report", "stranger_troubles"]

MAX_OFFLINE = 100
"""Offline devices named one by one."""
LATELY = timedelta(hours=1)
PORTS_LOW = 0.9
"""Share of port pairs in use from which on a warning is due."""
LOOP_LATE = 0.25
"""Seconds."""


def status_report(deps: HttpDeps) -> StatusOut:
    """Look at everything once."""
    now = deps.wall()
    total, online, channels = deps.devices.counts()
    records = deps.sessions.sessions()
    streams = deps.media.streams()
    leased, draining, pairs = deps.media.ports_in_use()
    health = deps.store_health()
    failed = [record for record in records if failed_lately(record, now)]
    troubles = [
        *machine_troubles(deps),
        *_offline_troubles(deps.devices.devices() if online < total else ()),
        *_session_troubles(failed),
        *stranger_troubles(deps, now),
        *sharing_troubles(deps.sharing, now),
    ]
    severities = {trouble.severity for trouble in troubles}
    return StatusOut(
        state="error" if "error" in severities else "warning" if severities else "ok",
        version=deps.version,
        started_at=deps.started_at,
        now=now,
        sip=[
            ListenerOut(transport=transport, host=host, port=port)
            for transport, host, port in deps.sip_addresses()
        ],
        devices=DeviceCounts(total=total, online=online, offline=total - online),
        channels=channels,
        sessions=SessionCounts(
            running=sum(record.state is SessionState.RUNNING for record in records),
            starting=sum(
                record.state in {SessionState.IDLE, SessionState.INVITING} for record in records
            ),
            failed_last_hour=len(failed),
        ),
        streams=len(streams),
        viewers=sum(sum(stream.viewers.values()) for stream in streams),
        ports=PortCounts(leased=leased, draining=draining, total=pairs),
        store=StoreOut.model_validate(health),
        troubles=troubles,
    )


def machine_troubles(deps: HttpDeps) -> list[TroubleOut]:
    """Return what is wrong with the store, the ports and the event loop."""
    leased, draining, pairs = deps.media.ports_in_use()
    return [
        *_store_troubles(deps.store_health()),
        *_port_troubles(leased, draining, pairs),
        *_loop_troubles(deps.loop_lag()),
    ]


def failed_lately(record: SessionRecord, now: datetime) -> bool:
    """Return whether a session failed within the last hour."""
    if record.ended is None or not record.ended.reason.is_failure:
        return False
    return now - (record.ended_at or record.created_at) <= LATELY


def _store_troubles(health: StoreHealth) -> list[TroubleOut]:
    if health.ok:
        return []
    return [
        TroubleOut(
            severity="error",
            code="store_unavailable",
            subject="store",
            since=health.since,
            count=health.pending,
            detail=f"{health.detail}; {health.pending} writes wait, {health.dropped} were given up",
        )
    ]


def _port_troubles(leased: int, draining: int, pairs: int) -> list[TroubleOut]:
    used = leased + draining
    if not pairs or used < pairs * PORTS_LOW:
        return []
    return [
        TroubleOut(
            severity="error" if used >= pairs else "warning",
            code="rtp_ports_exhausted" if used >= pairs else "rtp_ports_low",
            subject="rtp",
            since=None,
            count=used,
            detail=f"{used} of {pairs} RTP port pairs are in use ({draining} resting); "
            "widen [rtp] port_range",
        )
    ]


def _loop_troubles(lag: float) -> list[TroubleOut]:
    if lag < LOOP_LATE:
        return []
    return [
        TroubleOut(
            severity="warning",
            code="overloaded",
            subject="",
            since=None,
            count=1,
            detail=f"The event loop is {lag:.2f} s late: this machine is too busy",
        )
    ]


def _offline_troubles(devices: Iterable[Device]) -> list[TroubleOut]:
    offline = [
        device
        for device in devices
        if not device.online and device.offline_reason is not OfflineReason.NEVER_REGISTERED
    ]
    # The latest to go is the one somebody is asking about.
    latest = nlargest(MAX_OFFLINE, offline, key=_gone_at)
    return [
        TroubleOut(
            severity="warning",
            code=device.offline_reason.value if device.offline_reason else "offline",
            subject=device.device_id,
            since=device.status_since,
            count=1,
            detail=f"{device.name or 'Device'} is offline",
        )
        for device in latest
    ]


def _gone_at(device: Device) -> float:
    return device.status_since.timestamp() if device.status_since else 0.0


def _session_troubles(failed: list[SessionRecord]) -> list[TroubleOut]:
    groups: dict[str, list[SessionRecord]] = defaultdict(list)
    for record in failed:
        assert record.ended is not None
        groups[record.ended.reason.value].append(record)
    troubles = []
    for reason, records in sorted(groups.items(), key=lambda item: -len(item[1])):
        latest = max(records, key=lambda record: record.ended_at or record.created_at)
        earliest = min(records, key=lambda record: record.created_at)
        assert latest.ended is not None
        troubles.append(
            TroubleOut(
                severity="warning",
                code=reason,
                subject=f"{latest.stream_id}" if len(records) == 1 else "sessions",
                since=earliest.created_at,
                count=len(records),
                detail=f"{latest.ended.detail} (session {latest.session_id}, the latest)",
            )
        )
    return troubles


def stranger_troubles(deps: HttpDeps, now: datetime) -> list[TroubleOut]:
    """Return which ids tried to register lately and never did."""
    return [
        TroubleOut(
            severity="warning",
            code="registration_refused",
            subject=device_id,
            since=entry.first_at or entry.at,
            count=entry.count,
            detail=entry.detail,
        )
        for device_id, entry in deps.devices.strangers(limit=10)
        if now - entry.at <= LATELY
    ]
