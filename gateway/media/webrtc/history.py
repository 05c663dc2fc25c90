"""What was sent to a viewer lately, so that what it missed can be sent again (RFC 4585 6.2.1)."""

from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["MAX_PACKETS", "SentHistory"]

MAX_PACKETS = 2_048
"""Packets remembered: 5 s at 4 Mbit/s, and a key frame of 2 MiB. Browsers ask for one at most 10 times within a second."""
_TRIM = 256
"""Frames that are forgotten together."""


class SentHistory:
    """Packets by sequence number. It holds no bytes of its own: payloads are those that all viewers share.

    Overflow rule: the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._runs: list[tuple[Sequence[bytes], int, bool]] = []
        self._next = 0

    def note(self, first: int, payloads: Sequence[bytes], timestamp: int, *, marker: bool) -> None:
        """Remember a run of packets.

        Args:
            first: Sequence number of the first, unwrapped; not below what was noted before.
            payloads: Theirs.
            timestamp: Of all.
            marker: Whether the last carried the marker bit.
        """
        self._firsts.append(first)
        self._runs.append((payloads, timestamp, marker))
        self._next = first + len(payloads)
        if len(self._firsts) >= 2 * _TRIM or self._next - self._firsts[0] > 2 * MAX_PACKETS:
            self._trim()

    def find(self, number: int) -> tuple[int, bytes, int, bool] | None:
        """Return (sequence number, payload, time stamp, marker) of a packet; None if it is forgotten or was never sent.

        Args:
            number: Its 16 bits on the wire.
        """
        back = (self._next - 1 - number) & 0xFFFF
        sequence = self._next - 1 - back
        at = bisect_right(self._firsts, sequence) - 1
        if at < 0 or back >= MAX_PACKETS:
            return None
        payloads, timestamp, marker = self._runs[at]
        offset = sequence - self._firsts[at]
        if offset >= len(payloads):
            return None
        return sequence, payloads[offset], timestamp, marker and offset == len(payloads) - 1

    def _trim(self) -> None:
        keep = bisect_right(self._firsts, self._next - MAX_PACKETS) - 1
        keep = max(keep, len(self._firsts) - _TRIM, 0)
        del self._firsts[:keep]
        del self._runs[:keep]
