"""Finding records: newest first, file by file, each access with its end. Blocks."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.sharing.audit.chain import SegmentSpan
from gateway.sharing.audit.line import Line, LineError, LineKind
from gateway.sharing.audit.record import entry_from, parse_time
from gateway.sharing.audit.source import Source
from gb28181.aio.clock import monotonic

__all__ = ["MAX_LIMIT", "MAX_OFFSET", "AuditPage", "AuditQuery", "AuditRow", "search_records"]

MAX_LIMIT = 1000
"""Rows of a page at most."""
MAX_OFFSET = 100_000
"""Rows skipped at most; further back is reached by `until`."""
MAX_SECONDS = 20.0
"""How long a search looks before it hands back what it has."""

_MAX_ENDS = 200_000
"""Accesses looked for by how they ended, at most; the newest."""
_END = b'"kind":"end"'
_ENTRY = b'"line":"entry",'
_FAULTS = (b'"line":"gap",', b'"line":"break",')
_PREFIX = 260
"""Bytes within which a line says its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """What is looked for; empty means any."""

    since: datetime | None = None
    until: datetime | None = None
    kinds: frozenset[AuditKind] = frozenset()
    """Ends are shown with their access, and by themselves only if asked for."""
    subject: str = ""
    """`platform:CODE`, `department:ID`, `key:ID`, ..., or the value alone."""
    action: str = ""
    object_id: str = ""
    device_id: str = ""
    channel_id: str = ""
    result: str = ""
    """Of the record, or of the end of its access."""
    rule: str = ""
    entry_id: str = ""
    text: str = ""
    """Anywhere in its texts, whatever the case."""
    limit: int = 100
    offset: int = 0

    def describe(self) -> str:
        """Return it in one line, for the record of the search itself."""
        parts = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value not in ("", None, frozenset(), 0):
                shown = ",".join(sorted(value)) if isinstance(value, frozenset) else value
                parts.append(f"{each.name}={shown}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One record, and for an access that lasted how it ended."""

    seq: int
    hash: str
    segment: int
    entry: AuditEntry
    ended: str = ""
    """Result of the end; empty if there is none."""
    end_detail: str = ""
    duration_s: float | None = None
    open: bool = False
    """It lasts at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A part of what was found, newest first."""

    rows: list[AuditRow]
    more: bool
    """There are further ones; take a greater offset."""
    complete: bool = True
    """False: it took too long; go on with `until=back_to`."""
    back_to: datetime | None = None
    """How far back it has looked, if not complete."""


def search_records(
    source: Source,
    spans: Sequence[SegmentSpan],
    query: AuditQuery,
    still_open: Collection[str],
    *,
    clock: Callable[[], float] = monotonic,
) -> AuditPage:
    """Look through the files that may hold what is asked for.

    Args:
        source: The files.
        spans: What each holds, oldest first.
        query: What is looked for.
        still_open: Ids of accesses without an end.
        clock: Seconds, for the time limit.

    Raises:
        OSError: a file cannot be read.
    """
    deadline = clock() + MAX_SECONDS
    limit, offset = min(query.limit, MAX_LIMIT), min(query.offset, MAX_OFFSET)
    match = _Match.of(source, spans, query)
    found: list[AuditRow] = []
    skipped = 0
    for span in reversed(spans):
        if span.stub or not span.may_overlap(query.since, query.until):
            continue
        for row in _rows(source, span, match):
            if skipped < offset:
                skipped += 1
                continue
            if len(found) == limit:
                return AuditPage(rows=_join(source, spans, found, still_open), more=True)
            found.append(row)
        if clock() > deadline and span.number > 1:
            rows = _join(source, spans, found, still_open)
            back_to = span.first_at or span.began
            return AuditPage(rows=rows, more=False, complete=False, back_to=back_to)
    return AuditPage(rows=_join(source, spans, found, still_open), more=False)


@dataclass(slots=True)
class _Match:
    """A query, prepared: bytes that a line must hold, then values."""

    query: AuditQuery
    needles: list[bytes] = field(default_factory=list)
    ended: frozenset[str] = frozenset()
    """Accesses that ended with the result asked for."""

    @classmethod
    def of(cls, source: Source, spans: Sequence[SegmentSpan], query: AuditQuery) -> "_Match":
        match = cls(query)
        subject = query.subject.partition(":")[2] or query.subject
        exact = (query.action, query.object_id, query.device_id, query.channel_id, query.rule)
        for value in (*exact, query.entry_id, subject):
            if value:
                match.needles.append(_as_json(value))
        if query.result:
            match.ended = frozenset(_ended_with(source, spans, query))
            if not match.ended:
                match.needles.append(_as_json(query.result))
        return match

    def test(self, raw: bytes) -> bool:
        """Return whether the line of a record may match, without taking it apart."""
        return all(needle in raw for needle in self.needles)

    def test_entry(self, entry: AuditEntry) -> bool:
        """Return whether a record matches."""
        query = self.query
        if query.kinds:
            if entry.kind not in query.kinds:
                return False
        elif entry.kind is AuditKind.END:
            return False
        if query.since is not None and entry.at < query.since:
            return False
        if query.until is not None and entry.at > query.until:
            return False
        if query.result and query.result != entry.result and entry.entry_id not in self.ended:
            return False
        return self._test_names(entry) and self._test_text(entry)

    def _test_names(self, entry: AuditEntry) -> bool:
        query = self.query
        names = ("action", "object_id", "device_id", "channel_id", "rule", "entry_id")
        if any(getattr(query, name) not in ("", getattr(entry, name)) for name in names):
            return False
        if not query.subject:
            return True
        return any(
            query.subject in (value, f"{name}:{value}") for name, value in entry.subject.items()
        )

    def _test_text(self, entry: AuditEntry) -> bool:
        wanted = self.query.text.casefold()
        if not wanted:
            return True
        texts = [getattr(entry, each.name) for each in fields(entry)]
        texts += entry.subject.values()
        return any(isinstance(text, str) and wanted in text.casefold() for text in texts)


def _rows(source: Source, span: SegmentSpan, match: _Match) -> Iterator[AuditRow]:
    for raw in reversed(_lines(source, span)):
        head = raw[:_PREFIX]
        if not (match.test(raw) if _ENTRY in head else any(kind in head for kind in _FAULTS)):
            continue
        try:
            line = Line.parse(raw)
            entry = _entry_of(line)
        except (LineError, ValueError):
            # Damage is for `verify` to tell.
            continue
        if match.test_entry(entry):
            yield AuditRow(seq=line.seq, hash=line.hash, segment=span.number, entry=entry)


def _entry_of(line: Line) -> AuditEntry:
    members = line.fields()
    if line.kind is LineKind.ENTRY:
        return entry_from(members)
    detail = str(members.get("detail", ""))
    if line.kind is LineKind.GAP:
        detail = f"{members.get('lost')} records lost since {members.get('since')}"
    return AuditEntry(
        at=parse_time(members.get("at")),
        kind=AuditKind.AUDIT,
        entry_id="",
        action=line.kind.value,
        result="failed",
        detail=detail,
    )


def _lines(source: Source, span: SegmentSpan) -> list[bytes]:
    try:
        with source.open(span.number, stub=False) as file:
            return file.read().splitlines(keepends=True)
    except FileNotFoundError:
        # Retention came in between.
        return []


def _ends(source: Source, span: SegmentSpan) -> Iterator[AuditEntry]:
    for raw in _lines(source, span):
        if _END not in raw:
            continue
        try:
            entry = entry_from(Line.parse(raw).fields())
        except (LineError, ValueError):
            continue
        if entry.kind is AuditKind.END:
            yield entry


def _ended_with(source: Source, spans: Sequence[SegmentSpan], query: AuditQuery) -> Iterator[str]:
    """Yield the accesses that ended with the result asked for, at any time after the earliest."""
    count = 0
    for span in reversed(spans):
        if span.stub or not span.may_overlap(query.since, None):
            continue
        for entry in _ends(source, span):
            if entry.result == query.result and count < _MAX_ENDS:
                count += 1
                yield entry.ref


def _join(
    source: Source,
    spans: Sequence[SegmentSpan],
    rows: list[AuditRow],
    still_open: Collection[str],
) -> list[AuditRow]:
    """Look up how the accesses ended: not before they began."""
    wanted = {
        row.entry.entry_id for row in rows if row.entry.lasting and row.entry.result == "allow"
    }
    lasting = wanted & set(still_open)
    wanted -= lasting
    ends: dict[str, AuditEntry] = {}
    first = min((row.segment for row in rows if row.entry.entry_id in wanted), default=0)
    for span in spans:
        if not wanted:
            break
        if span.number >= first and not span.stub:
            for entry in _ends(source, span):
                if entry.ref in wanted:
                    wanted.discard(entry.ref)
                    ends[entry.ref] = entry
    return [_with_end(row, ends.get(row.entry.entry_id), lasting) for row in rows]


def _with_end(row: AuditRow, end: AuditEntry | None, lasting: Collection[str]) -> AuditRow:
    if row.entry.entry_id in lasting:
        return replace(row, open=True)
    if end is None or not row.entry.lasting:
        return row
    return replace(row, ended=end.result, end_detail=end.detail, duration_s=end.duration_s)


def _as_json(text: str) -> bytes:
    encoded = json.dumps(text, ensure_ascii=False)[1:-1]
    return encoded.encode("utf-8", "backslashreplace")
