"""Time as a port: the clock that people read, and the one that never jumps."""

from datetime import datetime
from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """What `gb28181.aio.clock` offers."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def utc_now(self) -> datetime:
        """Return the wall clock, timezone-aware."""
