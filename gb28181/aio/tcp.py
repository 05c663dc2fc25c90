"""SIP over TCP and TLS: numbered connections, each of them the only way to its peer."""

import asyncio
import itertools
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from gb28181.aio.clock import monotonic
from gb28181.limits import (
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_HOST,
    MAX_FIRST_MESSAGE,
    MAX_HANDSHAKE,
    MAX_IDLE,
    MAX_UNTRUSTED_BUFFER,
    MAX_UNTRUSTED_PER_HOST,
    MAX_UNTRUSTED_TIME,
    MAX_WRITE_BUFFER,
)
from gb28181.sip.framer import FrameError, KeepAlive, SipFramer
from gb28181.sip.transaction.flow import Flow

__all__ = ["ConnectionLimits", "StreamConnections", "StreamUser"]

_CLOSE_TIMEOUT = 1.0
_BACKLOG = 1_024
_KEEP_ALIVE = (
    (socket.TCP_KEEPIDLE, 30),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 3),
    # For what was written and never acknowledged, in milliseconds: otherwise it is repeated for 15 minutes.
    (socket.TCP_USER_TIMEOUT, 60_000),
)
"""Of a connection we opened, in seconds; half of what firewalls forget an idle connection after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds on connections; durations in seconds."""

    total: int = MAX_CONNECTIONS
    per_host: int = MAX_CONNECTIONS_PER_HOST
    handshake: float = MAX_HANDSHAKE
    """Until TLS is set up."""
    first_message: float = MAX_FIRST_MESSAGE
    """From there to the first whole message; does not apply to connections we opened."""
    untrusted: float = MAX_UNTRUSTED_TIME
    """From there until the owner trusts the connection; likewise."""
    untrusted_per_host: int = MAX_UNTRUSTED_PER_HOST
    """Connections of one address not trusted yet."""
    untrusted_buffer: int = MAX_UNTRUSTED_BUFFER
    """Bytes of an unfinished message on a connection not trusted yet."""
    idle: float = MAX_IDLE
    """Without a byte from the peer."""
    write_buffer: int = MAX_WRITE_BUFFER
    """Bytes waiting for a peer that does not read."""
    check_interval: float = 1.0
    """Between looks for connections past a deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUser:
    """What the owner of the connections is told."""

    receive: Callable[[bytes, Flow], None]
    """One whole message."""
    refuse: Callable[[FrameError, Flow], None]
    """What cannot be framed; the connection is closed after the answer to it."""
    end_batch: Callable[[], None]
    """Called after each piece of input."""
    lost: Callable[[int, str], None]
    """A connection is gone, with the reason."""


class StreamConnections:
    """All stream connections of one driver, by their numbers.

    Args:
        user: Who gets the messages.
        limits: Bounds.
    """

    def __init__(self, user: StreamUser, limits: ConnectionLimits) -> None:
        self.refused = 0
        """Connections closed at once because there were too many."""
        self.user = user
        self.limits = limits
        self._connections: dict[int, _Connection] = {}
        self._per_host: Counter[str] = Counter()
        self._untrusted: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._empty: asyncio.Event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._connections)

    async def listen(
        self, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Accept connections, with TLS if there is a `context`; return the address bound."""
        loop = asyncio.get_running_loop()
        transport = "TCP" if context is None else "TLS"
        server = await loop.create_server(
            lambda: _Connection(self, transport, accepted=True),
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=None if context is None else self.limits.handshake,
            ssl_shutdown_timeout=None if context is None else _CLOSE_TIMEOUT,
            backlog=_BACKLOG,
        )
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    async def connect(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        local: tuple[str, int] | None = None,
        timeout: float | None = None,
    ) -> Flow:
        """Open a connection within `timeout` seconds, by default the handshake deadline; raises OSError."""
        loop = asyncio.get_running_loop()
        transport = "TCP" if context is None else "TLS"
        patience = self.limits.handshake if timeout is None else timeout
        try:
            async with asyncio.timeout(patience):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, transport, accepted=False),
                    host,
                    port,
                    ssl=context,
                    server_hostname=None if context is None else server_hostname,
                    local_addr=local,
                    ssl_shutdown_timeout=None if context is None else _CLOSE_TIMEOUT,
                )
        except TimeoutError as error:
            raise TimeoutError(str(error) or f"nobody answered in {patience:g} s") from error
        if self._closed:
            connection.abort("shut down")
        if connection.flow is None:
            raise ConnectionRefusedError(connection.reason)
        return connection.flow

    def send(self, data: bytes, connection: int) -> bool:
        """Send on a connection; False if it is gone."""
        found = self._connections.get(connection)
        return found is not None and found.send(data)

    def trust(self, connection: int) -> None:
        """Lift the bounds on connections of strangers; nothing if it is gone or trusted already."""
        found = self._connections.get(connection)
        if found is not None and found.flow is not None and not found.trusted:
            found.trusted = True
            _take_one(self._untrusted, found.flow.remote[0])

    def close_connection(self, connection: int, reason: str) -> None:
        """Close one connection after what has been written to it."""
        found = self._connections.get(connection)
        if found is not None:
            found.close(reason)

    async def close(self) -> None:
        """Close everything: what was written gets a second to go out."""
        self._closed = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close("shut down")
        if self._connections:
            self._empty.clear()
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._empty.wait()
            except TimeoutError:
                for connection in list(self._connections.values()):
                    connection.abort("shut down")
                await asyncio.sleep(0)
        self._servers.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def opened(self, connection: "_Connection", host: str) -> int | None:
        """Number a new connection; None if there are too many."""
        too_many = len(self._connections) >= self.limits.total
        too_many |= self._per_host[host] >= self.limits.per_host
        if not connection.trusted:
            too_many |= self._untrusted[host] >= self.limits.untrusted_per_host
        if too_many:
            self.refused += 1
            return None
        number = next(self._numbers)
        self._connections[number] = connection
        self._per_host[host] += 1
        if not connection.trusted:
            self._untrusted[host] += 1
        if self._sweeper is None:
            self._plan_sweep()
        return number

    def closed(self, number: int, host: str, reason: str) -> None:
        """Forget a connection and tell the user."""
        connection = self._connections.pop(number)
        _take_one(self._per_host, host)
        if not connection.trusted:
            _take_one(self._untrusted, host)
        if not self._connections:
            self._empty.set()
        self.user.lost(number, reason)

    def _sweep(self) -> None:
        self._sweeper = None
        now = monotonic()
        for connection in list(self._connections.values()):
            connection.check(now)
        if self._connections:
            self._plan_sweep()

    def _plan_sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self.limits.check_interval, self._sweep)


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel find out within a minute that the peer is gone: we have nobody else to tell us."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _take_one(counter: Counter[str], host: str) -> None:
    counter[host] -= 1
    if not counter[host]:
        del counter[host]


