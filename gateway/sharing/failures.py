"""How often somebody without a usable credential gets a full answer."""

import ipaddress
from collections import OrderedDict

__all__ = ["MAX_SOURCES", "FailureLimit", "network_of"]

MAX_SOURCES = 10_000
"""Source addresses remembered; beyond that the one that failed longest ago is forgotten."""


class FailureLimit:
    """Counts failed credentials by source address, an IPv6 network of 64 bits as one.

    It never refuses a good credential: secrets here have 256 bits, so what needs protection is the log, the audit
    and the time spent on answers.

    Args:
        per_minute: Failures a minute that get their full answer.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def note(self, source: str, now: float) -> float:
        """Count a failure; return 0 if it gets its full answer, else the seconds until one does."""
        name = network_of(source)
        level, at = self._levels.pop(name, (0.0, now))
        level = max(0.0, level - max(0.0, now - at) * self._per_minute / 60)
        passes = level + 1 <= self._per_minute
        self._levels[name] = (level + 1 if passes else level, now)
        while len(self._levels) > MAX_SOURCES:
            self._levels.popitem(last=False)
        return 0.0 if passes else (level + 1 - self._per_minute) * 60 / self._per_minute


def network_of(source: str) -> str:
    """Return what counts as one source: an IPv4 address, an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if address.version == 4:
        return source
    return str(ipaddress.ip_network((address, 64), strict=False))
