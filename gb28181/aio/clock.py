"""The clocks of the asyncio side."""

import time
from datetime import UTC, datetime

__all__ = ["monotonic", "utc_now"]

monotonic = time.monotonic
"""Seconds that never jump; the `now` of every sans-IO object."""


def utc_now() -> datetime:
    """Return the wall clock, timezone-aware."""
    return datetime.now(UTC)
