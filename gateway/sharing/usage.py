"""How much each party uses: streams open now, accesses allowed and denied since the start."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.policy import Subject

__all__ = ["MAX_PARTIES", "PartyUsage", "Usage", "party_of"]

MAX_PARTIES = 2_000
"""Parties whose totals are kept; those without open streams that asked for nothing longest go first."""


@dataclass(slots=True, kw_only=True)
class PartyUsage:
    """Totals of one party since the gateway started."""

    party: str
    streams: int = 0
    """Open now."""
    allowed: int = 0
    denied: int = 0
    last_at: datetime | None = None


def party_of(subject: Subject) -> str:
    """Return who shares the limit of streams: a platform, a whole department, else a key, a person, a role."""
    for name in ("platform", "department", "key", "user", "role"):
        if value := getattr(subject, name):
            return f"{name}:{value}"
    return "nobody"


class Usage:
    """Counters by party; those of open streams are exact, whatever else falls out."""

    def __init__(self) -> None:
        self._parties: OrderedDict[str, PartyUsage] = OrderedDict()
        self._streams: dict[str, int] = {}

    def streams(self, party: str) -> int:
        """Return how many streams a party has open."""
        return self._streams.get(party, 0)

    def streams_of(self, subject: Subject) -> int:
        """Return how many streams the party of a subject has open."""
        return self._streams.get(party_of(subject), 0) if self._streams else 0

    def count(self, party: str, at: datetime, *, allowed: bool) -> None:
        """Count one access."""
        usage = self._parties.get(party)
        if usage is None:
            if len(self._parties) >= MAX_PARTIES:
                self._parties.popitem(last=False)
            usage = self._parties[party] = PartyUsage(party=party)
        self._parties.move_to_end(party)
        usage.last_at = at
        if allowed:
            usage.allowed += 1
        else:
            usage.denied += 1

    def opened(self, party: str) -> None:
        """Count a stream that begins."""
        self._streams[party] = self._streams.get(party, 0) + 1

    def closed(self, party: str) -> None:
        """Count a stream that ended."""
        left = self._streams[party] - 1
        if left:
            self._streams[party] = left
        else:
            del self._streams[party]

    def all(self) -> list[PartyUsage]:
        """Return all parties known, the most recent first."""
        found = []
        for usage in reversed(self._parties.values()):
            usage.streams = self.streams(usage.party)
            found.append(usage)
        return found
