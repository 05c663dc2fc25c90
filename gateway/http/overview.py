"""Everything at a glance, for the first page of the console: counts, and what is wrong grouped by reason."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import nlargest
from typing import Literal

from aiohttp import web

from gateway.domain.device import Device, OfflineReason
from gateway.domain.platform import LinkState
from gateway.domain.session import SessionRecord, SessionState
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.principal import Principal, context_of, principal_of
from gateway.http.report import failed_lately, machine_troubles, stranger_troubles
from gateway.http.report_sharing import sharing_troubles
from gateway.http.route import Access, Route, json_answer
from gateway.http.schemas.overview import (
    AffectedOut,
    DiskOut,
    OverviewOut,
    PlatformCounts,
    TroubleGroupOut,
)
from gateway.http.schemas.system import DeviceCounts, PortCounts, SessionCounts, TroubleOut
from gateway.http.visible import SeenChannel, VisibleChannels

__all__ = ["AFFECTED", "DISK_FULL", "DISK_LOW", "OverviewApi"]

AFFECTED = 5
"""Devices, channels or sessions named in one group."""
DISK_LOW = 0.1
"""Free share of the disk below which somebody should look at it."""
DISK_FULL = 0.02
"""Free share below which writes are about to fail."""
_DISK_EVERY = 10.0
"""Seconds between two looks at the disk: a network disk may hang."""
_URGENCY = {"error": 0, "warning": 1, "info": 2}


class OverviewApi:
    """Handler of `/api/v1/overview`.

    Args:
        deps: What the handlers work with.
        options: Values.
        visible: What people outside see.
    """

    def __init__(self, deps: HttpDeps, options: HttpOptions, visible: VisibleChannels) -> None:
        self._deps = deps
        self._options = options
        self._visible = visible
        self._disk: DiskOut | None = None
        self._disk_at = -_DISK_EVERY
        self._looking = asyncio.Lock()

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path="/api/v1/overview",
                handler=self.overview,
                name="get_overview",
                summary="Counts, and what is wrong and since when, grouped by reason",
                tag="system",
                access=Access.CATALOG,
                answer=OverviewOut,
            ),
        )

    async def overview(self, request: web.Request) -> web.Response:
        """Answer GET overview."""
        principal = principal_of(request)
        if not principal.is_local:
            return json_answer(await self._outside(request, principal))
        await self._look_at_disk()
        return json_answer(self._inside())

    async def _outside(self, request: web.Request, principal: Principal) -> OverviewOut:
        context = context_of(principal, self._deps.wall, request)
        seen = await self._visible.channels(principal.subject, context)
        devices = {item.device.device_id: item.device for item in seen}
        own = _running_of(seen, self._deps.sessions.sessions())
        return OverviewOut(
            state="ok",
            version=self._deps.version,
            now=self._deps.wall(),
            started_at=None,
            devices=_device_counts(devices.values()),
            channels=len(seen),
            streams=own,
            viewers=0,
            sessions=SessionCounts(running=own, starting=0, failed_last_hour=0),
            ports=None,
            platforms=None,
            disk=None,
            troubles=[],
        )

    def _inside(self) -> OverviewOut:
        deps, now = self._deps, self._deps.wall()
        total, online, channels = deps.devices.counts()
        records = deps.sessions.sessions()
        streams = deps.media.streams()
        leased, draining, pairs = deps.media.ports_in_use()
        failed = [record for record in records if failed_lately(record, now)]
        troubles = [
            *_disk_troubles(self._disk),
            *map(_gateway_group, machine_troubles(deps)),
            *_sharing_groups(sharing_troubles(deps.sharing, now), self._platform_names()),
            *_stranger_group(stranger_troubles(deps, now)),
            *_offline_groups(deps.devices.devices() if online < total else ()),
            *self._failed_groups(failed),
        ]
        # Stable: within one urgency as listed here, the gateway's own first.
        troubles.sort(key=lambda group: _URGENCY[group.severity])
        urgent = {group.severity for group in troubles}
        return OverviewOut(
            state="error" if "error" in urgent else "warning" if "warning" in urgent else "ok",
            version=deps.version,
            now=now,
            started_at=deps.started_at,
            devices=DeviceCounts(total=total, online=online, offline=total - online),
            channels=channels,
            streams=len(streams),
            viewers=sum(sum(stream.viewers.values()) for stream in streams),
            sessions=SessionCounts(
                running=sum(record.state is SessionState.RUNNING for record in records),
                starting=sum(
                    record.state in {SessionState.IDLE, SessionState.INVITING} for record in records
                ),
                failed_last_hour=len(failed),
            ),
            ports=PortCounts(leased=leased, draining=draining, total=pairs),
            platforms=self._platforms(),
            disk=self._disk,
            troubles=troubles,
        )

    def _platforms(self) -> PlatformCounts:
        sharing = self._deps.sharing
        states = [
            sharing.links.status(config.platform_id).state for config in sharing.platforms.list()
        ]
        wanted = [state for state in states if state is not LinkState.DISABLED]
        return PlatformCounts(
            total=len(wanted), online=sum(state is LinkState.ONLINE for state in wanted)
        )

    def _platform_names(self) -> dict[str, str]:
        return {item.platform_id: item.name for item in self._deps.sharing.platforms.list()}

    def _failed_groups(self, failed: Iterable[SessionRecord]) -> Iterator[TroubleGroupOut]:
        groups: dict[str, list[SessionRecord]] = defaultdict(list)
        for record in failed:
            if record.ended is not None:
                groups[record.ended.reason.value].append(record)
        for code, records in sorted(groups.items(), key=lambda item: -len(item[1])):
            latest = nlargest(AFFECTED, records, key=_over_at)
            ended = latest[0].ended
            yield TroubleGroupOut(
                severity="warning",
                topic="sessions",
                code=code,
                since=min(record.created_at for record in records),
                count=len(records),
                detail=ended.detail if ended else "",
                affected=[
                    AffectedOut(
                        kind="channel",
                        id=f"{record.device_id}/{record.channel_id}",
                        name=self._name(record),
                        since=record.ended_at or record.created_at,
                        session_id=record.session_id,
                    )
                    for record in latest
                ],
            )

    def _name(self, record: SessionRecord) -> str:
        channel = self._deps.devices.channel(record.device_id, record.channel_id)
        return channel.name if channel else ""

    async def _look_at_disk(self) -> None:
        # Whoever comes meanwhile gets the figure from before.
        if self._looking.locked() or self._deps.now() - self._disk_at < _DISK_EVERY:
            return
        async with self._looking:
            self._disk_at = self._deps.now()
            try:
                usage = await asyncio.to_thread(shutil.disk_usage, self._options.data_dir)
            except OSError:
                self._disk = None
            else:
                self._disk = DiskOut(total=usage.total, free=usage.free)


def _running_of(seen: Iterable[SeenChannel], records: Iterable[SessionRecord]) -> int:
    running = {
        (record.device_id, record.channel_id)
        for record in records
        if record.state is SessionState.RUNNING
    }
    if not running:
        return 0
    return sum((item.channel.device_id, item.channel.channel_id) in running for item in seen)


def _device_counts(devices: Iterable[Device]) -> DeviceCounts:
    states = [device.online for device in devices]
    return DeviceCounts(total=len(states), online=sum(states), offline=len(states) - sum(states))


def _disk_troubles(disk: DiskOut | None) -> Iterator[TroubleGroupOut]:
    if disk is None or disk.total <= 0 or disk.free >= disk.total * DISK_LOW:
        return
    full = disk.free < disk.total * DISK_FULL
    yield _gateway_group(
        TroubleOut(
            severity="error" if full else "warning",
            code="disk_full" if full else "disk_low",
            subject="disk",
            since=None,
            count=1,
            detail=f"{disk.free} of {disk.total} bytes are free",
        )
    )


def _part_group(trouble: TroubleOut, topic: Literal["gateway", "sharing"]) -> TroubleGroupOut:
    part = AffectedOut(
        kind="part", id=trouble.subject, name="", since=trouble.since, session_id=None
    )
    return TroubleGroupOut(
        severity=trouble.severity,
        topic=topic,
        code=trouble.code,
        since=trouble.since,
        count=trouble.count,
        detail=trouble.detail,
        affected=[part] if trouble.subject else [],
    )


def _gateway_group(trouble: TroubleOut) -> TroubleGroupOut:
    return _part_group(trouble, "gateway")


def _sharing_groups(
    troubles: Iterable[TroubleOut], names: Mapping[str, str]
) -> Iterator[TroubleGroupOut]:
    """Name all platforms that are away in one group; `names` are those of the platforms."""
    away = []
    for trouble in troubles:
        if trouble.subject in names:
            away.append(trouble)
        else:
            yield _part_group(trouble, "sharing")
    if away:
        yield TroubleGroupOut(
            severity="warning",
            topic="sharing",
            code="platform_offline",
            since=min((item.since for item in away if item.since), default=None),
            count=len(away),
            detail=away[0].detail,
            affected=[
                AffectedOut(
                    kind="platform",
                    id=item.subject,
                    name=names[item.subject],
                    since=item.since,
                    session_id=None,
                )
                for item in away[:AFFECTED]
            ],
        )


def _stranger_group(troubles: Sequence[TroubleOut]) -> Iterator[TroubleGroupOut]:
    if not troubles:
        return
    first = troubles[0]
    yield TroubleGroupOut(
        severity="warning",
        topic="devices",
        code=first.code,
        since=min((item.since for item in troubles if item.since), default=None),
        count=len(troubles),
        detail=first.detail,
        affected=[
            AffectedOut(
                kind="stranger", id=item.subject, name="", since=item.since, session_id=None
            )
            for item in troubles[:AFFECTED]
        ],
    )


def _offline_groups(devices: Iterable[Device]) -> Iterator[TroubleGroupOut]:
    groups: dict[OfflineReason | None, list[Device]] = defaultdict(list)
    for device in devices:
        if not device.online:
            groups[device.offline_reason].append(device)
    for reason, gone in sorted(groups.items(), key=lambda item: -len(item[1])):
        since = [device.status_since for device in gone if device.status_since]
        never = reason is OfflineReason.NEVER_REGISTERED
        yield TroubleGroupOut(
            severity="info" if never else "warning",
            topic="devices",
            code=reason.value if reason else "offline",
            since=min(since, default=None),
            count=len(gone),
            detail="",
            affected=[
                AffectedOut(
                    kind="device",
                    id=device.device_id,
                    name=device.name,
                    since=device.status_since,
                    session_id=None,
                )
                for device in nlargest(AFFECTED, gone, key=_gone_at)
            ],
        )


def _gone_at(device: Device) -> float:
    return device.status_since.timestamp() if device.status_since else 0.0


def _over_at(record: SessionRecord) -> datetime:
    return record.ended_at or record.created_at
