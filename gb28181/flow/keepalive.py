"""Keepalives of many devices (GB/T 28181-2022 9.6; interval and misses as in 9.1.1).

A device is lost when nothing has come for interval times misses plus 10 s, because a keepalive that
is sent in time may still arrive late. Each interval missed before that is told as well.
"""

import math
from dataclasses import dataclass
from typing import Final

from gb28181.flow.deadline import Deadlines

__all__ = [
    "KeepaliveLost",
    "KeepaliveMissed",
    "KeepaliveMonitor",
    "Output",
    "clamp_interval",
    "clamp_misses",
]

SLACK: Final = 10.0
MIN_INTERVAL: Final = 5.0
MAX_INTERVAL: Final = 3600.0
MAX_MISSES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveMissed:
    """A keepalive did not come in time; the device is not given up yet."""

    device_id: str
    count: int
    """Intervals missed in a row."""
    silent_for: float
    """Seconds since the last sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveLost:
    """Too many keepalives in a row did not come; the device is no longer watched."""

    device_id: str
    count: int
    silent_for: float


Output = KeepaliveMissed | KeepaliveLost


def clamp_interval(value: float | None, *, default: float = 60.0) -> float:
    """Return a usable interval; devices report 0, negative and absurd ones (quirk 11)."""
    if value is None or not math.isfinite(value) or value <= 0:
        return default
    return min(max(float(value), MIN_INTERVAL), MAX_INTERVAL)


def clamp_misses(value: int | None, *, default: int = 3) -> int:
    """Return a usable number of misses (quirk 11)."""
    return default if value is None or value <= 0 else min(value, MAX_MISSES)


class KeepaliveMonitor:
    """Tells which devices have gone silent.

    Args:
        interval: Seconds between keepalives of devices that have no interval of their own.
        misses: Keepalives in a row that may be missing.
    """

    def __init__(self, *, interval: float = 60.0, misses: int = 3) -> None:
        self._interval = clamp_interval(interval)
        self._misses = clamp_misses(misses)
        self._watched: dict[str, _Watch] = {}
        self._deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(
        self,
        device_id: str,
        now: float,
        *,
        interval: float | None = None,
        misses: int | None = None,
    ) -> None:
        """Start or restart a device's clock, at its registration or when its settings change."""
        watch = _Watch(
            last=now,
            interval=clamp_interval(interval, default=self._interval),
            misses=clamp_misses(misses, default=self._misses),
        )
        self._watched[device_id] = watch
        self._deadlines.set(device_id, watch.next_deadline())

    def receive_keepalive(self, device_id: str, now: float) -> bool:
        """Take a sign of life; False for a device that is not watched."""
        watch = self._watched.get(device_id)
        if watch is None:
            return False
        watch.last = max(watch.last, now)
        watch.missed = 0
        self._deadlines.set(device_id, watch.next_deadline())
        return True

    def forget(self, device_id: str) -> None:
        """Stop watching a device that logged out or was removed; idempotent."""
        if self._watched.pop(device_id, None) is not None:
            self._deadlines.remove(device_id)

    def missed(self, device_id: str) -> int:
        """Return how many keepalives in a row a device has missed so far."""
        watch = self._watched.get(device_id)
        return watch.missed if watch else 0

    def next_timer(self) -> float | None:
        """Return when to call :meth:`handle_timer` next; None while nothing is watched."""
        return self._deadlines.earliest()

    def handle_timer(self, now: float) -> list[Output]:
        """Return what has been missed by now; one entry a device, however late the call."""
        outputs: list[Output] = []
        while (device_id := self._deadlines.pop_due(now)) is not None:
            watch = self._watched[device_id]
            silent = now - watch.last
            count = min(int((silent - SLACK) / watch.interval + 1e-9), watch.misses)
            watch.missed = max(count, watch.missed + 1)
            if watch.missed >= watch.misses:
                del self._watched[device_id]
                outputs.append(
                    KeepaliveLost(device_id=device_id, count=watch.missed, silent_for=silent)
                )
                continue
            self._deadlines.set(device_id, watch.next_deadline())
            outputs.append(
                KeepaliveMissed(device_id=device_id, count=watch.missed, silent_for=silent)
            )
        return outputs


@dataclass(slots=True, kw_only=True)
class _Watch:
    last: float
    interval: float
    misses: int
    missed: int = 0

    def next_deadline(self) -> float:
        return self.last + self.interval * (self.missed + 1) + SLACK
