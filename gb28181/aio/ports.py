"""Media ports: pairs of UDP ports, and TCP on the same number, drained before they are reused."""

import asyncio
import contextlib
import errno
import socket
from collections import deque
from typing import Self

from gb28181.aio.reader import Poller
from gb28181.errors import Gb28181Error

__all__ = ["PortLease", "PortPool", "PortsExhausted"]

_TAKEN = {errno.EADDRINUSE, errno.EACCES}
_MAX_TRIES = 64
"""Ports taken by other processes that are skipped in one lease: a millisecond."""
_SMALLEST_BUFFER = 4096
_MAX_COUNTED = 4096


class PortsExhausted(Gb28181Error):
    """Every port of the range is leased, draining or taken by another process."""


class PortLease:
    """One even port: bound UDP sockets for RTP and RTCP, and a listening TCP socket if asked for.

    `release` gives it back; leaving a `with` block does too.
    """

    def __init__(
        self,
        pool: "PortPool",
        port: int,
        rtp: socket.socket,
        rtcp: socket.socket,
        tcp: socket.socket | None,
    ) -> None:
        self.port = port
        self.rtp = rtp
        self.rtcp = rtcp
        self.tcp = tcp
        """Listening on the same number, or None."""
        self.poller = pool.poller
        """Shared by all that read from ports of the pool."""
        self._pool: PortPool | None = pool

    def release(self) -> None:
        """Give the port back to be drained; the sockets must not be used any more. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool._take_back(self)  # noqa: SLF001 - the two are one idea

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class PortPool:
    """Leases even ports of a range, the one that rested longest first.

    A released port stays bound for `drain` seconds, so that late packets of the last session
    reach nobody, neither the next session nor another process.

    Args:
        host: Local address to bind.
        start: First port; an odd one is skipped.
        stop: Last port, which may be the RTCP port of the last pair.
        drain: Seconds before a port is leased again.
        poller: Reads the sockets of this pool; one of its own by default.
    """

    def __init__(
        self,
        host: str,
        start: int,
        stop: int,
        *,
        drain: float = 15.0,
        poller: Poller | None = None,
    ) -> None:
        self.poller = Poller() if poller is None else poller
        self.late_packets = 0
        """Packets that came to draining ports; counted up to a limit for each."""
        self.skipped = 0
        """Times a port was skipped because another process had it."""
        self._host = host
        self._drain = drain
        ports = range(start + start % 2, stop, 2)
        self._total = len(ports)
        self._free = deque(ports)
        self._leased: dict[int, PortLease] = {}
        self._draining: dict[int, tuple[PortLease, asyncio.TimerHandle]] = {}
        self._closed = False

    def lease(self, *, tcp: bool = False) -> PortLease:
        """Bind a free pair.

        Args:
            tcp: Also listen on the TCP port of the same number.

        Raises:
            PortsExhausted: no pair is free.
            OSError: the host's address cannot be bound at all.
        """
        for _ in range(min(len(self._free), _MAX_TRIES)):
            port = self._free.popleft()
            try:
                lease = self._bind(port, tcp=tcp)
            except OSError as exc:
                self._free.append(port)
                if exc.errno in _TAKEN:
                    self.skipped += 1
                    continue
                if exc.errno in {errno.EMFILE, errno.ENFILE}:
                    raise PortsExhausted("no file descriptor left for a media port") from exc
                raise
            self._leased[port] = lease
            return lease
        leased, draining, total = self.in_use()
        raise PortsExhausted(
            f"none of {total} port pairs is free: {leased} leased, {draining} draining"
        )

    def in_use(self) -> tuple[int, int, int]:
        """Return port pairs leased, draining and in all."""
        return len(self._leased), len(self._draining), self._total

    def close(self) -> None:
        """Close everything, leased and draining; idempotent."""
        self._closed = True
        for lease, timer in self._draining.values():
            timer.cancel()
            _close(lease)
        self._draining.clear()
        for lease in list(self._leased.values()):
            lease.release()

    def _bind(self, port: int, *, tcp: bool) -> PortLease:
        with contextlib.ExitStack() as stack:
            rtp = stack.enter_context(_open(self._host, port, socket.SOCK_DGRAM))
            rtcp = stack.enter_context(_open(self._host, port + 1, socket.SOCK_DGRAM))
            listener = None
            if tcp:
                listener = stack.enter_context(_open(self._host, port, socket.SOCK_STREAM))
                listener.listen()
            stack.pop_all()
        return PortLease(self, port, rtp, rtcp, listener)

    def _take_back(self, lease: PortLease) -> None:
        del self._leased[lease.port]
        if lease.tcp is not None:
            lease.tcp.close()
        if self._closed or self._drain <= 0:
            _close(lease)
            self._free.append(lease.port)
            return
        for sock in (lease.rtp, lease.rtcp):
            # What a device goes on sending is the kernel's to throw away.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALLEST_BUFFER)
        timer = asyncio.get_running_loop().call_later(self._drain, self._drained, lease.port)
        self._draining[lease.port] = (lease, timer)

    def _drained(self, port: int) -> None:
        lease, _ = self._draining.pop(port)
        self.late_packets += _count_waiting(lease.rtp)
        _close(lease)
        self._free.append(port)


def _open(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.settimeout(0)
        if kind is socket.SOCK_STREAM:
            # A closed connection in TIME_WAIT must not keep the port from being listened on.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _close(lease: PortLease) -> None:
    lease.rtp.close()
    lease.rtcp.close()
    if lease.tcp is not None:
        lease.tcp.close()


def _count_waiting(sock: socket.socket) -> int:
    count = 0
    with contextlib.suppress(OSError):
        while count < _MAX_COUNTED:
            sock.recv(1)
            count += 1
    return count
