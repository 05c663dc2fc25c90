"""Catalogue synchronisation: asks, collects, and hands whole answers to the registry."""

import asyncio
import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.domain.device import CatalogDiff, Device, TimelineKind
from gateway.domain.errors import Conflict, GatewayError, NotFound
from gateway.domain.signalling import Signaller
from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.convert import channels_from_items
from gateway.signalling.pending import PendingAnswers
from gb28181.aio.tasks import TaskScope
from gb28181.errors import LocalProtocolError
from gb28181.flow.catalog import CatalogCollector, CatalogEnd, CatalogResult, Fed
from gb28181.manscdp.response import CatalogResponse

__all__ = ["CatalogSync", "SyncProgress", "SyncState"]

log = structlog.get_logger()

SYNC_WORKERS = 16
"""Devices asked at once after a wave of registrations; more would meet the answers' flood (quirk 76)."""
RETRY_AFTER = (30.0, 120.0, 600.0)
"""Seconds after a failed synchronisation to the next try, while the device stays online."""
SETTLE = 0.2
"""Seconds between a device's going online and the first question to it."""
WORKER_PATIENCE = 10.0
"""Seconds a worker waits for one device's catalogue before it asks the next device."""


class SyncState(enum.StrEnum):
    """How far a synchronisation is."""

    QUEUED = "queued"
    ASKING = "asking"
    RECEIVING = "receiving"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class SyncProgress:
    """The latest synchronisation of one device."""

    device_id: str
    state: SyncState
    started_at: datetime
    sn: int = 0
    received: int = 0
    expected: int | None = None
    """As the device announced; None while unknown."""
    finished_at: datetime | None = None
    detail: str = ""
    diff: CatalogDiff | None = None


