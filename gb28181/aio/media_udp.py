"""Media over UDP: receiving RTP and RTCP in batches, sending with segmentation offload."""

import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Sequence

from gb28181.aio.ports import PortLease
from gb28181.aio.reader import SocketReader

__all__ = ["RECEIVE_BUFFER", "Address", "UdpMedia", "UdpMediaSender", "enlarge_buffer"]

Address = tuple[str, int]
PacketsHandler = Callable[[list[bytes], Address], None]

RECEIVE_BUFFER = 4_194_304
"""Several key frames at once; the default of 208 KiB loses packets of the first."""
_BATCH = 64
_USUAL_PACKET = 2048
_LARGEST_PACKET = 65_535
_SO_RCVBUFFORCE = 33
_UDP_SEGMENT = 103
"""From linux/udp.h; Python 3.11 has no name for it."""
_MAX_SEGMENTS = 44
_MAX_SEGMENTED_BYTES = 64_000
_NO_SEGMENTATION = {errno.EMSGSIZE, errno.EIO, errno.EINVAL, errno.ENOTSUP}
_SEGMENT_SIZE = struct.Struct("=H")


def enlarge_buffer(sock: socket.socket, size: int = RECEIVE_BUFFER) -> int:
    """Enlarge the receive buffer as far as the system lets, return what it became."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < size:
        with contextlib.suppress(OSError):  # over net.core.rmem_max: only with CAP_NET_ADMIN
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


class UdpMedia:
    """Receives on a leased pair of ports.

    Args:
        lease: Stays the caller's to release, after `close`.
        on_packets: Gets a batch of datagrams from the RTP port and their source; must not raise.
        on_rtcp: Gets each datagram from the RTCP port and its source.
    """

    def __init__(
        self,
        lease: PortLease,
        on_packets: PacketsHandler,
        *,
        on_rtcp: Callable[[bytes, Address], None] | None = None,
    ) -> None:
        self.peer: Address | None = None
        """Where RTP comes from: the first source, until `follow` says otherwise."""
        self.rtcp_peer: Address | None = None
        """Where RTCP came from; until some came, the port after the peer's."""
        self.truncated = 0
        """Datagrams lost because they were longer than usual; the next is received whole."""
        self._rtp, self._rtcp = lease.rtp, lease.rtcp
        self._on_packets = on_packets
        self._on_rtcp = on_rtcp
        self._size = _USUAL_PACKET
        self._closed = False
        self.receive_buffer = enlarge_buffer(self._rtp)
        self._poller = lease.poller
        self._poller.add(self._rtp, self._drain_rtp)
        self._rtcp_reader = SocketReader(self._rtcp, self._drain_rtcp)

    def follow(self, peer: Address) -> None:
        """Take `peer` for the one that sends to us: its reports go there."""
        if peer != self.peer:
            self.peer = peer
            self.rtcp_peer = None

    def send_rtcp(self, data: bytes) -> bool:
        """Send a report to the peer; False if there is none yet or the system refuses."""
        target = self.rtcp_peer
        if target is None and self.peer is not None:
            target = (self.peer[0], min(self.peer[1] + 1, 65_535))
        return target is not None and self._send(self._rtcp, data, target)

    def send_rtp(self, data: bytes, target: Address) -> bool:
        """Send one datagram from the RTP port, to open a NAT's pinhole."""
        return self._send(self._rtp, data, target)

    def close(self) -> None:
        """Stop receiving; idempotent."""
        if not self._closed:
            self._closed = True
            self._poller.remove(self._rtp)
            self._rtcp_reader.stop()

    def _drain_rtp(self) -> None:
        receive, size = self._rtp.recvfrom, self._size
        packets: list[bytes] = []
        source = None
        for _ in range(_BATCH):
            try:
                data, address = receive(size)
            except OSError as exc:
                if exc.errno == errno.ECONNREFUSED:
                    continue  # an ICMP answer to something that was sent
                break
            if address != source:
                self._deliver(packets, source)
                packets, source = [], address
            packets.append(data)
        self._deliver(packets, source)

    def _deliver(self, packets: list[bytes], source: tuple[str, int] | None) -> None:
        if source is None or not packets or self._closed:
            return
        source = source[:2]
        if self.peer is None:
            self.peer = source
        if self._size == _USUAL_PACKET and max(map(len, packets)) == _USUAL_PACKET:
            self._size = _LARGEST_PACKET
            self.truncated += len(packets)
            packets = [packet for packet in packets if len(packet) < _USUAL_PACKET]
            self.truncated -= len(packets)
        if packets:
            self._on_packets(packets, source)

    def _drain_rtcp(self) -> None:
        for _ in range(_BATCH):
            try:
                data, address = self._rtcp.recvfrom(_USUAL_PACKET)
            except OSError as exc:
                if exc.errno == errno.ECONNREFUSED:
                    continue
                return
            source = address[:2]
            if self.peer is not None and source[0] == self.peer[0]:
                self.rtcp_peer = source
            if self._on_rtcp is not None and not self._closed:
                self._on_rtcp(data, source)

    def _send(self, sock: socket.socket, data: bytes, target: Address) -> bool:
        try:
            sock.sendto(data, target)
        except OSError:
            return False
        return True


class UdpMediaSender:
    """Sends packets to one place, many in a system call where the kernel can cut them up.

    Args:
        sock: Non-blocking UDP socket; stays the caller's to close.
        remote: Where to send.
        segmentation: False to send packet by packet from the start.
    """

    def __init__(self, sock: socket.socket, remote: Address, *, segmentation: bool = True) -> None:
        self.remote = remote
        self.sent = 0
        self.dropped = 0
        """Packets that the system had no room for."""
        self.segmentation = segmentation
        """False once the socket refused it: some devices and tunnels cannot."""
        self._sock = sock
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)

    def send(self, packets: Sequence[bytes]) -> int:
        """Send packets in order, return how many the system took."""
        before = self.sent
        start = 0
        while start < len(packets):
            end = self._run_end(packets, start) if self.segmentation else start + 1
            if end - start == 1:
                self._send_one(packets[start])
            elif not self._send_run(packets[start:end]):
                continue  # again, one by one
            start = end
        return self.sent - before

    @staticmethod
    def _run_end(packets: Sequence[bytes], start: int) -> int:
        """End of the longest run of equal-sized packets; its last may be shorter."""
        size = len(packets[start])
        limit = min(
            len(packets),
            start + _MAX_SEGMENTS,
            start + max(1, _MAX_SEGMENTED_BYTES // max(size, 1)),
        )
        end = start + 1
        while end < limit and len(packets[end]) == size:
            end += 1
        if end < limit and 0 < len(packets[end]) < size:
            end += 1
        return end

    def _send_run(self, run: Sequence[bytes]) -> bool:
        control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT_SIZE.pack(len(run[0])))]
        for _ in range(2):
            try:
                self._sock.sendmsg(run, control, 0, self.remote)
            except OSError as exc:
                if exc.errno in _NO_SEGMENTATION:
                    self.segmentation = False
                    return False
                if exc.errno == errno.ECONNREFUSED:
                    continue  # the answer to an earlier packet; this one was not sent
                break
            self.sent += len(run)
            return True
        self.dropped += len(run)
        return True

    def _send_one(self, packet: bytes) -> None:
        for _ in range(2):
            try:
                self._sock.sendto(packet, self.remote)
            except OSError as exc:
                if exc.errno == errno.ECONNREFUSED:
                    continue
                break
            self.sent += 1
            return
        self.dropped += 1
