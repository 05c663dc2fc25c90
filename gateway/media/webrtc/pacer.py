"""When packets go out: at once as a rule, spread over time when there are many.

A key frame or the group of pictures that a viewer begins with would otherwise overflow the receive buffer of the
browser's socket, or a queue on the way.
"""

from collections import deque
from collections.abc import Callable, Sequence

__all__ = ["Pacer", "Run"]

DEPTH = 64_000
"""Bytes that may go out at once."""
INTERVAL = 0.005
"""Seconds between two parts of what is spread."""
MAX_WAITING = 16 * 1024 * 1024
"""Bytes that may wait: 30 s at 4 Mbit/s, the longest group of pictures worth beginning with."""


class Run:
    """Packets of one frame that still are to go out."""

    __slots__ = ("at", "payloads", "timestamp")

    def __init__(self, payloads: Sequence[bytes], timestamp: int) -> None:
        self.payloads = payloads
        self.timestamp = timestamp
        self.at = 0
        """Payloads that went out."""


class Pacer:
    """A queue of frames with a token bucket in front.

    Overflow rule: everything that waits is dropped, and the caller is to go on with a key frame.

    Args:
        send: Sends payloads `[start:end]` of a run.
        call_later: Has a function called after so many seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        send: Callable[[Run, int, int], None],
        *,
        call_later: Callable[[float, Callable[[], None]], None],
        clock: Callable[[], float],
    ) -> None:
        self.rate = 2_000_000.0
        """Bytes a second."""
        self._send = send
        self._call_later = call_later
        self._clock = clock
        self._runs: deque[Run] = deque()
        self._waiting = 0
        self._tokens = float(DEPTH)
        self._filled_at = clock()
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._waiting

    def push(self, payloads: Sequence[bytes], timestamp: int, size: int) -> int:
        """Send a frame, now or in a moment; returns how many frames were dropped to make room.

        Args:
            payloads: Its packets.
            timestamp: Theirs.
            size: Bytes of them together.
        """
        if not self._runs:
            self._fill()
            if size <= self._tokens:
                self._tokens -= size
                self._send(Run(payloads, timestamp), 0, len(payloads))
                return 0
        dropped = 0
        if self._waiting + size > MAX_WAITING:
            dropped = len(self._runs)
            self.clear()
        self._runs.append(Run(payloads, timestamp))
        self._waiting += size
        if not self._scheduled:
            self._drain()
        return dropped

    def clear(self) -> None:
        """Drop what waits."""
        self._runs.clear()
        self._waiting = 0

    def _wake(self) -> None:
        self._scheduled = False
        self._drain()

    def _drain(self) -> None:
        self._fill()
        while self._runs and self._tokens > 0:
            run = self._runs[0]
            start, payloads, size = run.at, run.payloads, 0
            end = start
            while end < len(payloads) and size < self._tokens:
                size += len(payloads[end])
                end += 1
            self._tokens -= size
            self._waiting -= size
            run.at = end
            if end == len(payloads):
                self._runs.popleft()
            self._send(run, start, end)
        if self._runs and not self._scheduled:
            self._scheduled = True
            self._call_later(INTERVAL, self._wake)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(float(DEPTH), self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
