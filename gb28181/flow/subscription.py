"""How long subscriptions of peers last and how it is told (GB/T 28181-2022 annex N; RFC 6665 4.2)."""

from typing import Final

__all__ = [
    "DEFAULT_EXPIRES",
    "MAX_EXPIRES",
    "MIN_EXPIRES",
    "active_state",
    "clamp_expires",
    "terminated_state",
]

DEFAULT_EXPIRES: Final = 600
"""Seconds, where the subscriber does not say (annex N)."""
MIN_EXPIRES: Final = 60
MAX_EXPIRES: Final = 86_400


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
