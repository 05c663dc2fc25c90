"""The devices' catalogues: what a device lists, what it tells of single channels, and that both are kept."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypedDict

import structlog

from gateway.domain.clock import Clock
from gateway.domain.device import CatalogDiff, Channel
from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.store import DeviceStore
from gateway.registry.channel import CatalogChange, ChannelIndex
from gateway.registry.entry import DeviceEntry
from gateway.registry.table import DeviceTable
from gateway.registry.timelines import TimelineBook
from gateway.registry.words import describe_diff

__all__ = ["PATCHES_FOR", "PATCHES_KEPT", "CatalogBook", "CatalogListener"]

PATCHES_KEPT = 1_000
"""Single changes of one device remembered while a catalogue answer is under way; a change holds what was told at once."""
PATCHES_FOR = timedelta(minutes=35)
"""How long they are remembered: an answer is waited for half an hour at the longest, then it is compared."""

_RETRY = 10.0
"""Seconds between tries to write what the store could not keep."""

_log = structlog.get_logger()

CatalogListener = Callable[[str, CatalogDiff], None]
"""Called on the loop with a device and how its channels changed; must neither block nor raise."""


class _Patch(TypedDict):
    listed: Sequence[Channel]
    removed: Collection[str]
    statuses: Mapping[str, bool]


class CatalogBook:
    """Channels of all devices.

    Args:
        store: Keeps them; what it cannot keep is used all the same, and written later.
        table: Says which devices are known.
        timelines: Told of every catalogue answer.
        clock: Wall clock.
    """

    def __init__(
        self, store: DeviceStore, table: DeviceTable, timelines: TimelineBook, clock: Clock
    ) -> None:
        self.index = ChannelIndex()
        """For finding channels; changed here only."""
        self.on_changed: list[CatalogListener] = []
        """Called with a device whose channels changed and how; also when it was forgotten."""
        self._store = store
        self._table = table
        self._timelines = timelines
        self._clock = clock
        self._unsaved: set[str] = set()
        """Devices of whose catalogue the store lacks something."""
        self._patches: dict[str, deque[tuple[datetime, _Patch]]] = {}
        """Newest single changes of each device, since its latest catalogue answer."""
        self._retry_at = 0.0

    async def load(self) -> None:
        """Take over the channels of the devices known."""
        async for channels in self._store.load_channels():
            self.index.restore(
                [channel for channel in channels if self._table.get(channel.device_id) is not None]
            )
        for entry in self._table:
            entry.device.channel_count = self.index.count(entry.device.device_id)

    async def replace(
        self,
        device_id: str,
        channels: Sequence[Channel],
        *,
        complete: bool,
        since: datetime | None = None,
    ) -> CatalogDiff:
        """Take over a catalogue answer; returns once it is durable or the store has failed (then it is retried).

        Args:
            device_id: Whose.
            channels: What it listed.
            complete: Whether the answer came whole. If not, channels it lacks stay listed.
            since: When it was asked for: single changes told since then are newer than the answer.

        Raises:
            NotFound: `device_unknown`.
        """
        entry = self._table.require(device_id)
        change = await self.index.replace(
            device_id, channels, complete=complete, wanted=lambda: self._table.holds(entry)
        )
        if change is None:
            raise NotFound("device_unknown", f"device {device_id} was deleted meanwhile")
        kind, detail = describe_diff(change.diff)
        self._timelines.note(device_id, kind, detail)
        entry.device.catalog_at = self._clock.utc_now()
        newer = [patch for at, patch in self._patches.pop(device_id, ()) if since and at >= since]
        changes = [change, *(self.index.patch(device_id, **patch) for patch in newer)]
        for each in changes:
            self._tell(entry, each)
        for each in changes:
            await self._keep(entry, each)
        return change.diff

    async def patch(
        self,
        device_id: str,
        *,
        listed: Sequence[Channel],
        removed: Collection[str],
        statuses: Mapping[str, bool],
    ) -> CatalogDiff:
        """Take over single changes, as a catalogue subscription reports them (protocol 7.3).

        Args:
            device_id: Whose.
            listed: Channels added or changed; what a known one now leaves out stays as it was.
            removed: Channels no longer listed.
            statuses: Channels that went on- or off-line.

        Raises:
            NotFound: `device_unknown`.
        """
        entry = self._table.require(device_id)
        patch: _Patch = {"listed": listed, "removed": removed, "statuses": statuses}
        self._remember(device_id, patch)
        change = self.index.patch(device_id, **patch)
        self._tell(entry, change)
        await self._keep(entry, change)
        return change.diff

    def remove(self, device_id: str) -> None:
        """Forget a device's channels."""
        gone = CatalogDiff(removed=tuple(item.channel_id for item in self.index.all(device_id)))
        self.index.remove(device_id)
        self._unsaved.discard(device_id)
        self._patches.pop(device_id, None)
        for listener in tuple(self.on_changed):
            listener(device_id, gone)

    def retry(self, now: float) -> None:
        """Write again what the store could not keep, when that is due."""
        if not self._unsaved or now < self._retry_at:
            return
        self._retry_at = now + _RETRY
        for device_id in sorted(self._unsaved):
            self._unsaved.discard(device_id)
            entry = self._table.get(device_id)
            if entry is None:
                continue

            def done(future: asyncio.Future[None], entry: DeviceEntry = entry) -> None:
                if future.cancelled() or future.exception() is not None:
                    self._not_kept(entry)

            listed = self.index.all(device_id)
            self._store.replace_channels(entry.device, listed).add_done_callback(done)

    def _remember(self, device_id: str, patch: _Patch) -> None:
        at = self._clock.utc_now()
        recent = self._patches.setdefault(device_id, deque(maxlen=PATCHES_KEPT))
        while recent and at - recent[0][0] > PATCHES_FOR:
            recent.popleft()
        recent.append((at, patch))

    def _tell(self, entry: DeviceEntry, change: CatalogChange) -> None:
        diff, device = change.diff, entry.device
        device.channel_count = self.index.count(device.device_id)
        if diff.added or diff.removed or diff.changed:
            for listener in tuple(self.on_changed):
                listener(device.device_id, diff)

    async def _keep(self, entry: DeviceEntry, change: CatalogChange) -> None:
        device = entry.device
        if not self._table.holds(entry):
            # Deleted while an earlier change was written: this one would bring it back.
            return
        if not change.saved and not change.diff.removed:
            self._store.touch_device(device)
            return
        try:
            await self._store.save_channels(device, change.saved, change.diff.removed)
        except Unavailable as exc:
            self._not_kept(entry)
            _log.warning("catalog_not_stored", device_id=device.device_id, detail=exc.detail)

    def _not_kept(self, entry: DeviceEntry) -> None:
        if self._table.holds(entry):
            self._unsaved.add(entry.device.device_id)