class CatalogSync:
    """Keeps the registry's catalogues in step with the devices'.

    Args:
        platform_id: Our own 20-digit id, which is no parent worth showing (quirk 65).
        scope: Owner of the workers.
        now: Monotonic clock in seconds.
        wall: Wall clock, timezone-aware.
        metrics: Counts synchronisations by result.
    """

    def __init__(
        self,
        *,
        registry: DeviceRegistry,
        signaller: Signaller,
        pending: PendingAnswers,
        collector: CatalogCollector,
        platform_id: str,
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._registry = registry
        self._signaller = signaller
        self._pending = pending
        self._collector = collector
        self._platform_id = platform_id
        self._scope = scope
        self._now = now
        self._wall = wall
        self._metrics = metrics
        self._progress: dict[str, SyncProgress] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._due: dict[str, None] = {}
        self._tries: dict[str, int] = {}
        self._not_synced = RateLimitedCounter(log.warning, "catalog_not_synced")
        self._work = asyncio.Event()
        self._timer = asyncio.Event()

    def start(self) -> None:
        """Start working off requests; ends with the scope."""
        self._scope.spawn(self._watch(), name="catalog-timer")
        self._scope.spawn(self._dispatch(), name="catalog-dispatch")

    # Asking

    def request(self, device: Device) -> None:
        """Synchronise soon, in the background; a device already waiting keeps its place.

        The device first gets the answer to its REGISTER, and a moment to take it in.
        """
        if device.local:
            return
        asyncio.get_running_loop().call_later(SETTLE, self._enqueue, device)

    def _enqueue(self, device: Device) -> None:
        if device.device_id not in self._due:
            self._due[device.device_id] = None
            self._begin(device.device_id, SyncState.QUEUED)
            self._work.set()

    async def sync(self, device_id: str) -> SyncProgress:
        """Ask now; return once the device has taken the query.

        Raises:
            NotFound: unknown device.
            Conflict: `device_is_local`.
            Unavailable: offline, unreachable, refusing, or too many are being asked.
        """
        device = self._registry.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id} has ever registered here")
        if device.local:
            raise Conflict(
                "device_is_local", f"{device_id} is part of this gateway; nothing is asked"
            )
        self._due.pop(device_id, None)
        await self._ask(device)
        return self._progress[device_id]

    def progress(self, device_id: str) -> SyncProgress | None:
        """The latest synchronisation of a device, running or ended."""
        progress = self._progress.get(device_id)
        running = self._collector.progress(device_id)
        if progress is not None and running is not None and running.messages:
            progress.state = SyncState.RECEIVING
            progress.received, progress.expected = running.received, running.expected
        return progress

    # What comes in

    def feed(self, device_id: str, response: CatalogResponse) -> None:
        """Take one message of a catalogue answer."""
        fed = self._collector.feed(response, self._now(), device_id=device_id)
        if fed is Fed.COLLECTED:
            self._timer.set()
        else:
            log.debug("catalog_part_ignored", device_id=device_id, sn=response.sn, why=fed.name)

    def device_offline(self, device: Device) -> None:
        """Stop waiting for a device that is gone."""
        self._due.pop(device.device_id, None)
        result = self._collector.cancel(device.device_id)
        if result is not None:
            self._failed(device.device_id, result.detail)

    # Inside

    def _begin(self, device_id: str, state: SyncState) -> SyncProgress:
        progress = SyncProgress(device_id=device_id, state=state, started_at=self._wall())
        self._progress[device_id] = progress
        return progress

    async def _ask(self, device: Device) -> None:
        device_id = device.device_id
        progress = self._begin(device_id, SyncState.ASKING)
        progress.sn = sn = self._pending.next_sn(device_id)
        self._ended[device_id] = asyncio.Event()
        try:
            self._collector.start(device_id, sn, self._now())
            self._timer.set()
            await self._signaller.query_catalog(device, sn)
        except GatewayError as exc:
            self._collector.cancel(device_id)
            self._failed(device_id, exc.detail)
            raise
        except LocalProtocolError as exc:
            self._failed(device_id, str(exc))

    async def _dispatch(self) -> None:
        free = asyncio.Semaphore(SYNC_WORKERS)
        while True:
            await free.acquire()
            while not self._due:
                self._work.clear()
                await self._work.wait()
            device_id = next(iter(self._due))
            del self._due[device_id]
            self._scope.spawn(self._work_off(device_id, free), name=f"catalog:{device_id}")

    async def _work_off(self, device_id: str, free: asyncio.Semaphore) -> None:
        try:
            device = self._registry.get(device_id)
            if device is None or not device.online:
                return
            try:
                await self._ask(device)
            except GatewayError:
                return
            ended = self._ended.get(device_id)
            if ended is not None:
                await _wait(ended, WORKER_PATIENCE)
            # Some refuse it or fall silent (quirk 35): no loss beside the catalogue.
            with contextlib.suppress(GatewayError):
                await self._signaller.query_device_info(device)
        finally:
            free.release()

    async def _watch(self) -> None:
        while True:
            at = self._collector.next_timer()
            wait = None if at is None else max(0.0, at - self._now())
            await _wait(self._timer, wait)
            self._timer.clear()
            for result in self._collector.handle_timer(self._now()):
                self._scope.spawn(self._finish(result), name=f"catalog:{result.device_id}")

    async def _finish(self, result: CatalogResult) -> None:
        device_id = result.device_id
        if result.reason is CatalogEnd.NO_ANSWER:
            self._failed(device_id, result.detail)
            return
        # Ten thousand items take a fifth of a second: not on the loop.
        channels = await asyncio.to_thread(
            channels_from_items, device_id, result.items, platform_id=self._platform_id
        )
        try:
            progress = self._progress.get(device_id)
            diff = await self._registry.replace_catalog(
                device_id,
                channels,
                complete=result.complete,
                since=progress.started_at if progress is not None else None,
            )
        except GatewayError as exc:
            self._failed(device_id, exc.detail)
            return
        progress = self._progress[device_id]
        progress.received, progress.expected = result.received, result.expected
        progress.state = SyncState.DONE
        progress.finished_at = self._wall()
        progress.detail, progress.diff = result.detail, diff
        self._metrics.catalog_syncs.labels(result.reason.value).inc()
        log.info(
            "catalog_synced",
            device_id=device_id,
            channels=diff.total,
            added=len(diff.added),
            removed=len(diff.removed),
            kept_missing=len(diff.kept_missing),
            detail=result.detail,
        )
        self._tries.pop(device_id, None)
        self._release(device_id)

    def _failed(self, device_id: str, detail: str) -> None:
        progress = self._progress.get(device_id) or self._begin(device_id, SyncState.FAILED)
        progress.state = SyncState.FAILED
        progress.detail = detail
        progress.finished_at = self._wall()
        self._metrics.catalog_syncs.labels("failed").inc()
        self._registry.note(device_id, TimelineKind.CATALOG_FAILED, detail)
        self._not_synced.add(device_id=device_id, detail=detail)
        self._release(device_id)
        self._retry(device_id)

    def _retry(self, device_id: str) -> None:
        tries = self._tries.get(device_id, 0)
        device = self._registry.get(device_id)
        if device is None or not device.online or tries >= len(RETRY_AFTER):
            self._tries.pop(device_id, None)
            return
        self._tries[device_id] = tries + 1
        asyncio.get_running_loop().call_later(RETRY_AFTER[tries], self._enqueue, device)

    def _release(self, device_id: str) -> None:
        ended = self._ended.pop(device_id, None)
        if ended is not None:
            ended.set()


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
