"""Media over TCP: the connection a device opens to us, or the one we open to it (GB Annex D)."""

import asyncio
import socket
from collections.abc import Callable

from gb28181.aio.clock import monotonic
from gb28181.aio.media_connection import TcpMediaConnection, connection_error
from gb28181.aio.media_udp import Address
from gb28181.aio.ports import PortLease
from gb28181.aio.reader import Poller, SocketReader
from gb28181.errors import Gb28181Error
from gb28181.limits import MAX_MEDIA_CONNECTIONS

__all__ = ["MediaConnectFailed", "TcpMediaConnection", "TcpMediaConnector", "TcpMediaListener"]

_RETRY_INTERVAL = 1.0
"""GB Annex D 2022: at least 1 second apart, at least 3 times."""
_IDLE = 2.0
"""Seconds without data after which a new connection of the same host takes over."""


class MediaConnectFailed(Gb28181Error):
    """The device could not be connected to after all tries."""


class TcpMediaListener:
    """Waits on a leased port for the device to connect, until the caller knows which one it is.

    Anybody may connect to the port, so up to `MAX_MEDIA_CONNECTIONS` are kept and read; `choose`
    takes one. Once the choice is final the others are closed, and a new connection is let in only
    from the same host and after the chosen one fell silent.

    Args:
        lease: With a listening socket; stays the caller's to release, after `close`.
        on_connected: Gets the source of each connection that was let in.
        on_packets: Gets a batch of packets and their source.
        on_closed: Gets the reason why a connection ended and its source, not after it was refused.
        is_known: Whether the device is expected from there; others make room for it.
        ssrc: Passed on to the framer.
    """

    def __init__(
        self,
        lease: PortLease,
        *,
        on_connected: Callable[[Address], None],
        on_packets: Callable[[list[bytes], Address], None],
        on_closed: Callable[[str, Address], None],
        is_known: Callable[[Address], bool] = lambda _: True,
        ssrc: int | None = None,
    ) -> None:
        if lease.tcp is None:
            raise ValueError("the port was leased without TCP")
        self.refused = 0
        """Connections closed because another was chosen, or to make room."""
        self.connection: TcpMediaConnection | None = None
        """The one that was chosen, until it ends."""
        self._final = False
        self._on_connected = on_connected
        self._on_packets = on_packets
        self._on_closed = on_closed
        self._is_known = is_known
        self._ssrc = ssrc
        self._poller = lease.poller
        self._connections: dict[Address, TcpMediaConnection] = {}
        self._listener = lease.tcp
        self._reader = SocketReader(lease.tcp, self._accept)

    @property
    def sources(self) -> list[Address]:
        """Where the open connections come from, the oldest first."""
        return list(self._connections)

    def choose(self, source: Address, *, final: bool) -> None:
        """Take the connection from `source`, and close the others if the choice is final."""
        chosen = self._connections.get(source)
        if chosen is None:
            return
        self.connection = chosen
        self._final = final
        if final:
            for other in [other for other in self._connections if other != source]:
                self._refuse(other)

    def refuse(self, source: Address) -> None:
        """Close the connection from `source`, if there is one; `on_closed` is not called."""
        if source in self._connections:
            self._refuse(source)

    def close(self) -> None:
        """Stop listening and close the connections; idempotent."""
        self._reader.stop()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self.connection = None

    def _accept(self) -> None:
        for _ in range(MAX_MEDIA_CONNECTIONS):
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            self._admit(sock, address[:2])

    def _admit(self, sock: socket.socket, source: Address) -> None:
        if not self._is_welcome(source) or not self._make_room(source):
            self.refused += 1
            sock.close()
            return
        try:
            self._connections[source] = TcpMediaConnection(
                sock,
                source,
                on_packets=lambda packets: self._on_packets(packets, source),
                on_closed=lambda reason: self._lose(source, reason),
                ssrc=self._ssrc,
                poller=self._poller,
            )
        except OSError:  # reset before it was looked at
            sock.close()
            return
        self._on_connected(source)

    def _is_welcome(self, source: Address) -> bool:
        chosen = self.connection
        if chosen is None or not self._final:
            return True
        return chosen.remote[0] == source[0] and monotonic() - chosen.last_data >= _IDLE

    def _make_room(self, source: Address) -> bool:
        if len(self._connections) < MAX_MEDIA_CONNECTIONS:
            return True
        spare = [
            other for other in self._connections if self._connections[other] is not self.connection
        ]
        strangers = [other for other in spare if not self._is_known(other)]
        if not strangers and not self._is_known(source):
            return False
        # The oldest had most time to show what it is.
        self._refuse((strangers or spare)[0])
        return True

    def _refuse(self, source: Address) -> None:
        self.refused += 1
        refused = self._connections.pop(source)
        refused.close()
        if refused is self.connection:
            self.connection = None
            self._final = False

    def _lose(self, source: Address, reason: str) -> None:
        lost = self._connections.pop(source)
        if lost is self.connection:
            self.connection = None
            self._final = False
        self._on_closed(reason, source)


class TcpMediaConnector:
    """Connects to the port that a device named in its answer.

    Args:
        remote: From the answer's `c=` and `m=`.
        local: Address to connect from, or None.
        tries: How often to try.
        interval: Seconds between tries, at least 1.
        timeout: Seconds for one try.
        poller: Reads the socket; that of the port pool to share it, or one of its own.
    """

    def __init__(
        self,
        remote: Address,
        *,
        on_packets: Callable[[list[bytes], Address], None],
        on_closed: Callable[[str], None],
        local: Address | None = None,
        ssrc: int | None = None,
        tries: int = 3,
        interval: float = _RETRY_INTERVAL,
        timeout: float = 5.0,
        poller: Poller | None = None,
    ) -> None:
        self.connection: TcpMediaConnection | None = None
        self._remote = remote
        self._on_packets = on_packets
        self._on_closed = on_closed
        self._local = local
        self._ssrc = ssrc
        self._tries = tries
        self._interval = interval
        self._timeout = timeout
        self._poller = Poller() if poller is None else poller

    async def connect(self) -> TcpMediaConnection:
        """Connect, trying again as long as that may help.

        Raises:
            MediaConnectFailed: after the last try; says what went wrong with it.
        """
        reason = ""
        for attempt in range(self._tries):
            if attempt:
                await asyncio.sleep(self._interval)
            try:
                sock = await self._try()
            except TimeoutError:
                reason = f"no answer for {self._timeout:g} s"
            except OSError as exc:
                reason = connection_error(exc)
            else:
                return self._connected(sock)
        host, port = self._remote
        raise MediaConnectFailed(f"{host}:{port} after {self._tries} tries: {reason}")

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self.connection is not None:
            self.connection.close()

    async def _try(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._remote[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(0)
            if self._local is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(self._local)
            async with asyncio.timeout(self._timeout):
                await asyncio.get_running_loop().sock_connect(sock, self._remote)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connected(self, sock: socket.socket) -> TcpMediaConnection:
        remote = self._remote
        self.connection = TcpMediaConnection(
            sock,
            remote,
            on_packets=lambda packets: self._on_packets(packets, remote),
            on_closed=self._on_closed,
            ssrc=self._ssrc,
            poller=self._poller,
        )
        return self.connection
