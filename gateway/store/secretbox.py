"""Secrets that must be used again (passwords towards upper platforms), encrypted where they are kept."""

import base64
import binascii
import hashlib
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import Invalid, Unavailable
from gateway.store.private_file import make_once

__all__ = ["KEY_FILE", "SecretBox"]

KEY_FILE = "secret.key"
"""Below the data directory; whoever has it and the database has the passwords."""

_VERSION = "v1"
_KEY_SIZE = 32
_NONCE_SIZE = 12
_KEY_ID_SIZE = 4
_MAX_TEXT = 4096
"""Characters of a secret at most; a password has under 100."""


class SecretBox:
    """Seals short texts with AES-256-GCM.

    A sealed text is `v1.KEY-ID.BASE64URL(nonce, ciphertext, tag)`; the key id tells a wrong key from damage.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = (
            hashlib.sha256(b"gateway secret key id\0" + key).digest()[:_KEY_ID_SIZE].hex()
        )

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Return the box of a data directory; its key is made at the first time. Blocks on files.

        Raises:
            Unavailable: `store_unavailable` if the key cannot be read or made, or is none.
        """
        path = data_dir / KEY_FILE
        text = make_once(path, lambda: secrets.token_hex(_KEY_SIZE).encode() + b"\n")
        try:
            key = bytes.fromhex(text.decode("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != _KEY_SIZE:
            raise Unavailable(
                "store_unavailable",
                f"{path} holds no key: expected {2 * _KEY_SIZE} hexadecimal digits; restore it from a backup",
            )
        return cls(key)

    def seal(self, text: str) -> str:
        """Encrypt a text; the same text gives another result each time.

        Raises:
            Invalid: `secret_too_long`.
        """
        if len(text) > _MAX_TEXT:
            raise Invalid("secret_too_long", f"a secret has at most {_MAX_TEXT} characters")
        nonce = secrets.token_bytes(_NONCE_SIZE)
        # JSON may carry lone surrogates.
        plain = text.encode("utf-8", "surrogatepass")
        sealed = self._cipher.encrypt(nonce, plain, self._head.encode())
        return f"{self._head}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str) -> str:
        """Decrypt what `seal` gave.

        Raises:
            Unavailable: `secret_unreadable`, saying whether the key is another one or the text was changed.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if version != _VERSION:
            raise _unreadable("it is in no form this version knows")
        if key_id != self._key_id:
            raise _unreadable(
                f"it was sealed with another key ({key_id[:16]!r}, this one is {self._key_id}); "
                f"restore {KEY_FILE} from a backup, or enter the password again"
            )
        try:
            data = base64.b64decode(body.encode("ascii"), b"-_", validate=True)
            if base64.urlsafe_b64encode(data).decode() != body:
                # The unused bits of the last character.
                raise _unreadable("it was changed or damaged")
            plain = self._cipher.decrypt(
                data[:_NONCE_SIZE], data[_NONCE_SIZE:], self._head.encode()
            )
        except (InvalidTag, ValueError, binascii.Error) as exc:
            raise _unreadable("it was changed or damaged") from exc
        return plain.decode("utf-8", "surrogatepass")

    @property
    def _head(self) -> str:
        return f"{_VERSION}.{self._key_id}"


def _unreadable(why: str) -> Unavailable:
    return Unavailable("secret_unreadable", f"a secret in the store cannot be read: {why}")
