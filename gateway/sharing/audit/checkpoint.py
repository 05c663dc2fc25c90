"""Signatures over the chain: Ed25519 (RFC 8032) keys, their files and their names for people."""

import base64
import enum
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from gateway.sharing.audit.line import Line, LineError

__all__ = [
    "CHECKPOINT_FILE",
    "PUBLIC_KEY_FILE",
    "Anchor",
    "KeyRing",
    "SignatureState",
    "Signer",
    "fingerprint_of",
]

CHECKPOINT_FILE = "checkpoint.json"
"""Beside the segments: a copy of the newest signed line."""
PUBLIC_KEY_FILE = "public.pem"
"""Beside the segments: the keys that signed them, newest last."""

MAX_KEYS = 100
"""Keys read from a file; one more is made only when a key was lost."""

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----[^-]{1,1000}-----END PUBLIC KEY-----")


class SignatureState(enum.Enum):
    """What a signature is worth."""

    GOOD = enum.auto()
    WRONG = enum.auto()
    UNKNOWN_KEY = enum.auto()
    MALFORMED = enum.auto()


@dataclass(frozen=True, slots=True)
class Anchor:
    """One line of the chain, named from outside; whoever wrote it down elsewhere can prove what came before it."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Return what `str()` of an anchor says.

        Raises:
            ValueError: it is none.
        """
        match = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text.strip().lower())
        if match is None:
            raise ValueError(f"expected SEQ:HASH with 64 hexadecimal digits, got {text[:100]!r}")
        return cls(int(match[1]), match[2])


class Signer:
    """Signs lines.

    Args:
        key: The private key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.sign = key.sign
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = raw.hex()
        """The public key in hexadecimal, as it stands in every signed line."""

    @property
    def fingerprint(self) -> str:
        """The public key's name for people."""
        return fingerprint_of(self.key_id)


class KeyRing:
    """Public keys that are trusted.

    Args:
        keys: Public keys in hexadecimal.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}
        for key in keys:
            self._keys[key] = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))

    @classmethod
    def from_pem(cls, data: bytes) -> "KeyRing":
        """Read all Ed25519 keys of a PEM file; others are left out."""
        found = []
        for match in list(_PEM.finditer(data))[:MAX_KEYS]:
            try:
                key = load_pem_public_key(match[0])
            except ValueError:
                continue
            if isinstance(key, Ed25519PublicKey):
                found.append(key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex())
        return cls(found)

    @property
    def keys(self) -> list[str]:
        """The keys in hexadecimal, in the order of the file."""
        return list(self._keys)

    def pem(self) -> bytes:
        """Return the keys as a PEM file."""
        encoded = (
            key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            for key in self._keys.values()
        )
        return b"".join(encoded)

    def check(self, line: Line) -> SignatureState:
        """Return whether a line is signed by one of the keys."""
        try:
            data, signature = line.signed()
            key_id = line.fields().get("key")
        except LineError:
            return SignatureState.MALFORMED
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            return SignatureState.UNKNOWN_KEY
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return SignatureState.WRONG
        return SignatureState.GOOD


def fingerprint_of(key_id: str) -> str:
    """Return a public key's name for people, in the form that SSH uses."""
    digest = hashlib.sha256(bytes.fromhex(key_id)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
