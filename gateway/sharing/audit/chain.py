"""The writing end of the chain: numbers, hashes, signs and files every line. Touches no file and no clock."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.sharing.audit.checkpoint import Anchor, Signer
from gateway.sharing.audit.line import GENESIS, LineKind, encode
from gateway.sharing.audit.record import content_of, format_time

__all__ = [
    "FORMAT",
    "MAX_OPEN",
    "OPEN_PER_LINE",
    "Chain",
    "ChainState",
    "Chunk",
    "SegmentLimits",
    "SegmentSpan",
    "follow",
]

FORMAT = 1
"""Version of the file format, in every header."""
MAX_OPEN = 100_000
"""Accesses that last remembered at most; the oldest is forgotten, and not ended should the gateway die."""
OPEN_PER_LINE = 100
"""Accesses named in one `open` line: a dozen kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLimits:
    """When a segment is sealed and the next begun."""

    size: int = 32 * 1024 * 1024
    """Bytes."""
    records: int = 100_000
    age: timedelta = timedelta(days=1)
    """Only a segment that holds records grows old."""


@dataclass(slots=True, kw_only=True)
class SegmentSpan:
    """What one segment holds."""

    number: int
    first_seq: int
    """Of its header."""
    began: datetime | None
    """When its header was written; None if that cannot be read."""
    last_seq: int = 0
    records: int = 0
    first_at: datetime | None = None
    """Earliest record; None while unknown or empty."""
    last_at: datetime | None = None
    sealed: bool = False
    stub: bool = False
    unknown: bool = False
    """Damaged: may hold anything."""

    def note(self, at: datetime) -> None:
        """Count a record."""
        self.records += 1
        self.first_at = at if self.first_at is None else min(self.first_at, at)
        self.last_at = at if self.last_at is None else max(self.last_at, at)

    def is_before(self, time: datetime) -> bool:
        """Return whether it is sealed and all it holds, which is known, is older."""
        newest = self.last_at or self.began
        known = self.sealed and not self.stub and not self.unknown
        return known and newest is not None and newest < time

    def may_overlap(self, since: datetime | None, until: datetime | None) -> bool:
        """Return whether it may hold records of a period."""
        if self.unknown or self.first_at is None or self.last_at is None:
            return self.unknown
        return (since is None or self.last_at >= since) and (
            until is None or self.first_at <= until
        )


@dataclass(slots=True)
class Chunk:
    """Bytes for one segment."""

    segment: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, part: bytes) -> None:
        """Append bytes."""
        self.parts.append(part)
        self.size += len(part)


@dataclass(slots=True, kw_only=True)
class ChainState:
    """Where the chain stands."""

    segment: int = 0
    """Number of the newest file; 0 is none."""
    size: int = 0
    """Bytes of it; 0 lets its header be written first."""
    seq: int = 0
    hash: str = GENESIS
    unsigned: int = 0
    """Lines after the last signed one."""
    signed: Anchor | None = None
    span: SegmentSpan | None = None
    """None: the next line begins a new segment."""
    open: dict[str, str] = field(default_factory=dict)
    """Accesses that last and have no end yet: their time by their id, oldest first."""


