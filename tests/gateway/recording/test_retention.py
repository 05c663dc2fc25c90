"""What goes when: by age, oldest first, never what is locked or being written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Unavailable
from gateway.domain.recording import DiskSpace, RecordFile, RecordState
from gateway.recording.disk import DiskGuard
from gateway.recording.keeper import IndexKeeper
from gateway.recording.options import RecordingOptions
from gateway.recording.retention import Retention
from tests.gateway.store.recording_contract import BEGIN, RecordingContract, file, numbers
from tests.support.recording_index import MemoryIndex


class TestMemoryIndex(RecordingContract):
    """The double keeps the contract that the databases keep."""

    @pytest.fixture
    def url(self) -> str:
        return ""

    @asynccontextmanager
    async def index(self, url: str) -> AsyncIterator[MemoryIndex]:
        yield MemoryIndex()


class Disk:
    """A disk of a size, with nothing on it but recordings."""

    def __init__(self, index: MemoryIndex, total: int) -> None:
        self.index = index
        self.total = total
        self.on_disk = {item.path: item.bytes for item in index.rows.values()}
        self.refuses = False

    async def space(self) -> DiskSpace:
        if self.refuses:
            raise Unavailable("disk_failed", "Input/output error")
        return DiskSpace(total=self.total, free=self.total - sum(self.on_disk.values()))

    async def remove(self, path: str) -> None:
        if self.refuses:
            raise Unavailable("disk_failed", "Read-only file system")
        self.on_disk.pop(path, None)


class Bench:
    def __init__(self, files: list[RecordFile], total: int = 10**12, **options: Any) -> None:
        self.index = MemoryIndex()
        self.index.rows = {item.file_id: item for item in files}
        self.disk = Disk(self.index, total)
        self.grown: list[int] = []
        self.now = 0.0
        self.keeper = IndexKeeper(self.index, self.disk, self.grown.append)  # type: ignore[arg-type]
        self.days: dict[str, int] = {}
        self.retention = Retention(
            self.index,
            self.disk,  # type: ignore[arg-type]
            self.keeper,
            keep_days=lambda device, channel: self.days.get(channel, 0),
            on_bytes=self._grew,
        )
        self.guard = DiskGuard(
            self.disk,  # type: ignore[arg-type]
            self.retention,
            RecordingOptions(**({"min_free": 0} | options)),
            now=lambda: self.now,
            wall=lambda: BEGIN,
        )
        self.guard.grew(sum(item.bytes for item in files))

    def _grew(self, count: int) -> None:
        self.grown.append(count)
        self.guard.grew(count)

    def left(self) -> list[int]:
        return sorted(numbers(list(self.index.rows.values())))


FILES = st.lists(
    st.tuples(st.integers(1, 1000), st.booleans(), st.sampled_from(list(RecordState))),
    max_size=150,
)


@given(FILES, st.integers(0, 60_000))
def test_the_oldest_go_first_and_no_more_than_is_needed(
    given_files: list[tuple[int, bool, RecordState]], wanted: int
) -> None:
    files = [
        file(number, bytes=size, locked=locked, state=state)
        for number, (size, locked, state) in enumerate(given_files)
    ]
    bench = Bench(files)
    freed = asyncio.run(bench.retention.make_room(wanted))
    gone = [item for item in files if item.file_id not in bench.index.rows]
    may_go = [item for item in files if not item.locked and item.state is not RecordState.OPEN]
    assert gone == may_go[: len(gone)]
    assert freed == sum(item.bytes for item in gone) == -sum(bench.grown)
    assert freed >= wanted or gone == may_go
    if gone:
        assert freed - gone[-1].bytes < wanted
    assert set(bench.disk.on_disk) == {item.path for item in bench.index.rows.values()}


@given(FILES, st.integers(0, 5), st.integers(0, 5))
def test_each_channel_keeps_its_own_days(
    given_files: list[tuple[int, bool, RecordState]], first: int, second: int
) -> None:
    channels = ("34020000001320000001", "34020000001320000002")
    files = [
        file(number * 30, channel_id=channels[number % 2], locked=locked, state=state)
        for number, (_, locked, state) in enumerate(given_files)
    ]
    bench = Bench(files)
    bench.days = dict(zip(channels, (first, second), strict=True))
    at = BEGIN + timedelta(days=10)
    asyncio.run(bench.retention.expire(at))
    for item in files:
        days = bench.days[item.channel_id]
        stays = (
            item.locked
            or item.state is RecordState.OPEN
            or not days
            or item.end >= at - timedelta(days=days)
        )
        assert (item.file_id in bench.index.rows) is stays


async def test_a_full_disk_loses_its_oldest_until_enough_is_free() -> None:
    bench = Bench([file(number, bytes=100) for number in range(10)], total=1_000, min_free=250)
    await bench.guard.check(0)
    assert bench.left() == [3, 4, 5, 6, 7, 8, 9]
    assert bench.guard.blocked() is None
    assert bench.guard.status().recorded == 700


async def test_a_disk_full_of_locked_recordings_is_a_state_with_a_reason_and_recovers() -> None:
    bench = Bench([file(n, bytes=100, locked=n < 9) for n in range(10)], total=1_000, min_free=250)
    await bench.guard.check(0)
    assert bench.left() == list(range(9))
    code, detail = bench.guard.blocked() or ("", "")
    assert code == "disk_full"
    assert "unlock recordings" in detail
    for number in range(3):
        await bench.keeper.lock(file(number).file_id, locked=False)
    await bench.guard.check(0)
    assert bench.guard.blocked() is None


async def test_the_limit_of_all_recordings_counts_files_being_written() -> None:
    bench = Bench([file(number, bytes=100) for number in range(10)], max_bytes=1_000)
    await bench.guard.check(250)
    assert bench.left() == [3, 4, 5, 6, 7, 8, 9]


async def test_a_file_locked_a_moment_ago_stays() -> None:
    bench = Bench([file(0, bytes=100), file(1, bytes=100)])
    await bench.keeper.lock(file(0).file_id, locked=True)
    # As a look-up that began before has it.
    bench.index.rows[file(0).file_id] = file(0, bytes=100)
    assert await bench.retention.make_room(150) == 100
    assert bench.left() == [0]


async def test_a_disk_that_refused_is_left_alone_for_a_while_and_then_tried_again() -> None:
    bench = Bench([], total=10_000)
    bench.guard.refused("disk_full", "Disk quota exceeded")
    await bench.guard.check(0)
    assert bench.guard.blocked() == ("disk_full", "Disk quota exceeded")
    bench.now = 6.0
    await bench.guard.check(0)
    assert bench.guard.blocked() is None


async def test_a_disk_that_fails_is_a_state_of_its_own() -> None:
    bench = Bench([file(0)])
    bench.disk.refuses = True
    await bench.guard.check(0)
    assert (bench.guard.blocked() or ("",))[0] == "disk_failed"
    bench.disk.refuses = False
    await bench.guard.check(0)
    assert bench.guard.blocked() is None


async def test_a_store_that_fails_stops_deleting() -> None:
    bench = Bench([file(number, bytes=100) for number in range(200)])
    bench.index.broken = True
    with pytest.raises(Unavailable):
        await bench.retention.make_room(1_000)
    assert len(bench.disk.on_disk) == 200
