"""TLS settings for SIP connections (RFC 3261 26.2, RFC 5922)."""

import ssl
from pathlib import Path

__all__ = ["client_context", "server_context"]


def server_context(
    certificate: Path, key: Path, *, client_ca: Path | None = None
) -> ssl.SSLContext:
    """Build the context of a listener; with `client_ca` devices must show a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    *,
    ca: Path | None = None,
    verify: bool = True,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """Build the context of a connection we open.

    Args:
        ca: Authorities beside the machine's own.
        verify: Whether the peer must have a certificate of one of them, for its own name.
        certificate: Ours, for a peer that asks for one.
        key: Its key; None if it is in the same file.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context.load_verify_locations(ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
