"""Sinks of outgoing media: a TCP connection dialled or accepted (RFC 4571 framing and what vendors make of it)."""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from typing import cast

from gateway.simulator.quirk import Quirk
from gb28181.aio.media_udp import UdpMediaSender

__all__ = ["TcpDialer", "TcpListener", "TcpSink", "UdpSink"]

_MAX_BUFFERED = 1 << 20
"""Bytes waiting in a connection beyond which frames are dropped (newest, up to the next key frame)."""
_CONNECT_TRIES = 3
_CONNECT_INTERVAL = 1.0
_CONNECT_TIMEOUT = 5.0
_PAIR_TRIES = 64
_PREAMBLE = b"\x01\x00" + bytes(range(254))


class TcpSink(asyncio.Protocol):
    """Sends RTP and RTCP over one connection.

    Args:
        quirks: `tcp_preamble_256` and `tcp_dollar_framing` count here.
        on_connected: Called once the connection stands.
        on_closed: Called with the reason when the peer closed it; not after `close`.
    """

    def __init__(
        self,
        *,
        quirks: frozenset[Quirk],
        on_connected: Callable[[], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._dollar = Quirk.TCP_DOLLAR_FRAMING in quirks
        self._preamble = Quirk.TCP_PREAMBLE_256 in quirks
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._transport: asyncio.WriteTransport | None = None
        self._is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        new = cast("asyncio.WriteTransport", transport)
        self._transport = new
        if self._preamble:
            new.write(_PREAMBLE)
        self._on_connected()

    def data_received(self, data: bytes) -> None:
        """Receiver reports; nothing depends on them."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer closed or the network failed."""
        if not self._is_closed:
            self._is_closed = True
            self._on_closed(str(exc) if exc else "closed by the receiver")

    def send(self, packets: list[bytes]) -> bool:
        """Send packets in order; False if the receiver is too slow."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _MAX_BUFFERED:
            return False
        transport.write(b"".join(self._framed(packets, channel=0)))
        return True

    def send_rtcp(self, data: bytes) -> None:
        """Send one compound RTCP packet in band."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._framed([data], channel=1)))

    def abandon(self) -> None:
        """Reset the connection without telling anybody."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close after what is buffered; idempotent."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.close()

    def _framed(self, packets: list[bytes], *, channel: int) -> list[bytes]:
        parts = []
        for packet in packets:
            if self._dollar:
                parts.append(struct.pack("!BBH", 0x24, channel, len(packet)))
            else:
                parts.append(len(packet).to_bytes(2))
            parts.append(packet)
        return parts


class UdpSink:
    """Sends RTP from one port and RTCP from the next.

    Args:
        remote: Where the receiver expects RTP; its RTCP port is the next.
        local_host: Address to send from.
        segmentation: Whether the kernel may cut a frame into packets.
    """

    def __init__(
        self, remote: tuple[str, int], local_host: str, *, segmentation: bool = True
    ) -> None:
        self._remote = remote
        self._local_host = local_host
        self._segmentation = segmentation
        self._rtp: socket.socket | None = None
        self._rtcp: socket.socket | None = None
        self._sender: UdpMediaSender | None = None

    def bind(self) -> int:
        """Bind a pair of ports and return the RTP port, which is even.

        Raises:
            OSError: no pair is free.
        """
        family = _family(self._remote[0])
        for _ in range(_PAIR_TRIES):
            rtp, rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
            if _bind_pair(rtp, rtcp, self._local_host):
                self._rtp, self._rtcp = rtp, rtcp
                self._sender = UdpMediaSender(rtp, self._remote, segmentation=self._segmentation)
                port: int = rtp.getsockname()[1]
                return port
        raise OSError(errno.EADDRINUSE, "no free pair of ports")

    def send(self, packets: list[bytes]) -> bool:
        """Send packets in order; what a full buffer refuses is lost, as on a network."""
        if self._sender is None:
            return False
        self._sender.send(packets)
        return True

    def send_rtcp(self, data: bytes) -> None:
        """Send one compound RTCP packet."""
        if self._rtcp is not None:
            with contextlib.suppress(OSError):  # nobody listens there, or no room
                self._rtcp.sendto(data, (self._remote[0], self._remote[1] + 1))

    def abandon(self) -> None:
        """Do nothing: a datagram socket has no connection to break."""

    async def close(self) -> None:
        """Close both sockets; idempotent."""
        for sock in (self._rtp, self._rtcp):
            if sock is not None:
                sock.close()
        self._rtp = self._rtcp = self._sender = None


class TcpDialer:
    """Connects a sink to a receiver that listens, with the retries of GB/T 28181-2022 9.2.

    Args:
        sink: Takes the connection.
        remote: Where the receiver listens.
        local_host: Address to connect from.
        interval: Seconds between two tries; the standard wants at least one.
    """

    def __init__(
        self,
        sink: TcpSink,
        remote: tuple[str, int],
        local_host: str,
        *,
        interval: float = _CONNECT_INTERVAL,
    ) -> None:
        self._interval = interval
        self._sink = sink
        self._remote = remote
        self._local_host = local_host
        self._socket: socket.socket | None = None

    def bind(self) -> int:
        """Bind the socket of the first try and return its port, for the answer."""
        self._socket = self._new_socket()
        port: int = self._socket.getsockname()[1]
        return port

    async def connect(self) -> None:
        """Connect, trying three times.

        Raises:
            OSError: the last try's error.
        """
        loop = asyncio.get_running_loop()
        for tries_left in reversed(range(_CONNECT_TRIES)):
            sock = self._socket or self._new_socket()
            self._socket = None
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    await loop.sock_connect(sock, self._remote)
            except OSError:
                sock.close()
                if not tries_left:
                    raise
                await asyncio.sleep(self._interval)
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                await loop.create_connection(lambda: self._sink, sock=sock)
                return

    def close(self) -> None:
        """Give up a socket that was bound and not used; idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _new_socket(self) -> socket.socket:
        sock = socket.socket(_family(self._remote[0]), socket.SOCK_STREAM)
        sock.settimeout(0)
        try:
            sock.bind((self._local_host, 0))
        except OSError:
            sock.close()
            raise
        return sock


class TcpListener:
    """Waits for a receiver that dials; one connection is taken, then listening ends."""

    def __init__(self, sink: TcpSink, local_host: str) -> None:
        self._sink = sink
        self._local_host = local_host
        self._server: asyncio.Server | None = None
        self._is_taken = False

    async def listen(self) -> int:
        """Listen and return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._local_host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Listen no more; idempotent."""
        if self._server is not None:
            self._server.close()

    def _accept(self) -> asyncio.Protocol:
        if self._is_taken:
            return _Refusal()
        self._is_taken = True
        return self._sink


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


def _bind_pair(rtp: socket.socket, rtcp: socket.socket, host: str) -> bool:
    try:
        for sock in (rtp, rtcp):
            sock.settimeout(0)
        rtp.bind((host, 0))
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            rtcp.bind((host, port + 1))
            return True
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            rtp.close()
            rtcp.close()
            raise
    rtp.close()
    rtcp.close()
    return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
