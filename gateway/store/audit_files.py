"""The audit's files in a directory."""

import errno
import fcntl
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.domain.audit import SegmentInfo
from gateway.store.private_file import sync_directory, write_whole

__all__ = ["DirectoryAuditFiles"]

_NAME = re.compile(r"([0-9]{8})\.(log|stub)")
_LOCK = ".lock"
_LEFT_OVER = re.compile(r"\.[0-9a-z]+\.(?:stub|json|pem)\.[0-9a-f]{8}")
"""What a crash leaves of a file that was being replaced."""


class DirectoryAuditFiles:
    """Implements `gateway.domain.audit.AuditFiles`: `00000001.log`, or `00000001.stub` after retention.

    One process writes at a time: `lock`, or else the first write, takes a lock that lasts until `close`. Reading
    needs none.

    Args:
        directory: Made at the first write, for its owner only.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        # Records are written and retention applied in two threads.
        self._acquiring = threading.Lock()

    @property
    def directory(self) -> Path:
        """Where they lie, for those who only read."""
        return self._directory

    def segments(self) -> Sequence[SegmentInfo]:
        """List the files, oldest first."""
        found: dict[int, tuple[bool, int]] = {}
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if match is None:
                        continue
                    number, stub = int(match[1]), match[2] == "stub"
                    # A stub and its log side by side are a replacement cut short by a crash.
                    if stub or number not in found:
                        with suppress(FileNotFoundError):
                            found[number] = stub, entry.stat().st_size
        except FileNotFoundError:
            return []
        newest = max(found, default=0)
        return [
            SegmentInfo(number=number, size=size, sealed=stub or number < newest, stub=stub)
            for number, (stub, size) in sorted(found.items())
        ]

    def lock(self) -> None:
        """Be the only one who writes here, until `close`.

        Raises:
            BlockingIOError: another process writes here.
            OSError: nothing can be written here.
        """
        self._acquire()

    def path(self, number: int) -> Path:
        """Where a segment lies."""
        stub = self._path(number, "stub")
        return stub if stub.exists() else self._path(number, "log")

    def read(self, number: int) -> bytes:
        """Read a whole segment."""
        return self.path(number).read_bytes()

    def append(self, number: int, data: bytes, *, at: int) -> None:
        """Append to a segment of `at` bytes (0 creates it) and make it durable (fsync).

        Raises:
            OSError: it has another size than that, somebody else writes here, or the disk refuses.
        """
        self._acquire()
        path = self._path(number, "log")
        descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if at == 0 else 0), 0o600
        )
        try:
            size = os.fstat(descriptor).st_size
            if size != at:
                raise OSError(
                    errno.ESTALE,
                    f"{path.name} has {size} bytes where {at} were written: somebody else changed it",
                )
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if at == 0:
            sync_directory(self._directory)

    def replace(self, number: int, data: bytes) -> None:
        """Put a stub in place of a sealed segment, atomically."""
        self._acquire()
        write_whole(self._path(number, "stub"), data, mode=0o600)
        self._path(number, "log").unlink(missing_ok=True)

    def truncate(self, number: int, size: int) -> None:
        """Cut a half-written last line after a crash."""
        self._acquire()
        path = self._path(number, "log")
        if not path.exists():
            return
        descriptor = os.open(path, os.O_WRONLY)
        try:
            if os.fstat(descriptor).st_size > size:
                os.ftruncate(descriptor, size)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read_beside(self, name: str) -> bytes | None:
        """Read a small file kept beside the segments; None if there is none."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def write_beside(self, name: str, data: bytes) -> None:
        """Replace such a file, atomically and durably."""
        self._acquire()
        write_whole(self._directory / name, data, mode=0o600)

    def close(self) -> None:
        """Let others write here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _path(self, number: int, kind: str) -> Path:
        return self._directory / f"{number:08d}.{kind}"

    def _acquire(self) -> None:
        with self._acquiring:
            if self._lock is None:
                self._lock = self._take_lock()
                self._tidy()

    def _take_lock(self) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise OSError(
                exc.errno, f"another process writes the audit in {self._directory}"
            ) from exc
        return descriptor

    def _tidy(self) -> None:
        """Finish what a crash cut short: records that retention removed must not stay beside their stub."""
        for path in list(self._directory.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is not None and match[2] == "stub":
                path.with_suffix(".log").unlink(missing_ok=True)
            elif _LEFT_OVER.fullmatch(path.name) is not None:
                path.unlink(missing_ok=True)
