"""What is put on record: every allow and deny of seeing, watching and controlling."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.domain.store import StoreHealth

__all__ = ["AuditEntry", "AuditFiles", "AuditKind", "AuditSink", "SegmentInfo"]


class AuditKind(enum.StrEnum):
    """Kinds of record."""

    ACCESS = "access"
    """One decision, allow or deny: exactly one for each access."""
    END = "end"
    """The end of an allowed access that lasted; `ref` names its record."""
    POLICY = "policy"
    GRANT = "grant"
    STOP = "stop"
    """A forced stop ordered or lifted."""
    PLATFORM = "platform"
    KEY = "key"
    USER = "user"
    """Accounts, and who logs in and out."""
    PUSH = "push"
    """Targets to which channels are re-published."""
    AUDIT = "audit"
    """The audit itself: started, searched, exported, segment sealed, retention applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One record, before it is chained."""

    at: datetime
    kind: AuditKind
    entry_id: str
    """Unique; an `END` has one of its own."""
    subject: Mapping[str, str] = field(default_factory=dict)
    """Non-empty fields of the subject, by name."""
    action: str = ""
    """An `Action`, or what was done (`apply`, `revoke`, `create`, ...)."""
    object_id: str = ""
    """As the asker named it."""
    device_id: str = ""
    channel_id: str = ""
    """What it is here; empty when nothing of that name was ever given to the subject."""
    result: str = ""
    """`allow`, `deny`; of an END why it ended; of others `ok` or `failed`."""
    rule: str = ""
    reason: str = ""
    detail: str = ""
    purpose: str = ""
    ticket: str = ""
    source: str = ""
    via: str = ""
    duration_s: float | None = None
    ref: str = ""
    lasting: bool = False
    """An `END` will follow; if the gateway dies first, the next start writes one with result `interrupted`."""


class AuditSink(Protocol):
    """Takes records; implemented in `gateway.sharing.audit`."""

    def record(self, entry: AuditEntry) -> None:
        """Put on record. Never blocks; order of calls is the order of the chain."""

    def health(self) -> StoreHealth:
        """Whether records are being kept. While they are not, outside access is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """One file of the audit."""

    number: int
    size: int
    """Bytes."""
    sealed: bool
    stub: bool = False
    """Its records were removed by retention; what proves the chain is left."""


class AuditFiles(Protocol):
    """Numbered append-only files; implemented in `gateway.store`. All methods block: call them in a thread."""

    @property
    def directory(self) -> Path:
        """Where they lie, for those who only read."""

    def segments(self) -> Sequence[SegmentInfo]:
        """List the files, oldest first."""

    def lock(self) -> None:
        """Be the only one who writes here, until the end.

        Raises:
            BlockingIOError: another process writes here.
            OSError: nothing can be written here.
        """

    def path(self, number: int) -> Path:
        """Where a segment lies."""

    def read(self, number: int) -> bytes:
        """Read a whole segment."""

    def append(self, number: int, data: bytes, *, at: int) -> None:
        """Append to a segment of `at` bytes (0 creates it) and make it durable (fsync).

        Raises:
            OSError: it has another size than that, somebody else writes here, or the disk refuses.
        """

    def replace(self, number: int, data: bytes) -> None:
        """Put a stub in place of a sealed segment, atomically."""

    def truncate(self, number: int, size: int) -> None:
        """Cut a half-written last line after a crash."""

    def read_beside(self, name: str) -> bytes | None:
        """Read a small file kept beside the segments (`checkpoint.json`, `public.pem`); None if there is none."""

    def write_beside(self, name: str, data: bytes) -> None:
        """Replace such a file, atomically and durably."""

    def close(self) -> None:
        """Let others write here."""
