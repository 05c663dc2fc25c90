"""Bodies about the audit."""

from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field

from gateway.domain.audit import AuditKind
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text
from gateway.sharing.audit.report import VerifyReport
from gateway.sharing.audit.search import AuditPage, AuditQuery, AuditRow
from gateway.sharing.audit.status import AuditStatus
from gateway.sharing.denials import SUMMARY_RULE

__all__ = [
    "AuditPageOut",
    "AuditRowOut",
    "AuditSearchQuery",
    "AuditStatusOut",
    "ExportQuery",
    "OwnAuditQuery",
    "VerifyIn",
    "VerifyOut",
]

_TEXT = 300


class OwnAuditQuery(PageQuery):
    """Which of the records about oneself."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    action: str = Field(default="", max_length=_TEXT)
    object_id: str = Field(default="", max_length=_TEXT)
    """As it was asked for."""
    result: str = Field(default="", max_length=_TEXT)
    """`allow`, `deny`, or how an access ended."""

    def query(self, subject: str) -> AuditQuery:
        """Convert it, for one subject."""
        return AuditQuery(
            since=self.since,
            until=self.until,
            kinds=frozenset({AuditKind.ACCESS, AuditKind.GRANT, AuditKind.KEY}),
            subject=subject,
            action=self.action,
            object_id=self.object_id,
            result=self.result,
            limit=self.limit,
            offset=self.offset,
        )


class AuditSearchQuery(PageQuery):
    """Which records; empty means any."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    kind: AuditKind | None = None
    """Ends of accesses are shown with their access, and by themselves only if asked for."""
    subject: str = Field(default="", max_length=_TEXT)
    """`platform:CODE`, `department:CODE`, `key:ID`, ..., or the value alone."""
    action: str = Field(default="", max_length=_TEXT)
    object_id: str = Field(default="", max_length=_TEXT)
    device_id: str = Field(default="", max_length=_TEXT)
    channel_id: str = Field(default="", max_length=_TEXT)
    result: str = Field(default="", max_length=_TEXT)
    rule: str = Field(default="", max_length=_TEXT)
    entry_id: str = Field(default="", max_length=_TEXT)
    text: str = Field(default="", max_length=_TEXT)
    """Anywhere in a record."""
    after: int | None = Field(default=None, ge=0)
    """Only lines after this one, for whoever follows what comes; put on record now and then only."""

    def query(self) -> AuditQuery:
        """Convert it."""
        given = self.model_dump(exclude={"kind", "after"})
        kinds = frozenset({self.kind}) if self.kind else frozenset()
        return AuditQuery(**given, kinds=kinds)


class AuditRowOut(OutModel):
    """One record, and for an access that lasted how it ended."""

    seq: int
    hash: Text
    segment: int
    at: datetime
    kind: AuditKind
    entry_id: Text
    subject: dict[Text, Text]
    action: Text
    object_id: Text
    device_id: Text
    channel_id: Text
    result: Text
    rule: Text
    reason: Text
    detail: Text
    purpose: Text
    ticket: Text
    source: Text
    via: Text
    duration_s: float | None
    ended: Text
    """How the access ended; empty if there is no end."""
    end_detail: Text
    open: bool
    """It lasts at this moment."""

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """Convert a record."""
        entry = row.entry
        values: dict[str, Any] = {
            name: getattr(entry, name)
            for name in (
                *("at", "kind", "entry_id", "action", "object_id", "device_id", "channel_id"),
                *("result", "rule", "reason", "detail", "purpose", "ticket", "source", "via"),
            )
        }
        return cls(
            **values,
            seq=row.seq,
            hash=row.hash,
            segment=row.segment,
            subject=dict(entry.subject),
            duration_s=row.duration_s if row.duration_s is not None else entry.duration_s,
            ended=row.ended,
            end_detail=row.end_detail,
            open=row.open,
        )

    def outside(self, *, known: bool) -> Self:
        """Return what people outside may know of a record about themselves.

        Args:
            known: Whether they may know that what they asked for exists. If not, the record of a denial looks
                like one of something that does not exist: even its hash is left out, for whoever guesses the
                rest of a line can try what fits.
        """
        hidden: dict[str, Any] = dict.fromkeys(("device_id", "channel_id", "detail"), "")
        hidden |= {"end_detail": "", "rule": "", "hash": "", "segment": 0}
        if self.kind is AuditKind.ACCESS and self.result == "deny":
            if self.rule == SUMMARY_RULE:
                hidden["reason"] = "several"
            elif self.device_id and not known:
                hidden["reason"] = "not_shared"
        return self.model_copy(update=hidden)


