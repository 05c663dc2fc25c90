"""Reading of sockets that receive many small packets, with few wake-ups of the event loop."""

import asyncio
import select
import socket
from collections.abc import Callable

__all__ = ["COALESCE", "Poller", "SocketReader"]

COALESCE = 0.004
"""Seconds to let packets gather before looking again; the delay that this adds to a picture."""
_MANY = 4
"""Sockets from which on gathering pays; below, the selector wakes up less often than a timer."""
_MAX_EVENTS = 1024


class SocketReader:
    """Calls `drain` whenever a socket is readable, woken by the loop's own selector.

    Args:
        sock: Non-blocking; stays the caller's to close, after `stop`.
        drain: Reads what there is.
    """

    def __init__(self, sock: socket.socket, drain: Callable[[], object]) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._loop.add_reader(sock, drain)

    def stop(self) -> None:
        """Stop reading; idempotent, and allowed within `drain`."""
        if not self._stopped:
            self._stopped = True
            self._loop.remove_reader(self._sock)


class Poller:
    """Watches all media sockets with one selector of its own, looked at every `interval` seconds.

    A wake-up of the event loop for each packet costs several times what reading it does. So while
    packets come the sockets are left alone between two looks; when a look finds nothing, the
    loop watches the poller's selector as a whole.

    Args:
        interval: Seconds between two looks; 0 to rely on the loop's selector alone.
        many: Number of sockets from which on `interval` is used.
    """

    def __init__(self, *, interval: float = COALESCE, many: int = _MANY) -> None:
        self._interval = interval
        self._many = many
        self._epoll: select.epoll | None = None
        self._drains: dict[int, Callable[[], object]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._drains)

    def add(self, sock: socket.socket, drain: Callable[[], object]) -> None:
        """Call `drain` when `sock` has something; `remove` it before it is closed.

        A socket whose `drain` raises is watched no more; the loop's exception handler is told.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._epoll.fileno(), self._readable)
        self._drains[sock.fileno()] = drain
        self._epoll.register(sock, select.EPOLLIN)

    def remove(self, sock: socket.socket) -> None:
        """Stop watching; idempotent, and allowed within a `drain`."""
        if self._epoll is not None and self._drains.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock)
            if not self._drains:
                self._close()

    def _close(self) -> None:
        if self._epoll is None or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        else:
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._epoll = None

    def _readable(self) -> None:
        if self._loop is None or self._epoll is None:
            return
        if self._interval and len(self._drains) >= self._many:
            self._loop.remove_reader(self._epoll.fileno())
            self._timer = self._loop.call_later(self._interval, self._look)
        self._drain()

    def _look(self) -> None:
        if self._loop is None or self._epoll is None:
            return
        timer = self._timer = self._loop.call_later(self._interval, self._look)
        if not self._drain():
            timer.cancel()
            self._timer = None
            self._loop.add_reader(self._epoll.fileno(), self._readable)

    def _drain(self) -> bool:
        if self._epoll is None:
            return False
        ready = self._epoll.poll(0, _MAX_EVENTS)
        for number, _ in ready:
            drain = self._drains.get(number)
            if drain is None:
                continue
            try:
                drain()
            except Exception as exc:  # noqa: BLE001 - boundary: one socket's owner must not stop the others
                self._give_up(number, drain, exc)
        return bool(ready)

    def _give_up(self, number: int, drain: Callable[[], object], exc: Exception) -> None:
        if self._epoll is None or self._loop is None:
            return
        context = {"message": "reading a media socket failed", "exception": exc}
        self._loop.call_exception_handler(context)
        if self._drains.get(number) is drain:
            del self._drains[number]
            self._epoll.unregister(number)
            if not self._drains:
                self._close()
