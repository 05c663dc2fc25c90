"""What goes when: by age, and the oldest first when space runs out; locked files stay."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from gateway.domain.errors import Unavailable
from gateway.domain.recording import RecordFile, RecordingFiles, RecordingIndex
from gateway.recording.keeper import IndexKeeper

__all__ = ["Retention"]

log = structlog.get_logger()

BATCH = 50
"""Files looked at together."""
ROUNDS = 200
"""Batches in one go, so that nothing goes on for ever when files cannot be deleted."""


class Retention:
    """Deletes files: from the disk first, then from the index, so that nothing is left unknown on the disk.

    Args:
        index: Knows the files.
        files: Deletes them.
        keeper: Deletes rows, and knows what was locked a moment ago.
        keep_days: Days for which a channel's files are kept; 0: for ever.
        on_bytes: Called with the bytes by which the recordings grew (negative).
    """

    def __init__(
        self,
        index: RecordingIndex,
        files: RecordingFiles,
        keeper: IndexKeeper,
        *,
        keep_days: Callable[[str, str], int],
        on_bytes: Callable[[int], None],
    ) -> None:
        self.removed = 0
        """Files deleted since the start."""
        self._index = index
        self._files = files
        self._keeper = keeper
        self._keep_days = keep_days
        self._on_bytes = on_bytes

    async def expire(self, at: datetime) -> int:
        """Delete what is older than its channel's days; return the number of files.

        Raises:
            Unavailable: the store or the disk fails.
        """
        count = 0
        for usage in await self._index.recording_usage():
            days = self._keep_days(usage.device_id, usage.channel_id)
            if not days or usage.begin >= (before := at - timedelta(days=days)):
                continue
            for _ in range(ROUNDS):
                files = await self._index.oldest_recordings(
                    BATCH,
                    device_id=usage.device_id,
                    channel_id=usage.channel_id,
                    before=before,
                )
                gone = await self._remove(files, "expired")
                count += len(gone)
                if not gone:
                    break
        return count

    async def make_room(self, wanted: int) -> int:
        """Delete the oldest files until so many bytes are free; return the bytes that became free.

        Raises:
            Unavailable: the store or the disk fails.
        """
        freed = 0
        for _ in range(ROUNDS):
            if freed >= wanted:
                break
            gone: list[RecordFile] = []
            for file in await self._index.oldest_recordings(BATCH):
                if freed >= wanted:
                    break
                if await self._remove([file], "no_room"):
                    gone.append(file)
                    freed += file.bytes
            if not gone:
                break
        return freed

    async def remove(self, file: RecordFile, reason: str) -> None:
        """Delete one file, locked or not.

        Raises:
            Unavailable: the disk fails.
        """
        await self._files.remove(file.path)
        self._keeper.removed(file.file_id)
        self.removed += 1
        self._on_bytes(-file.bytes)
        log.info(
            "recording_removed",
            device_id=file.device_id,
            channel_id=file.channel_id,
            name=file.file_id,
            reason=reason,
            bytes=file.bytes,
        )

    async def _remove(self, files: list[RecordFile], reason: str) -> list[RecordFile]:
        gone = [file for file in files if self._keeper.may_go(file)]
        for file in gone:
            await self.remove(file, reason)
        if gone:
            # What is asked for next must not come again.
            await self._flushed()
        return gone

    async def _flushed(self) -> None:
        await self._keeper.flush()
        if self._keeper.waiting:
            raise Unavailable("store_unavailable", "The index of the recordings cannot be written")