class Chain:
    """Makes lines in the order of the calls and hands them out as chunks of files.

    Args:
        state: Where to go on; belongs to the chain from now on.
        signer: Signs checkpoints and seals.
        limits: Size of a segment.
        wall: The wall clock.
    """

    def __init__(
        self,
        state: ChainState,
        signer: Signer,
        *,
        limits: SegmentLimits,
        wall: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._signer = signer
        self._limits = limits
        self._wall = wall
        self._chunks: list[Chunk] = []
        self._signed_line = b""
        self.sealed: list[SegmentSpan] = []
        """Segments sealed since the start; whoever takes them empties it."""
        if state.span is None:
            self._begin()

    @property
    def head(self) -> Anchor:
        """The last line."""
        return Anchor(self._state.seq, self._state.hash)

    @property
    def signed(self) -> Anchor | None:
        """The last signed line."""
        return self._state.signed

    @property
    def unsigned(self) -> int:
        """Lines after it."""
        return self._state.unsigned

    @property
    def span(self) -> SegmentSpan:
        """The segment being written."""
        assert self._state.span is not None
        return self._state.span

    @property
    def open(self) -> Mapping[str, str]:
        """Accesses that last and have no end yet: their time by their id."""
        return self._state.open

    @property
    def pending(self) -> int:
        """Bytes not yet taken."""
        return sum(chunk.size for chunk in self._chunks)

    def add(self, entry: AuditEntry) -> None:
        """Chain a record; seals the segment if that filled it."""
        assert entry.at.tzinfo is not None
        content = content_of(entry)
        self._write(LineKind.ENTRY, content)
        span = self.span
        span.note(entry.at)
        follow(self._state.open, content)
        if span.records >= self._limits.records or self._state.size >= self._limits.size:
            self.rotate()

    def add_gap(self, lost: int, since: datetime) -> None:
        """Say that records were lost between then and now."""
        content = {"at": self._now(), "lost": lost, "since": format_time(since)}
        self._write(LineKind.GAP, content)

    def add_break(self, detail: str) -> None:
        """Say that the files were found damaged."""
        self._write(LineKind.BREAK, {"at": self._now(), "detail": detail[:1000]})

    def checkpoint(self) -> None:
        """Sign what was chained since the last signature, if anything."""
        if self._state.unsigned:
            self._sign(LineKind.CHECKPOINT, {"segment": self.span.number})

    def is_old(self) -> bool:
        """Return whether the segment should be sealed for its age."""
        span = self.span
        if span.records == 0 or span.began is None:
            return False
        return self._wall() - span.began >= self._limits.age

    def rotate(self) -> None:
        """Seal the segment and begin the next."""
        span = self.span
        span.last_seq = self._state.seq + 1
        span.sealed = True
        content: dict[str, Any] = {
            "segment": span.number,
            "first_seq": span.first_seq,
            "records": span.records,
        }
        if span.first_at is not None and span.last_at is not None:
            content["first_at"] = format_time(span.first_at)
            content["last_at"] = format_time(span.last_at)
        self._sign(LineKind.SEAL, content)
        self.sealed.append(span)
        self._state.span = None
        self._begin()

    def take(self) -> tuple[list[Chunk], bytes]:
        """Return what is to be written, in order, and the newest signed line in it or before; empty if none is new."""
        taken = self._chunks, self._signed_line
        self._chunks, self._signed_line = [], b""
        return taken

    # Inside

    def _begin(self) -> None:
        state = self._state
        if state.segment == 0 or state.size > 0:
            state.segment += 1
            state.size = 0
        began = self._wall()
        state.span = SegmentSpan(number=state.segment, first_seq=state.seq + 1, began=began)
        header = {"at": format_time(began), "format": FORMAT, "segment": state.segment}
        self._write(LineKind.HEADER, header | {"open": len(state.open)})
        for part in _parts(state.open):
            self._write(LineKind.OPEN, {"accesses": part})

    def _sign(self, kind: LineKind, content: dict[str, Any]) -> None:
        content |= {"at": self._now(), "key": self._signer.key_id}
        self._signed_line = self._write(kind, content, self._signer.sign)
        self._state.unsigned = 0
        self._state.signed = self.head

    def _write(
        self,
        kind: LineKind,
        content: Mapping[str, Any],
        sign: Callable[[bytes], bytes] | None = None,
    ) -> bytes:
        state = self._state
        line, digest = encode(kind, content, seq=state.seq + 1, prev=state.hash, sign=sign)
        state.seq += 1
        state.hash = digest
        state.size += len(line)
        state.unsigned += 1
        if not self._chunks or self._chunks[-1].segment != state.segment:
            self._chunks.append(Chunk(state.segment))
        self._chunks[-1].add(line)
        return line

    def _now(self) -> str:
        return format_time(self._wall())


def follow(accesses: dict[str, str], content: Mapping[str, Any]) -> None:
    """Keep the accesses that last up to date with one record's members."""
    kind = content.get("kind")
    if kind == AuditKind.END:
        accesses.pop(content.get("ref", ""), None)
    elif kind == AuditKind.ACCESS and content.get("lasting"):
        accesses[content.get("entry_id", "")] = content["at"]
        if len(accesses) > MAX_OPEN:
            del accesses[next(iter(accesses))]


def _parts(accesses: Mapping[str, str]) -> Iterator[list[list[str]]]:
    items = iter(accesses.items())
    while part := [[access_id, at] for access_id, at in islice(items, OPEN_PER_LINE)]:
        yield part
