"""What verifying an audit found."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from gateway.sharing.audit.checkpoint import Anchor

__all__ = ["MAX_FAULTS", "FaultCode", "Gap", "ProvenRange", "VerifyFault", "VerifyReport"]

MAX_FAULTS = 1000
"""Faults described one by one; the others are only counted."""


class FaultCode(enum.StrEnum):
    """Kinds of fault."""

    MALFORMED = "malformed"
    """Bytes that are no line."""
    CHANGED = "changed"
    """A line's bytes do not have the hash it states."""
    MISSING = "missing"
    """Lines between two others are gone."""
    OUT_OF_ORDER = "out_of_order"
    """A line stands where another should: inserted, repeated or swapped."""
    UNLINKED = "unlinked"
    """A line does not follow from the one before: one of the two was replaced."""
    SIGNATURE = "signature"
    """A signature is wrong, or by an unknown key."""
    SEGMENT_MISSING = "segment_missing"
    HEADER = "header"
    """A file does not begin as it must."""
    UNSEALED = "unsealed"
    """A file other than the newest does not end with its seal."""
    SEAL = "seal"
    """A seal says something else than the file holds, or stands in the wrong place."""
    STUB = "stub"
    """What retention left is not what it leaves."""
    TRUNCATED = "truncated"
    """The log ends before a line that was signed or is known from outside."""
    CHECKPOINT = "checkpoint"
    """The copy of the newest checkpoint is missing, damaged, or of another log."""
    ANCHOR = "anchor"
    """A line known from outside is not the one that stands there."""
    MANIFEST = "manifest"
    """An export's list is damaged or names other files."""
    KEY = "key"
    """There is no public key."""
    RECORDED_DAMAGE = "recorded_damage"
    """The gateway itself found damage when it started, and put that on record."""
    UNREADABLE = "unreadable"
    """A file cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFault:
    """One fault and its place."""

    code: FaultCode
    segment: int | None
    """Number of the file; None for the audit as a whole."""
    line: int | None
    """In that file, from 1."""
    seq: int | None
    detail: str

    def __str__(self) -> str:
        place = [
            f"{name} {value}"
            for name, value in (
                ("segment", self.segment),
                ("line", self.line),
                ("record", self.seq),
            )
            if value is not None
        ]
        return f"{', '.join([*place, self.code.value])}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Records that the disk refused; the gateway put on record that and how many."""

    seq: int
    lost: int
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class ProvenRange:
    """Lines that stand as they were signed, ends included."""

    first_seq: int
    last_seq: int


@dataclass(slots=True, kw_only=True)
class VerifyReport:
    """The result. `ok` says that nothing of what the files can prove is wrong, not that the tail is complete.

    Lines after the last signature (`unsigned`) are chained but could have been cut off or written anew without a
    trace in these files. All files together could have been put back to an earlier state, too, up to an earlier
    signature. Whoever noted a later line's number and hash elsewhere (`expect`) can rule both out.
    """

    faults: list[VerifyFault] = field(default_factory=list)
    fault_count: int = 0
    segments: int = 0
    """Files."""
    stubs: int = 0
    """Of these, files of which retention removed the records."""
    lines: int = 0
    records: int = 0
    removed_records: int = 0
    """Records that retention removed, as the seals say."""
    gaps: list[Gap] = field(default_factory=list)
    proven: list[ProvenRange] = field(default_factory=list)
    """What is proven, removed ranges included; without faults one range."""
    first_seq: int | None = None
    last: Anchor | None = None
    """The last line."""
    signed: Anchor | None = None
    """The last line with a good signature."""
    signed_at: datetime | None = None
    """What it says of its time."""
    unsigned: int = 0
    """Lines after it."""
    half_written: int = 0
    """Bytes of a last line without an end: a crash, or a gateway that is just writing it."""
    keys: list[str] = field(default_factory=list)
    """Fingerprints of the keys that signed; compare them with what was written down elsewhere."""
    is_export: bool = False
    anchored: bool = False
    """A line known from outside was asked for and stands there."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know besides."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault_count == 0

    def add(
        self,
        code: FaultCode,
        detail: str,
        *,
        segment: int | None = None,
        line: int | None = None,
        seq: int | None = None,
    ) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(
                VerifyFault(code=code, segment=segment, line=line, seq=seq, detail=detail)
            )
