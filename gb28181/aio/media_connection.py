"""One TCP connection that carries framed RTP and RTCP (RFC 4571)."""

import asyncio
import contextlib
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable

from gb28181.aio.clock import monotonic
from gb28181.aio.media_udp import Address, enlarge_buffer
from gb28181.aio.reader import Poller
from gb28181.limits import MAX_FRAME
from gb28181.rtp.framing import Framing, FramingLost, StreamFramer

__all__ = ["TcpMediaConnection", "connection_error"]

_READ = 65_536
_READS = 4


class TcpMediaConnection:
    """One connection that carries framed RTP and RTCP both ways.

    Args:
        sock: Connected and non-blocking; the connection closes it.
        remote: Address of the other side.
        on_packets: Gets a batch of packets.
        on_closed: Gets the reason, once, and not after `close`.
        ssrc: The SSRC agreed on, to find the way back when the framing is lost.
        poller: Reads the socket, shared with others.
    """

    def __init__(
        self,
        sock: socket.socket,
        remote: Address,
        *,
        on_packets: Callable[[list[bytes]], None],
        on_closed: Callable[[str], None],
        ssrc: int | None = None,
        poller: Poller,
    ) -> None:
        self.remote = remote
        self.framer = StreamFramer(ssrc)
        self.dropped = 0
        """Packets not sent because the other side does not read."""
        self.last_data = monotonic()
        self.blocked_since: float | None = None
        """Since when the other side takes nothing of what waits; None if nothing waits."""
        self._sock = sock
        self._on_packets = on_packets
        self._on_closed = on_closed
        self._closed = False
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._writing = False
        self._loop = asyncio.get_running_loop()
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        enlarge_buffer(sock)
        self._poller = poller
        poller.add(sock, self._drain)

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._closed

    def buffered(self) -> int:
        """Return the bytes that wait for the other side to read."""
        return self._unsent_bytes

    def limit_send_buffer(self, size: int) -> None:
        """Let the system hold about so many bytes: what it holds cannot be left out any more."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def send(self, packets: Iterable[bytes]) -> None:
        """Send packets framed as the other side frames its own; drop them if it does not read."""
        if self._closed:
            return
        prefix = b"$\x00" if self.framer.framing is Framing.INTERLEAVED else b""
        framed = [part for packet in packets for part in (prefix + len(packet).to_bytes(2), packet)]
        data = b"".join(framed)
        if self._unsent_bytes + len(data) > MAX_FRAME:
            self.dropped += len(framed) // 2
            return
        self.write(data)

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes framed by the caller, who looks at `buffered` to keep what waits in bounds.

        What the network does not take at once is copied.
        """
        if self._closed:
            return
        if not self._writing:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as exc:
                self._end(connection_error(exc))
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._writing = True
            self.blocked_since = monotonic()
            self._loop.add_writer(self._sock, self._write)
        self._unsent.append(bytes(data))
        self._unsent_bytes += len(data)

    def close(self) -> None:
        """Close without calling `on_closed`; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._poller.remove(self._sock)
        if self._writing:
            self._loop.remove_writer(self._sock)
        self._unsent.clear()
        self._sock.close()

    def _end(self, reason: str) -> None:
        if not self._closed:
            self.close()
            self._on_closed(reason)

    def _drain(self) -> None:
        for _ in range(_READS):
            data = self._read()
            if data is None:
                return
            self.last_data = monotonic()
            try:
                packets = self.framer.feed(data)
            except FramingLost as exc:
                self._end(str(exc))
                return
            if packets:
                self._on_packets(packets)
            if self._closed or len(data) < _READ:
                return

    def _read(self) -> bytes | None:
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as exc:
            self._end(connection_error(exc))
            return None
        if not data:
            self._end("closed by the peer")
            return None
        return data

    def _write(self) -> None:
        while self._unsent:
            data = self._unsent.popleft()
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as exc:
                self._end(connection_error(exc))
                return
            self._unsent_bytes -= sent
            if sent:
                self.blocked_since = monotonic()
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        self._writing = False
        self.blocked_since = None
        self._loop.remove_writer(self._sock)


def connection_error(exc: OSError) -> str:
    """Say in words why a connection ended or could not be made."""
    if exc.errno in {errno.ECONNRESET, errno.EPIPE}:
        return "reset by the peer"
    # asyncio puts the address into the text, uvloop does not: the caller names it anyway.
    return os.strerror(exc.errno) if exc.errno else str(exc)
