"""Accounts of people: who they are, what they may call, and how they stand in a document."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.errors import Invalid
from gateway.domain.policy import Role, Subject
from gateway.sharing.keys import ROLE_SCOPES, Scope

__all__ = [
    "DEPARTMENT_SCOPES",
    "MAX_NAME",
    "User",
    "UserSettings",
    "canonical_name",
    "checked_name",
    "user_document",
    "user_from_document",
]

MAX_NAME = 64
"""Characters of a name; it stands in every record of what its owner does."""
_NAME = re.compile(r"\w(?:[\w.@-]{0,62}\w)?")
_RESERVED = frozenset({"configuration", "nobody", "any"})
"""Names that stand for something else on record."""

DEPARTMENT_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.CATALOG, Scope.LIVE}),
    Role.OPERATOR: frozenset(Scope) - {Scope.CONFIG},
}
"""What people of a department may call, by their role in it; what they then see is for the policy to say. Restarting
devices is left to keys, which the policy must allow it as well."""


def canonical_name(name: str) -> str:
    """Return the form in which names are compared and kept: NFKC, without case."""
    folded = unicodedata.normalize("NFKC", name[: 2 * MAX_NAME].strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def checked_name(name: str) -> str:
    """Return the canonical form of a name that may be one.

    Raises:
        Invalid: `invalid_user`.
    """
    found = canonical_name(name)
    if not _NAME.fullmatch(found) or found in _RESERVED or len(name) > MAX_NAME:
        raise Invalid(
            "invalid_user",
            f"A user's name is 1 to {MAX_NAME} letters, digits and . _ - @, beginning and ending with a letter or "
            f"digit, and no reserved word; got {name[:MAX_NAME]!r}",
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """What can be chosen and changed about an account."""

    role: Role
    """Of our own people; beside a department `viewer` or `operator` in it."""
    department: str = ""
    """Empty: one of our own people. Else an outsider, whom the sharing policy governs like its department's keys."""
    display_name: str = ""
    zone: str = ""
    """Network zone their requests count as; empty: the department's."""
    max_streams: int = 64
    """Streams open at once; a wall of 16 takes 16, twice that while it tries another way to play."""
    disabled: bool = False
    must_change_password: bool = False
    """Until then nothing else may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One account."""

    name: str
    """Canonical."""
    settings: UserSettings
    created_at: datetime
    password_hash: str = field(repr=False)
    """PHC string."""
    password_at: datetime
    last_login_at: datetime | None = None
    epoch: int = 0
    """Counts the changes that end what is open; a session of an earlier one is over."""

    @property
    def is_local(self) -> bool:
        """Whether it is one of our own people."""
        return not self.settings.department

    @property
    def is_admin(self) -> bool:
        """Whether it may administer now."""
        chosen = self.settings
        return self.is_local and chosen.role is Role.ADMIN and not chosen.disabled

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may call."""
        table = ROLE_SCOPES if self.is_local else DEPARTMENT_SCOPES
        return table.get(self.settings.role, frozenset())

    @property
    def subject(self) -> Subject:
        """Who asks when it is used."""
        if self.is_local:
            return Subject(role=self.settings.role.value, user=self.name)
        return Subject(department=self.settings.department, user=self.name)


def user_document(user: User) -> dict[str, Any]:
    """Return an account as it is kept."""
    chosen = user.settings
    return {
        "role": chosen.role.value,
        "department": chosen.department,
        "display_name": chosen.display_name,
        "zone": chosen.zone,
        "max_streams": chosen.max_streams,
        "disabled": chosen.disabled,
        "must_change_password": chosen.must_change_password,
        "created_at": user.created_at.isoformat(),
        "password": user.password_hash,
        "password_at": user.password_at.isoformat(),
        "last_login_at": user.last_login_at.isoformat() if user.last_login_at else None,
        "epoch": user.epoch,
    }


def user_from_document(name: str, body: Mapping[str, Any]) -> User:
    """Return an account as it was kept; raises KeyError, TypeError, ValueError for what is none."""
    last = body["last_login_at"]
    return User(
        name=name,
        settings=UserSettings(
            role=Role(body["role"]),
            department=str(body["department"]),
            display_name=str(body["display_name"]),
            zone=str(body["zone"]),
            max_streams=int(body["max_streams"]),
            disabled=bool(body["disabled"]),
            must_change_password=bool(body["must_change_password"]),
        ),
        created_at=datetime.fromisoformat(body["created_at"]),
        password_hash=str(body["password"]),
        password_at=datetime.fromisoformat(body["password_at"]),
        last_login_at=datetime.fromisoformat(last) if last else None,
        epoch=int(body["epoch"]),
    )
