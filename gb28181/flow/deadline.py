"""Deadlines of many objects: the earliest is found without looking at all of them."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Deadlines"]

Key = TypeVar("Key", bound=Hashable)


class Deadlines(Generic[Key]):
    """One deadline per key. Moving it later, which every keepalive does, costs a dict write."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        # Each key has an entry here that is not later than its deadline; stale ones go when met.
        self._heap: list[tuple[float, int, Key]] = []
        self._entry: dict[Key, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: Key, due: float) -> None:
        """Give a key its deadline, replacing an earlier one."""
        self._due[key] = due
        if key not in self._entry or due < self._entry[key]:
            self._push(key, due)

    def remove(self, key: Key) -> None:
        """Forget a key; unknown ones are ignored."""
        self._due.pop(key, None)
        self._entry.pop(key, None)
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = []
            for other, due in self._due.items():
                self._push(other, due)

    def earliest(self) -> float | None:
        """Return the earliest deadline; None if there is none."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._entry.get(key) != at:
                heapq.heappop(self._heap)
            elif self._due[key] > at:
                heapq.heappop(self._heap)
                self._push(key, self._due[key])
            else:
                return at
        return None

    def pop_due(self, now: float) -> Key | None:
        """Remove and return one key whose deadline has come; None if there is none."""
        due = self.earliest()
        if due is None or due > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key], self._entry[key]
        return key

    def _push(self, key: Key, due: float) -> None:
        self._count += 1
        self._entry[key] = due
        heapq.heappush(self._heap, (due, self._count, key))
