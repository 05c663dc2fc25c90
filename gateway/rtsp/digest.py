"""Digest authentication of players (RFC 7616, and RFC 2069 without qop, which most players speak)."""

import enum
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.rtsp.address import parse_address
from gateway.rtsp.limits import MAX_USED_NONCES, NONCE_LIFE
from gb28181.errors import SipParseError
from gb28181.sip.digest import Credential
from gb28181.sip.header.auth import parse_auth
from gb28181.sip.params import Params

__all__ = ["Checked", "DigestOutcome", "RtspDigest"]

REALM = "gb28181-gateway"
STAMP = 16
"""Hex digits of the issue time in microseconds, in front of the signature."""


class DigestOutcome(enum.Enum):
    """What an Authorization header turned out to be."""

    OK = "ok"
    STALE = "right, with a nonce that is used or expired"
    WRONG = "wrong"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome, and the name that was claimed."""

    outcome: DigestOutcome
    name: str = ""


class RtspDigest:
    """Issues challenges and checks the answers.

    A nonce carries its time and a signature over time and source address, so that an unanswered challenge costs no
    memory. One that proved a secret serves the same connection again and no other.

    Args:
        secret: Key of the signatures; nonces do not outlive it.
        secret_of: Returns the secret behind a name, None if there is no such name.
    """

    def __init__(self, secret: bytes, secret_of: Callable[[str], str | None]) -> None:
        self._secret = secret
        self._secret_of = secret_of
        self._last = 0
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Connection and issue time by used nonce."""

    def challenge(self, source: str, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """Build the WWW-Authenticate lines; MD5 last, since players that know only one algorithm look there."""
        # Without qop: GStreamer and live555 leave it out of their answers.
        self._last = max(self._last + 1, int(now * 1e6))
        stamp = f"{self._last:0{STAMP}x}"
        flag = ", stale=true" if stale else ""
        text = f'Digest realm="{REALM}", nonce="{stamp}{self._sign(stamp, source)}"{flag}'
        return [("WWW-Authenticate", f"{text}, algorithm={name}") for name in ("SHA-256", "MD5")]

    def check(
        self, authorization: str, method: str, url: str, *, source: str, connection: int, now: float
    ) -> Checked:
        """Check an Authorization value.

        Args:
            authorization: As sent.
            method: Of the request.
            url: Of the request.
            source: Host it came from.
            connection: Number of the connection it came on.
            now: Monotonic seconds.
        """
        try:
            value = parse_auth(authorization, field="Authorization")
        except SipParseError:
            return Checked(DigestOutcome.MALFORMED)
        params = value.params
        name = (params.get("username") or "")[:64]
        fields = [params.get(field) for field in ("realm", "nonce", "uri", "response")]
        if value.scheme != "digest" or not name or not all(fields):
            return Checked(DigestOutcome.MALFORMED, name)
        if fields[0] != REALM or not _same_stream(fields[2] or "", url):
            return Checked(DigestOutcome.WRONG, name)
        known = self._secret_of(name)
        # A name that does not exist takes as long as a wrong secret.
        right = _answers(params, method, name, "" if known is None else known)
        if known is None or not right:
            return Checked(DigestOutcome.WRONG, name)
        fresh = self._use(fields[1] or "", source, connection, now)
        return Checked(DigestOutcome.OK if fresh else DigestOutcome.STALE, name)

    def _use(self, nonce: str, source: str, connection: int, now: float) -> bool:
        stamp, signature = nonce[:STAMP], nonce[STAMP:]
        expected = self._sign(stamp, source)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            return False
        issued, oldest = int(stamp, 16), int((now - NONCE_LIFE) * 1e6)
        used = self._used.get(nonce)
        if used is not None:
            return used[0] == connection
        if issued < oldest:
            return False
        while self._used and next(iter(self._used.values()))[1] < oldest:
            self._used.popitem(last=False)
        if len(self._used) >= MAX_USED_NONCES:
            return False
        self._used[nonce] = (connection, int(now * 1e6))
        return True

    def _sign(self, stamp: str, source: str) -> str:
        text = f"{stamp}\n{source}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, "sha256").hexdigest()[:32]


def _answers(params: Params, method: str, name: str, secret: str) -> bool:
    algorithm = (params.get("algorithm") or "MD5").upper()
    ha1 = Credential.from_password(name, REALM, secret).ha1.get(algorithm)
    if ha1 is None:
        return False
    qop, nc, cnonce = params.get("qop"), params.get("nc"), params.get("cnonce")
    middle = f"{params.get('nonce')}"
    if qop:
        if qop.lower() != "auth" or not nc or not cnonce:
            return False
        middle = f"{middle}:{nc}:{cnonce}:{qop}"
    ha2 = _hash(algorithm, f"{method}:{params.get('uri')}")
    expected = _hash(algorithm, f"{ha1}:{middle}:{ha2}")
    given = (params.get("response") or "").lower()
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


def _same_stream(uri: str, url: str) -> bool:
    """Whether the answer was made for this stream; players differ in what they write exactly."""
    one, other = parse_address(uri), parse_address(url)
    return one is not None and other is not None and one.stream == other.stream


def _hash(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if algorithm == "MD5":
        # What players speak; SHA-256 is offered first.
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest()
