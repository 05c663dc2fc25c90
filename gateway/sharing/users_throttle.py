"""Slows down who guesses passwords."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

__all__ = ["GrowingDelay", "LoginThrottle"]

MAX_REMEMBERED = 10_000
"""Names and addresses remembered; beyond that the one that failed longest ago is forgotten."""
FORGET = 3600.0
"""Seconds after the last failure until it is as if there had been none."""


@dataclass(slots=True)
class _Failures:
    count: float
    last: float


class GrowingDelay:
    """Counts failures by name; from some number on each doubles the wait.

    Args:
        free: Failures without any wait.
        longest: Seconds of wait at most.
        leak: Seconds in which one failure is forgotten.
    """

    def __init__(self, free: int, longest: float, leak: float) -> None:
        self._free = free
        self._longest = longest
        self._leak = leak
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Return the seconds until the next try may be made."""
        found = self._failures.get(name)
        beyond = ceil(self._count(found, now)) - self._free
        if found is None or beyond < 0:
            return 0.0
        delay = min(self._longest, 2.0 ** min(beyond, 30))
        return max(0.0, found.last + delay - now)

    def fail(self, name: str, now: float) -> None:
        """Count a failure."""
        count = self._count(self._failures.pop(name, None), now)
        self._failures[name] = _Failures(count + 1, now)
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def forgive(self, name: str) -> None:
        """Take one failure back."""
        found = self._failures.get(name)
        if found is not None:
            found.count -= 1
            if found.count <= 0:
                del self._failures[name]

    def forget(self, name: str) -> None:
        """Forget all failures."""
        self._failures.pop(name, None)

    def _count(self, found: _Failures | None, now: float) -> float:
        if found is None or now - found.last > FORGET:
            return 0.0
        return max(0.0, found.count - (now - found.last) / self._leak)


class LoginThrottle:
    """Says how long a login must wait.

    Three things are counted: a name from an address, an address, and a name from anywhere. The last waits a minute
    at most, or anybody could lock anybody out. An address forgets soon: behind a proxy it is that of many people.
    """

    def __init__(self) -> None:
        self._pairs = GrowingDelay(free=5, longest=900.0, leak=900.0)
        self._sources = GrowingDelay(free=30, longest=900.0, leak=30.0)
        self._names = GrowingDelay(free=30, longest=60.0, leak=30.0)

    def begin(self, name: str, source: str, now: float) -> float:
        """Count a try as failed until it has succeeded; return 0, or the seconds to wait, then it does not count.

        Args:
            name: Of the user, canonical.
            source: Network of the address.
            now: Monotonic seconds.
        """
        places = self._places(name, source)
        wait = max(delay.wait(key, now) for delay, key in places)
        if wait <= 0:
            for delay, key in places:
                delay.fail(key, now)
        return wait

    def succeed(self, name: str, source: str) -> None:
        """The try was none of guessing."""
        self._pairs.forget(_pair(name, source))
        self._sources.forgive(source)
        self._names.forgive(name)

    def take_back(self, name: str, source: str) -> None:
        """The try was not decided on: it counts for nothing."""
        for delay, key in self._places(name, source):
            delay.forgive(key)

    def _places(self, name: str, source: str) -> tuple[tuple[GrowingDelay, str], ...]:
        return (
            (self._pairs, _pair(name, source)),
            (self._sources, source),
            (self._names, name),
        )


def _pair(name: str, source: str) -> str:
    return f"{source} {name}"
