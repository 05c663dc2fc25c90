"""The audit in figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.sharing.audit.chain import SegmentSpan
from gateway.sharing.audit.checkpoint import Anchor
from gateway.sharing.audit.writer import AuditWriter

__all__ = ["AuditStatus", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatus:
    """The audit in figures."""

    head: Anchor
    """The last line."""
    durable_seq: int
    """The last line that would survive a power failure."""
    signed: Anchor | None
    """The last signed line; note it elsewhere, and nothing before it can be cut off unnoticed."""
    fingerprint: str
    """Name of the signing key."""
    segments: int
    stubs: int
    records: int
    """Records kept, without those that retention removed."""
    first_at: datetime | None
    """Earliest record kept."""
    pending_bytes: int
    lost: int
    """Records lost since the start."""
    open: int
    """Accesses that last at this moment."""


def status_of(writer: AuditWriter, spans: Sequence[SegmentSpan], fingerprint: str) -> AuditStatus:
    """Return the figures.

    Args:
        writer: What is written now.
        spans: All segments, oldest first.
        fingerprint: Name of the signing key.
    """
    kept = [span for span in spans if not span.stub]
    return AuditStatus(
        head=writer.chain.head,
        durable_seq=writer.durable_seq,
        signed=writer.chain.signed,
        fingerprint=fingerprint,
        segments=len(spans),
        stubs=len(spans) - len(kept),
        records=sum(span.records for span in kept),
        first_at=min((span.first_at for span in kept if span.first_at), default=None),
        pending_bytes=writer.backlog,
        lost=writer.lost,
        open=len(writer.chain.open),
    )
