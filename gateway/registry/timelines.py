"""The timelines of all devices, and of ids that are none; how they reach the store and come back."""

from datetime import datetime
from enum import StrEnum

from gateway.domain.clock import Clock
from gateway.domain.device import TimelineEntry, TimelineKind
from gateway.domain.store import DeviceStore
from gateway.registry.entry import DeviceEntry
from gateway.registry.table import DeviceTable
from gateway.registry.timeline import StrangerTable

__all__ = ["TimelineBook"]

TIMELINE_LOADED = 50
"""Entries per device held in memory after a start; older ones are read from the store when asked for."""


class TimelineBook:
    """What happened to whom.

    Args:
        store: Keeps the timelines of devices; those of strangers live in memory only.
        table: Says who is a device.
        clock: Wall clock.
    """

    def __init__(self, store: DeviceStore, table: DeviceTable, clock: Clock) -> None:
        self._store = store
        self._table = table
        self._clock = clock
        self._strangers = StrangerTable()

    async def load(self) -> None:
        """Take over the newest entries of the devices known."""
        found: dict[str, list[tuple[int, TimelineEntry]]] = {}
        async for part in self._store.load_timelines(TIMELINE_LOADED):
            for device_id, sequence, entry in part:
                found.setdefault(device_id, []).append((sequence, entry))
        for device_id, numbered in found.items():
            known = self._table.get(device_id)
            if known is not None:
                known.timeline.restore([entry for _, entry in numbered], numbered[-1][0])

    def add(self, entry: DeviceEntry, kind: StrEnum, detail: str, at: datetime) -> None:
        """Add to a device's timeline; repetitions are merged."""
        sequence, added = entry.timeline.add(kind, detail, at)
        self._store.add_timeline(entry.device.device_id, sequence, added)

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        """Add to the timeline of a device, or of an id that is none; repetitions are merged."""
        entry = self._table.get(device_id)
        at = self._clock.utc_now()
        if entry is None:
            self._strangers.add(device_id, kind, detail, at)
        else:
            self.add(entry, kind, detail, at)

    def adopt(self, entry: DeviceEntry) -> None:
        """Give a new device what was noted while it was a stranger."""
        earlier = self._strangers.pop(entry.device.device_id)
        if earlier is not None:
            for _, old in earlier.numbered():
                self.add(entry, old.kind, old.detail, old.at)

    def newest(self, device_id: str, limit: int) -> list[TimelineEntry]:
        """Return what happened to a device or to an id that is none, newest first."""
        entry = self._table.get(device_id)
        timeline = self._strangers.get(device_id) if entry is None else entry.timeline
        return timeline.newest(limit) if timeline is not None else []

    async def history(self, device_id: str, limit: int) -> list[TimelineEntry]:
        """Return as `newest` does, with entries from before the last start."""
        recent = self.newest(device_id, limit)
        if len(recent) >= limit or self._table.get(device_id) is None:
            return recent
        oldest = min((entry.first_at or entry.at for entry in recent), default=None)
        stored = await self._store.timeline(device_id, limit)
        older = [entry for entry in stored if oldest is None or entry.at < oldest]
        return (recent + older)[:limit]

    def strangers(self, limit: int) -> list[tuple[str, TimelineEntry]]:
        """Return ids that tried and never registered, with the newest entry of each, most recent first."""
        return self._strangers.recent(limit)
