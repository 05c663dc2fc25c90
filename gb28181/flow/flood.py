"""Brake on devices that register over and over without success (GB/T 28181 9.1.1 asks them to wait 60 s).

Two kinds of leaky buckets: wrong answers to a challenge are counted per (source address, claimed id), which is what
a device with a wrong password fills; every REGISTER is counted per source address with a much higher limit, which
is what a scanner of ids fills. REGISTERs without credentials do not count against an id, since anybody can send them
in its name. A registration that succeeds empties its own bucket and takes its two REGISTERs back from the address's,
so any number of devices behind one NAT costs nothing. A pair that has succeeded lately is not held to the address's
limit.
"""

import enum
from dataclasses import dataclass
from typing import TypeVar

from gb28181.limits import MAX_FLOOD_ENTRIES

__all__ = ["FloodControl", "FloodLimits", "FloodVerdict"]


class FloodVerdict(enum.Enum):
    """What to do with a REGISTER."""

    PASS = "pass"  # noqa: S105
    SLOW = "slow"
    """Answer wrong credentials with 503 and Retry-After."""
    IGNORE = "ignore"
    """Answer nothing but right credentials, and of REGISTERs without any those of ids that are not to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """Attempts without success, as levels of a leaking bucket."""

    pair_slow: float = 10.0
    """Wrong answers of a (source, id) above which it is slowed."""
    pair_ignore: float = 25.0
    """Level of a (source, id) above which it is ignored."""
    pair_leak: float = 0.1
    """Wrong answers per second that a (source, id) may go on giving for ever."""
    host_slow: float = 5_000.0
    """REGISTERs of a source above which its unproven ids are slowed; a whole province behind one NAT stays below."""
    host_ignore: float = 15_000.0
    """Level of a source above which its unproven ids are ignored."""
    host_leak: float = 100.0
    """REGISTERs per second that one source may go on sending for ever."""
    ignore_for: float = 60.0
    """Seconds of silence; attempts meanwhile do not prolong it."""
    proven_for: float = 86_400.0
    """Seconds for which a successful pair is exempt from its address's limit."""


_K = TypeVar("_K")
_REGISTRATION = 2.0
"""REGISTERs that one honest registration takes."""


class _Bucket:
    __slots__ = ("ignored_until", "level", "updated")

    def __init__(self, now: float) -> None:
        self.level = 0.0
        self.updated = now
        self.ignored_until = 0.0

    def pour(self, amount: float, leak: float, now: float) -> float:
        self.level = max(0.0, self.level - (now - self.updated) * leak) + amount
        self.updated = now
        return self.level


class FloodControl:
    """Judges each REGISTER by what came before from the same source.

    Each of the three tables holds at most `MAX_FLOOD_ENTRIES`; when one is full the entry that was touched longest
    ago is dropped, so an attacker with endless addresses can make us forget, but not grow.

    Args:
        limits: Levels and times.
    """

    def __init__(
        self, limits: FloodLimits | None = None, *, capacity: int = MAX_FLOOD_ENTRIES
    ) -> None:
        self._limits = limits or FloodLimits()
        self._capacity = capacity
        self._pairs: dict[tuple[str, str], _Bucket] = {}
        self._hosts: dict[str, _Bucket] = {}
        self._proven: dict[tuple[str, str], float] = {}

    def came(self, host: str, device_id: str, now: float) -> FloodVerdict:
        """Count one REGISTER of any kind; tell what its address as a whole has earned for this id."""
        limits = self._limits
        by_host = self._pour(
            self._hosts, host, now, limits.host_leak, limits.host_slow, limits.host_ignore
        )
        if by_host is not FloodVerdict.PASS and self._is_proven((host, device_id), now):
            return FloodVerdict.PASS
        return by_host

    def failed(self, host: str, device_id: str, now: float) -> FloodVerdict:
        """Count one wrong answer to a challenge; tell what the id has earned at this address."""
        limits = self._limits
        return self._pour(
            self._pairs,
            (host, device_id),
            now,
            limits.pair_leak,
            limits.pair_slow,
            limits.pair_ignore,
        )

    def ignores(self, host: str, device_id: str, now: float) -> bool:
        """Tell whether the id has given so many wrong answers that no more are listened to."""
        bucket = self._pairs.get((host, device_id))
        return bucket is not None and now < bucket.ignored_until

    def succeeded(self, host: str, device_id: str, now: float) -> None:
        """Take back the attempts of a device that has registered."""
        pair = (host, device_id)
        self._pairs.pop(pair, None)
        source = self._hosts.get(host)
        if source is not None:
            source.level = max(0.0, source.level - _REGISTRATION)
            if source.level == 0.0 and source.ignored_until <= now:
                del self._hosts[host]
        self._proven.pop(pair, None)
        if len(self._proven) >= self._capacity:
            del self._proven[next(iter(self._proven))]
        self._proven[pair] = now + self._limits.proven_for

    def sizes(self) -> tuple[int, int, int]:
        """Return how many pairs, sources and proven pairs are held."""
        return len(self._pairs), len(self._hosts), len(self._proven)

    def _is_proven(self, pair: tuple[str, str], now: float) -> bool:
        until = self._proven.get(pair)
        return until is not None and now < until

    def _pour(
        self, table: dict[_K, _Bucket], key: _K, now: float, leak: float, slow: float, ignore: float
    ) -> FloodVerdict:
        bucket = table.pop(key, None)
        if bucket is None:
            if len(table) >= self._capacity:
                del table[next(iter(table))]
            bucket = _Bucket(now)
        table[key] = bucket
        if now < bucket.ignored_until:
            return FloodVerdict.IGNORE
        level = bucket.pour(1.0, leak, now)
        if level > ignore:
            # Afterwards it starts where it is slowed, not afresh.
            bucket.ignored_until = now + self._limits.ignore_for
            bucket.level = slow
            return FloodVerdict.IGNORE
        return FloodVerdict.SLOW if level > slow else FloodVerdict.PASS
