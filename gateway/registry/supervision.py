"""When silence becomes absence (GB 9.6.1): one heap for all devices.

A keepalive touches no heap: it only moves `heard`. When a device's place in the heap comes up, its real deadline
is worked out anew and the device goes back into the heap if that is later.
"""

import heapq
import itertools
import math

from gateway.registry.entry import DeviceEntry

__all__ = ["EXPIRY_GRACE", "KEEPALIVE_GRACE", "Supervisor", "clamp_keepalive"]

KEEPALIVE_GRACE = 10.0
"""Seconds added to interval x misses: real devices drift (protocol 3.6)."""
EXPIRY_GRACE = 10.0
"""Seconds a registration outlives its time: many devices refresh at the very end."""

_INTERVAL = (5.0, 3600.0)
_MISSES = (1, 100)


def clamp_keepalive(interval: float, misses: int) -> tuple[float, int]:
    """Return the values within reason; devices report 0 and negative ones."""
    if not math.isfinite(interval):
        interval = _INTERVAL[1]
    return (
        min(max(interval, _INTERVAL[0]), _INTERVAL[1]),
        min(max(misses, _MISSES[0]), _MISSES[1]),
    )


class Supervisor:
    """Knows which device is due next.

    Args:
        interval: Seconds between keepalives where a device has no own value.
        misses: Missed ones in a row that mean absence, likewise.
    """

    def __init__(self, *, interval: float, misses: int) -> None:
        self._interval, self._misses = clamp_keepalive(interval, misses)
        self._heap: list[tuple[float, int, DeviceEntry]] = []
        self._order = itertools.count()
        self._stale = 0

    def __len__(self) -> int:
        return len(self._heap)

    def keepalive_of(self, entry: DeviceEntry) -> tuple[float, int]:
        """Return the interval in seconds and the allowed misses of a device."""
        settings = entry.device.settings
        interval, misses = settings.keepalive_interval, settings.keepalive_misses
        if interval is None and misses is None:
            return self._interval, self._misses
        return clamp_keepalive(
            self._interval if interval is None else interval,
            self._misses if misses is None else misses,
        )

    def deadline(self, entry: DeviceEntry) -> float:
        """Return when to look at an online device next: expiry or the next keepalive it owes."""
        interval, _ = self.keepalive_of(entry)
        owed = entry.heard + interval * (entry.missed + 1) + KEEPALIVE_GRACE
        return min(owed, entry.expires + EXPIRY_GRACE)

    def watch(self, entry: DeviceEntry) -> None:
        """Make sure that a device is looked at in time; cheap when it already is."""
        deadline = self.deadline(entry)
        if deadline < entry.due:
            if entry.due < math.inf:
                self._stale += 1
            entry.due = deadline
            heapq.heappush(self._heap, (deadline, next(self._order), entry))
            if self._stale > 1000 and 2 * self._stale > len(self._heap):
                self._rebuild()

    def next_timer(self) -> float | None:
        """Return when the next device is due."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float, limit: int) -> list[DeviceEntry]:
        """Take out devices whose deadline may have passed; `watch` the ones that stay online."""
        due: list[DeviceEntry] = []
        while self._heap and self._heap[0][0] <= now and len(due) < limit:
            at, _, entry = heapq.heappop(self._heap)
            if entry.due == at:  # else a place given up for an earlier one
                entry.due = math.inf
                due.append(entry)
            else:
                self._stale -= 1
        return due

    def _rebuild(self) -> None:
        self._heap = [item for item in self._heap if item[2].due == item[0]]
        heapq.heapify(self._heap)
        self._stale = 0
