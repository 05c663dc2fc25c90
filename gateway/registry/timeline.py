"""Bounded timelines: what happened to a device, and to ids that are not devices."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.domain.device import TimelineEntry, TimelineKind
from gateway.domain.platform import PlatformEvent
from gateway.domain.store import TIMELINE_KEPT

__all__ = ["StrangerTable", "Timeline"]

MAX_DETAIL = 500
"""Characters; details quote what peers sent."""
MAX_ID = 64
"""Characters of a claimed id; a real one has 20."""

_SLACK = 40
"""Entries above the limit before the list is cut, so that cutting is rare."""

# A repetition is merged into an entry of its kind among the last `reach` ones that is younger than `age`.
# What a peer can cause at will is merged most, so that a flood takes one entry a minute at worst.
_MERGE: dict[StrEnum, tuple[int, timedelta]] = {
    TimelineKind.REFRESHED: (1, timedelta.max),
    TimelineKind.AUTH_FAILED: (8, timedelta(minutes=1)),
    TimelineKind.ADDRESS_REFUSED: (8, timedelta(minutes=1)),
    TimelineKind.MESSAGE_REJECTED: (8, timedelta(minutes=1)),
    TimelineKind.ADDRESS_CHANGED: (8, timedelta(minutes=10)),
    TimelineKind.KEEPALIVE_FAULT: (8, timedelta(minutes=10)),
    TimelineKind.REBOOTED: (1, timedelta(minutes=10)),
    PlatformEvent.QUERIED: (8, timedelta(minutes=1)),
    PlatformEvent.REFUSED: (8, timedelta(minutes=1)),
    PlatformEvent.MESSAGE_FAILED: (8, timedelta(minutes=1)),
    PlatformEvent.SUBSCRIBED: (8, timedelta(minutes=1)),
    PlatformEvent.UNSUBSCRIBED: (8, timedelta(minutes=1)),
}


class Timeline:
    """The newest entries of one device, oldest first; older ones fall out.

    Args:
        kept: How many.
        sequence: Number of the first entry to come.
    """

    __slots__ = ("_entries", "_kept", "_next")

    def __init__(self, *, kept: int = TIMELINE_KEPT, sequence: int = 0) -> None:
        self._entries: list[TimelineEntry] = []
        self._kept = kept
        self._next = sequence

    def __len__(self) -> int:
        return min(len(self._entries), self._kept)

    def restore(self, entries: Iterable[TimelineEntry], last_sequence: int) -> None:
        """Take over stored entries, oldest first, of which the last has the given number."""
        self._entries = list(entries)
        self._next = last_sequence + 1

    def add(self, kind: StrEnum, detail: str, at: datetime) -> tuple[int, TimelineEntry]:
        """Add an entry or merge it into a recent equal one; return it with its number."""
        if len(detail) > MAX_DETAIL:
            detail = detail[: MAX_DETAIL - 3] + "..."
        entries = self._entries
        index = self._find(kind, detail, at)
        if index is None:
            entry = TimelineEntry(at, kind, detail)
            entries.append(entry)
            self._next += 1
            if len(entries) > self._kept + _SLACK:
                del entries[: -self._kept]
            return self._next - 1, entry
        old = entries[index]
        entry = TimelineEntry(at, kind, detail, old.count + 1, old.first_at or old.at)
        entries[index] = entry
        return self._next - len(entries) + index, entry

    def newest(self, limit: int) -> list[TimelineEntry]:
        """Return entries, newest first."""
        limit = max(0, min(limit, self._kept))
        newest_first = reversed(self._entries)
        return sorted(newest_first, key=lambda entry: entry.at, reverse=True)[:limit]

    def numbered(self) -> list[tuple[int, TimelineEntry]]:
        """Return the entries kept with their numbers, oldest first."""
        kept = self._entries[-self._kept :]
        return list(enumerate(kept, start=self._next - len(kept)))

    def _find(self, kind: StrEnum, detail: str, at: datetime) -> int | None:
        entries = self._entries
        if not entries:
            return None
        rule = _MERGE.get(kind)
        if rule is None:
            last = entries[-1]
            return len(entries) - 1 if last.kind is kind and last.detail == detail else None
        reach, age = rule
        for index in range(len(entries) - 1, max(len(entries) - 1 - reach, -1), -1):
            if entries[index].kind is kind and at - entries[index].at <= age:
                return index
        return None


class StrangerTable:
    """What happened to ids that never registered: above all failed digests; the least recent fall out.

    Args:
        ids: Ids kept at most.
        kept: Entries kept per id.
    """

    def __init__(self, *, ids: int = 1000, kept: int = 10) -> None:
        self._ids = ids
        self._kept = kept
        self._timelines: OrderedDict[str, Timeline] = OrderedDict()

    def __len__(self) -> int:
        return len(self._timelines)

    def add(self, device_id: str, kind: TimelineKind, detail: str, at: datetime) -> None:
        """Note something about an id."""
        device_id = device_id[:MAX_ID]
        timeline = self._timelines.get(device_id)
        if timeline is None:
            timeline = self._timelines[device_id] = Timeline(kept=self._kept)
            if len(self._timelines) > self._ids:
                self._timelines.popitem(last=False)
        else:
            self._timelines.move_to_end(device_id)
        timeline.add(kind, detail, at)

    def get(self, device_id: str) -> Timeline | None:
        """Return the timeline of an id, if it is still here."""
        return self._timelines.get(device_id)

    def pop(self, device_id: str) -> Timeline | None:
        """Take an id out: it has become a device."""
        return self._timelines.pop(device_id, None)

    def recent(self, limit: int) -> list[tuple[str, TimelineEntry]]:
        """Return ids with their newest entry, most recent first."""
        found: list[tuple[str, TimelineEntry]] = []
        for device_id in reversed(self._timelines):
            if len(found) >= limit:
                break
            found += [(device_id, entry) for entry in self._timelines[device_id].newest(1)]
        return found
