"""Which subscriptions of peers have not been refreshed (GB/T 28181-2022 annex N; RFC 6665 4.2).

Sans-IO: `SubscriptionTimers` is told of each SUBSCRIBE and asked, when `next_timer()` is due, what has expired.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from gb28181.flow.deadline import Deadlines

__all__ = [
    "DEFAULT_EXPIRES",
    "MAX_EXPIRES",
    "MIN_EXPIRES",
    "SubscriptionTimers",
    "active_state",
    "clamp_expires",
    "terminated_state",
]

DEFAULT_EXPIRES: Final = 600
"""Seconds, where the subscriber does not say (annex N)."""
MIN_EXPIRES: Final = 60
MAX_EXPIRES: Final = 86_400
GRACE: Final = 5.0
"""Seconds past its end in which a refresh may still be under way."""


def clamp_expires(asked: int | None) -> int:
    """Return the seconds to grant a peer; 0 for a cancellation. No value is refused with 423."""
    if asked is None or asked < 0:
        return DEFAULT_EXPIRES
    return 0 if asked == 0 else min(max(asked, MIN_EXPIRES), MAX_EXPIRES)


def active_state(remaining: int) -> str:
    """Return the Subscription-State of a subscription with so many seconds left."""
    return f"active;expires={remaining}"


def terminated_state(reason: str = "timeout") -> str:
    """Return the Subscription-State of the last NOTIFY."""
    return f"terminated;reason={reason}"


Key = TypeVar("Key", bound=Hashable)


class SubscriptionTimers(Generic[Key]):
    """The clocks of the subscriptions of peers."""

    def __init__(self) -> None:
        self._ends: dict[Key, float] = {}
        self._deadlines: Deadlines[Key] = Deadlines()

    def __len__(self) -> int:
        return len(self._ends)

    def subscribe(self, key: Key, asked: int | None, now: float) -> int:
        """Take a SUBSCRIBE, the first or a refresh; return the seconds granted, 0 if it is a cancellation."""
        granted = clamp_expires(asked)
        if granted == 0:
            self.forget(key)
        else:
            self._ends[key] = now + granted
            self._deadlines.set(key, now + granted + GRACE)
        return granted

    def remaining(self, key: Key, now: float) -> int:
        """Return the seconds left, at least 1 while a subscription lasts; 0 for an unknown one."""
        ends = self._ends.get(key)
        return 0 if ends is None else max(1, round(ends - now))

    def state(self, key: Key, now: float) -> str:
        """Return the Subscription-State for a NOTIFY now."""
        left = self.remaining(key, now)
        return active_state(left) if left else terminated_state()

    def forget(self, key: Key) -> None:
        """Stop the clock of a subscription that ended otherwise; idempotent."""
        if self._ends.pop(key, None) is not None:
            self._deadlines.remove(key)

    def next_timer(self) -> float | None:
        """Return when to call `handle_timer` next; None while nothing is subscribed."""
        return self._deadlines.earliest()

    def handle_timer(self, now: float) -> list[Key]:
        """Return the subscriptions that expired, and forget them: a last NOTIFY is due to each."""
        expired: list[Key] = []
        while (key := self._deadlines.pop_due(now)) is not None:
            del self._ends[key]
            expired.append(key)
        return expired
