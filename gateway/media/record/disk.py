"""Writes recordings in threads of their own, so that a slow disk keeps nobody waiting."""

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.media.record.box import Head
from gateway.media.record.scan import Scan, finish
from gateway.media.record.sidx import ROOM, Stretch, free_box

__all__ = ["DiskFacts", "DiskFile", "DiskLane", "DiskLanes", "disk_error"]

_T = TypeVar("_T")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def disk_error(exc: OSError, path: Path) -> tuple[str, str]:
    """Return the code and the sentence for what a disk said."""
    words = exc.strerror or str(exc)
    if exc.errno in _FULL:
        return "disk_full", f"Nothing more can be written to {path}: {words}"
    return "disk_failed", f"{path} cannot be written: {words}"


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """How far a file is on disk."""

    size: int
    end: int
    """Video ticks in the file."""


class DiskFile:
    """A recording being written; every method blocks, one thread at a time uses it.

    After a failed write nothing of that write is left in the file, and later ones fail the same way.

    Args:
        path: Where; its directory is made.
        head: What stands before the fragments.
        sync: Seconds after which what was written is made durable.
        clock: Monotonic seconds.
    """

    def __init__(
        self, path: Path, head: bytes, head_facts: Head, *, sync: float, clock: Callable[[], float]
    ) -> None:
        self._path = path
        self._data = head
        self._head = head_facts
        self._sync = sync
        self._clock = clock
        self._file = -1
        self._size = 0
        self._synced = 0.0
        self._failed: OSError | None = None
        self._stretches: list[Stretch] = []

    def open(self) -> None:
        """Create it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._write(self._data + free_box(ROOM))
        except OSError:
            self._remove()
            raise
        self._synced = self._clock()

    def append(self, data: bytes, begin: int, end: int, *, keyframe: bool) -> DiskFacts:
        """Write one fragment behind the others; times are video ticks in the file."""
        offset = self._size
        self._write(data)
        known = self._stretches
        if keyframe or not known:
            known.append(Stretch(offset, len(data), begin, end - begin))
        else:
            last = known[-1]
            end = max(end, last.begin + last.duration)
            known[-1] = Stretch(last.offset, last.size + len(data), last.begin, end - last.begin)
        now = self._clock()
        if now - self._synced >= self._sync:
            self._synced = now
            os.fdatasync(self._file)
        return DiskFacts(self._size, end)

    def close(self) -> DiskFacts | None:
        """Write the index and make everything durable; None if nothing is left of it."""
        if self._file < 0:
            return None
        if not self._stretches:
            self._remove()
            return None
        found = Scan(self._head, len(self._data), self._stretches, self._size, 0)
        try:
            finish(self._file, found)
        finally:
            os.close(self._file)
            self._file = -1
        return DiskFacts(self._size, found.end)

    def _remove(self) -> None:
        os.close(self._file)
        self._file = -1
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        if self._failed is not None:
            raise self._failed
        if self._file < 0:
            raise OSError(errno.EBADF, "it could not be created")
        left, good = memoryview(data), self._size
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as exc:
            self._failed = exc
            os.ftruncate(self._file, good)
            os.lseek(self._file, good, os.SEEK_SET)
            raise
        self._size = good + len(data)


class DiskLanes:
    """A few threads; work given to one lane is done in its order.

    What waits is bounded by whoever gives it: see `Recording`.

    Args:
        count: Threads.
    """

    def __init__(self, count: int) -> None:
        self._lanes = [
            ThreadPoolExecutor(1, thread_name_prefix=f"record-{number}") for number in range(count)
        ]
        self._next = 0

    def lane(self) -> "DiskLane":
        """Return the lane whose turn it is."""
        self._next += 1
        return DiskLane(self._lanes[self._next % len(self._lanes)])

    async def close(self) -> None:
        """End the threads once what they were given is done."""
        for lane in self._lanes:
            await asyncio.to_thread(lane.shutdown)


class DiskLane:
    """One lane, for one recorder."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    def submit(self, work: Callable[[], _T], done: Callable[["Future[_T]"], None]) -> None:
        """Do the work in its turn; then call `done` on the loop."""
        loop = asyncio.get_running_loop()
        future = self._executor.submit(work)

        def finished(future: "Future[_T]") -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, future)

        future.add_done_callback(finished)
