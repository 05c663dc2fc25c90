"""Puts changes of policy, grants and stop orders on record."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from gateway.domain.audit import AuditEntry, AuditKind, AuditSink
from gateway.domain.policy import Subject

__all__ = ["Recorder", "subject_words", "unawaited"]

log = structlog.get_logger()


def subject_words(subject: Subject) -> dict[str, str]:
    """Return the fields of a subject that say something, as they stand in the audit."""
    words = {
        "platform": subject.platform,
        "department": subject.department,
        "key": subject.key,
        "user": subject.user,
        "role": subject.role,
        "identity": subject.identity,
        "gateways": "-".join(subject.gateways),
    }
    return {name: value for name, value in words.items() if value}


def unawaited(future: asyncio.Future[None], name: str) -> None:
    """Let a write that nobody waits for go on; if it fails, that is logged."""

    def done(future: asyncio.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            log.warning("sharing_write_failed", name=name, error=str(error))

    future.add_done_callback(done)


class Recorder:
    """Writes changes of one kind to the audit and the log.

    Args:
        audit: Takes the records.
        kind: Their kind.
        wall: Wall clock, timezone-aware.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self,
        audit: AuditSink,
        kind: AuditKind,
        *,
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._audit = audit
        self._kind = kind
        self._new_id = new_id
        self.wall = wall

    def record(
        self,
        action: str,
        object_id: str,
        by: Subject | None,
        *,
        detail: str = "",
        reason: str = "",
        source: str = "",
        purpose: str = "",
        ticket: str = "",
        result: str = "ok",
    ) -> None:
        """Put one change on record.

        Args:
            action: What was done: `apply`, `revoke`, ...
            object_id: To what: `policy:3`, `grant:ID`, `stop:ID`.
            by: Who did it; None if the gateway itself, by the clock.
            detail: What it is now.
            reason: Why.
            source: Host the request came from.
            purpose: Purpose the grant serves.
            ticket: Ticket it was asked for with.
            result: `ok` or `failed`.
        """
        log.info("sharing_changed", kind=f"{self._kind}_{action}", name=object_id, reason=reason)
        self._audit.record(
            AuditEntry(
                at=self.wall(),
                kind=self._kind,
                entry_id=self._new_id(),
                subject=subject_words(by) if by is not None else {},
                action=action,
                object_id=object_id,
                result=result,
                reason=reason,
                detail=detail[:1000],
                purpose=purpose,
                ticket=ticket,
                source=source,
            )
        )
