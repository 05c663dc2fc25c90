"""Webhooks: where a department wants to be told of the channels it may see."""

import enum
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.webhooks_target import TargetRule

__all__ = ["MAX_HOOKS", "MAX_HOOKS_PER_DEPARTMENT", "Webhook", "WebhookBook", "WebhookEvent"]

log = structlog.get_logger()

MAX_HOOKS = 500
"""Each has a task and a queue of its own."""
MAX_HOOKS_PER_DEPARTMENT = 10
_COLLECTION = "webhooks"


class WebhookEvent(enum.StrEnum):
    """What a department can be told."""

    ON = "on"
    """A channel can be played again: it and its device are there."""
    OFF = "off"
    ADDED = "added"
    """A channel became visible: catalogued, or granted."""
    REMOVED = "removed"
    """A channel is not visible any more: gone, revoked, stopped."""
    ACCESSED = "accessed"
    """Somebody got access to a channel this department owns, under a rule that says `notify_owner`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One receiver."""

    hook_id: str
    department: str
    url: str
    events: frozenset[WebhookEvent] = frozenset(WebhookEvent)
    enabled: bool = True
    reason: str = ""
    """Why the gateway disabled it; empty if it did not."""
    created_at: datetime
    sealed_secret: str = field(repr=False)


class WebhookBook:
    """All webhooks, kept in the store.

    Args:
        store: Where they are kept.
        box: Seals the secrets.
        departments: Owners.
        changes: Puts every change on record.
        targets: Where deliveries may go.
    """

    def __init__(
        self,
        store: DocumentStore,
        *,
        box: SecretBox,
        departments: DepartmentBook,
        changes: ChangeLog,
        targets: TargetRule,
    ) -> None:
        self._store = store
        self._box = box
        self._departments = departments
        self._changes = changes
        self._targets = targets
        self._hooks: dict[str, Webhook] = {}
        self.on_changed: list[Callable[[str], None]] = []
        """Called with the identifier of a webhook that was added, changed or deleted."""
        departments.held_by.append(self._held)

    async def load(self) -> None:
        """Read all from the store."""
        for hook_id, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                self._hooks[hook_id] = _from_document(hook_id, body)
            except (KeyError, TypeError, ValueError) as exc:
                log.error("webhook_unreadable", name=hook_id, error=repr(exc))  # noqa: TRY400 - no trace needed

    def all(self, department: str | None = None) -> list[Webhook]:
        """Return all webhooks, or one department's, oldest first."""
        found = (h for h in self._hooks.values() if department in {None, h.department})
        return sorted(found, key=lambda hook: (hook.created_at, hook.hook_id))

    def find(self, hook_id: str) -> Webhook | None:
        """Return one, or None."""
        return self._hooks.get(hook_id)

    def get(self, hook_id: str, department: str | None = None) -> Webhook:
        """Return one; with a department only if it is its own.

        Raises:
            NotFound: `webhook_unknown`.
        """
        found = self._hooks.get(hook_id)
        if found is None or department not in {None, found.department}:
            raise NotFound("webhook_unknown", f"There is no webhook {hook_id[:64]}")
        return found

    def secret(self, hook: Webhook) -> str:
        """Return the secret its deliveries are signed with.

        Raises:
            Unavailable: it cannot be unsealed any more.
        """
        return self._box.unseal(hook.sealed_secret)

    async def create(
        self, department: str, url: str, events: frozenset[WebhookEvent], *, by: Subject
    ) -> tuple[Webhook, str]:
        """Add a webhook; return it with its secret, the only time it can be shown.

        Raises:
            NotFound: `department_unknown`.
            Invalid: `invalid_url`, `target_refused`, `invalid_webhook`.
            Conflict: `too_many_webhooks`.
            Unavailable: the store cannot keep it.
        """
        self._departments.get(department)
        self._check(url, events)
        if len(self._hooks) >= MAX_HOOKS or len(self.all(department)) >= MAX_HOOKS_PER_DEPARTMENT:
            raise Conflict(
                "too_many_webhooks",
                f"A department has at most {MAX_HOOKS_PER_DEPARTMENT} webhooks, all have {MAX_HOOKS}",
            )
        secret = secrets.token_urlsafe(32)
        hook = Webhook(
            hook_id=f"gbw{secrets.token_hex(6)}",
            department=department,
            url=url,
            events=events,
            created_at=self._changes.wall(),
            sealed_secret=self._box.seal(secret),
        )
        await self._put(hook, None)
        self._changes.record("create", f"webhook:{hook.hook_id}", by, detail=_words(hook))
        return hook, secret

    async def change(
        self,
        hook_id: str,
        *,
        url: str,
        events: frozenset[WebhookEvent],
        enabled: bool,
        by: Subject,
    ) -> Webhook:
        """Change a webhook; enabling it again forgets why it was disabled.

        Raises:
            NotFound: `webhook_unknown`.
            Invalid: `invalid_url`, `target_refused`, `invalid_webhook`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        old = self.get(hook_id)
        self._check(url, events)
        reason = "" if enabled else old.reason
        hook = replace(old, url=url, events=events, enabled=enabled, reason=reason)
        await self._put(hook, old)
        self._changes.record("change", f"webhook:{hook_id}", by, detail=_words(hook))
        return hook

    async def disable(self, hook_id: str, reason: str) -> None:
        """Disable a webhook because its deliveries fail; one that is gone is no error.

        Raises:
            Unavailable: the store cannot keep it; it is disabled until the next start nevertheless.
        """
        old = self._hooks.get(hook_id)
        if old is None or not old.enabled:
            return
        hook = replace(old, enabled=False, reason=reason)
        self._hooks[hook_id] = hook
        self._tell(hook_id)
        self._changes.record(
            "disable", f"webhook:{hook_id}", Subject(user="gateway"), reason=reason
        )
        await self._store.save_document(_COLLECTION, hook_id, _to_document(hook))

    async def delete(self, hook_id: str, *, by: Subject) -> None:
        """Delete a webhook with what it has still to deliver.

        Raises:
            NotFound: `webhook_unknown`.
            Unavailable: the store cannot do it; it goes on.
        """
        old = self.get(hook_id)
        del self._hooks[hook_id]
        try:
            await self._store.delete_document(_COLLECTION, hook_id)
        except Unavailable:
            self._hooks.setdefault(hook_id, old)
            raise
        self._tell(hook_id)
        self._changes.record("delete", f"webhook:{hook_id}", by)

    def _check(self, url: str, events: frozenset[WebhookEvent]) -> None:
        self._targets.check_url(url)
        if not events:
            raise Invalid("invalid_webhook", "A webhook needs at least one kind of event")

    async def _put(self, hook: Webhook, old: Webhook | None) -> None:
        self._hooks[hook.hook_id] = hook
        try:
            await self._store.save_document(_COLLECTION, hook.hook_id, _to_document(hook))
        except Unavailable:
            if self._hooks.get(hook.hook_id) is hook:
                del self._hooks[hook.hook_id]
                if old is not None:
                    self._hooks[hook.hook_id] = old
            raise
        self._tell(hook.hook_id)

    def _tell(self, hook_id: str) -> None:
        for call in self.on_changed:
            call(hook_id)

    def _held(self, department: str) -> str:
        count = len(self.all(department))
        return f"{count} webhooks" if count else ""


def _words(hook: Webhook) -> str:
    # Without the query: some receivers want a token of theirs in it.
    url = hook.url.partition("?")[0]
    return f"department {hook.department}, to {url}, events {' '.join(sorted(hook.events))}" + (
        "" if hook.enabled else ", disabled"
    )


def _to_document(hook: Webhook) -> dict[str, Any]:
    return {
        "department": hook.department,
        "url": hook.url,
        "events": sorted(hook.events),
        "enabled": hook.enabled,
        "reason": hook.reason,
        "created_at": hook.created_at.isoformat(),
        "secret": hook.sealed_secret,
    }


def _from_document(hook_id: str, body: Mapping[str, Any]) -> Webhook:
    return Webhook(
        hook_id=hook_id,
        department=str(body["department"]),
        url=str(body["url"]),
        events=frozenset(WebhookEvent(name) for name in body["events"]),
        enabled=bool(body["enabled"]),
        reason=str(body["reason"]),
        created_at=datetime.fromisoformat(body["created_at"]),
        sealed_secret=str(body["secret"]),
    )
