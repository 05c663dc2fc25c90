"""Ports, certificates and directories: what a start asks of the machine."""

import contextlib
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.domain.errors import Unavailable

__all__ = ["bound", "free_port", "private_directory", "tls_context"]

PORT_TRIES = 50
"""Ports looked at when any free one will do."""


def free_port(host: str) -> int:
    """A port that is free for TCP and UDP at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(PORT_TRIES):
        with socket.socket(family) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind((host, port))
                return port
    raise Unavailable("sip_port_taken", f"No port on {host} is free for both UDP and TCP")


async def bound(
    transport: str,
    host: str,
    port: int,
    listen: Callable[[str, int], Awaitable[tuple[str, int]]],
) -> tuple[str, int]:
    """Listen, or say whose port is taken.

    Raises:
        Unavailable: `sip_port_taken`.
    """
    try:
        return await listen(host, port)
    except OSError as exc:
        raise Unavailable(
            "sip_port_taken",
            f"SIP cannot listen on {transport} {host}:{port}: {exc.strerror or exc}; stop what uses "
            f"it or set [sip] {'tls_port' if transport == 'TLS' else 'port'}",
        ) from exc


def private_directory(path: Path) -> None:
    """Make the data directory, for its owner only; blocks.

    Raises:
        Unavailable: `data_dir_not_writable`.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        detail = f"data_dir {path} cannot be made: {exc.strerror}"
        raise Unavailable("data_dir_not_writable", detail) from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise Unavailable("data_dir_not_writable", f"data_dir {path} cannot be written to")


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """Load our certificate; blocks.

    Raises:
        Unavailable: `sip_certificate_unusable`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(cert).expanduser(), Path(key).expanduser())
    except OSError as exc:  # ssl.SSLError is one
        raise Unavailable(
            "sip_certificate_unusable",
            f"[sip] tls_cert {cert} with tls_key {key} cannot be used: {exc.strerror or exc}",
        ) from exc
    return context
