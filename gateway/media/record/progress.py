"""One file on its way to the disk."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from gateway.domain.recording import RecordFile, RecordState
from gateway.media.record.box import TICKS
from gateway.media.record.disk import DiskFacts, DiskFile, DiskLane
from gateway.media.record.fragment import Fragment

__all__ = ["Backlog", "FileInProgress"]


class Backlog:
    """Counts what waits for the disk, all recorders together.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.waiting = 0
        self._limit = limit

    @property
    def full(self) -> bool:
        """Whether nothing more should be given."""
        return self.waiting >= self._limit


class FileInProgress:
    """Hands fragments to the disk and knows how much of the file is there.

    Args:
        record: The file's row.
        first: Its first fragment, from which its times count.
        disk: Writes.
        lane: Where it is written.
        backlog: Counts what waits.
        on_failed: Called once with what the disk said.
        on_closed: Called once: the row as it is now, None if nothing is left of the file.
    """

    def __init__(
        self,
        record: RecordFile,
        first: Fragment,
        *,
        disk: DiskFile,
        lane: DiskLane,
        backlog: Backlog,
        on_failed: Callable[["FileInProgress", OSError], None],
        on_closed: Callable[["FileInProgress", RecordFile | None], None],
    ) -> None:
        self.record = record
        self.waiting = 0
        """Bytes that wait for the disk."""
        self.dropped = 0
        self._base = first.begin
        self._disk = disk
        self._lane = lane
        self._backlog = backlog
        self._on_failed = on_failed
        self._on_closed = on_closed
        self._sequence = 0
        self._failed = False
        lane.submit(disk.open, self._opened)

    def span(self, until: int) -> float:
        """Return how long the file is up to a time of the output (video ticks), in seconds."""
        return (until - self._base) / TICKS

    def append(self, fragment: Fragment) -> int:
        """Give one more fragment to the disk; return its bytes."""
        self._sequence += 1
        data = fragment.serialize(self._sequence, self._base)
        size = len(data)
        self.waiting += size
        self._backlog.waiting += size
        work = partial(
            self._disk.append,
            data,
            fragment.begin - self._base,
            fragment.end - self._base,
            keyframe=fragment.keyframe,
        )
        self._lane.submit(work, partial(self._written, size))
        return size

    def close(self) -> None:
        """Finish it, once everything was written."""
        self._lane.submit(self._disk.close, self._finished)

    def _opened(self, future: "Future[None]") -> None:
        self._check(future)

    def _written(self, size: int, future: "Future[DiskFacts]") -> None:
        self.waiting -= size
        self._backlog.waiting -= size
        if self._check(future):
            self._note(future.result())

    def _finished(self, future: "Future[DiskFacts | None]") -> None:
        facts = future.result() if self._check(future) else None
        if facts is not None:
            self._note(facts)
        elif self.record.bytes == 0:
            self._on_closed(self, None)
            return
        # Without its index it still plays; it is written when the file is recovered.
        state = RecordState.CLOSED if facts is not None else RecordState.OPEN
        self.record = replace(self.record, state=state, dropped=self.dropped)
        self._on_closed(self, self.record)

    def _note(self, facts: DiskFacts) -> None:
        end = self.record.begin + timedelta(seconds=facts.end / TICKS)
        self.record = replace(self.record, bytes=facts.size, end=end)

    def _check(self, future: "Future[Any]") -> bool:
        exc = future.exception()
        if exc is None:
            return True
        if not isinstance(exc, OSError):
            raise exc
        if not self._failed:
            self._failed = True
            self._on_failed(self, exc)
        return False
