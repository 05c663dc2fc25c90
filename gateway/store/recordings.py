"""The index of the recordings on SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row as Found
from sqlalchemy import RowMapping, Select, func, select

from gateway.domain.recording import MAX_FILE_SPAN, ChannelUsage, RecordFile, RecordState
from gateway.store.row import Row
from gateway.store.schema import recordings
from gateway.store.writer import StoreWriter

__all__ = ["SqlRecordings"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST = MAX_FILE_SPAN * 1_000_000

_Read = Callable[[Select[Any]], AsyncIterator[Sequence[Found[Any]]]]


class SqlRecordings:
    """Implements `gateway.domain.recording.RecordingIndex` in the store's database.

    Args:
        writer: Commits.
        read: Runs a query.
    """

    def __init__(self, writer: StoreWriter, read: _Read) -> None:
        self._writer = writer
        self._read = read

    def save_recording(self, file: RecordFile) -> asyncio.Future[None]:
        """Write one file's row durably."""
        return self._writer.submit("", self._writer.statements.upsert(recordings, [_row(file)]))

    def delete_recordings(self, file_ids: Sequence[str]) -> asyncio.Future[None]:
        """Delete rows durably; those that are not there are no error."""
        rows: list[Row] = [{"file_id": file_id} for file_id in file_ids]
        parts = self._writer.statements.delete(recordings, rows, "file_id")
        return self._writer.submit("", parts)

    async def recording(self, file_id: str) -> RecordFile | None:
        """Return one file."""
        found = await self._files(select(recordings).where(recordings.c.file_id == file_id))
        return found[0] if found else None

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
        """Return files that overlap [begin, end), in the order of their begin."""
        table = recordings.c
        query = _of(select(recordings), device_id, channel_id)
        if begin is not None:
            # The second condition says nothing new, but the index knows it.
            query = query.where(
                table.ends_at > _ticks(begin), table.begins_at > _ticks(begin) - _LONGEST
            )
        if end is not None:
            query = query.where(table.begins_at < _ticks(end))
        query = query.order_by(table.begins_at, table.file_id).limit(limit).offset(offset)
        return await self._files(query)

    async def open_recordings(self) -> list[RecordFile]:
        """Return the rows in state `open`."""
        state = RecordState.OPEN.value
        return await self._files(select(recordings).where(recordings.c.state == state))

    async def oldest_recordings(
        self,
        limit: int,
        *,
        device_id: str | None = None,
        channel_id: str | None = None,
        before: datetime | None = None,
    ) -> list[RecordFile]:
        """Return files that are neither locked nor open, oldest first."""
        table = recordings.c
        query = _of(select(recordings), device_id, channel_id).where(
            table.locked.is_(False), table.state != RecordState.OPEN.value
        )
        if before is not None:
            query = query.where(table.ends_at < _ticks(before), table.begins_at < _ticks(before))
        return await self._files(query.order_by(table.begins_at, table.file_id).limit(limit))

    async def unhashed_recordings(self, limit: int) -> list[RecordFile]:
        """Return files that are not open and have no digest, oldest first."""
        table = recordings.c
        finished = (RecordState.CLOSED.value, RecordState.DAMAGED.value)
        query = select(recordings).where(table.state.in_(finished), table.sha256 == "")
        return await self._files(query.order_by(table.begins_at).limit(limit))

    async def recording_usage(self) -> list[ChannelUsage]:
        """Return what is kept of each channel, by device and channel."""
        table = recordings.c
        query = (
            select(
                table.device_id,
                table.channel_id,
                func.count().label("files"),
                func.sum(table.bytes).label("size"),
                func.min(table.begins_at).label("first"),
                func.max(table.ends_at).label("last"),
            )
            .group_by(table.device_id, table.channel_id)
            .order_by(table.device_id, table.channel_id)
        )
        return [
            ChannelUsage(
                device_id=row.device_id,
                channel_id=row.channel_id,
                files=row.files,
                bytes=int(row.size),
                begin=_time(row.first),
                end=_time(row.last),
            )
            async for part in self._read(query)
            for row in part
        ]

    async def _files(self, query: Select[Any]) -> list[RecordFile]:
        return [_file(row._mapping) async for part in self._read(query) for row in part]  # noqa: SLF001 - its public name


def _of(query: Select[Any], device_id: str | None, channel_id: str | None) -> Select[Any]:
    if device_id is not None:
        query = query.where(recordings.c.device_id == device_id)
    if channel_id is not None:
        query = query.where(recordings.c.channel_id == channel_id)
    return query


def _row(file: RecordFile) -> Row:
    return {
        "file_id": file.file_id,
        "device_id": file.device_id,
        "channel_id": file.channel_id,
        "stream": file.stream,
        "path": file.path,
        "begins_at": _ticks(file.begin),
        "ends_at": _ticks(file.end),
        "bytes": file.bytes,
        "locked": file.locked,
        "state": file.state.value,
        "cause": file.cause,
        "mime": file.mime,
        "head": file.head,
        "dropped": file.dropped,
        "sha256": file.sha256,
    }


def _file(row: RowMapping) -> RecordFile:
    return RecordFile(
        file_id=row["file_id"],
        device_id=row["device_id"],
        channel_id=row["channel_id"],
        stream=row["stream"],
        path=row["path"],
        begin=_time(row["begins_at"]),
        end=_time(row["ends_at"]),
        bytes=row["bytes"],
        locked=row["locked"],
        state=RecordState(row["state"]),
        cause=row["cause"],
        mime=row["mime"],
        head=row["head"],
        dropped=row["dropped"],
        sha256=row["sha256"],
    )


def _ticks(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)
