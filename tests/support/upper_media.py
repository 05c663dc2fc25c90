"""Where an upper platform of a test receives media: UDP, TCP listening, TCP dialling. Plain sockets only."""

import asyncio
import contextlib
import socket
import struct
from typing import Any

from tests.support.patience import PATIENCE

__all__ = ["MediaSink"]


class MediaSink:
    """Takes RTP packets as they come; `packets` holds them without framing.

    Args:
        transport: `udp`, `tcp_passive` (it listens) or `tcp_active` (it dials, see `dial`).
        host: Address to bind.
    """

    def __init__(self, transport: str, host: str = "127.0.0.1") -> None:
        self.transport = transport
        self.host = host
        self.port = 0
        self.packets: list[bytes] = []
        self.rtcp: list[bytes] = []
        """RTCP packets that came to the next port (UDP)."""
        self.sources: set[tuple[str, int]] = set()
        self.ended = asyncio.Event()
        """The TCP connection was closed by the sender."""
        self._news = asyncio.Event()
        self._closers: list[Any] = []

    async def open(self) -> "MediaSink":
        """Bind a port, listen on it if this side does; for `tcp_active` only keep one to be named."""
        try:
            if self.transport == "udp":
                self._open_udp()
            elif self.transport == "tcp_passive":
                server = await asyncio.start_server(self._serve, self.host, 0)
                self.port = server.sockets[0].getsockname()[1]
                self._closers.append(server)
            else:
                held = socket.socket()
                self._closers.append(held)
                held.bind((self.host, 0))
                self.port = held.getsockname()[1]
        except BaseException:
            # Who asked may have lost patience.
            await self.close()
            raise
        return self

    async def dial(self, host: str, port: int) -> None:
        """Connect to the sender (`tcp_active`)."""
        await asyncio.get_running_loop().create_connection(lambda: _Framed(self), host, port)

    async def wait(self, count: int, timeout: float = PATIENCE) -> list[bytes]:
        """Return the packets once there are so many."""
        try:
            async with asyncio.timeout(timeout):
                while len(self.packets) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"{count} packets did not come in {timeout} s, but {len(self.packets)}"
            ) from None
        return self.packets[:count]

    def take(self, packet: bytes) -> None:
        """Note one packet."""
        self.packets.append(packet)
        self._news.set()

    def keep(self, closer: Any) -> None:
        """Close this with the sink."""
        self._closers.append(closer)

    async def close(self) -> None:
        """Close everything; idempotent."""
        for closer in self._closers:
            closer.close()
        self._closers.clear()
        await asyncio.sleep(0)

    def _open_udp(self) -> None:
        rtp, rtcp = _pair(self.host)
        self.port = rtp.getsockname()[1]
        for sock, take in ((rtp, self.take), (rtcp, self.rtcp.append)):
            sock.setblocking(False)
            self._closers.append(_Datagrams(self, sock, take))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.keep(writer)
        self.sources.add(writer.get_extra_info("peername")[:2])
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                self.take(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()
            writer.close()


class _Datagrams:
    """Reads one socket; nothing is awaited to open it, so that whoever is interrupted leaves none behind."""

    def __init__(self, sink: MediaSink, sock: socket.socket, take: Any) -> None:
        self._sink = sink
        self._socket = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._read)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            for _ in range(64):
                data, source = self._socket.recvfrom(65_535)
                self._sink.sources.add(source[:2])
                self._take(data)


class _Framed(asyncio.Protocol):
    """RFC 4571 frames on a connection this side made."""

    def __init__(self, sink: MediaSink) -> None:
        self._sink = sink
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sink.keep(transport)
        self._sink.sources.add(transport.get_extra_info("peername")[:2])

    def data_received(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= 2:
            size = int.from_bytes(self._held[:2], "big")
            if len(self._held) < 2 + size:
                return
            self._sink.take(self._held[2 : 2 + size])
            self._held = self._held[2 + size :]

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.ended.set()


def _pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the next one."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        rtp.bind((host, 0))
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            with contextlib.suppress(OSError):
                rtcp.bind((host, port + 1))
                return rtp, rtcp
        rtp.close()
        rtcp.close()
