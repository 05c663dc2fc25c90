"""The key that signs the audit."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.domain.errors import Unavailable
from gateway.store.audit_key import KEY_FILE, open_audit_key


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    key = open_audit_key(tmp_path / "data")
    again = open_audit_key(tmp_path / "data")
    assert again.public_key() == key.public_key()
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"-----BEGIN NONSENSE-----")
    with pytest.raises(Unavailable, match="holds no private key"):
        open_audit_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"-----BEGIN NONSENSE-----"


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    data = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / KEY_FILE).write_bytes(data)
    with pytest.raises(Unavailable, match="not Ed25519"):
        open_audit_key(tmp_path)
