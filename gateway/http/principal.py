"""Who stands behind a request, and the one function that says which routes they may call."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from urllib.parse import unquote

from aiohttp import web

from gateway.domain.document import NOT_TEXT
from gateway.domain.policy import AccessContext, Role, Subject
from gateway.http.problem import OUTSIDE, ApiError
from gateway.http.route import Access
from gateway.http.schemas.base import MAX_PURPOSE, MAX_TICKET
from gateway.sharing.keys import ROLE_SCOPES, ApiKey, Scope
from gateway.sharing.users_model import User
from gateway.sharing.users_session import ConsoleSession

__all__ = [
    "PRINCIPAL",
    "Principal",
    "authorise",
    "caller_of",
    "context_of",
    "principal_of",
    "received_from",
]

_PRINTABLE = re.compile(f"(?:(?!{NOT_TEXT.pattern}).)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody with a usable credential."""

    subject: Subject
    scopes: frozenset[Scope] = frozenset()
    zone: str = ""
    source: str = ""
    """Host the request came from."""
    key: ApiKey | None = field(default=None, repr=False)
    """The key that was used; None for the admin and the CLI token and for sessions of the console."""
    user: User | None = field(default=None, repr=False)
    """Who is logged in to the console; None with any other credential."""
    session: ConsoleSession | None = field(default=None, repr=False)
    """Their session."""

    @classmethod
    def admin(cls, source: str = "") -> "Principal":
        """Return whoever holds the admin or the CLI token."""
        subject = Subject(role=Role.ADMIN.value)
        return cls(subject=subject, scopes=ROLE_SCOPES[Role.ADMIN], source=source)

    @classmethod
    def of_key(cls, key: ApiKey, zone: str, source: str = "") -> "Principal":
        """Return whoever holds a key."""
        return cls(subject=key.subject, scopes=key.scopes, zone=zone, source=source, key=key)

    @classmethod
    def of_user(
        cls, user: User, session: ConsoleSession, zone: str, source: str = ""
    ) -> "Principal":
        """Return whoever is logged in."""
        return cls(
            subject=user.subject,
            scopes=user.scopes,
            zone=zone,
            source=source,
            user=user,
            session=session,
        )

    @property
    def holder(self) -> str:
        """By whom streams and promised ones are counted: a key, a user; empty for the admin and the CLI token."""
        if self.key is not None:
            return self.key.key_id
        return f"user:{self.user.name}" if self.user is not None else ""

    @property
    def max_streams(self) -> int | None:
        """Streams they may have open at once; None: no limit of their own."""
        if self.key is not None:
            return self.key.settings.max_streams
        return self.user.settings.max_streams if self.user is not None else None

    @property
    def expires_at(self) -> datetime | None:
        """When the credential is worthless at the latest, and what was opened with it ends."""
        if self.key is not None:
            return self.key.settings.expires_at
        return self.session.expires_at if self.session is not None else None

    @property
    def must_change_password(self) -> bool:
        """Whether they may do nothing else."""
        return self.user is not None and self.user.settings.must_change_password

    @property
    def is_local(self) -> bool:
        """Whether what is shown to them stays inside our own domain."""
        return self.subject.is_local

    @property
    def department(self) -> str | None:
        """Code of their department; None for our own people, who may look at all."""
        return None if self.is_local else self.subject.department

    def may(self, access: Access) -> bool:
        """Whether they may call routes of this kind."""
        role = self.subject.role
        if self.must_change_password and access not in {Access.OPEN, Access.VIEWING, Access.ANY}:
            return False
        match access:
            case Access.OPEN | Access.VIEWING | Access.ANY:
                return True
            case Access.LOCAL:
                return self.is_local
            case Access.OPERATOR:
                return self.is_local and role in {Role.OPERATOR, Role.ADMIN}
            case Access.ADMIN:
                return self.is_local and role == Role.ADMIN
            case (
                Access.STREAM
                | Access.CATALOG
                | Access.LIVE
                | Access.PLAYBACK
                | Access.DOWNLOAD
                | Access.PTZ
                | Access.CONFIG
                | Access.ALARM
                | Access.GRANTS
                | Access.AUDIT_OWN
                | Access.WEBHOOKS
            ):
                return access.scope in self.scopes
            case _:
                assert_never(access)


PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("gateway.principal", Principal)
"""Under which a request knows who sent it."""


def received_from(request: web.BaseRequest, principal: Principal) -> None:
    """Note who sent a request."""
    request[PRINCIPAL] = principal
    request[OUTSIDE] = not principal.is_local


def authorise(principal: Principal, access: Access) -> None:
    """Let those pass who may call routes of this kind.

    Raises:
        ApiError: 403 `scope_missing`, `role_missing` or `password_change_required`.
    """
    if principal.may(access):
        return
    if principal.must_change_password:
        raise ApiError(
            403,
            "password_change_required",
            "Change the password first: POST /api/v1/console/password",
        )
    if access.scope is not None:
        raise ApiError(
            403, "scope_missing", f"This path needs the scope {access.scope}, which you do not have"
        )
    raise ApiError(
        403, "role_missing", f"This path is for the gateway's own people only ({access.value})"
    )


def principal_of(request: web.BaseRequest) -> Principal:
    """Return who sent a request that went through the guard."""
    return request[PRINCIPAL]


def caller_of(request: web.BaseRequest) -> Subject:
    """Return who sent a request, for the record."""
    return principal_of(request).subject


def context_of(
    principal: Principal,
    wall: Callable[[], datetime],
    request: web.BaseRequest,
    *,
    purpose: str = "",
    ticket: str = "",
) -> AccessContext:
    """Return the circumstances of an access.

    Args:
        principal: Who asks.
        wall: Wall clock.
        request: May say purpose and ticket in X-Gb-Purpose (percent-encoded UTF-8) and X-Gb-Ticket.
        purpose: From the body; wins over the header.
        ticket: From the body; wins over the header.

    Raises:
        ApiError: 400 `invalid_purpose`.
    """
    purpose = purpose or unquote(request.headers.get("X-Gb-Purpose", ""), errors="replace")
    ticket = ticket or request.headers.get("X-Gb-Ticket", "")
    for value, longest in ((purpose, MAX_PURPOSE), (ticket, MAX_TICKET)):
        if len(value) > longest or not _PRINTABLE.fullmatch(value):
            raise ApiError(
                400,
                "invalid_purpose",
                f"A purpose has up to {MAX_PURPOSE} printable characters, a ticket up to {MAX_TICKET}",
            )
    return AccessContext(
        at=wall(), zone=principal.zone, purpose=purpose, ticket=ticket, source=principal.source
    )
