"""Many deadlines, of which the earliest is asked for after every input."""

import heapq
import itertools
from typing import Generic, Protocol, TypeVar

__all__ = ["DeadlineQueue", "Timed"]

_DEAD_TOLERATED = 64


class Timed(Protocol):
    """Something with at most one deadline in the queue."""

    armed: float | None
    """Belongs to the queue: the deadline under which it is filed."""


T = TypeVar("T", bound=Timed)


class DeadlineQueue(Generic[T]):
    """A heap in which a deadline that moved later or away is found out when it comes up.

    So an item may come up with nothing to do: its owner asks the item itself.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._dead = 0
        """About how many entries are of items that were disarmed."""

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, item: T, deadline: float | None) -> None:
        """See to it that `item` comes up at `deadline`, at the latest."""
        if deadline is None or (item.armed is not None and item.armed <= deadline):
            return
        item.armed = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), item))

    def disarm(self, item: T) -> None:
        """Forget the deadline of `item`; entries of forgotten items never outnumber the others for long."""
        if item.armed is None:
            return
        item.armed = None
        self._dead += 1
        if self._dead > _DEAD_TOLERATED and 2 * self._dead > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].armed == entry[0]]
            heapq.heapify(self._heap)
            self._dead = 0

    def next_timer(self) -> float | None:
        """Return the earliest deadline."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> T | None:
        """Take out an item whose deadline is at or before `now`."""
        while self._heap and self._heap[0][0] <= now:
            deadline, _, item = heapq.heappop(self._heap)
            if item.armed == deadline:
                item.armed = None
                return item
            self._dead = max(0, self._dead - 1)
        return None
