"""The book of upper platforms: what is configured for each, kept in the store."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

import structlog

from gateway.cascade.book_check import check_password, check_platform
from gateway.cascade.book_document import from_document, to_document
from gateway.domain.audit import AuditEntry, AuditKind, AuditSink
from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import Role, Subject
from gateway.sharing.changelog import subject_fields

__all__ = ["MAX_PLATFORMS", "PlatformBook"]

log = structlog.get_logger()

MAX_PLATFORMS: Final = 500
"""Each holds a tree of its own; a city centre serves some dozen."""
_COLLECTION: Final = "platforms"
_LOCAL: Final = Subject(role=Role.ADMIN.value)


class PlatformBook:
    """Configurations of upper platforms by their codes.

    Args:
        store: Where they are kept.
        box: Encrypts the passwords, which must be known in the clear when registering.
        own_id: Our own code, `[sip] id`.
        audit: Put on record who changed what.
        wall: Wall clock, timezone-aware.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self,
        store: DocumentStore,
        box: SecretBox,
        *,
        own_id: str,
        audit: AuditSink,
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.own_id = own_id
        self.on_changed: list[Callable[[str], None]] = []
        """Called with the code of a platform that was added, changed or deleted, once that is durable."""
        self._store = store
        self._box = box
        self._audit = audit
        self._wall = wall
        self._new_id = new_id
        self._configs: dict[str, PlatformConfig] = {}
        self._sealed: dict[str, str] = {}

    async def load(self) -> None:
        """Read all from the store; one that cannot be read is left out and logged."""
        for platform_id, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                config = from_document(platform_id, body)
                check_platform(config, own_id=self.own_id)
            except (KeyError, TypeError, ValueError, Invalid) as exc:
                log.error("platform_unreadable", platform_id=platform_id, error=str(exc))  # noqa: TRY400 - no trace needed
                continue
            self._configs[platform_id] = config
            self._sealed[platform_id] = str(body.get("password") or "")

    def list(self) -> list[PlatformConfig]:
        """Return all, by code."""
        return sorted(self._configs.values(), key=lambda config: config.platform_id)

    def find(self, platform_id: str) -> PlatformConfig | None:
        """Return one, None if there is none of that code."""
        return self._configs.get(platform_id)

    def get(self, platform_id: str) -> PlatformConfig:
        """Return one.

        Raises:
            NotFound: `platform_unknown`.
        """
        config = self._configs.get(platform_id)
        if config is None:
            raise NotFound("platform_unknown", f"There is no platform {platform_id[:64]}")
        return config

    def password(self, platform_id: str) -> str:
        """Return a platform's password; empty if it has none.

        Raises:
            Unavailable: `secret_unreadable`.
        """
        sealed = self._sealed.get(platform_id, "")
        return self._box.unseal(sealed) if sealed else ""

    def check(self, config: PlatformConfig, password: str | None = None) -> None:
        """Refuse what cannot work, without saving anything.

        Raises:
            Invalid: `invalid_platform`.
        """
        check_platform(config, own_id=self.own_id)
        if password is not None:
            check_password(password)

    async def save(
        self,
        config: PlatformConfig,
        password: str | None = None,
        *,
        new: bool | None = None,
        by: Subject = _LOCAL,
        source: str = "",
    ) -> PlatformConfig:
        """Add a platform or change one; returns what is kept, once it is durable. No change is no event.

        Args:
            config: All of its configuration; `has_password` is ignored.
            password: Its password; None leaves the one it has, empty removes it.
            new: Whether it must not exist yet (True) or must exist (False); None: either.
            by: Who, for the record.
            source: Host the request came from, for the record.

        Raises:
            Invalid: `invalid_platform`.
            Conflict: `platform_exists`, `too_many_platforms`.
            NotFound: `platform_unknown`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        self.check(config, password)
        platform_id = config.platform_id
        old, old_sealed = self._configs.get(platform_id), self._sealed.get(platform_id, "")
        if old is None and new is False:
            raise NotFound("platform_unknown", f"There is no platform {platform_id}")
        if old is not None and new:
            raise Conflict("platform_exists", f"Platform {platform_id} is configured already")
        if old is None and len(self._configs) >= MAX_PLATFORMS:
            raise Conflict(
                "too_many_platforms", f"{MAX_PLATFORMS} platforms are as many as are kept"
            )
        sealed = old_sealed
        if password is not None:
            sealed = self._box.seal(password) if password else ""
        config = replace(config, has_password=bool(sealed))
        if config == old and password is None:
            return config
        # In force before it is durable, so that two changes at once follow each other.
        self._configs[platform_id], self._sealed[platform_id] = config, sealed
        try:
            await self._store.save_document(
                _COLLECTION, platform_id, {**to_document(config), "password": sealed}
            )
        except Unavailable:
            self._put_back(config, old, old_sealed)
            raise
        detail = _difference(old, config)
        if password is not None:
            detail += ", password set" if password else ", password removed"
        self._record("change" if old else "create", platform_id, by, source, detail)
        self._tell(platform_id)
        return config

    async def delete(self, platform_id: str, *, by: Subject = _LOCAL, source: str = "") -> None:
        """Delete a platform.

        Raises:
            NotFound: `platform_unknown`.
            Unavailable: the store cannot do it; nothing was changed.
        """
        old, sealed = self.get(platform_id), self._sealed.get(platform_id, "")
        del self._configs[platform_id]
        self._sealed.pop(platform_id, None)
        try:
            await self._store.delete_document(_COLLECTION, platform_id)
        except Unavailable:
            if platform_id not in self._configs:
                self._configs[platform_id], self._sealed[platform_id] = old, sealed
            raise
        self._record("delete", platform_id, by, source, old.name)
        self._tell(platform_id)

    def _put_back(self, new: PlatformConfig, old: PlatformConfig | None, sealed: str) -> None:
        platform_id = new.platform_id
        if self._configs.get(platform_id) is not new:
            return
        if old is None:
            del self._configs[platform_id], self._sealed[platform_id]
        else:
            self._configs[platform_id], self._sealed[platform_id] = old, sealed

    def _tell(self, platform_id: str) -> None:
        for listener in tuple(self.on_changed):
            listener(platform_id)

    def _record(self, action: str, platform_id: str, by: Subject, source: str, detail: str) -> None:
        log.info("platform_configured", platform_id=platform_id, kind=action, detail=detail)
        self._audit.record(
            AuditEntry(
                at=self._wall(),
                kind=AuditKind.PLATFORM,
                entry_id=self._new_id(),
                subject=subject_fields(by),
                action=action,
                object_id=platform_id,
                result="ok",
                detail=detail,
                source=source,
            )
        )


def _difference(old: PlatformConfig | None, new: PlatformConfig) -> str:
    """Say what was changed, in the words of the configuration."""
    if old is None:
        where = ", ".join(f"{item.host}:{item.port}" for item in new.addresses)
        return f"{new.name!r} at {new.transport} {where}"
    parts = []
    for field in fields(new):
        before: Any = getattr(old, field.name)
        after: Any = getattr(new, field.name)
        if field.name == "nodes" and before != after:
            parts.append(f"nodes: {len(before)} -> {len(after)}")
        elif before != after:
            parts.append(f"{field.name}: {str(before)[:80]} -> {str(after)[:80]}")
    return "; ".join(parts) or "nothing changed"
