"""How much comes or goes in a second, over the last few."""

from collections import deque

__all__ = ["RateMeter"]

TICKS = 7
"""Ticks over which is measured; two come a second."""


class RateMeter:
    """Remembers counters at each tick."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=TICKS)

    def mark(self, now: float, size: int, frames: int = 0) -> None:
        """Note how many bytes and frames there were so far."""
        self._marks.append((now, size, frames))

    def kbps(self) -> float:
        """Return the bit rate."""
        return round(self._rate(1) * 8 / 1000, 1)

    def fps(self) -> float:
        """Return the frame rate."""
        return round(self._rate(2), 1)

    def _rate(self, index: int) -> float:
        if len(self._marks) < 2:
            return 0.0
        first, last = self._marks[0], self._marks[-1]
        return (last[index] - first[index]) / max(last[0] - first[0], 1e-3)
