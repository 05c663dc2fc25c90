"""Signatures and keys."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.audit.checkpoint import (
    Anchor,
    KeyRing,
    SignatureState,
    Signer,
    fingerprint_of,
)
from gateway.sharing.audit.line import GENESIS, Line, LineKind, encode
from tests.gateway.sharing.audit.samples import KEY, OTHER_KEY

SIGNER = Signer(KEY)
OTHER = Signer(OTHER_KEY)


def checkpoint(signer: Signer, key_id: str = "") -> Line:
    content = {"at": "x", "key": key_id or signer.key_id}
    raw, _ = encode(LineKind.CHECKPOINT, content, seq=5, prev=GENESIS, sign=signer.sign)
    return Line.parse(raw)


def test_a_signature_is_good_for_its_key_and_no_other() -> None:
    assert KeyRing([SIGNER.key_id]).check(checkpoint(SIGNER)) is SignatureState.GOOD
    both = KeyRing([OTHER.key_id, SIGNER.key_id])
    assert both.check(checkpoint(SIGNER)) is SignatureState.GOOD
    assert KeyRing([OTHER.key_id]).check(checkpoint(SIGNER)) is SignatureState.UNKNOWN_KEY
    assert both.check(checkpoint(SIGNER, OTHER.key_id)) is SignatureState.WRONG
    assert KeyRing().check(checkpoint(SIGNER)) is SignatureState.UNKNOWN_KEY


def test_a_line_without_signature_is_malformed() -> None:
    raw, _ = encode(LineKind.CHECKPOINT, {"key": SIGNER.key_id}, seq=5, prev=GENESIS)
    assert KeyRing([SIGNER.key_id]).check(Line.parse(raw)) is SignatureState.MALFORMED


@pytest.mark.parametrize("key_id", [5, None, [], "", "zz"])
def test_a_line_that_names_no_key_is_by_an_unknown_one(key_id: object) -> None:
    raw, _ = encode(LineKind.CHECKPOINT, {"key": key_id}, seq=5, prev=GENESIS, sign=SIGNER.sign)
    assert KeyRing([SIGNER.key_id]).check(Line.parse(raw)) is SignatureState.UNKNOWN_KEY


def test_keys_come_back_from_their_file_in_order() -> None:
    ring = KeyRing([OTHER.key_id, SIGNER.key_id])
    assert KeyRing.from_pem(ring.pem()).keys == [OTHER.key_id, SIGNER.key_id]
    crlf = ring.pem().replace(b"\n", b"\r\n")
    assert KeyRing.from_pem(b"notes\n" + crlf).keys == ring.keys


def test_what_is_no_ed25519_key_is_left_out() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    broken = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    assert KeyRing.from_pem(pem + broken + KeyRing([SIGNER.key_id]).pem()).keys == [SIGNER.key_id]


@given(st.binary(max_size=200))
def test_any_bytes_give_a_ring(data: bytes) -> None:
    assert KeyRing.from_pem(data).keys == []
    framed = b"-----BEGIN PUBLIC KEY-----\n" + data + b"\n-----END PUBLIC KEY-----"
    assert KeyRing.from_pem(framed).keys == []


def test_a_fingerprint_is_the_digest_of_the_key() -> None:
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    assert SIGNER.fingerprint == fingerprint_of(SIGNER.key_id) == f"SHA256:{digest}"


def test_an_anchor_is_written_down_and_read_again() -> None:
    anchor = Anchor(123, "ab" * 32)
    assert Anchor.parse(f" {str(anchor).upper()}\n") == anchor
    for text in ("", "1", "1:ab", "x:" + "ab" * 32, "1:" + "ab" * 33, "-1:" + "ab" * 32):
        with pytest.raises(ValueError, match="expected SEQ:HASH"):
            Anchor.parse(text)
