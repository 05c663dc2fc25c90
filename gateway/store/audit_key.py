"""The key that signs the audit's checkpoints."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.domain.errors import Unavailable
from gateway.store.private_file import make_once

__all__ = ["KEY_FILE", "open_audit_key"]

KEY_FILE = "audit.key"
"""Below the data directory; whoever has it can rewrite the audit without being found out by its files alone."""


def open_audit_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return the signing key of a data directory; it is made at the first time. Blocks on files.

    Raises:
        Unavailable: `store_unavailable` if it cannot be read or made, or is none.
    """
    path = data_dir / KEY_FILE
    data = make_once(path, _make)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as exc:
        raise Unavailable(
            "store_unavailable",
            f"{path} holds no private key in PEM form: restore it from a backup",
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise Unavailable("store_unavailable", f"{path} holds a key that is not Ed25519")
    return key


def _make() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
