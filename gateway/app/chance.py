"""Random values that the parts are given; none of them has a source of its own."""

import secrets

__all__ = ["fraction", "new_id", "spread"]


def new_id() -> str:
    """Return an identifier of 64 bits in hexadecimal."""
    return secrets.token_hex(8)


def fraction() -> float:
    """Return a number from 0 to 1, without 1."""
    return secrets.randbelow(1 << 30) / (1 << 30)


def spread() -> float:
    """Return a factor from 0.5 to 1.5: what many wait for does not come at the same moment."""
    return 0.5 + fraction()
