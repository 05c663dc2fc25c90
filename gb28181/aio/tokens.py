"""Unguessable tokens for tags, branches and Call-IDs: there are two of them per request."""

import os

__all__ = ["TokenSource"]

_BYTES = 8
_BATCH = 256


class TokenSource:
    """Returns a new token of 16 hex digits per call; asks the kernel for many at once."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        """Return a token never returned before."""
        if not self._ready:
            text = os.urandom(_BYTES * _BATCH).hex()
            size = 2 * _BYTES
            self._ready = [text[at : at + size] for at in range(0, len(text), size)]
        return self._ready.pop()
