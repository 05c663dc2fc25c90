"""The UDP ports of WebRTC viewers, one each, and the addresses they can be reached at."""

import errno
import ipaddress
import socket
from collections import deque
from collections.abc import Sequence

import ifaddr

from gateway.domain.errors import Unavailable

__all__ = ["UdpLease", "UdpPorts", "is_wildcard", "local_addresses"]

MAX_TRIES = 64
"""Ports taken by other processes that are skipped in one lease."""
MAX_ADDRESSES = 8
"""Candidates of one answer; a machine with many container bridges has more addresses than a browser should try."""
SEND_BUFFER = 1_048_576
"""A key frame at once."""
_TAKEN = {errno.EADDRINUSE, errno.EACCES}
_IP_PKTINFO = 8
"""From linux/in.h; Python 3.11 has no name for it."""


class UdpLease:
    """A bound socket.

    Args:
        ports: Whose it is.
        port: Its number.
        sock: Non-blocking.
    """

    def __init__(self, ports: "UdpPorts", port: int, sock: socket.socket) -> None:
        self.port = port
        self.sock = sock
        self._ports: UdpPorts | None = ports

    def release(self) -> None:
        """Close the socket and give the port back; idempotent."""
        ports, self._ports = self._ports, None
        if ports is not None:
            self.sock.close()
            ports._take_back(self.port)  # noqa: SLF001 - the two are one idea


class UdpPorts:
    """Leases ports of a range, the one that rested longest first.

    Args:
        host: Address to bind; `0.0.0.0` is all of IPv4.
        ports: First and last.
    """

    def __init__(self, host: str, ports: tuple[int, int]) -> None:
        # Whoever listens on :: is reached over IPv4, too; an IPv6 address has to be named.
        self.host = "0.0.0.0" if is_wildcard(host) else host  # noqa: S104 - as configured
        self.any_address = is_wildcard(host)
        self._free = deque(range(ports[0], ports[1] + 1))
        self._total = len(self._free)
        self._leased = 0

    @property
    def leased(self) -> int:
        """Ports in use."""
        return self._leased

    def lease(self) -> UdpLease:
        """Bind a free port.

        Raises:
            Unavailable: `webrtc_ports_exhausted`.
        """
        why = ""
        for _ in range(min(len(self._free), MAX_TRIES)):
            port = self._free.popleft()
            try:
                sock = self._bind(port)
            except OSError as exc:
                self._free.append(port)
                why = f"; {self.host}:{port}: {exc.strerror or exc}"
                if exc.errno in _TAKEN:
                    continue
                break
            self._leased += 1
            return UdpLease(self, port, sock)
        raise Unavailable(
            "webrtc_ports_exhausted",
            f"No port for a WebRTC viewer: {self._leased} of {self._total} are in use{why}; "
            "widen [webrtc] port_range",
        )

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if self.any_address:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.bind((self.host, port))
        except OSError:
            sock.close()
            raise
        return sock

    def _take_back(self, port: int) -> None:
        self._leased -= 1
        self._free.append(port)


def is_wildcard(host: str) -> bool:
    """Whether a socket bound to `host` takes packets to any address."""
    return host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared only


def local_addresses(host: str, advertise: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses that viewers are told.

    Args:
        host: As bound.
        advertise: Instead of our own, for machines behind a NAT.
    """
    if advertise:
        return tuple(advertise)
    if not is_wildcard(host):
        return (host,)
    found = [
        str(ip.ip)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if ip.is_IPv4 and not ipaddress.ip_address(str(ip.ip)).is_link_local
    ]
    outside = [ip for ip in found if not ipaddress.ip_address(ip).is_loopback]
    # A machine without a network still shows its cameras to itself.
    return tuple(outside[:MAX_ADDRESSES] or found[:1])
