"""Accesses as they stand in the audit."""

from datetime import datetime

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.policy import AccessRequest, Decision
from gateway.sharing.access_open import OpenAccess
from gateway.sharing.policy.record import subject_words

__all__ = ["access_entry", "end_entry"]

MAX_WORDS = 500
"""Characters of each text; most of them come from the asker."""


def access_entry(
    entry_id: str,
    at: datetime,
    request: AccessRequest,
    decision: Decision,
    *,
    lasting: bool = False,
) -> AuditEntry:
    """Return the record of one decision, allow or deny; an allowed one that lasts will have an end."""
    channel, context = request.channel, request.context
    detail = request.detail
    if not decision.allowed and decision.detail:
        detail = f"{detail}; {decision.detail}" if detail else decision.detail
    return AuditEntry(
        at=at,
        kind=AuditKind.ACCESS,
        entry_id=entry_id,
        subject=subject_words(request.subject),
        action=request.action.value,
        object_id=request.object_id[:MAX_WORDS],
        device_id=channel.device_id if channel is not None else "",
        channel_id=channel.channel_id if channel is not None else "",
        result="allow" if decision.allowed else "deny",
        rule=decision.rule,
        reason=decision.reason,
        detail=detail[:MAX_WORDS],
        purpose=context.purpose[:MAX_WORDS],
        ticket=context.ticket[:MAX_WORDS],
        source=context.source[:MAX_WORDS],
        via=request.via,
        lasting=lasting and decision.allowed,
    )


def end_entry(
    entry_id: str, at: datetime, access: OpenAccess, result: str, detail: str, duration_s: float
) -> AuditEntry:
    """Return the record of the end of an access that lasted; it names what it was told to end for."""
    request, because = access.request, access.stopped_by
    channel = request.channel
    return AuditEntry(
        at=at,
        kind=AuditKind.END,
        entry_id=entry_id,
        subject=subject_words(request.subject),
        action=request.action.value,
        object_id=request.object_id[:MAX_WORDS],
        device_id=channel.device_id if channel is not None else "",
        channel_id=channel.channel_id if channel is not None else "",
        result=result[:MAX_WORDS],
        rule=because.rule if because is not None else "",
        reason=because.reason if because is not None else "",
        detail=detail[:MAX_WORDS],
        via=request.via,
        duration_s=round(max(0.0, duration_s), 3),
        ref=access.access_id,
    )
