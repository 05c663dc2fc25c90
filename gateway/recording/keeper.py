"""Keeps the index true: every file's newest row is written, again and again if the store fails."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.recording import RecordFile, RecordingFiles, RecordingIndex, RecordState

__all__ = ["IndexKeeper"]

log = structlog.get_logger()

RETRY = 5.0
"""Seconds after which the store is tried again."""
FLUSH_WAIT = 5.0
"""Seconds for the last rows at the end."""
BATCH = 500
HASH_RETRY = 60.0


class IndexKeeper:
    """Owner of the rows that change: files being written, locked, closed, deleted.

    What waits is one row for each file that changed since the store works no more.

    Args:
        index: Where the rows are.
        files: Works out digests.
        on_bytes: Called with the bytes by which the recordings grew.
    """

    def __init__(
        self, index: RecordingIndex, files: RecordingFiles, on_bytes: Callable[[int], None]
    ) -> None:
        self._index = index
        self._files = files
        self._on_bytes = on_bytes
        self._open: dict[str, RecordFile] = {}
        self._dirty: dict[str, RecordFile] = {}
        self._gone: set[str] = set()
        self._wake = asyncio.Event()
        self._hash = asyncio.Event()
        self._protected: set[str] = set()

    @property
    def open_count(self) -> int:
        """Files being written."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Rows not yet written."""
        return len(self._dirty) + len(self._gone)

    def opened(self, file: RecordFile) -> None:
        """A file is being written."""
        self._open[file.file_id] = file
        self.save(file)

    def closed(self, file: RecordFile) -> None:
        """A file is complete."""
        known = self._open.pop(file.file_id, None)
        if known is not None:
            file = replace(file, locked=known.locked)
        self._on_bytes(file.bytes)
        self.save(file)

    def removed(self, file_id: str) -> None:
        """A file is gone."""
        self._open.pop(file_id, None)
        self._dirty.pop(file_id, None)
        self._protected.discard(file_id)
        self._gone.add(file_id)
        self._wake.set()

    def save(self, file: RecordFile) -> None:
        """Write a row as soon as the store takes it."""
        self._dirty[file.file_id] = file
        self._wake.set()

    def is_open(self, file_id: str) -> bool:
        """Whether a file is being written now."""
        return file_id in self._open

    def may_go(self, file: RecordFile) -> bool:
        """Whether retention may delete a file: it might have been locked a moment ago."""
        return file.file_id not in self._open and file.file_id not in self._protected

    async def find(self, file_id: str) -> RecordFile | None:
        """Return a file's newest row."""
        if file_id in self._gone:
            return None
        known = self._open.get(file_id) or self._dirty.get(file_id)
        return known or await self._index.recording(file_id)

    def newest(self, files: Sequence[RecordFile]) -> list[RecordFile]:
        """Return rows as they are now, without those that are gone."""
        return [
            self._open.get(file.file_id) or self._dirty.get(file.file_id) or file
            for file in files
            if file.file_id not in self._gone
        ]

    async def lock(self, file_id: str, *, locked: bool) -> RecordFile | None:
        """Let retention leave a file, or not; durable once this returns. None: there is no such file.

        Raises:
            Unavailable: the store cannot keep it; nothing was changed.
        """
        if locked:
            self._protected.add(file_id)
        try:
            file = await self.find(file_id)
            if file is None:
                self._protected.discard(file_id)
                return None
            new = replace(file, locked=locked)
            if file_id in self._open:
                self._open[file_id] = new
            await self._index.save_recording(new)
        except Unavailable:
            self._protected.discard(file_id)
            if file_id in self._open:
                self._open[file_id] = replace(self._open[file_id], locked=not locked)
            raise
        if file_id in self._dirty:
            self._dirty[file_id] = replace(self._dirty[file_id], locked=locked)
        if not locked:
            self._protected.discard(file_id)
        return new

    async def run(self) -> None:
        """Write rows until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._write():
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def run_digests(self) -> None:
        """Work out digests of closed files, one at a time, until cancelled."""
        while True:
            self._hash.clear()
            try:
                await self._digests()
            except GatewayError as exc:
                log.warning("recordings_not_hashed", detail=exc.detail)
                await asyncio.sleep(HASH_RETRY)
                continue
            await self._hash.wait()

    async def flush(self) -> None:
        """Write what waits, for a moment."""
        try:
            async with asyncio.timeout(FLUSH_WAIT):
                await self._write()
        except TimeoutError:
            log.warning("recordings_not_indexed", count=self.waiting)

    async def _write(self) -> bool:
        """Write what waits; False if the store does not take it."""
        while self._dirty or self._gone:
            gone = list(self._gone)[:BATCH]
            dirty = list(self._dirty.values())[:BATCH]
            try:
                # All are queued before the first is waited for: they are committed together.
                written = [(file, self._index.save_recording(file)) for file in dirty]
                if gone:
                    await self._index.delete_recordings(gone)
                    self._gone.difference_update(gone)
                for file, future in written:
                    await future
                    if file.state is not RecordState.OPEN and not file.sha256:
                        self._hash.set()
                    if self._dirty.get(file.file_id) is file:
                        del self._dirty[file.file_id]
            except Unavailable as exc:
                log.warning("recordings_not_indexed", count=self.waiting, detail=exc.detail)
                return False
        return True

    async def _digests(self) -> None:
        done: set[str] = set()
        while True:
            found = await self._index.unhashed_recordings(BATCH)
            fresh = [file for file in found if file.file_id not in done]
            if not fresh:
                return
            for file in fresh:
                done.add(file.file_id)
                await self._digest(file)

    async def _digest(self, file: RecordFile) -> None:
        try:
            digest = await self._files.digest(file.path)
        except Unavailable as exc:
            log.warning("recording_not_hashed", name=file.file_id, detail=exc.detail)
            return
        now = await self.find(file.file_id)
        if now is not None and now.state is not RecordState.OPEN:
            self.save(replace(now, sha256=digest))
