"""Digest authentication, both sides (RFC 3261 section 22, RFC 2617; SHA-256 by RFC 8760).

The default challenge is MD5 without qop, which every device since 2011 understands. Such a nonce serves one
registration. With `qop="auth"` a nonce serves until it expires, as long as its count rises.
"""

import enum
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from gb28181.errors import LocalProtocolError, RemoteProtocolError, SipParseError
from gb28181.limits import MAX_DIGEST_MEMORY
from gb28181.sip.grammar import quote
from gb28181.sip.header.auth import parse_auth
from gb28181.sip.params import Params

__all__ = ["ALGORITHMS", "Credential", "DigestResult", "DigestServer", "authorize"]

ALGORITHMS = ("SHA-256", "MD5")
"""Algorithms of RFC 8760 that are spoken here, strongest first."""

_STAMP = 16
"""Hex digits of the issue time in microseconds, in front of the signature."""
_SIGNATURE = 16
"""Bytes of the signature."""
_MAX_COUNT = 2**32 - 1


class DigestResult(enum.Enum):
    """What an Authorization header turned out to be."""

    OK = "ok"
    MALFORMED = "malformed Authorization"
    OTHER_SCHEME = "not Digest"
    WRONG_USER = "username is not the device id"
    WRONG_REALM = "wrong realm"
    WRONG_ALGORITHM = "algorithm was not offered"
    WRONG_RESPONSE = "wrong password"
    STALE = "nonce has expired"
    UNKNOWN_NONCE = "nonce was not issued to this device"
    REPLAYED = "nonce was used before"

    @property
    def retry(self) -> bool:
        """Whether the password was right, so that a fresh nonce is all the device needs."""
        return self in _RETRY


_RETRY = frozenset({DigestResult.STALE, DigestResult.UNKNOWN_NONCE, DigestResult.REPLAYED})


@dataclass(frozen=True, slots=True)
class Credential:
    """The secret of one user name in one realm; never the password itself."""

    ha1: Mapping[str, str] = field(repr=False)
    """Algorithm name to hex H(username:realm:password)."""

    @classmethod
    def from_password(cls, username: str, realm: str, password: str) -> Self:
        """Derive the secrets for all algorithms."""
        text = f"{username}:{realm}:{password}"
        return cls({name: _hash(name, text) for name in ALGORITHMS})


