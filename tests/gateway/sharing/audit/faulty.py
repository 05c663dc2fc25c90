"""Audit files on a disk that refuses, hangs, or writes halves."""

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.audit import SegmentInfo
from gateway.store.audit_files import DirectoryAuditFiles

__all__ = ["FaultyFiles"]


class FaultyFiles:
    """`AuditFiles` in a directory, with faults to switch on."""

    def __init__(self, directory: Path) -> None:
        self._files = DirectoryAuditFiles(directory)
        self.full = False
        """Appending and replacing fail as on a full disk."""
        self.half: int | None = None
        """The next append writes that many bytes, then fails."""
        self.beside_fails = False
        self.answers = threading.Event()
        """While not set, appending hangs."""
        self.answers.set()
        self.appended: list[tuple[int, int, int]] = []
        """(segment, at, size) of every append that came through."""

    @property
    def directory(self) -> Path:
        return self._files.directory

    def segments(self) -> Sequence[SegmentInfo]:
        return self._files.segments()

    def lock(self) -> None:
        self._files.lock()

    def path(self, number: int) -> Path:
        return self._files.path(number)

    def read(self, number: int) -> bytes:
        return self._files.read(number)

    def append(self, number: int, data: bytes, *, at: int) -> None:
        assert self.answers.wait(20)
        if self.half is not None:
            half, self.half = self.half, None
            self._files.append(number, data[:half], at=at)
            raise OSError(errno.EIO, "Input/output error")
        self._refuse()
        self._files.append(number, data, at=at)
        self.appended.append((number, at, len(data)))

    def replace(self, number: int, data: bytes) -> None:
        self._refuse()
        self._files.replace(number, data)

    def truncate(self, number: int, size: int) -> None:
        self._files.truncate(number, size)

    def read_beside(self, name: str) -> bytes | None:
        return self._files.read_beside(name)

    def write_beside(self, name: str, data: bytes) -> None:
        if self.beside_fails:
            raise OSError(errno.EIO, "Input/output error")
        self._files.write_beside(name, data)

    def close(self) -> None:
        self._files.close()

    def _refuse(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
