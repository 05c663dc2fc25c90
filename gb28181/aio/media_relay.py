"""Relaying over UDP: shared batches from a leased port to one receiver, cut up by the kernel."""

import contextlib
import errno
import ipaddress
import socket

from gb28181.aio.clock import monotonic
from gb28181.aio.media_udp import Address
from gb28181.errors import Gb28181Error
from gb28181.rtp.packet import HEADER_SIZE
from gb28181.rtp.relay import RelayForm, RelayRun

__all__ = ["NoSuchReceiver", "UdpRelay", "check_receiver"]

_UDP_SEGMENT = 103
"""From linux/udp.h; Python 3.11 has no name for it."""
_NO_SEGMENTATION = {errno.EMSGSIZE, errno.EIO, errno.EINVAL, errno.ENOTSUP, errno.ENOPROTOOPT}
_UNREACHABLE = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}
_TOGETHER = 3.0
"""Refusals further apart than this are two incidents: kernels send one ICMP error a second."""
_SEND_BUFFER = 1_048_576


class NoSuchReceiver(Gb28181Error):
    """The address cannot be a receiver of media."""


def check_receiver(remote: Address) -> None:
    """Refuse an address that cannot be sent to, or that would be looked up.

    Raises:
        NoSuchReceiver: says what is wrong with it.
    """
    host, port = remote
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise NoSuchReceiver(f"expected an IP address to send media to, got {host!r}") from None
    if address.is_unspecified or address.is_multicast or not 0 < port < 65_536:
        raise NoSuchReceiver(f"media cannot be sent to {host}:{port}")


class UdpRelay:
    """Sends runs of packets on a connected socket.

    Args:
        sock: Non-blocking and bound; stays the caller's to close.
        segmentation: False to send packet by packet from the start.
    """

    def __init__(self, sock: socket.socket, *, segmentation: bool = True) -> None:
        self.remote: Address | None = None
        self.packets = 0
        self.octets = 0
        """Bytes of payload that were sent."""
        self.dropped = 0
        """Packets that the system had no room for, or that the receiver's host refused."""
        self.refused = 0
        """ICMP errors and missing routes."""
        self.segmentation = segmentation
        """False once the socket refused it: some devices and tunnels cannot."""
        self._sock = sock
        self._segment = 0
        self._refused_first = 0.0
        self._refused_last: float | None = None
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def connect(self, remote: Address) -> None:
        """Send to `remote` from now on.

        Raises:
            NoSuchReceiver: not an address media can be sent to.
            OSError: the system has no way there.
        """
        check_receiver(remote)
        self._sock.connect(remote)
        self.remote = remote
        self._refused_last = None

    def refused_for(self, now: float) -> float:
        """Return for how many seconds packets have been refused, 0 if they are not."""
        last = self._refused_last
        if last is None or now - last > _TOGETHER:
            return 0.0
        return last - self._refused_first

    def send(self, form: RelayForm, first: int = 0) -> None:
        """Send the runs from number `first` on."""
        send, segment = self._sock.send, self._segment
        for run in form.runs if not first else form.runs[first:]:
            count, size = run.count, run.size
            if size != segment if count > 1 else size > segment:
                if not self._prepare(size):
                    self._send_apart(run)
                    continue
                segment = size
            try:
                send(run.view)
            except OSError as exc:
                self._send_again(run, exc)
                segment = self._segment
            else:
                self.packets += count
                self.octets += run.octets

    def _prepare(self, size: int) -> bool:
        """Tell the kernel where to cut; False if it cannot."""
        if self.segmentation:
            try:
                self._sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, size)
            except OSError:
                self._give_up_segmentation()
            else:
                self._segment = size
        return self.segmentation

    def _give_up_segmentation(self) -> None:
        self.segmentation = False
        self._segment = 0
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)

    def _send_again(self, run: RelayRun, exc: OSError) -> None:
        if exc.errno in _NO_SEGMENTATION and self.segmentation:
            self._give_up_segmentation()
            self._send_apart(run)
            return
        if self._note(exc):
            # The answer to earlier packets; these were not sent.
            try:
                self._sock.send(run.view)
            except OSError as again:
                self._note(again)
            else:
                self.packets += run.count
                self.octets += run.octets
                return
        self.dropped += run.count

    def _send_apart(self, run: RelayRun) -> None:
        for at in range(0, len(run.view), run.size):
            packet = run.view[at : at + run.size]
            for _ in range(2):
                try:
                    self._sock.send(packet)
                except OSError as exc:
                    if self._note(exc):
                        continue
                    self.dropped += 1
                else:
                    self.packets += 1
                    self.octets += len(packet) - HEADER_SIZE
                break
            else:
                self.dropped += 1

    def _note(self, exc: OSError) -> bool:
        """Remember that the receiver's host refused; False if that is not the trouble."""
        if exc.errno not in _UNREACHABLE:
            return False
        now = monotonic()
        self.refused += 1
        if self._refused_last is None or now - self._refused_last > _TOGETHER:
            self._refused_first = now
        self._refused_last = now
        return True
