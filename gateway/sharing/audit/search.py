"""Finding records: newest first, file by file, each access with its end. Blocks."""

import json
import re
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
_REF = re.compile(rb'"ref":"([^"\\]*)"')
_SHOWN = frozenset({LineKind.ENTRY, LineKind.GAP, LineKind.BREAK})


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
    """Anywhere in its texts; the case of Latin letters does not matter."""
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
    text: bytes = b""
    """In lower case."""
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
        if query.result in ("allow", "deny"):
            match.needles.append(_as_json(query.result))
        elif query.result:
            match.ended = frozenset(_ended_with(source, spans, query))
        match.needles.sort(key=len)
        match.text = _as_json(query.text).lower()
        return match

    def candidates(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines of a file that may match, last first, without taking them apart."""
        if self.needles:
            yield from _lines_with(self.needles[-1], data, data)
        elif self.text:
            yield from _lines_with(self.text, data.lower(), data)
        else:
            yield from _lines_with(b"\n", data, data)

    def test(self, raw: bytes) -> bool:
        """Return whether a line may match, without taking it apart."""
        return all(needle in raw for needle in self.needles) and self.text in raw.lower()

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
        if not self.query.text:
            return True
        wanted = _lower(self.query.text)
        texts = [getattr(entry, each.name) for each in fields(entry)]
        texts += entry.subject.values()
        return any(isinstance(text, str) and wanted in _lower(text) for text in texts)


def _rows(source: Source, span: SegmentSpan, match: _Match) -> Iterator[AuditRow]:
    for raw in match.candidates(_read(source, span)):
        if not match.test(raw):
            continue
        try:
            line = Line.parse(raw)
            if line.kind not in _SHOWN:
                continue
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


def _read(source: Source, span: SegmentSpan) -> bytes:
    try:
        with source.open(span.number, stub=False) as file:
            return file.read()
    except FileNotFoundError:
        # Retention came in between.
        return b""


def _lines_with(needle: bytes, haystack: bytes, data: bytes) -> Iterator[bytes]:
    """Yield the lines of a file, last first, in which something stands; `haystack` is the file or of its size."""
    end = len(data)
    while (at := haystack.rfind(needle, 0, end)) >= 0:
        begin = data.rfind(b"\n", 0, at) + 1
        # A last line without its end is half-written.
        if (after := data.find(b"\n", at)) >= 0:
            yield data[begin : after + 1]
        end = begin


def _ends(
    source: Source, span: SegmentSpan, wanted: Collection[str] | None = None
) -> Iterator[AuditEntry]:
    """Yield the ends in a file, last first: all, or those of the wanted accesses."""
    for raw in _lines_with(_END, data := _read(source, span), data):
        ref = _REF.search(raw)
        if wanted is not None and ref is not None and ref[1].decode(errors="replace") not in wanted:
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
            for entry in _ends(source, span, wanted):
                wanted.discard(entry.ref)
                ends[entry.ref] = entry
    return [_with_end(row, ends.get(row.entry.entry_id), lasting) for row in rows]


def _with_end(row: AuditRow, end: AuditEntry | None, lasting: Collection[str]) -> AuditRow:
    if row.entry.entry_id in lasting:
        return replace(row, open=True)
    if end is None or not row.entry.lasting:
        return row
    return replace(row, ended=end.result, end_detail=end.detail, duration_s=end.duration_s)


def _lower(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").lower()


def _as_json(text: str) -> bytes:
    encoded = json.dumps(text, ensure_ascii=False)[1:-1]
    return encoded.encode("utf-8", "backslashreplace")
