"""SIP over UDP: one non-blocking socket, read in batches, answering from the address it was asked at."""

import asyncio
import errno
import socket
import struct
from collections import deque
from collections.abc import Callable

from gb28181.limits import MAX_UDP_BACKLOG, MAX_UDP_MESSAGE
from gb28181.sip.transaction.flow import Flow

__all__ = ["UdpListener", "is_wildcard", "local_host_towards"]

IP_PKTINFO = 8
"""`<linux/in.h>`; Python 3.11 does not name it."""
_PKTINFO = struct.Struct("@I4s4s")
"""`struct in_pktinfo`: interface index, local address, destination in the header."""
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)
_NO_ADDRESS = bytes(4)

_NOT_OURS = (errno.ENETUNREACH, errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENODEV)
"""What the kernel says of a local address the machine does not have."""

BATCH = 64
"""Datagrams read before others get their turn."""
_RECEIVE_BUFFER = 4 * 1024 * 1024
_MAX_FLOWS = 65_536
"""Flows kept ready; all forgotten when there are more."""
_MAX_SOURCES = 256
"""Local addresses kept ready in the form the kernel takes."""

Receiver = Callable[[bytes, Flow], None]


def is_wildcard(host: str) -> bool:
    """Tell whether a socket bound to `host` takes packets to any address of the machine."""
    return host in ("", "0.0.0.0", "::")  # noqa: S104  # comparing, not binding


def local_host_towards(remote: tuple[str, int]) -> str:
    """Return the address the machine would use towards `remote`; sends nothing."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.0)
        try:
            probe.connect(remote)
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        host: str = probe.getsockname()[0]
        return host


GATHER = 0.002
"""Seconds between two looks at the socket under load."""
GATHER_WAKES = 100
"""So many wake-ups ..."""
GATHER_WITHIN = 0.05
"""... in so many seconds are load."""
GATHER_LEAST = 3
"""Messages in one look below which the load has passed."""


class UdpListener:
    """A bound socket that hands on datagrams with their flows.

    Bound to a wildcard address it learns from IP_PKTINFO where each packet was sent to, and sends
    from there: a device behind a strict NAT or firewall drops an answer from another address.

    Args:
        host: Numeric address to bind.
        port: Port to bind; 0 picks a free one.
        receive: Called with each datagram; must not raise.
        end_batch: Called after each batch.
    """

    def __init__(
        self, host: str, port: int, *, receive: Receiver, end_batch: Callable[[], None]
    ) -> None:
        self.dropped = 0
        """Datagrams of ours lost because the socket's buffer and the backlog were full."""
        self._receive = receive
        self._end_batch = end_batch
        self._flows: dict[tuple[tuple[str, int], bytes], Flow] = {}
        self._sources: dict[str, list[tuple[int, int, bytes]]] = {}
        self._backlog: deque[tuple[bytes, tuple[str, int], str]] = deque()
        self._buffer = bytearray(MAX_UDP_MESSAGE)
        self._view = memoryview(self._buffer)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.settimeout(0.0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._any = is_wildcard(host) and family == socket.AF_INET
            if self._any:
                self._socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        name = self._socket.getsockname()
        self.address: tuple[str, int] = (name[0], name[1])
        """What it is bound to."""
        self._loop = asyncio.get_running_loop()
        self._drain = self._drain_any if self._any else self._drain_one
        self._wakes = 0
        self._looked_at = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._readable)

    @property
    def wildcard(self) -> bool:
        """Whether packets to any address of the machine come here."""
        return is_wildcard(self.address[0])

    def send(self, data: bytes, remote: tuple[str, int], local_host: str) -> bool:
        """Send one datagram; False if the machine refuses it for good."""
        if self._backlog:
            self._queue(data, remote, local_host)
            return True
        try:
            self._send(data, remote, local_host)
        except BlockingIOError:
            self._queue(data, remote, local_host)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return False
            self.dropped += 1
        return True

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._socket.fileno() >= 0:
            if self._gathering is not None:
                self._gathering.cancel()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        self._drain()
        self._end_batch()
        # Waking up costs as much as handling a message. Under load the socket is looked at every
        # GATHER seconds instead, until little comes again.
        self._wakes += 1
        if self._wakes < GATHER_WAKES:
            return
        now = self._loop.time()
        if now - self._looked_at < GATHER_WITHIN and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._gathering = self._loop.call_later(GATHER, self._look)
        self._looked_at, self._wakes = now, 0

    def _look(self) -> None:
        self._gathering = None
        count = self._drain()
        self._end_batch()
        if self._socket.fileno() < 0:
            return
        if count >= GATHER_LEAST:
            self._gathering = self._loop.call_later(GATHER, self._look)
        else:
            self._looked_at = self._loop.time()
            self._loop.add_reader(self._socket, self._readable)

    def _drain_any(self) -> int:
        receive_message, buffers = self._socket.recvmsg_into, [self._buffer]
        for count in range(BATCH):
            try:
                size, ancillary, _, source = receive_message(buffers, _ANCILLARY)
            except OSError:
                return count
            local = _NO_ADDRESS
            for level, kind, value in ancillary:
                if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                    local = _PKTINFO.unpack(value)[1]
            self._receive(self._view[:size].tobytes(), self._flow(source, local))
        return BATCH

    def _drain_one(self) -> int:
        receive_from, buffer = self._socket.recvfrom_into, self._buffer
        for count in range(BATCH):
            try:
                size, source = receive_from(buffer)
            except OSError:
                return count
            flow = self._flow((source[0], source[1]), _NO_ADDRESS)
            self._receive(self._view[:size].tobytes(), flow)
        return BATCH

    def _flow(self, remote: tuple[str, int], local: bytes) -> Flow:
        key = (remote, local)
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= _MAX_FLOWS:
                self._flows.clear()
            host, port = self.address
            if local != _NO_ADDRESS:
                host = socket.inet_ntoa(local)
            flow = self._flows[key] = Flow(transport="UDP", remote=remote, local=(host, port))
        return flow

    def _send(self, data: bytes, remote: tuple[str, int], local_host: str) -> None:
        if self._any:
            try:
                self._socket.sendmsg([data], self._source(local_host), 0, remote)
            except OSError as error:
                # The address is the machine's no more (DHCP, a restored backup).
                if error.errno not in _NOT_OURS:
                    raise
            else:
                return
        self._socket.sendto(data, remote)

    def _source(self, host: str) -> list[tuple[int, int, bytes]]:
        ancillary = self._sources.get(host)
        if ancillary is None:
            try:
                packed = socket.inet_aton(host)
            except OSError:
                packed = _NO_ADDRESS
            info = _PKTINFO.pack(0, packed, _NO_ADDRESS)
            ancillary = [] if packed == _NO_ADDRESS else [(socket.IPPROTO_IP, IP_PKTINFO, info)]
            if len(self._sources) >= _MAX_SOURCES:
                self._sources.clear()
            self._sources[host] = ancillary
        return ancillary

    def _queue(self, data: bytes, remote: tuple[str, int], local_host: str) -> None:
        if len(self._backlog) >= MAX_UDP_BACKLOG:
            self.dropped += 1
            return
        if not self._backlog:
            self._loop.add_writer(self._socket, self._flush)
        self._backlog.append((data, remote, local_host))

    def _flush(self) -> None:
        while self._backlog:
            try:
                self._send(*self._backlog[0])
            except BlockingIOError:
                return
            except OSError:
                self.dropped += 1
            self._backlog.popleft()
        self._loop.remove_writer(self._socket)
