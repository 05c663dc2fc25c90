"""Who may: a credential for every request, from loopback too."""

import hmac
from collections.abc import Callable
from datetime import datetime
from math import ceil

import structlog
from aiohttp import web

from gateway.domain.audit import AuditEntry, AuditKind, AuditSink
from gateway.domain.policy import Subject
from gateway.http.cookie import clearing_cookie, cookie_of
from gateway.http.origin import Origins
from gateway.http.principal import Principal
from gateway.http.problem import REALM, ApiError, Refused
from gateway.http.quota import FailureLimit, RateQuota
from gateway.http.signed import ReplayGuard, SignatureCheck, is_signed
from gateway.http.tokens import Tokens
from gateway.observe.log import RateLimitedCounter
from gateway.sharing.changelog import subject_fields
from gateway.sharing.keys import ApiKey, KeyBook
from gateway.sharing.users import UserBook, UserChange
from gateway.sharing.users_model import User
from gateway.sharing.users_session import ConsoleSession, SessionBook, csrf_of

__all__ = [
    "USER_RATE",
    "Authenticator",
    "bearer_of",
    "expired_session",
    "has_credential",
    "unauthorized",
]

log = structlog.get_logger()

USER_RATE = 6_000
"""Requests a minute of one user, in all windows together: a wall of 16 with PTZ and lists takes some hundred."""
_SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing (RFC 9110 9.2.1), so that another site's page gains nothing by them."""


def has_credential(request: web.BaseRequest) -> bool:
    """Whether a request brings anything else than a stream token.

    A browser sends the cookie whether its page wants it or not, so it counts only where nothing else is said.
    """
    if "Authorization" in request.headers or is_signed(request):
        return True
    return cookie_of(request) is not None and "token" not in request.query


def bearer_of(request: web.BaseRequest) -> str | None:
    """Return the bearer token in `Authorization`, None without the header.

    Raises:
        ApiError: 401: several headers, or another scheme.
    """
    headers = request.headers.getall("Authorization", [])
    if not headers:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("invalid_credential", "Expected one header Authorization: Bearer TOKEN")
    return token.strip()


def unauthorized(
    code: str, detail: str, *, error: str | None = "invalid_token", key_id: str = ""
) -> Refused:
    """Return the refusal of a token."""
    challenge = f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")
    return Refused(code, detail, challenge=challenge, key_id=key_id)


def expired_session() -> Refused:
    """Return the refusal of a cookie whose session is over; it is taken back."""
    error = unauthorized("session_expired", "The session is over: log in again")
    error.headers["Set-Cookie"] = clearing_cookie()
    return error