class _Connection(asyncio.Protocol):
    """One connection: bytes in, messages out to the user; messages in, bytes out."""

    def __init__(self, owner: StreamConnections, transport: str, *, accepted: bool) -> None:
        self.flow: Flow | None = None
        self.trusted = not accepted
        """Whether a device has registered on it, or we opened it."""
        self._dialled = not accepted
        self._owner = owner
        self._name = transport
        self._framer = SipFramer()
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self.reason = ""
        """Why it was closed."""
        self._heard_at = self._opened_at = monotonic()
        self._spoke = not accepted
        self._frame_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transport in all but name.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        remote, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not remote or not local:
            self.abort("closed by the peer")
            return
        number = self._owner.opened(self, remote[0])
        if number is None:
            self.abort("too many connections already")
            return
        if self._dialled:
            _keep_alive(transport.get_extra_info("socket"))
        self._number = number
        self.flow = Flow(
            transport=self._name,
            remote=(remote[0], remote[1]),
            local=(local[0], local[1]),
            connection=number,
        )

    def data_received(self, data: bytes) -> None:
        if self.flow is None:
            return
        self._heard_at = now = monotonic()
        self._take(self._framer.feed(data, now))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._frame_timer is not None:
            self._frame_timer.cancel()
        if self.flow is not None:
            host = self.flow.remote[0]
            self.reason = self.reason or ("closed by the peer" if exc is None else str(exc))
            self.flow = None
            self._owner.closed(self._number, host, self.reason)

    def send(self, data: bytes) -> bool:
        """Write a message; False if the connection is closing."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        if transport.get_write_buffer_size() > self._owner.limits.write_buffer:
            self.abort("the peer does not read")
            return False
        return True

    def close(self, reason: str) -> None:
        """Close after what has been written."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Close if a deadline has passed."""
        limits = self._owner.limits
        if now - self._heard_at > limits.idle:
            self.abort(f"nothing received for {limits.idle:g} s")
        elif not self._spoke and now - self._opened_at > limits.first_message:
            self.abort(f"no SIP message within {limits.first_message:g} s")
        elif not self.trusted and now - self._opened_at > limits.untrusted:
            self.close(f"no registration within {limits.untrusted:g} s")

    def _take(self, frames: "list[bytes | FrameError | KeepAlive]") -> None:
        user, flow = self._owner.user, self.flow
        assert flow is not None
        for frame in frames:
            if isinstance(frame, bytes):
                self._spoke = True
                user.receive(frame, flow)
            elif isinstance(frame, FrameError):
                user.refuse(frame, flow)
                user.end_batch()
                self.close(f"cannot be framed: {frame}")
                return
            else:
                # RFC 5626 4.4.1: a double CRLF asks for a single one.
                self.send(b"\r\n")
        user.end_batch()
        if not self.trusted and self._framer.buffered > self._owner.limits.untrusted_buffer:
            self.abort("too long a message before a registration")
            return
        self._arm()

    def _arm(self) -> None:
        if self._frame_timer is not None:
            self._frame_timer.cancel()
            self._frame_timer = None
        due = self._framer.next_timer()
        if due is not None:
            delay = max(0.0, due - monotonic())
            loop = asyncio.get_running_loop()
            self._frame_timer = loop.call_later(delay, self._frame_due)

    def _frame_due(self) -> None:
        self._frame_timer = None
        if self.flow is not None:
            self._take(self._framer.handle_timer(monotonic()))
