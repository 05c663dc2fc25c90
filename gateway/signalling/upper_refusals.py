"""Which refusals of strangers go on record: so many a minute of each address, the rest in one record."""

from collections import Counter, OrderedDict
from typing import Final

from gateway.cascade.desk_gate import RateGate

__all__ = ["MAX_SOURCES", "PER_MINUTE", "PER_MINUTE_ALL", "RefusalGates"]

PER_MINUTE: Final = 120
"""Refusals for want of identity put on record for one address; or anybody could flood the audit."""
PER_MINUTE_ALL: Final = 1_200
"""The same for all addresses together: by UDP anybody can write from addresses made up."""
MAX_SOURCES: Final = 500
"""Addresses told apart; the one not heard of for the longest is forgotten for one more."""


class RefusalGates:
    """A gate for each address, and one for all."""

    def __init__(self) -> None:
        self._all = RateGate(PER_MINUTE_ALL)
        self._gates: OrderedDict[str, RateGate] = OrderedDict()
        self._more: Counter[str] = Counter()

    def passes(self, source: str, reason: str, now: float) -> bool:
        """Whether a refusal may go on record by itself; one that may not is counted."""
        gate = self._gates.get(source)
        if gate is None:
            while len(self._gates) >= MAX_SOURCES:
                self._gates.popitem(last=False)
            gate = self._gates[source] = RateGate(PER_MINUTE)
        self._gates.move_to_end(source)
        if gate.passes(now) and self._all.passes(now):
            return True
        self._more[reason] += 1
        return False

    def take_counted(self) -> str:
        """Return how many did not pass since the last call, by reason; empty if all did."""
        counted = ", ".join(f"{count} more of reason {name}" for name, count in self._more.items())
        self._more.clear()
        return counted