class Authenticator:
    """Finds out who sent a request, counts what they send, and puts refusals of keys on record.

    Args:
        tokens: Admin and CLI token.
        keys: API keys.
        audit: Takes a record of every refused key.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        new_id: Makes identifiers of records.
        skew: Seconds by which the clock of a signed request may differ.
        failures: Refusals a minute and source address that get their full answer.
        users: Whose sessions these are.
        logins: Sessions of the console.
        origins: Which pages may use the console's cookie.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        keys: KeyBook,
        audit: AuditSink,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        new_id: Callable[[], str],
        skew: float,
        failures: int,
        users: UserBook,
        logins: SessionBook,
        origins: Origins,
    ) -> None:
        self._tokens = tokens
        self._keys = keys
        self._audit = audit
        self._wall = wall
        self._now = now
        self._users = users
        self._logins = logins
        self._origins = origins
        self._new_id = new_id
        self._replays = ReplayGuard()
        self._signatures = SignatureCheck(
            keys, self._replays, skew, started=wall().timestamp(), clock=now
        )
        self._quota = RateQuota()
        self._failures = FailureLimit(failures)
        self._limited = RateLimitedCounter(log.warning, "http_credentials_limited")
        keys.on_changed.append(self._changed)
        users.on_changed.append(self._user_changed)

    async def identify(self, request: web.Request) -> Principal:
        """Return who sent a request; counts it for the quota of its key or user.

        Raises:
            ApiError: 401; 403 `csrf_token_wrong`, `origin_refused` with the cookie; 429 `quota_exceeded`, `too_many_nonces`; as `raw_body` for signed requests.
        """
        source = request.remote or ""
        if is_signed(request):
            if "Authorization" in request.headers:
                raise unauthorized(
                    "invalid_credential", "Send a signature or Authorization, not both"
                )
            key = await self._signatures.key_of(request, self._wall().timestamp())
        else:
            bearer = bearer_of(request)
            if bearer is None and (token := cookie_of(request)) is not None:
                return self._logged_in(request, token)
            if bearer is None:
                raise unauthorized(
                    "credential_missing",
                    "Log in, send a token as Authorization: Bearer TOKEN, or sign the request",
                    error=None,
                )
            if self._tokens.accepts(bearer):
                return Principal.admin(source)
            found = self._keys.find_bearer(bearer)
            if found is None:
                raise unauthorized(
                    "credential_wrong",
                    "This is neither the admin token nor this start's CLI token nor a key",
                )
            key = found
        principal = self.holder_of(key, source)
        self._count(key)
        return principal

    def holder_of(self, key: ApiKey, source: str) -> Principal:
        """Return who holds a key that can be used.

        Raises:
            ApiError: 401 `key_disabled`, `key_expired`.
        """
        key = self._keys.effective(key)
        why = key.unusable(self._wall())
        if why is not None:
            words = "is disabled" if why == "key_disabled" else "has expired"
            raise unauthorized(why, f"Key {key.key_id} {words}", key_id=key.key_id)
        return Principal.of_key(key, self._keys.zone_of(key), source)

    def logged_in(self, user: User, session: ConsoleSession, source: str) -> Principal:
        """Return who is logged in."""
        return Principal.of_user(user, session, self._users.zone_of(user), source)

    def _logged_in(self, request: web.Request, token: str) -> Principal:
        found = self._logins.find(token)
        if found is None:
            raise expired_session()
        self._origins.require_own(request)
        if request.method not in _SAFE:
            given = request.headers.get("X-CSRF-Token", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, csrf_of(token).encode()):
                raise ApiError(
                    403,
                    "csrf_token_wrong",
                    "With the console's cookie send X-CSRF-Token as GET /api/v1/console/session tells it",
                )
        user, session = found
        self._take(f"user:{user.name}", USER_RATE, "A user")
        return self.logged_in(user, session, request.remote or "")

    def proven(self, key_id: str, source: str) -> Principal:
        """Return the holder of a key whose secret was proven on another face; counts it for its quota.

        Raises:
            ApiError: 401 `credential_wrong`, `key_disabled`, `key_expired`; 429 `quota_exceeded`.
        """
        key = self._keys.find(key_id)
        if key is None:
            raise unauthorized("credential_wrong", "No key has this name")
        principal = self.holder_of(key, source)
        self._count(key)
        return principal

    def refused(self, request: web.BaseRequest, error: ApiError) -> ApiError:
        """Count a 401 and put it on record; return what is to be answered.

        Args:
            request: What was refused.
            error: Why.
        """
        return self.note_refusal(
            error,
            source=request.remote or "",
            claimed=request.headers.get("X-Gb-Key", ""),
            what=f"{request.method} {request.path}",
        )

    def note_refusal(
        self, error: ApiError, *, source: str, claimed: str, what: str, via: str = "http"
    ) -> ApiError:
        """Count a 401 of any face and put it on record; return what is to be answered.

        Args:
            error: Why.
            source: Host it came from.
            claimed: The name it came with; empty if none.
            what: Method and path.
            via: The face.
        """
        wait = self._failures.note(source, self._now())
        if wait > 0:
            self._limited.add(source=source)
            return ApiError(
                429,
                "too_many_failures",
                "Too many requests from this address had no usable credential",
                headers={"Retry-After": str(ceil(wait))},
            )
        claimed = claimed[:64]
        known = error.key_id if isinstance(error, Refused) else ""
        if known or claimed:
            self._record(error, known, claimed, source=source, what=what, via=via)
        return error

    def _record(
        self, error: ApiError, known: str, claimed: str, *, source: str, what: str, via: str
    ) -> None:
        key = self._keys.find(known) if known else None
        log.warning("http_key_refused", name=known or claimed, reason=error.code, source=source)
        self._audit.record(
            AuditEntry(
                at=self._wall(),
                kind=AuditKind.KEY,
                entry_id=self._new_id(),
                subject=subject_fields(key.subject if key else Subject()),
                action="authenticate",
                object_id=f"key:{known or claimed}",
                result="deny",
                reason=error.code,
                detail=what[:208],
                source=source,
                via=via,
            )
        )

    def _count(self, key: ApiKey) -> None:
        self._take(key.key_id, key.settings.requests_per_minute, "This key")

    def _take(self, holder: str, per_minute: int, who: str) -> None:
        wait = self._quota.take(holder, per_minute, self._now())
        if wait > 0:
            raise ApiError(
                429,
                "quota_exceeded",
                f"{who} may send {per_minute} requests a minute",
                headers={"Retry-After": str(ceil(wait))},
            )

    def _changed(self, key: ApiKey) -> None:
        if self._keys.find(key.key_id) is None:
            self._quota.forget(key.key_id)
            self._replays.forget(key.key_id)

    def _user_changed(self, change: UserChange) -> None:
        if change.reason == "user_removed":
            self._quota.forget(f"user:{change.user.name}")
