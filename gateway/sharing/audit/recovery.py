"""Where the chain stands when the gateway starts: after a clean end, a crash, or something worse. Blocks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.audit import AuditFiles, SegmentInfo
from gateway.sharing.audit.chain import ChainState, SegmentSpan, follow
from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, Anchor, KeyRing, SignatureState
from gateway.sharing.audit.line import MAX_LINE, SIGNED, Line, LineError, LineKind
from gateway.sharing.audit.record import parse_time
from gateway.sharing.audit.source import DirectorySource, read_lines

__all__ = ["Recovered", "recover"]

_MAX_SEQ = 10**15
"""A line that states a greater number is not believed: nobody writes that many."""


@dataclass(slots=True, kw_only=True)
class Recovered:
    """What was found."""

    state: ChainState
    spans: list[SegmentSpan]
    """Segments that will not be written to any more, oldest first."""
    cut: int = 0
    """Bytes of a half-written last line that were cut."""
    damage: str = ""
    """What is wrong with the files, for people; they are left as they are and a new one is begun."""
    last_at: datetime | None = None
    """When the last line was written."""


@dataclass(slots=True)
class _Scan:
    """One file read through."""

    span: SegmentSpan
    last: Line | None = None
    """The last line whose hash is right."""
    size: int = 0
    """Bytes of whole lines."""
    half: int = 0
    fault: str = ""
    unsigned: int = 0
    signed: Anchor | None = None
    last_at: datetime | None = None
    open: dict[str, str] = field(default_factory=dict)
    missing_open: int = 0
    """Accesses that the header announces and nothing names: the gateway died in between."""


def recover(files: AuditFiles, keys: KeyRing, noted: Anchor | None = None) -> Recovered:
    """Find the end of the chain; cut a half-written last line.

    Args:
        files: The files.
        keys: Keys to trust.
        noted: A line that was signed, noted outside of the files.

    Raises:
        OSError: the files cannot be read, or cut.
    """
    source = DirectorySource(files.directory)
    infos = list(files.segments())
    state = ChainState()
    found = Recovered(state=state, spans=[])
    while infos and not _has_line(source, infos[-1]):
        # Died before the header was whole: that number is used again.
        info = infos.pop()
        files.truncate(info.number, 0)
        found.cut += info.size
        state.segment = info.number
    if infos:
        reused = state.segment
        scan = _scan(source, infos[-1])
        if scan.missing_open and not infos[-1].stub and len(infos) > 1:
            base = _scan(source, infos[-2])
            scan = _scan(source, infos[-1], base.open)
        found.spans = [_span_of(source, info) for info in infos[:-1]]
        _go_on(found, scan, infos[-1], may_continue=not reused)
        if scan.half and not found.damage:
            files.truncate(infos[-1].number, scan.size)
            found.cut += scan.half
    _compare(found, files.read_beside(CHECKPOINT_FILE), keys)
    if noted is not None:
        _compare_noted(found, noted, source)
    if found.damage and state.span is not None:
        _close_span(found, state.span)
    return found


def _has_line(source: DirectorySource, info: SegmentInfo) -> bool:
    with source.open(info.number, stub=info.stub) as file:
        first = next(read_lines(file), b"")
    return first.endswith(b"\n")


def _scan(
    source: DirectorySource, info: SegmentInfo, base: Mapping[str, str] | None = None
) -> _Scan:
    span = SegmentSpan(number=info.number, first_seq=0, began=None, stub=info.stub)
    scan = _Scan(span, open=dict(base or {}))
    before: Line | None = None
    with source.open(info.number, stub=info.stub) as file:
        for number, raw in enumerate(read_lines(file), start=1):
            if not raw.endswith(b"\n"):
                scan.half = len(raw)
                break
            scan.size += len(raw)
            try:
                line = Line.parse(raw)
                _note_line(scan, line, line.fields(), based=base is not None)
                if line.kind is not LineKind.STUB and not info.stub:
                    _require_order(line, before, info.number)
            except (LineError, ValueError, TypeError) as exc:
                scan.fault = scan.fault or f"line {number} of file {info.number}: {exc}"
                continue
            before = line
    return scan


def _require_order(line: Line, before: Line | None, segment: int) -> None:
    if before is None:
        if line.kind is not LineKind.HEADER or line.fields().get("segment") != segment:
            raise LineError("expected the header of the file")
    elif (line.seq, line.prev) != (before.seq + 1, before.hash):
        raise LineError("it does not follow from the line before it")


def _note_line(scan: _Scan, line: Line, fields: Mapping[str, Any], *, based: bool) -> None:
    if line.computed() != line.hash:
        raise LineError("its bytes do not have the hash it states")
    if line.seq > _MAX_SEQ:
        raise LineError(f"its number is {line.seq}")
    if line.kind is LineKind.STUB:
        return
    scan.last = line
    if line.kind in SIGNED:
        scan.unsigned, scan.signed = 0, Anchor(line.seq, line.hash)
    else:
        scan.unsigned += 1
    if "at" in fields:
        scan.last_at = parse_time(fields["at"])
    _note_content(scan, line, fields, based=based)


def _note_content(scan: _Scan, line: Line, fields: Mapping[str, Any], *, based: bool) -> None:
    span = scan.span
    match line.kind:
        case LineKind.HEADER:
            span.first_seq, span.began = line.seq, scan.last_at
            scan.missing_open = int(fields["open"])
        case LineKind.OPEN:
            scan.missing_open -= len(fields["accesses"])
            if not based:
                scan.open.update((str(name), str(at)) for name, at in fields["accesses"])
        case LineKind.ENTRY:
            span.note(parse_time(fields["at"]))
            follow(scan.open, fields)
        case LineKind.SEAL:
            _read_seal(span, line, fields)
        case _:
            pass


def _go_on(found: Recovered, scan: _Scan, info: SegmentInfo, *, may_continue: bool) -> None:
    state = found.state
    found.damage, found.last_at = scan.fault, scan.last_at
    if scan.last is not None:
        state.seq, state.hash = scan.last.seq, scan.last.hash
    state.segment, state.size = info.number, max(scan.size, 1)
    state.unsigned, state.signed, state.open = scan.unsigned, scan.signed, scan.open
    state.span = scan.span
    if scan.span.sealed or scan.fault or info.stub or not may_continue:
        _close_span(found, scan.span)


def _close_span(found: Recovered, span: SegmentSpan) -> None:
    """Let a new segment begin."""
    span.unknown = span.unknown or not span.sealed
    found.spans.append(span)
    found.state.span = None


def _compare(found: Recovered, data: bytes | None, keys: KeyRing) -> None:
    """Compare with the copy of the newest checkpoint: nothing up to there may be missing."""
    state = found.state
    if data is None:
        if state.segment > 1:
            found.damage = found.damage or f"{CHECKPOINT_FILE} is missing"
        return
    try:
        line = Line.parse(data)
        if keys.check(line) is not SignatureState.GOOD or line.computed() != line.hash:
            raise LineError("its signature is wrong")  # noqa: TRY301 - one place tells what is wrong
        segment = line.fields().get("segment")
    except LineError as exc:
        found.damage = found.damage or f"{CHECKPOINT_FILE}: {exc}"
        return
    if line.seq > state.seq:
        found.damage = f"line {line.seq} was signed, the files end at line {state.seq}" + (
            f"; {found.damage}" if found.damage else ""
        )
        # The numbers that are gone stay gone; a segment of its own shows where.
        state.seq = line.seq
        if isinstance(segment, int) and segment > state.segment:
            state.segment, state.size = segment, 1
    elif (
        state.signed is not None and line.seq == state.signed.seq and line.hash != state.signed.hash
    ):
        found.damage = found.damage or f"line {line.seq} is not the one that was signed"


def _compare_noted(found: Recovered, noted: Anchor, source: DirectorySource) -> None:
    """Compare with what was noted elsewhere: files put back to an earlier state are in themselves faultless."""
    state = found.state
    if noted.seq > _MAX_SEQ:
        return
    if noted.seq > state.seq:
        detail = f"line {noted.seq} was noted in the store, the files end at line {state.seq}"
        found.damage = f"{detail}; {found.damage}" if found.damage else detail
        state.seq = noted.seq
        return
    spans = [*found.spans, state.span] if state.span is not None else found.spans
    for span in reversed(spans):
        if span.first_seq <= noted.seq and not span.stub:
            if _hash_of(source, span.number, noted.seq) != noted.hash:
                detail = f"line {noted.seq} is not the one that was noted in the store"
                found.damage = found.damage or detail
            return


def _hash_of(source: DirectorySource, number: int, seq: int) -> str:
    mark = b'","seq":%d,"line":"' % seq
    with source.open(number, stub=False) as file:
        for raw in read_lines(file):
            if mark in raw[:260]:
                return Line.parse(raw).hash
    return ""


def _span_of(source: DirectorySource, info: SegmentInfo) -> SegmentSpan:
    """Return what a sealed file holds, by its header and its seal alone."""
    span = SegmentSpan(number=info.number, first_seq=0, began=None, sealed=True, stub=info.stub)
    try:
        with source.open(info.number, stub=info.stub) as file:
            header = Line.parse(file.readline(MAX_LINE))
            file.seek(max(0, info.size - 2 * MAX_LINE))
            tail = file.read().splitlines(keepends=True)
        span.first_seq = header.seq
        span.began = parse_time(header.fields().get("at"))
        seal = _seal_in(tail)
        _read_seal(span, seal, seal.fields())
    except (OSError, LineError, ValueError, TypeError):
        span.unknown = True
    return span


def _seal_in(tail: Iterable[bytes]) -> Line:
    # A stub has one line more.
    for raw in reversed(list(tail)[-2:]):
        line = Line.parse(raw)
        if line.kind is LineKind.SEAL:
            return line
    raise LineError("expected a seal")


def _read_seal(span: SegmentSpan, line: Line, fields: Mapping[str, Any]) -> None:
    span.sealed = True
    span.last_seq = line.seq
    span.records = int(fields["records"])
    if "first_at" in fields:
        span.first_at = parse_time(fields["first_at"])
        span.last_at = parse_time(fields["last_at"])
