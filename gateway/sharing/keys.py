"""API keys: who may call over HTTP, for what, how often and until when."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace

import structlog

from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Role, Subject
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook, check_code
from gateway.sharing.keys_model import (
    ROLE_SCOPES,
    ApiKey,
    IssuedKey,
    KeyOwner,
    KeySettings,
    Scope,
    key_document,
    key_from_document,
)

__all__ = [
    "MAX_KEYS",
    "MAX_RATE",
    "ROLE_SCOPES",
    "ApiKey",
    "IssuedKey",
    "KeyBook",
    "KeyOwner",
    "KeySettings",
    "Scope",
]

log = structlog.get_logger()

MAX_KEYS = 5_000
"""A key a system of each department, and some to spare."""
MAX_RATE = 6_000
"""Requests a minute a key can be given; with the window of signed requests it bounds the nonces to remember."""
_COLLECTION = "api_keys"
_ID_PREFIX = "gbk"


class KeyBook:
    """All keys, kept in the store.

    A change holds from its call on; if the store cannot keep it, it is taken back and the call fails.

    Args:
        store: Where they are kept.
        box: Seals the secrets.
        departments: Owners.
        changes: Puts every change on record.
    """

    def __init__(
        self,
        store: DocumentStore,
        *,
        box: SecretBox,
        departments: DepartmentBook,
        changes: ChangeLog,
    ) -> None:
        self._store = store
        self._box = box
        self._departments = departments
        self._changes = changes
        self._keys: dict[str, ApiKey] = {}
        self.on_changed: list[Callable[[ApiKey], None]] = []
        """Called after a key was changed, disabled or deleted (then with `disabled` set)."""
        self.owner_of: Callable[[str], KeyOwner | None] = lambda _: None
        """Finds the account a key of our own people names, if there is one."""
        departments.held_by.append(self._held)

    async def load(self) -> None:
        """Read all from the store."""
        for key_id, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                self._keys[key_id] = key_from_document(key_id, body)
            except (KeyError, TypeError, ValueError) as exc:
                # Left out it opens nothing.
                log.error("key_unreadable", name=key_id, error=repr(exc))  # noqa: TRY400 - no trace needed

    # Reading

    def all(self, department: str | None = None) -> list[ApiKey]:
        """Return all keys, or one department's, oldest first."""
        found = (k for k in self._keys.values() if department in {None, k.department})
        return sorted(found, key=lambda key: (key.created_at, key.key_id))

    def get(self, key_id: str) -> ApiKey:
        """Return one.

        Raises:
            NotFound: `key_unknown`.
        """
        found = self._keys.get(key_id)
        if found is None:
            raise NotFound("key_unknown", f"There is no key {key_id[:64]}")
        return found

    def find(self, key_id: str) -> ApiKey | None:
        """Return one, or None."""
        return self._keys.get(key_id)

    def find_bearer(self, bearer: str) -> ApiKey | None:
        """Return the key a bearer token belongs to, usable or not; in constant time for a known id."""
        key = self._keys.get(bearer.partition(".")[0])
        matches = hmac.compare_digest(_hash(bearer), key.bearer_hash if key else _hash(""))
        return key if matches else None

    def secret(self, key: ApiKey) -> str | None:
        """Return the secret to check a signature with; None if it cannot be unsealed any more."""
        try:
            return self._box.unseal(key.sealed_secret)
        except Unavailable as exc:
            log.error("key_secret_unreadable", name=key.key_id, detail=exc.detail)  # noqa: TRY400 - no trace needed
            return None

    def named(self, user: str) -> list[ApiKey]:
        """Return the keys that name an account."""
        return [key for key in self.all("") if (owner := self._owner(key)) and owner.name == user]

    def effective(self, key: ApiKey) -> ApiKey:
        """Return a key with what its owner's account leaves of it: its role at most, nothing once disabled."""
        owner = self._owner(key)
        if owner is None:
            return key
        role = key.role if owner.role is not Role.VIEWER else Role.VIEWER.value
        settings = replace(
            key.settings, name=owner.name, disabled=key.settings.disabled or not owner.usable
        )
        return replace(key, role=role, settings=settings)

    def owner_changed(self, user: str) -> None:
        """Let an account's keys follow it at once."""
        for key in self.named(user):
            self._tell(self.effective(key))

    def zone_of(self, key: ApiKey) -> str:
        """Return the network zone its requests count as."""
        department = self._departments.find(key.department)
        return key.settings.zone or (department.zone if department else "")

    # Changing

    async def create(
        self, settings: KeySettings, *, department: str = "", role: str = "", by: Subject
    ) -> IssuedKey:
        """Make a key for a department, or for one of our own people.

        Raises:
            NotFound: `department_unknown`.
            Invalid: `invalid_key`, `invalid_code`.
            Conflict: `too_many_keys`.
            Unavailable: the store cannot keep it.
        """
        if bool(department) == bool(role):
            raise Invalid("invalid_key", "A key belongs to a department or has a role: name one")
        if department:
            self._departments.get(department)
        elif role not in {Role.OPERATOR, Role.VIEWER}:
            raise Invalid("invalid_key", f"Expected role operator or viewer, got {role[:20]!r}")
        elif not settings.name:
            raise Invalid("invalid_key", "A key of our own people needs the user's name")
        elif (owner := self.owner_of(settings.name)) is not None and not owner.usable:
            raise Invalid(
                "invalid_key", f"{owner.name} is disabled or in a department: make it a key of that"
            )
        if len(self._keys) >= MAX_KEYS:
            raise Conflict("too_many_keys", f"{MAX_KEYS} keys are as many as are kept")
        secret, key_id = secrets.token_urlsafe(32), f"{_ID_PREFIX}{secrets.token_hex(6)}"
        bearer = _bearer(key_id, secret)
        key = ApiKey(
            key_id=key_id,
            department=department,
            role=role,
            settings=_checked(settings),
            created_at=self._changes.wall(),
            bearer_hash=_hash(bearer),
            sealed_secret=self._box.seal(secret),
        )
        await self._put(key, None)
        self._changes.record("create", f"key:{key_id}", by, detail=_words(key))
        return IssuedKey(key, secret, bearer)

    async def change(self, key_id: str, settings: KeySettings, *, by: Subject) -> ApiKey:
        """Replace a key's settings; what it has open and may not have any more ends at once.

        Raises:
            NotFound: `key_unknown`.
            Invalid: `invalid_key`, `invalid_code`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        old = self.get(key_id)
        key = replace(old, settings=_checked(settings))
        await self._put(key, old)
        self._changes.record("change", f"key:{key_id}", by, detail=_words(key))
        return key

    async def rotate(self, key_id: str, *, by: Subject) -> IssuedKey:
        """Give a key a new secret; the old one is worthless at once.

        Raises:
            NotFound: `key_unknown`.
            Unavailable: the store cannot keep it; the old one goes on.
        """
        old, secret = self.get(key_id), secrets.token_urlsafe(32)
        bearer = _bearer(key_id, secret)
        key = replace(old, bearer_hash=_hash(bearer), sealed_secret=self._box.seal(secret))
        await self._put(key, old)
        self._changes.record("rotate", f"key:{key_id}", by)
        return IssuedKey(key, secret, bearer)

    async def delete(self, key_id: str, *, by: Subject) -> None:
        """Delete a key; what it has open ends.

        Raises:
            NotFound: `key_unknown`.
            Unavailable: the store cannot do it; the key goes on.
        """
        old = self.get(key_id)
        del self._keys[key_id]
        try:
            await self._store.delete_document(_COLLECTION, key_id)
        except Unavailable:
            self._keys.setdefault(key_id, old)
            raise
        self._tell(replace(old, settings=replace(old.settings, disabled=True)))
        self._changes.record("delete", f"key:{key_id}", by)

    async def _put(self, key: ApiKey, old: ApiKey | None) -> None:
        self._keys[key.key_id] = key
        try:
            await self._store.save_document(_COLLECTION, key.key_id, key_document(key))
        except Unavailable:
            if self._keys.get(key.key_id) is key:
                del self._keys[key.key_id]
                if old is not None:
                    self._keys[key.key_id] = old
            raise
        if old is not None:
            self._tell(key)

    def _tell(self, key: ApiKey) -> None:
        for call in self.on_changed:
            call(key)

    def _owner(self, key: ApiKey) -> KeyOwner | None:
        return self.owner_of(key.settings.name) if key.role else None

    def _held(self, department: str) -> str:
        count = len(self.all(department))
        return f"{count} keys" if count else ""


def _checked(settings: KeySettings) -> KeySettings:
    if settings.zone:
        check_code(settings.zone, "A zone")
    if not settings.scopes:
        raise Invalid("invalid_key", "A key needs at least one scope")
    if not 1 <= settings.requests_per_minute <= MAX_RATE:
        raise Invalid("invalid_key", f"requests_per_minute is 1 to {MAX_RATE}")
    if settings.max_streams < 0:
        raise Invalid("invalid_key", "max_streams is 0 or more")
    if settings.expires_at is not None and settings.expires_at.tzinfo is None:
        raise Invalid("invalid_key", "expires_at needs a time zone")
    return settings


def _bearer(key_id: str, secret: str) -> str:
    derived = hmac.new(secret.encode(), b"gb28181-gateway bearer", hashlib.sha256).hexdigest()
    return f"{key_id}.{derived}"


def _hash(bearer: str) -> str:
    return hashlib.sha256(bearer.encode("utf-8", "surrogateescape")).hexdigest()


def _words(key: ApiKey) -> str:
    chosen = key.settings
    owner = f"department {key.department}" if key.department else f"role {key.role}"
    until = chosen.expires_at.isoformat() if chosen.expires_at else "for ever"
    return (
        f"{owner}, name {chosen.name!r}, scopes {' '.join(sorted(chosen.scopes))}, zone {chosen.zone!r}, "
        f"{chosen.requests_per_minute} requests a minute, {chosen.max_streams} streams, until {until}"
        + (", disabled" if chosen.disabled else "")
    )
