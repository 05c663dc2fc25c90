"""Puts what is configured about departments and users on record."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime

import structlog

from gateway.domain.audit import AuditEntry, AuditKind, AuditSink
from gateway.domain.policy import Subject

__all__ = ["ChangeLog", "subject_fields"]

log = structlog.get_logger()


def subject_fields(subject: Subject) -> dict[str, str]:
    """Return the fields of a subject that say something, by name, as they stand in the audit."""
    found = {}
    for item in fields(subject):
        value = getattr(subject, item.name)
        if value:
            found[item.name] = value if isinstance(value, str) else " ".join(value)
    return found


class ChangeLog:
    """Writes changes to the audit and the log.

    Args:
        audit: Takes the records.
        wall: Wall clock, timezone-aware.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self, audit: AuditSink, *, wall: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._audit = audit
        self._new_id = new_id
        self.wall = wall

    def record(
        self,
        action: str,
        object_id: str,
        by: Subject,
        *,
        detail: str = "",
        source: str = "",
        reason: str = "",
        kind: AuditKind = AuditKind.KEY,
        result: str = "ok",
    ) -> None:
        """Put one change on record.

        Args:
            action: What was done: `create`, `change`, `delete`, ...
            object_id: To what: `department:CODE`, `key:ID`, `webhook:ID`.
            by: Who did it.
            detail: What it is now, without secrets.
            source: Host the request came from.
            reason: Why, if the gateway did it itself.
            kind: What it is about: keys, departments and webhooks, or users.
            result: `ok` or `failed`.
        """
        log.info(
            "sharing_changed",
            kind=action,
            name=object_id,
            reason=reason,
            detail=detail,
            source=source,
        )
        self._audit.record(
            AuditEntry(
                at=self.wall(),
                kind=kind,
                entry_id=self._new_id(),
                subject=subject_fields(by),
                action=action,
                object_id=object_id,
                result=result,
                reason=reason,
                detail=detail,
                source=source,
                via="http",
            )
        )
