"""Signed requests: X-Gb-Key, X-Gb-Timestamp, X-Gb-Nonce, X-Gb-Signature; and what the request is for, if it says."""

import heapq
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.http.problem import REALM, ApiError, Refused
from gateway.http.route import raw_body
from gateway.sharing.keys import ApiKey, KeyBook
from gateway.sharing.signature import request_signature

__all__ = ["ReplayGuard", "SignatureCheck", "is_signed"]

NONCE_RESERVE = 1.2
"""Nonces of one key remembered at once, as a multiple of what its quota lets it send while a time stamp is good."""

_HEADERS = ("X-Gb-Key", "X-Gb-Timestamp", "X-Gb-Nonce", "X-Gb-Signature")
_SHAPES = (
    re.compile(r"[A-Za-z0-9]{1,64}"),
    re.compile(r"[0-9]{1,12}"),
    re.compile(r"[A-Za-z0-9_-]{8,64}"),
    re.compile(r"[0-9a-f]{64}"),
)


def is_signed(request: web.BaseRequest) -> bool:
    """Whether a request claims to be signed."""
    return any(name in request.headers for name in _HEADERS)


@dataclass(slots=True)
class _Nonces:
    """Nonces of one key with the time from which they need not be known any more."""

    known: set[str] = field(default_factory=set)
    order: list[tuple[float, str]] = field(default_factory=list)
    forgotten: float = 0.0
    """Latest of these times of those that are not known any more."""


class ReplayGuard:
    """Remembers nonces for as long as their time stamps are accepted."""

    def __init__(self) -> None:
        self._keys: dict[str, _Nonces] = {}

    def accept(self, key_id: str, nonce: str, until: float, now: float, limit: int) -> bool:
        """Remember a nonce; False if it was used before.

        Args:
            key_id: Whose; of keys that exist only.
            nonce: Of a request with a good signature.
            until: When its time stamp is refused anyway (UNIX seconds).
            now: UNIX seconds.
            limit: How many are remembered.

        Raises:
            ApiError: 429 `too_many_nonces`: forgetting one early would let it be used again.
        """
        mine = self._keys.setdefault(key_id, _Nonces())
        while mine.order and mine.order[0][0] < now:
            mine.forgotten, gone = heapq.heappop(mine.order)
            mine.known.discard(gone)
        # What is as old as one that was forgotten comes only after the clock was set back: it may be that one.
        if nonce in mine.known or until <= mine.forgotten:
            return False
        if len(mine.known) >= limit:
            wait = max(1, int(mine.order[0][0] - now) + 1)
            raise ApiError(
                429,
                "too_many_nonces",
                f"This key has sent {limit} signed requests within the accepted time",
                headers={"Retry-After": str(wait)},
            )
        mine.known.add(nonce)
        heapq.heappush(mine.order, (until, nonce))
        return True

    def forget(self, key_id: str) -> None:
        """Forget a key that is gone."""
        self._keys.pop(key_id, None)


class SignatureCheck:
    """Checks signatures.

    Nonces live in memory. So that nothing that was sent before a restart can be sent again after it, time stamps of
    before the start are refused for as long as they could be accepted at all. (Sent again could be what a sender
    whose clock is fast dated later than the start.)

    Args:
        keys: The keys and their secrets.
        replays: Remembers nonces.
        skew: Seconds by which the sender's clock may differ.
        started: When the gateway started (UNIX seconds).
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        keys: KeyBook,
        replays: ReplayGuard,
        skew: float,
        *,
        started: float,
        clock: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._replays = replays
        self._skew = skew
        self._started = int(started)
        self._clock = clock
        # By the monotonic clock: a wrong time at the start, set right later, must not refuse everything.
        self._young_until = clock() + skew
        self._decoy = secrets.token_urlsafe(32)

    async def key_of(self, request: web.Request, now: float) -> ApiKey:
        """Return the key that signed a request, usable or not.

        Args:
            request: Its body is read for this.
            now: UNIX seconds.

        Raises:
            ApiError: 401 `signature_malformed`, `signature_wrong`, `timestamp_skewed`, `nonce_used`;
                429 `too_many_nonces`; as `raw_body`.
        """
        key_id, timestamp, nonce, signature = self._headers(request)
        body = await raw_body(request)
        key = self._keys.find(key_id)
        # An unknown key takes the same way and time as a wrong signature.
        secret = (self._keys.secret(key) if key else None) or self._decoy
        expected = request_signature(
            secret, request.method, request.raw_path, timestamp, nonce, body, why=_why(request)
        )
        if not hmac.compare_digest(expected, signature) or key is None:
            raise _refusal("signature_wrong", "The signature does not fit this key and request")
        sent = int(timestamp)
        if abs(now - sent) > self._skew:
            raise _refusal(
                "timestamp_skewed",
                f"X-Gb-Timestamp differs by {abs(now - sent):.0f} s from the gateway's clock "
                f"({int(now)}); {self._skew:g} s are allowed",
                key=key,
            )
        if sent < self._started and self._clock() <= self._young_until:
            raise _refusal(
                "timestamp_skewed",
                f"X-Gb-Timestamp is {self._started - sent} s older than the gateway's start, and nobody knows any "
                "more what was sent then: sign anew",
                key=key,
            )
        allowed = key.settings.requests_per_minute * 2 * self._skew / 60
        limit = int(allowed * NONCE_RESERVE) + 100
        if not self._replays.accept(key.key_id, nonce, sent + self._skew, now, limit):
            raise _refusal("nonce_used", "A request with this nonce was received before", key=key)
        return key

    def _headers(self, request: web.Request) -> tuple[str, str, str, str]:
        found = []
        for name, shape in zip(_HEADERS, _SHAPES, strict=True):
            values = request.headers.getall(name, [])
            if len(values) != 1 or not shape.fullmatch(values[0]):
                raise _refusal(
                    "signature_malformed",
                    f"Expected one header {name} matching {shape.pattern}, got {len(values)}",
                )
            found.append(values[0])
        key_id, timestamp, nonce, signature = found
        return key_id, timestamp, nonce, signature


def _why(request: web.Request) -> tuple[str, str] | None:
    purpose, ticket = (request.headers.getall(name, []) for name in ("X-Gb-Purpose", "X-Gb-Ticket"))
    if len(purpose) > 1 or len(ticket) > 1:
        raise _refusal("signature_malformed", "Expected X-Gb-Purpose and X-Gb-Ticket once at most")
    if not purpose and not ticket:
        return None
    return "".join(purpose), "".join(ticket)


def _refusal(code: str, detail: str, *, key: ApiKey | None = None) -> Refused:
    scheme = f'Signature realm="{REALM}", error="{code}"'
    return Refused(code, detail, challenge=scheme, key_id=key.key_id if key else "")
