"""How many requests of one platform are worth an answer: a leaking bucket."""

__all__ = ["RateGate"]


class RateGate:
    """Lets so many requests a minute pass, and as many at once after a rest.

    Args:
        per_minute: Requests of weight 1.
    """

    __slots__ = ("_level", "_updated", "per_minute", "refused")

    def __init__(self, per_minute: float) -> None:
        self.per_minute = float(per_minute)
        self._level = 0.0
        self._updated = 0.0
        self.refused = 0
        """Requests that did not pass, since the start."""

    def passes(self, now: float, weight: float = 1.0) -> bool:
        """Whether one more may pass; one that may not, costs nothing."""
        self._level = max(0.0, self._level - (now - self._updated) * self.per_minute / 60)
        self._updated = now
        # A weight of a tenth added ten times is not quite one.
        if self._level + weight > self.per_minute + 1e-6:
            self.refused += 1
            return False
        self._level += weight
        return True
