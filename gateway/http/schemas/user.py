"""Bodies about users and sessions of the console."""

from datetime import datetime
from typing import Self

from pydantic import Field

from gateway.domain.policy import Role
from gateway.http.schemas.base import InModel, OutModel, Text
from gateway.sharing.keys import Scope
from gateway.sharing.users import MAX_STREAMS
from gateway.sharing.users_model import MAX_NAME, User, UserSettings
from gateway.sharing.users_session import ConsoleSession

__all__ = [
    "ConsoleOut",
    "ConsoleSessionOut",
    "LoginIn",
    "LoginList",
    "LoginOut",
    "PasswordChangeIn",
    "PasswordIn",
    "SetupIn",
    "UserChangeIn",
    "UserIn",
    "UserList",
    "UserOut",
]

MAX_TYPED = 1024
"""Characters of a password as it is typed; which may be one is said with `password_weak`."""


class ConsoleOut(OutModel):
    """What a login page must know."""

    setup_required: bool
    """Whether the first admin's account is still to be made."""
    version: Text


class LoginIn(InModel):
    """Who wants in."""

    name: str = Field(max_length=MAX_TYPED)
    password: str = Field(max_length=MAX_TYPED, repr=False)


class SetupIn(InModel):
    """The first admin's account."""

    admin_token: str = Field(max_length=MAX_TYPED, repr=False)
    """As `gateway serve` has shown it at its first start."""
    name: str = Field(max_length=MAX_TYPED)
    password: str = Field(max_length=MAX_TYPED, repr=False)


class PasswordChangeIn(InModel):
    """One's own password."""

    old: str = Field(max_length=MAX_TYPED, repr=False)
    new: str = Field(max_length=MAX_TYPED, repr=False)


class ConsoleSessionOut(OutModel):
    """Who is logged in."""

    user: Text
    display_name: Text
    role: Text
    """In a department: the role there."""
    department: Text
    """Empty: one of our own people."""
    scopes: list[Scope]
    csrf: Text
    """To be sent as X-CSRF-Token with every method other than GET and HEAD."""
    expires_at: datetime
    """When one must log in again at the latest."""
    must_change_password: bool
    """Whether nothing else can be called before the password is changed."""

    @classmethod
    def of(cls, user: User, session: ConsoleSession, csrf: str) -> Self:
        """Convert a session."""
        chosen = user.settings
        return cls(
            user=user.name,
            display_name=chosen.display_name,
            role=chosen.role.value,
            department=chosen.department,
            scopes=sorted(user.scopes),
            csrf=csrf,
            expires_at=session.expires_at,
            must_change_password=chosen.must_change_password,
        )


class _UserSettings(InModel):
    role: Role = Role.VIEWER
    """`viewer`, `operator` or `admin`; with a department `viewer` or `operator`."""
    department: str = Field(default="", max_length=64)
    """Empty: one of our own people. Else an outsider, governed by the sharing policy."""
    display_name: str = Field(default="", max_length=100)
    zone: str = Field(default="", max_length=64)
    """Network zone their requests count as; empty: the department's."""
    max_streams: int = Field(default=64, ge=0, le=MAX_STREAMS)
    """Streams open at once."""
    disabled: bool = False
    must_change_password: bool = False
    """Whether the next login must begin with another password."""


class UserIn(_UserSettings):
    """An account to be made."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    password: str = Field(max_length=MAX_TYPED, repr=False)

    def settings(self) -> UserSettings:
        """Return what can be chosen and changed."""
        return UserSettings(**self.model_dump(exclude={"name", "password"}))


class UserChangeIn(_UserSettings):
    """What to change about an account; absent fields stay."""

    def merged(self, settings: UserSettings) -> UserSettings:
        """Return settings with what was given changed."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: getattr(settings, name) for name in type(self).model_fields}
        return UserSettings(**{**kept, **given})


class PasswordIn(InModel):
    """Another password for somebody."""

    password: str = Field(max_length=MAX_TYPED, repr=False)
    must_change: bool = True
    """Whether they must choose their own at the next login."""


class UserOut(OutModel):
    """An account, without its password."""

    name: Text
    role: Role
    department: Text
    display_name: Text
    zone: Text
    max_streams: int
    disabled: bool
    must_change_password: bool
    scopes: list[Scope]
    created_at: datetime
    password_at: datetime
    last_login_at: datetime | None
    sessions: int
    """Logged in now."""
    open_streams: int

    @classmethod
    def of(cls, user: User, *, sessions: int, open_streams: int) -> Self:
        """Convert an account."""
        chosen = user.settings
        return cls(
            name=user.name,
            role=chosen.role,
            department=chosen.department,
            display_name=chosen.display_name,
            zone=chosen.zone,
            max_streams=chosen.max_streams,
            disabled=chosen.disabled,
            must_change_password=chosen.must_change_password,
            scopes=sorted(user.scopes),
            created_at=user.created_at,
            password_at=user.password_at,
            last_login_at=user.last_login_at,
            sessions=sessions,
            open_streams=open_streams,
        )


class UserList(OutModel):
    """All accounts, by name."""

    items: list[UserOut]
    total: int


class LoginOut(OutModel):
    """A session of the console; the cookie is not in it."""

    session_id: Text
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    source: Text
    agent: Text
    """What the browser says it is."""
    streams: int
    """Open now."""


class LoginList(OutModel):
    """A user's sessions, the one used last first."""

    items: list[LoginOut]
    total: int