class AuditPageOut(OutModel):
    """A part of what was found, newest first."""

    items: list[AuditRowOut]
    more: bool
    """There are further ones: ask with a greater offset."""
    complete: bool
    """False: it took too long; go on with `until` = `back_to`."""
    back_to: datetime | None

    @classmethod
    def of(cls, page: AuditPage) -> Self:
        """Convert a page."""
        items = [AuditRowOut.of(row) for row in page.rows]
        return cls(items=items, more=page.more, complete=page.complete, back_to=page.back_to)


class AnchorOut(OutModel):
    """One line of the chain."""

    seq: int
    hash: Text


class AuditStatusOut(OutModel):
    """The audit in figures."""

    ok: bool
    detail: Text
    """Why nothing is being recorded; empty while all is well."""
    head: AnchorOut
    """The last line."""
    durable_seq: int
    signed: AnchorOut | None
    """The last signed line; note it elsewhere: nothing before it can then be cut off unnoticed."""
    fingerprint: Text
    """Name of the signing key."""
    segments: int
    stubs: int
    records: int
    first_at: datetime | None
    pending_bytes: int
    lost: int
    open: int
    """Accesses that last at this moment."""

    @classmethod
    def of(cls, status: AuditStatus, *, ok: bool, detail: str) -> Self:
        """Convert a status."""
        values: dict[str, Any] = {
            name: getattr(status, name)
            for name in (
                *("durable_seq", "fingerprint", "segments", "stubs", "records", "first_at"),
                *("pending_bytes", "lost", "open"),
            )
        }
        signed = status.signed
        return cls(
            **values,
            ok=ok,
            detail=detail,
            head=AnchorOut.model_validate(status.head),
            signed=AnchorOut.model_validate(signed) if signed else None,
        )


class ExportQuery(InModel):
    """Which period."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class VerifyIn(InModel):
    """What is known from elsewhere."""

    expect: str = Field(default="", max_length=100)
    """`SEQ:HASH` of a line noted earlier."""


class FaultOut(OutModel):
    """One fault and its place."""

    code: Text
    segment: int | None
    line: int | None
    seq: int | None
    detail: Text


class RangeOut(OutModel):
    """Lines that stand as they were signed."""

    first_seq: int
    last_seq: int


class GapOut(OutModel):
    """Records that the disk refused, as the gateway put on record."""

    seq: int
    lost: int
    since: Text
    until: Text


class VerifyOut(OutModel):
    """What verifying found."""

    ok: bool
    faults: list[FaultOut]
    fault_count: int
    segments: int
    stubs: int
    lines: int
    records: int
    removed_records: int
    gaps: list[GapOut]
    proven: list[RangeOut]
    first_seq: int | None
    last: AnchorOut | None
    signed: AnchorOut | None
    signed_at: datetime | None
    unsigned: int
    """Lines after the last signature."""
    half_written: int
    keys: list[Text]
    """Fingerprints of the keys that signed."""
    is_export: bool
    anchored: bool
    """The line that was expected stands there."""
    notes: list[Text]

    @classmethod
    def of(cls, report: VerifyReport) -> Self:
        """Convert a report."""
        return cls.model_validate(report)
