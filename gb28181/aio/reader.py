"""Reading of sockets that receive many small packets, with few wake-ups of the event loop."""

import asyncio
import socket
from collections.abc import Callable

__all__ = ["COALESCE", "SocketReader"]

COALESCE = 0.004
"""Seconds to let packets gather before reading again; the delay that this adds to a picture."""


class SocketReader:
    """Calls `drain` when a socket is readable, and after that only every `coalesce` seconds.

    A wake-up through the selector costs more than reading a packet, so after each read the
    socket is left alone for a moment; when a look finds nothing the selector watches again.

    Args:
        sock: Non-blocking; stays the caller's to close, after `stop`.
        drain: Reads what there is, returns whether there was anything.
        coalesce: Seconds between two looks; 0 to rely on the selector alone.
    """

    def __init__(
        self, sock: socket.socket, drain: Callable[[], bool], *, coalesce: float = COALESCE
    ) -> None:
        self._sock = sock
        self._drain = drain
        self._coalesce = coalesce
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watching = False
        self._stopped = True

    def start(self) -> None:
        """Begin to watch the socket."""
        if self._stopped:
            self._stopped = False
            self._watch()

    def stop(self) -> None:
        """Stop reading; idempotent, and allowed within `drain`."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._sock)

    def _watch(self) -> None:
        self._watching = True
        self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        self._drain()
        if self._coalesce and not self._stopped:
            self._watching = False
            self._loop.remove_reader(self._sock)
            self._timer = self._loop.call_later(self._coalesce, self._look)

    def _look(self) -> None:
        self._timer = None
        found = self._drain()
        if self._stopped:
            return
        if found:
            self._timer = self._loop.call_later(self._coalesce, self._look)
        else:
            self._watch()