class DigestServer:
    """Issues challenges and checks the answers.

    A nonce carries its time and a signature over time, realm and device, so an unanswered challenge costs no
    memory. Of each device that authenticated the newest accepted nonce is remembered until it would have expired:
    every older one counts as used. At most `MAX_DIGEST_MEMORY` devices are remembered; past that, new nonces are
    refused as stale rather than old ones forgotten, so that nothing can be replayed.

    Args:
        realm: Protection domain, by custom the 10-digit SIP domain.
        secret: Key of the signatures, at least 16 random bytes; nonces do not outlive it.
        algorithms: Offered ones, strongest first.
        qop: Offer `qop="auth"`.
        nonce_ttl: Seconds for which a nonce is accepted.
    """

    def __init__(
        self,
        *,
        realm: str,
        secret: bytes,
        algorithms: Sequence[str] = ("MD5",),
        qop: bool = False,
        nonce_ttl: float = 60.0,
    ) -> None:
        unknown = [name for name in algorithms if name not in ALGORITHMS]
        if unknown or not algorithms:
            raise LocalProtocolError(f"digest algorithms must be of {ALGORITHMS}, not {unknown}")
        self.realm = realm
        self._secret = secret
        # A keyed BLAKE2s costs a fraction of an HMAC; what all nonces share is fed in once.
        self._signer = hashlib.blake2s(
            f"{realm}\n".encode("utf-8", "surrogateescape"),
            key=hashlib.blake2s(secret).digest(),
            digest_size=_SIGNATURE,
        )
        self._algorithms = [name for name in ALGORITHMS if name in algorithms]
        self._qop = qop
        self._ttl = nonce_ttl
        self._last_stamp = 0
        # Ordered: the first key of a dict whose first keys were taken out is long looked for.
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()
        quoted = quote(realm)
        self._tails = [
            (name, f", algorithm={name}{', qop=' + quote('auth') if qop else ''}")
            for name in self._algorithms
        ]
        self._head = f"Digest realm={quoted}, nonce="

    def challenge(self, username: str, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """Build the WWW-Authenticate lines for one user, strongest algorithm first."""
        nonce = self._nonce(username, now)
        flag = ", stale=true" if stale else ""
        return [
            ("WWW-Authenticate", f'{self._head}"{nonce}"{flag}{tail}') for _, tail in self._tails
        ]

    def verify(
        self, authorization: str, method: str, username: str, credential: Credential, now: float
    ) -> DigestResult:
        """Check an Authorization value for a request of `username`; an accepted nonce counts as used."""
        try:
            value = parse_auth(authorization, field="Authorization")
        except SipParseError:
            return DigestResult.MALFORMED
        if value.scheme != "digest":
            return DigestResult.OTHER_SCHEME
        params = value.params
        if params.get("username") != username:
            return DigestResult.WRONG_USER
        if params.get("realm") != self.realm:
            return DigestResult.WRONG_REALM
        return self._verify_response(params, method, username, credential, now)

    def issued(self, authorization: str, username: str) -> bool:
        """Tell, at little cost, whether an Authorization value answers a challenge of ours to this user."""
        try:
            value = parse_auth(authorization, field="Authorization")
        except SipParseError:
            return False
        return self._read_nonce(value.params.get("nonce") or "", username) is not None

    def decoy(self) -> Credential:
        """Return the secret of nobody, for users that do not exist: as hard to guess as our nonces."""
        return Credential({name: self._sign("nobody", name) for name in ALGORITHMS})

    def remembered(self) -> int:
        """Return of how many devices a used nonce is remembered."""
        return len(self._used)

    def _verify_response(
        self, params: Params, method: str, username: str, credential: Credential, now: float
    ) -> DigestResult:
        nonce, uri, response = params.get("nonce"), params.get("uri"), params.get("response")
        if not nonce or not uri or not response:
            return DigestResult.MALFORMED
        algorithm = (params.get("algorithm") or "MD5").upper()
        ha1 = credential.ha1.get(algorithm)
        if algorithm not in self._algorithms or ha1 is None:
            return DigestResult.WRONG_ALGORITHM
        count = 0
        qop, nc, cnonce = params.get("qop"), params.get("nc"), params.get("cnonce")
        # Some devices echo qop but omit nc and cnonce: they hash without them, and their nonce serves once.
        if qop and nc and cnonce:
            if qop.lower() != "auth" or (parsed := _parse_count(nc)) is None:
                return DigestResult.MALFORMED
            count = parsed
            middle = f"{nonce}:{nc}:{cnonce}:{qop}"
        else:
            middle = nonce
        expected = _response(algorithm, ha1, middle, method, uri)
        if not hmac.compare_digest(
            expected.encode(), response.lower().encode("utf-8", "surrogateescape")
        ):
            return DigestResult.WRONG_RESPONSE
        return self._use_nonce(nonce, username, count, now)

    def _nonce(self, username: str, now: float) -> str:
        # Microseconds, but never the same twice: two challenges in one tick are two nonces.
        stamp = max(self._last_stamp + 1, int(now * 1e6))
        self._last_stamp = stamp
        text = f"{stamp:016x}"
        return text + self._sign(text, username)

    def _sign(self, stamp: str, username: str) -> str:
        signer = self._signer.copy()
        signer.update(f"{stamp}\n{username}".encode("utf-8", "surrogateescape"))
        return signer.hexdigest()

    def _use_nonce(self, nonce: str, username: str, count: int, now: float) -> DigestResult:
        """Check a nonce that came with the right response; count 0 means it serves only once."""
        stamp = self._read_nonce(nonce, username)
        if stamp is None:
            return DigestResult.UNKNOWN_NONCE
        oldest = int((now - self._ttl) * 1e6)
        if stamp < oldest:
            return DigestResult.STALE
        used = self._used.pop(username, None)
        if used is not None and (stamp, count) <= used:
            self._used[username] = used
            return DigestResult.REPLAYED
        self._forget(oldest)
        if len(self._used) >= MAX_DIGEST_MEMORY:
            return DigestResult.STALE
        self._used[username] = (stamp, count or _MAX_COUNT)
        return DigestResult.OK

    def _read_nonce(self, nonce: str, username: str) -> int | None:
        stamp, signature = nonce[:_STAMP], nonce[_STAMP:]
        if not signature.isascii() or not hmac.compare_digest(
            signature, self._sign(stamp, username)
        ):
            return None
        return int(stamp, 16)

    def _forget(self, oldest: int) -> None:
        """Drop the least recently used entries whose nonce has expired; a few per call keep the table clean."""
        for _ in range(2):
            first = next(iter(self._used), None)
            if first is None or self._used[first][0] >= oldest:
                return
            del self._used[first]


def authorize(
    challenge_headers: Sequence[str],
    *,
    method: str,
    uri: str,
    username: str,
    password: str,
    cnonce: str,
    nc: int = 1,
) -> str:
    """Build the Authorization value that answers the strongest challenge we can.

    Args:
        challenge_headers: Values of all WWW-Authenticate lines.
        method: Method of the request that will carry the answer.
        uri: Its Request-URI.
        username: By GB custom the own 20-digit id.
        password: The shared secret.
        cnonce: A fresh random token, used with qop.
        nc: How often this nonce has been used, this time included.

    Raises:
        RemoteProtocolError: There is no challenge that can be answered.
    """
    name, params = _choose(challenge_headers)
    realm, nonce = params.get("realm") or "", params.get("nonce") or ""
    ha1 = _hash(name, f"{username}:{realm}:{password}")
    lines = [
        f"username={quote(username)}",
        f"realm={quote(realm)}",
        f"nonce={quote(nonce)}",
        f"uri={quote(uri)}",
    ]
    if params.get("qop"):
        count = f"{nc:08x}"
        response = _response(name, ha1, f"{nonce}:{count}:{cnonce}:auth", method, uri)
        lines += [
            f'response="{response}"',
            f"algorithm={name}",
            f"cnonce={quote(cnonce)}",
            "qop=auth",
            f"nc={count}",
        ]
    else:
        response = _response(name, ha1, nonce, method, uri)
        lines += [f'response="{response}"', f"algorithm={name}"]
    opaque = params.get("opaque")
    if opaque is not None:
        lines.append(f"opaque={quote(opaque)}")
    return "Digest " + ", ".join(lines)


def _choose(challenge_headers: Sequence[str]) -> tuple[str, Params]:
    offers: dict[str, Params] = {}
    for header in challenge_headers:
        try:
            value = parse_auth(header, field="WWW-Authenticate")
        except SipParseError:
            continue
        name = (value.params.get("algorithm") or "MD5").upper()
        qops = (value.params.get("qop") or "auth").lower().replace(" ", "").split(",")
        if value.scheme == "digest" and "auth" in qops and value.params.get("nonce"):
            offers.setdefault(name, value.params)
    for name in ALGORITHMS:
        if name in offers:
            return name, offers[name]
    raise RemoteProtocolError(
        f"none of {len(challenge_headers)} challenges is Digest with {' or '.join(ALGORITHMS)} and qop auth"
    )


def _hash(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if algorithm == "MD5":
        # What GB/T 28181 prescribes; nothing else relies on it.
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest()


def _response(algorithm: str, ha1: str, middle: str, method: str, uri: str) -> str:
    return _hash(algorithm, f"{ha1}:{middle}:{_ha2(algorithm, method, uri)}")


@lru_cache(maxsize=256)
def _ha2(algorithm: str, method: str, uri: str) -> str:
    """Hash what all devices of one platform have in common."""
    return _hash(algorithm, f"{method}:{uri}")


def _parse_count(text: str) -> int | None:
    """Parse `nc`, eight hex digits by RFC 2617; shorter ones occur."""
    if not 0 < len(text) <= 8 or not text.isascii() or not text.isalnum():
        return None
    try:
        count = int(text, 16)
    except ValueError:
        return None
    return count or None
