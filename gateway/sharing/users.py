"""Accounts of people: who may log in, as whom, and with which password."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from gateway.domain.audit import AuditKind
from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Role, Subject
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook, check_code
from gateway.sharing.keys import KeyBook, KeyOwner
from gateway.sharing.users_model import (
    DEPARTMENT_SCOPES,
    User,
    UserSettings,
    canonical_name,
    checked_name,
    user_document,
    user_from_document,
)
from gateway.sharing.users_password import PasswordHasher, check_password, plain_password

__all__ = ["MAX_USERS", "UserBook", "UserChange"]

log = structlog.get_logger()

MAX_USERS = 2_000
"""The people of a county's platform and its departments, and some to spare."""
MAX_STREAMS = 10_000
_COLLECTION = "users"


@dataclass(frozen=True, slots=True)
class UserChange:
    """What became of an account."""

    user: User
    """As it is now; of a removed one as it was."""
    reason: str
    """Why what it has open must end: `user_disabled`, `user_removed`, `user_changed`, `password_changed`; empty:
    nothing must."""
    keep: str = ""
    """The session that goes on nevertheless."""


class UserBook:
    """All accounts, kept in the store.

    A change holds from its call on; if the store cannot keep it, it is taken back and the call fails.

    Args:
        store: Where they are kept.
        departments: Whose people may have accounts.
        keys: Keys that name an account share its fate.
        changes: Puts every change on record.
        hasher: Computes the hashes.
    """

    def __init__(
        self,
        store: DocumentStore,
        *,
        departments: DepartmentBook,
        keys: KeyBook,
        changes: ChangeLog,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._departments = departments
        self._keys = keys
        self._changes = changes
        self._hasher = hasher or PasswordHasher()
        self._users: dict[str, User] = {}
        self.on_changed: list[Callable[[UserChange], None]] = []
        """Called after an account was changed or removed."""
        departments.held_by.append(self._held)
        keys.owner_of = self._key_owner

    async def load(self) -> None:
        """Read all from the store."""
        for name, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                self._users[name] = user_from_document(name, body)
            except (KeyError, TypeError, ValueError) as exc:
                # Left out it lets nobody in.
                log.error("user_unreadable", name=name, error=repr(exc))  # noqa: TRY400 - no trace needed

    # Reading

    @property
    def setup_required(self) -> bool:
        """Whether there is no admin's account yet."""
        return not any(
            user.is_local and user.settings.role is Role.ADMIN for user in self._users.values()
        )

    def all(self) -> list[User]:
        """Return all, by name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def find(self, name: str) -> User | None:
        """Return one, or None."""
        return self._users.get(canonical_name(name))

    def get(self, name: str) -> User:
        """Return one.

        Raises:
            NotFound: `user_unknown`.
        """
        found = self.find(name)
        if found is None:
            raise NotFound("user_unknown", f"There is no user {name[:64]}")
        return found

    def zone_of(self, user: User) -> str:
        """Return the network zone its requests count as."""
        department = self._departments.find(user.settings.department)
        return user.settings.zone or (department.zone if department else "")

    async def authenticate(self, name: str, password: str) -> User | None:
        """Return the account a name and a password belong to, disabled ones too; a name nobody has takes as long.

        Raises:
            Unavailable: `logins_busy`.
        """
        user = self.find(name)
        plain = plain_password(password)
        fits = await self._hasher.verify(plain, user.password_hash if user else None)
        # Meanwhile it may have been removed, or its password changed.
        if user is None or not fits or (now := self._users.get(user.name)) is None:
            return None
        if now.password_hash != user.password_hash:
            return None
        if self._hasher.is_outdated(now.password_hash):
            now = await self._rehashed(now, plain)
        return now

    # Changing

    async def create(
        self,
        name: str,
        password: str,
        settings: UserSettings,
        *,
        by: Subject,
        source: str = "",
        first: bool = False,
    ) -> User:
        """Add an account.

        Args:
            name: Unique without regard to case.
            password: Its password.
            settings: The rest.
            by: Who adds it, for the record.
            source: Host the request came from.
            first: Only if there is no admin's account yet.

        Raises:
            Invalid: `invalid_user`, `password_weak`, `invalid_code`.
            NotFound: `department_unknown`.
            Conflict: `user_exists`, `too_many_users`, `setup_done`.
            Unavailable: `logins_busy`, or the store cannot keep it.
        """
        name = checked_name(name)
        plain = check_password(password, name)
        self._check(settings)
        self._room_for(name, first=first)
        encoded = await self._hasher.hash(plain)
        self._room_for(name, first=first)  # others may have come while it was computed
        now = self._changes.wall()
        user = User(
            name=name,
            settings=settings,
            created_at=now,
            password_hash=encoded,
            password_at=now,
        )
        await self._put(user, None)
        self._record("create", user, by, source=source, detail=_words(settings))
        return user

    async def change(
        self, name: str, settings: UserSettings, *, by: Subject, source: str = ""
    ) -> User:
        """Replace an account's settings; if it may do something else from now on, all it has open ends.

        Raises:
            NotFound: `user_unknown`, `department_unknown`.
            Invalid: `invalid_user`, `invalid_code`.
            Conflict: `last_admin`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        old = self.get(name)
        self._check(settings)
        user = replace(old, settings=settings)
        if old.is_admin and not user.is_admin:
            self._keep_an_admin(old)
        reason = _ends(old.settings, settings)
        if reason:
            user = replace(user, epoch=old.epoch + 1)
        await self._put(user, old, UserChange(user, reason))
        self._record("change", user, by, source=source, detail=_words(settings))
        return user

    async def set_password(
        self,
        name: str,
        password: str,
        *,
        by: Subject,
        must_change: bool = False,
        keep: str = "",
        source: str = "",
    ) -> User:
        """Give an account another password; its other sessions end.

        Args:
            name: Whose.
            password: The new one.
            by: Who does it.
            must_change: Whether it must be changed at the next login.
            keep: Identifier of the session that goes on.
            source: Host the request came from.

        Raises:
            NotFound: `user_unknown`.
            Invalid: `password_weak`.
            Unavailable: `logins_busy`, or the store cannot keep it; the old one goes on.
        """
        plain = check_password(password, self.get(name).name)
        encoded = await self._hasher.hash(plain)
        old = self.get(name)
        user = replace(
            old,
            password_hash=encoded,
            password_at=self._changes.wall(),
            epoch=old.epoch + 1,
            settings=replace(old.settings, must_change_password=must_change),
        )
        await self._put(user, old, UserChange(user, "password_changed", keep))
        self._record("password", user, by, source=source)
        return user

    async def remove(self, name: str, *, by: Subject, source: str = "") -> None:
        """Remove an account and the keys that name it; all it has open ends.

        Raises:
            NotFound: `user_unknown`.
            Conflict: `last_admin`.
            Unavailable: the store cannot do it; the account goes on, some of its keys may be gone.
        """
        old = self.get(name)
        if old.is_admin:
            self._keep_an_admin(old)
        # First the keys: left behind they would be keys of nobody, which nothing limits.
        for key in self._keys.named(old.name):
            await self._keys.delete(key.key_id, by=by)
        old = self.get(name)
        if old.is_admin:
            self._keep_an_admin(old)
        del self._users[old.name]
        try:
            await self._store.delete_document(_COLLECTION, old.name)
        except Unavailable:
            self._users.setdefault(old.name, old)
            raise
        self._tell(UserChange(old, "user_removed"))
        self._record("delete", old, by, source=source)

    def logged_in(self, user: User) -> None:
        """Note that somebody logged in just now."""
        current = self._users.get(user.name)
        if current is None:
            return
        new = self._users[user.name] = replace(current, last_login_at=self._changes.wall())
        self._save_later(new)

    # Inside

    async def _rehashed(self, user: User, plain: str) -> User:
        try:
            encoded = await self._hasher.hash(plain)
        except Unavailable:
            return user
        current = self._users.get(user.name)
        if current is None or current.password_hash != user.password_hash:
            return user
        new = self._users[user.name] = replace(current, password_hash=encoded)
        self._save_later(new)
        return new

    def _save_later(self, user: User) -> None:
        saving = self._store.save_document(_COLLECTION, user.name, user_document(user))
        saving.add_done_callback(_note_failure)

    def _room_for(self, name: str, *, first: bool) -> None:
        if first and not self.setup_required:
            raise Conflict("setup_done", "The first admin's account was made already; log in")
        if name in self._users:
            raise Conflict("user_exists", f"There is a user {name} already")
        if len(self._users) >= MAX_USERS:
            raise Conflict("too_many_users", f"{MAX_USERS} users are as many as are kept")

    def _check(self, settings: UserSettings) -> None:
        if settings.zone:
            check_code(settings.zone, "A zone")
        if not 0 <= settings.max_streams <= MAX_STREAMS:
            raise Invalid("invalid_user", f"max_streams is 0 to {MAX_STREAMS}")
        if not settings.department:
            return
        self._departments.get(settings.department)
        if settings.role not in DEPARTMENT_SCOPES:
            raise Invalid("invalid_user", "In a department people are viewer or operator")

    def _keep_an_admin(self, leaving: User) -> None:
        if not any(user.is_admin and user.name != leaving.name for user in self._users.values()):
            raise Conflict(
                "last_admin", f"{leaving.name} is the last admin; make another one first"
            )

    async def _put(self, user: User, old: User | None, change: UserChange | None = None) -> None:
        self._users[user.name] = user
        if change is not None:
            # At once: what must not go on does not wait for the disk.
            self._tell(change)
        try:
            await self._store.save_document(_COLLECTION, user.name, user_document(user))
        except Unavailable:
            if self._users.get(user.name) is user:
                del self._users[user.name]
                if old is not None:
                    self._users[user.name] = old
            raise

    def _tell(self, change: UserChange) -> None:
        for call in self.on_changed:
            call(change)
        if change.reason != "password_changed":
            self._keys.owner_changed(change.user.name)

    def _record(
        self, action: str, user: User, by: Subject, *, source: str = "", detail: str = ""
    ) -> None:
        self._changes.record(
            action, f"user:{user.name}", by, detail=detail, source=source, kind=AuditKind.USER
        )

    def _held(self, department: str) -> str:
        count = sum(user.settings.department == department for user in self._users.values())
        return f"{count} users" if count else ""

    def _key_owner(self, name: str) -> KeyOwner | None:
        user = self.find(name)
        if user is None:
            return None
        chosen = user.settings
        usable = user.is_local and not chosen.disabled
        return KeyOwner(user.name, chosen.role, usable=usable)


def _ends(old: UserSettings, new: UserSettings) -> str:
    """Return why all that is open must end, empty if it may go on."""
    if new.disabled and not old.disabled:
        return "user_disabled"
    same = ("role", "department", "zone", "disabled")
    return "" if all(getattr(old, name) == getattr(new, name) for name in same) else "user_changed"


def _words(settings: UserSettings) -> str:
    department = f" in department {settings.department}" if settings.department else ""
    return (
        f"{settings.role.value}{department}, display name {settings.display_name!r}, zone {settings.zone!r}, "
        f"{settings.max_streams} streams"
        + (", must change the password" if settings.must_change_password else "")
        + (", disabled" if settings.disabled else "")
    )


def _note_failure(saving: "asyncio.Future[None]") -> None:
    if not saving.cancelled() and (error := saving.exception()) is not None:
        log.warning("user_not_saved", error=repr(error))
