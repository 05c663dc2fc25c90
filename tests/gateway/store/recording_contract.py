"""What every index of recordings must do; run for each database, and for the double in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.domain.recording import ChannelUsage, RecordFile, RecordingIndex, RecordState
from gateway.observe.metrics import Metrics
from gateway.store.sql import SqlStore

__all__ = ["RecordingContract"]

BEGIN = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
DEVICE = "34020000001180000001"


def file(number: int, **changes: Any) -> RecordFile:
    begin = BEGIN + timedelta(minutes=10 * number)
    values: dict[str, Any] = {
        "file_id": f"{number:016x}",
        "device_id": DEVICE,
        "channel_id": "34020000001320000001",
        "path": f"a/b/20260301/{number}.mp4",
        "begin": begin,
        "end": begin + timedelta(minutes=10),
        "stream": number % 2,
        "bytes": 3_000_000_000 + number,
        "state": RecordState.CLOSED,
        "cause": "alarm:5/2",
        "mime": "avc1.64001f,mp4a.40.2",
        "head": "0123456789abcdef",
        "dropped": number,
        "sha256": "ab" * 32,
    }
    return RecordFile(**(values | changes))


def numbers(files: list[RecordFile]) -> list[int]:
    return [int(item.file_id, 16) for item in files]


class RecordingContract:
    """Mixed into one class per index, which gives `url`, or `index`."""

    @asynccontextmanager
    async def index(self, url: str) -> AsyncIterator[RecordingIndex]:
        async with SqlStore(url, Metrics(process=False), group_commit=0.005) as store:
            yield store.recordings

    async def test_files_come_back_as_they_were_and_newer_rows_replace_older(
        self, url: str
    ) -> None:
        async with self.index(url) as index:
            await index.save_recording(file(1))
            await index.save_recording(file(2, state=RecordState.OPEN, sha256=""))
            assert await index.recording(file(1).file_id) == file(1)
            assert await index.recording("ff") is None
            changed = replace(file(1), locked=True, state=RecordState.DAMAGED)
            await index.save_recording(changed)
            assert await index.recordings() == [changed, file(2, state=RecordState.OPEN, sha256="")]
            await index.delete_recordings([changed.file_id, "ff"])
            assert numbers(await index.recordings()) == [2]

    async def test_a_time_finds_what_overlaps_it_in_order(self, url: str) -> None:
        async with self.index(url) as index:
            for number in (3, 1, 2, 0):
                await index.save_recording(file(number))
            await index.save_recording(file(9, channel_id="34020000001320000002"))
            edge = file(1).end

            async def found(
                begin: datetime | None, end: datetime | None, **which: Any
            ) -> list[int]:
                which = {"device_id": DEVICE, "channel_id": file(0).channel_id} | which
                return numbers(await index.recordings(begin=begin, end=end, **which))

            assert await found(None, None) == [0, 1, 2, 3]
            assert await found(edge, edge + timedelta(seconds=1)) == [2]
            assert await found(edge - timedelta(microseconds=1), edge) == [1]
            assert await found(edge - timedelta(microseconds=1), None) == [1, 2, 3]
            assert await found(None, None, limit=2, offset=1) == [1, 2]
            assert await found(None, None, channel_id=None) == [0, 1, 2, 3, 9]

    async def test_the_oldest_that_may_go_are_found(self, url: str) -> None:
        async with self.index(url) as index:
            await index.save_recording(file(0, locked=True))
            await index.save_recording(file(1, state=RecordState.OPEN))
            await index.save_recording(file(2, state=RecordState.DAMAGED))
            await index.save_recording(file(3, channel_id="34020000001320000002"))
            await index.save_recording(file(4))
            assert numbers(await index.oldest_recordings(2)) == [2, 3]
            channel_id = file(4).channel_id
            found = await index.oldest_recordings(9, device_id=DEVICE, channel_id=channel_id)
            assert numbers(found) == [2, 4]
            assert numbers(await index.oldest_recordings(9, before=file(4).end)) == [2, 3]
            assert numbers(await index.open_recordings()) == [1]

    async def test_sums_and_files_without_a_digest(self, url: str) -> None:
        async with self.index(url) as index:
            await index.save_recording(file(0))
            await index.save_recording(file(2, sha256=""))
            await index.save_recording(file(3, sha256="", state=RecordState.OPEN))
            await index.save_recording(file(5, channel_id="34020000001320000002"))
            assert numbers(await index.unhashed_recordings(10)) == [2]
            usage = await index.recording_usage()
            assert usage[0] == ChannelUsage(
                device_id=DEVICE,
                channel_id=file(0).channel_id,
                files=3,
                bytes=9_000_000_005,
                begin=file(0).begin,
                end=file(3).end,
            )
            assert [item.files for item in usage] == [3, 1]
