"""Small audits to break: entries, a clock to set, and logs of several files."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.audit import AuditEntry, AuditKind, SegmentInfo
from gateway.sharing.audit.chain import SegmentLimits
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.source import file_name
from gateway.store.audit_files import DirectoryAuditFiles

__all__ = [
    "AT",
    "CAMERA",
    "KEY",
    "OTHER_KEY",
    "SMALL",
    "UPPER",
    "Wall",
    "access",
    "end",
    "open_log",
]

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
AT = datetime(2026, 11, 21, 8, 30, 15, 123456, tzinfo=UTC)
UPPER = "37130000002000000001"
CAMERA = "34020000001310000001"
SMALL = SegmentLimits(records=10, age=timedelta(days=10_000))


@dataclass
class Wall:
    """A wall clock that is set by hand."""

    now: datetime = AT

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class Ids:
    """Ids in a row, so that logs are equal."""

    count: int = field(default=0)

    def __call__(self) -> str:
        self.count += 1
        return f"own{self.count}"


def access(number: int, at: datetime = AT, /, **changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        "at": at,
        "kind": AuditKind.ACCESS,
        "entry_id": f"a{number}",
        "subject": {"platform": UPPER, "user": "张三"},
        "action": "live",
        "object_id": f"37130000001310{number:06d}",
        "device_id": "34020000001320000001",
        "channel_id": f"34020000001310{number:06d}",
        "result": "allow",
        "rule": "county-live",
        "via": "sip",
        "source": "10.0.0.7",
    }
    return AuditEntry(**values | changes)


def end(number: int, at: datetime = AT, /, **changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        "at": at,
        "kind": AuditKind.END,
        "entry_id": f"e{number}",
        "ref": f"a{number}",
        "result": "bye",
        "duration_s": 12.5,
    }
    return AuditEntry(**values | changes)


def open_log(
    directory: Path, wall: Callable[[], datetime] | None = None, **changes: Any
) -> AuditLog:
    values: dict[str, Any] = {
        "key": KEY,
        "limits": SMALL,
        "checkpoint_records": 4,
        "group_commit": 0.001,
        "wall": wall or Wall(),
        "new_id": Ids(),
    }
    files = changes.pop("files", None) or DirectoryAuditFiles(directory)
    return AuditLog(files, **values | changes)


class MemorySource:
    """Files of an audit, held in memory so that they can be broken thousands of times."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    @classmethod
    def of(cls, directory: Path) -> Self:
        return cls({path.name: path.read_bytes() for path in sorted(directory.iterdir())})

    def with_(self, name: str, data: bytes | None) -> "MemorySource":
        files = {each: content for each, content in self.files.items() if each != name}
        return MemorySource(files if data is None else files | {name: data})

    def lines(self, name: str) -> list[bytes]:
        return self.files[name].splitlines(keepends=True)

    def segments(self) -> list[SegmentInfo]:
        found = []
        for name, data in sorted(self.files.items()):
            number, _, kind = name.partition(".")
            if kind in ("log", "stub"):
                info = SegmentInfo(
                    number=int(number), size=len(data), sealed=False, stub=kind == "stub"
                )
                found.append(info)
        return found

    def open(self, number: int, *, stub: bool) -> BinaryIO:
        return io.BytesIO(self.files[file_name(number, stub=stub)])

    def read_beside(self, name: str) -> bytes | None:
        return self.files.get(name)
