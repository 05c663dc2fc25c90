"""What only the kernel knows: addresses of the interfaces, state of the clock."""

import contextlib
import ctypes
import fcntl
import ipaddress
import socket
import struct

__all__ = ["clock_synchronised", "interfaces"]

_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2); only its size matters, read-only with modes = 0.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("values", ctypes.c_long * 12),
        ("rest", ctypes.c_char * 256),
    )


def clock_synchronised() -> bool | None:
    """Return whether the clock is synchronised; None where that cannot be told."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def interfaces() -> list[str]:
    """Return this machine's IPv4 addresses, loopback left out."""
    found = set()
    for _, name in socket.if_nameindex():
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            found.add(_address_of(probe, name))
    return sorted(address for address in found if not ipaddress.ip_address(address).is_loopback)


def _address_of(probe: socket.socket, name: str) -> str:
    # SIOCGIFADDR, netdevice(7): struct ifreq with the sockaddr at offset 16.
    request = struct.pack("256s", name.encode()[:15])
    return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), 0x8915, request)[20:24])
