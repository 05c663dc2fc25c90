"""One viewer's UDP socket: read in batches, written with segmentation offload."""

import errno
import socket
import struct
from collections.abc import Callable, Sequence

from gateway.media.webrtc.ice import Address
from gateway.media.webrtc.ports import UdpLease
from gb28181.aio.reader import SocketReader

__all__ = ["PeerSocket"]

_BATCH = 64
_LARGEST = 2_048
"""Bytes of a datagram that are read; STUN, DTLS and RTCP of a browser stay below 1,500."""
MAX_ROUTES = 64
"""Sources whose way to us is remembered when the socket listens on all addresses."""
_UDP_SEGMENT = 103
"""From linux/udp.h; Python 3.11 has no name for it."""
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("@I4s4s")
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)
_SEGMENT_SIZE = struct.Struct("=H")
_NO_SEGMENTATION = {errno.EMSGSIZE, errno.EIO, errno.EINVAL, errno.ENOTSUP, errno.ENOPROTOOPT}
_MAX_SEGMENTED_BYTES = 64_000

_Control = tuple[int, int, bytes]


class PeerSocket:
    """Datagrams from and to one viewer.

    A socket on all addresses of the machine answers from the one it was asked at: a browser drops what comes from
    another (RFC 8445 7.2.5.2.1).

    Args:
        lease: Stays the caller's to release, after `close`.
        on_datagram: Gets each datagram and its source; must not raise.
        any_address: Whether the socket listens on all addresses.
    """

    def __init__(
        self,
        lease: UdpLease,
        on_datagram: Callable[[bytes, Address], None],
        *,
        any_address: bool,
    ) -> None:
        self.dropped = 0
        """Datagrams that the system had no room for."""
        self.segmentation = True
        """False once the socket refused it: some tunnels cannot."""
        self._sock = lease.sock
        self._on_datagram = on_datagram
        self._any_address = any_address
        self._routes: dict[Address, list[_Control]] = {}
        self._closed = False
        self._reader = SocketReader(self._sock, self._drain)

    def send(self, data: bytes | memoryview, to: Address) -> None:
        """Send one datagram; what the system has no room for is lost."""
        try:
            if self._any_address:
                self._sock.sendmsg((data,), self._routes.get(to, ()), 0, to)
            else:
                self._sock.sendto(data, to)
        except OSError:
            self.dropped += 1

    def send_all(self, packets: Sequence[memoryview], to: Address) -> None:
        """Send datagrams in order, runs of equal size in one call."""
        start, count = 0, len(packets)
        while start < count:
            end = self._run_end(packets, start) if self.segmentation else start + 1
            if end - start == 1:
                self.send(packets[start], to)
            elif not self._send_run(packets[start:end], to):
                continue  # again, one by one
            start = end

    def close(self) -> None:
        """Stop reading; idempotent."""
        if not self._closed:
            self._closed = True
            self._reader.stop()

    @staticmethod
    def _run_end(packets: Sequence[memoryview], start: int) -> int:
        size = len(packets[start])
        limit = min(len(packets), start + max(1, _MAX_SEGMENTED_BYTES // size))
        end = start + 1
        while end < limit and len(packets[end]) == size:
            end += 1
        if end < limit and len(packets[end]) < size:
            end += 1
        return end

    def _send_run(self, run: Sequence[memoryview], to: Address) -> bool:
        control: list[_Control] = [
            (socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT_SIZE.pack(len(run[0]))),
            *self._routes.get(to, ()),
        ]
        try:
            self._sock.sendmsg(run, control, 0, to)
        except OSError as exc:
            if exc.errno in _NO_SEGMENTATION:
                self.segmentation = False
                return False
            self.dropped += len(run)
        return True

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if self._closed:
                return
            try:
                if self._any_address:
                    data, address = self._receive()
                else:
                    data, source = self._sock.recvfrom(_LARGEST)
                    address = source[:2]
            except OSError:
                return
            if data:
                self._on_datagram(data, address)

    def _receive(self) -> tuple[bytes, Address]:
        data, ancillary, _, source = self._sock.recvmsg(_LARGEST, _ANCILLARY)
        address = source[:2]
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) >= _PKTINFO.size:
                _, local, _ = _PKTINFO.unpack_from(value)
                route = _PKTINFO.pack(0, local, bytes(4))
                known = self._routes.get(address)
                if known is None or known[0][2] != route:
                    if len(self._routes) >= MAX_ROUTES:
                        del self._routes[next(iter(self._routes))]
                    self._routes[address] = [(socket.IPPROTO_IP, _IP_PKTINFO, route)]
        return data, address
