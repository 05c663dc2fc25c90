"""API keys as values: what they may call, and how they stand in a document."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.policy import Role, Subject

__all__ = [
    "ROLE_SCOPES",
    "ApiKey",
    "IssuedKey",
    "KeyOwner",
    "KeySettings",
    "Scope",
    "key_document",
    "key_from_document",
]


class Scope(enum.StrEnum):
    """What a key may call; what it then sees and does there is for the policy to say."""

    CATALOG = "catalog"
    """Channels, devices, sessions and streams, to look at."""
    LIVE = "live"
    PLAYBACK = "playback"
    """Recordings, to list and play."""
    DOWNLOAD = "download"
    """Recordings, to take away as files."""
    PTZ = "ptz"
    CONFIG = "config"
    """Restart, record, guard, home position."""
    ALARM = "alarm"
    GRANTS = "grants"
    """Apply for access and see one's own applications."""
    AUDIT_OWN = "audit.own"
    """What stands in the audit about the own department."""
    WEBHOOKS = "webhooks"
    """Manage the own department's webhooks."""


ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.OPERATOR: frozenset({Scope.CATALOG, Scope.LIVE, Scope.PLAYBACK, Scope.PTZ, Scope.ALARM}),
    Role.VIEWER: frozenset({Scope.CATALOG, Scope.LIVE}),
}
"""What people of our own may call, by their role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """What can be chosen and changed about a key."""

    name: str = ""
    """For people; the user's name in a key of our own people."""
    scopes: frozenset[Scope] = frozenset()
    zone: str = ""
    """Network zone its requests count as; empty: the department's."""
    requests_per_minute: int = 600
    max_streams: int = 8
    """Streams open at once."""
    expires_at: datetime | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key; its secret is not in it in any readable form."""

    key_id: str
    department: str = ""
    """Owner; empty for a key of our own people."""
    role: str = ""
    """`operator` or `viewer` for a key of our own people; empty for a department's."""
    settings: KeySettings
    created_at: datetime
    bearer_hash: str = field(repr=False)
    """SHA-256 of its bearer form, hex."""
    sealed_secret: str = field(repr=False)

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may call: a key of our own people never more than its role."""
        if self.role:
            return self.settings.scopes & ROLE_SCOPES[Role(self.role)]
        return self.settings.scopes

    @property
    def subject(self) -> Subject:
        """Who asks when it is used."""
        if self.role:
            return Subject(role=self.role, user=self.settings.name)
        return Subject(department=self.department, key=self.key_id)

    def unusable(self, now: datetime) -> str | None:
        """Return why it cannot be used (`key_disabled`, `key_expired`), None if it can."""
        if self.settings.disabled:
            return "key_disabled"
        if self.settings.expires_at is not None and now >= self.settings.expires_at:
            return "key_expired"
        return None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with its secret, the only time it can be shown."""

    key: ApiKey
    secret: str = field(repr=False)
    """For signed requests."""
    bearer: str = field(repr=False)
    """For `Authorization: Bearer`; made from the secret, which cannot be found from it."""


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The account that a key of our own people names."""

    name: str
    """As accounts are compared."""
    role: Role
    usable: bool
    """Whether it is one of our own people's and not disabled."""


def key_document(key: ApiKey) -> dict[str, Any]:
    """Return a key as it is kept."""
    chosen = key.settings
    return {
        "department": key.department,
        "role": key.role,
        "name": chosen.name,
        "scopes": sorted(chosen.scopes),
        "zone": chosen.zone,
        "requests_per_minute": chosen.requests_per_minute,
        "max_streams": chosen.max_streams,
        "expires_at": chosen.expires_at.isoformat() if chosen.expires_at else None,
        "disabled": chosen.disabled,
        "created_at": key.created_at.isoformat(),
        "bearer_hash": key.bearer_hash,
        "secret": key.sealed_secret,
    }


def key_from_document(key_id: str, body: Mapping[str, Any]) -> ApiKey:
    """Return a key as it was kept; raises KeyError, TypeError, ValueError for what is none."""
    expires = body["expires_at"]
    return ApiKey(
        key_id=key_id,
        department=str(body["department"]),
        role=Role(body["role"]).value if body["role"] else "",
        settings=KeySettings(
            name=str(body["name"]),
            scopes=_scopes(body["scopes"]),
            zone=str(body["zone"]),
            requests_per_minute=int(body["requests_per_minute"]),
            max_streams=int(body["max_streams"]),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            disabled=bool(body["disabled"]),
        ),
        created_at=datetime.fromisoformat(body["created_at"]),
        bearer_hash=str(body["bearer_hash"]),
        sealed_secret=str(body["secret"]),
    )


def _scopes(names: Iterable[str]) -> frozenset[Scope]:
    # A scope of a later version opens nothing here.
    return frozenset(Scope(name) for name in names if name in set(Scope))
