"""The index of recordings in memory, as the contract of the stores has it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from gateway.domain.errors import Unavailable
from gateway.domain.recording import ChannelUsage, RecordFile, RecordState

__all__ = ["MemoryIndex"]


class MemoryIndex:
    """Implements `RecordingIndex`; `broken` makes it fail."""

    def __init__(self) -> None:
        self.rows: dict[str, RecordFile] = {}
        self.broken = False

    def _done(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(Unavailable("store_unavailable", "the store is broken"))
            future.exception()
        else:
            future.set_result(None)
        return future

    def _check(self) -> None:
        if self.broken:
            raise Unavailable("store_unavailable", "the store is broken")

    def _sorted(self) -> list[RecordFile]:
        self._check()
        return sorted(self.rows.values(), key=lambda file: (file.begin, file.file_id))

    def save_recording(self, file: RecordFile) -> asyncio.Future[None]:
        if not self.broken:
            self.rows[file.file_id] = file
        return self._done()

    def delete_recordings(self, file_ids: Sequence[str]) -> asyncio.Future[None]:
        if not self.broken:
            for file_id in file_ids:
                self.rows.pop(file_id, None)
        return self._done()

    async def recording(self, file_id: str) -> RecordFile | None:
        self._check()
        return self.rows.get(file_id)

    async def recordings(
        self,
        *,
        device_id: str | None = None,
        channel_id: str | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
        limit: int = 1000,
        offset: int = 0,
    ) -> list[RecordFile]:
        found = [
            file
            for file in self._sorted()
            if device_id in {None, file.device_id}
            and channel_id in {None, file.channel_id}
            and (begin is None or file.end > begin)
            and (end is None or file.begin < end)
        ]
        return found[offset : offset + limit]

    async def open_recordings(self) -> list[RecordFile]:
        return [file for file in self._sorted() if file.state is RecordState.OPEN]

    async def oldest_recordings(
        self,
        limit: int,
        *,
        device_id: str | None = None,
        channel_id: str | None = None,
        before: datetime | None = None,
    ) -> list[RecordFile]:
        return [
            file
            for file in self._sorted()
            if not file.locked
            and file.state is not RecordState.OPEN
            and device_id in {None, file.device_id}
            and channel_id in {None, file.channel_id}
            and (before is None or file.end < before)
        ][:limit]

    async def unhashed_recordings(self, limit: int) -> list[RecordFile]:
        return [
            file
            for file in self._sorted()
            if file.state is not RecordState.OPEN and not file.sha256
        ][:limit]

    async def recording_usage(self) -> list[ChannelUsage]:
        groups: dict[tuple[str, str], list[RecordFile]] = {}
        for file in self._sorted():
            groups.setdefault((file.device_id, file.channel_id), []).append(file)
        return [
            ChannelUsage(
                device_id=key[0],
                channel_id=key[1],
                files=len(files),
                bytes=sum(file.bytes for file in files),
                begin=min(file.begin for file in files),
                end=max(file.end for file in files),
            )
            for key, files in sorted(groups.items())
        ]
