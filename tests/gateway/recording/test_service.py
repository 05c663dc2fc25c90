"""Plans and events become files: cameras asked for, lost, asked for again; disks that fill up; locks; lists."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.domain.recording import RecordMode, RecordPlan, RecordState
from gateway.domain.session import SessionKind, SessionRecord
from gateway.domain.signalling import Origin
from gateway.media.record.directory import RecordDirectory
from gateway.media.record.media import RecordMedia
from gateway.media.record.option import RecordOptions
from gateway.recording.events import EventBook
from gateway.recording.library import RecordingLibrary
from gateway.recording.options import RecordingOptions
from gateway.recording.plans import PlanBook
from gateway.recording.service import RecordingService
from gateway.recording.status import Phase
from gateway.recording.week import zone_of
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope
from gb28181.es.unit import MediaUnit
from tests.gateway.store.recording_contract import file
from tests.support.gateway import eventually
from tests.support.media import aac_units, interleave, video_units
from tests.support.platform_book import AuditList, MemoryDocuments
from tests.support.recording_index import MemoryIndex
from tests.support.recordings import CHANNEL, DEVICE, RecordBench, probe, record_bench

_T = TypeVar("_T")
BOSS = Subject(role="admin")
UNITS = interleave(video_units(count=1500), aac_units(930))


def plan(mode: RecordMode = RecordMode.ALWAYS, **changes: Any) -> RecordPlan:
    return RecordPlan(**({"device_id": DEVICE, "channel_id": CHANNEL, "mode": mode} | changes))


@dataclass
class Cameras:
    """Live sessions with one camera, which sends as long as somebody takes it."""

    bench: RecordBench
    refuse: Exception | None = None
    joins: int = 0
    units: Iterator[MediaUnit] = field(default_factory=lambda: iter(UNITS))

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        self.joins += 1
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        record = SessionRecord(
            session_id="1",
            kind=SessionKind.LIVE,
            device_id=device_id,
            channel_id=channel_id,
            transport="udp",
            created_at=utc_now(),
            stream=stream,
        )
        return record, attach(record)

    async def send(self) -> None:
        """Send four times as fast as in life, until cancelled."""
        for unit in self.units:
            self.bench.stream.feed([unit], unit.dts / 90_000)
            await asyncio.sleep(0.006)


@dataclass
class Site:
    service: RecordingService
    library: RecordingLibrary
    cameras: Cameras
    index: MemoryIndex
    audit: AuditList
    root: Path

    def phase(self) -> Phase:
        return self.service.status(DEVICE, CHANNEL).phase

    async def until(self, phase: Phase, timeout: float = 20.0) -> None:
        async def there() -> bool:
            return self.phase() is phase

        await eventually(there, timeout, f"phase {phase}")

    async def seconds(self, wanted: float, files: int = 1) -> list[Any]:
        """The files, once so much is on disk."""

        async def enough() -> list[Any] | None:
            found = await self.library.files(DEVICE, CHANNEL)
            total = sum(item.seconds for item in found)
            return found if total >= wanted and len(found) >= files else None

        return list(await eventually(enough, 20.0, f"{wanted} s in {files} files"))


@asynccontextmanager
async def site(
    root: Path,
    index: MemoryIndex | None = None,
    documents: MemoryDocuments | None = None,
    **options: Any,
) -> AsyncIterator[Site]:
    crashes: list[tuple[str, Exception]] = []
    index, documents, audit = index or MemoryIndex(), documents or MemoryDocuments(), AuditList()
    async with (
        record_bench(root / "unused") as bench,
        TaskScope(lambda name, exc: crashes.append((name, exc))) as scope,
        RecordMedia(
            bench,
            RecordOptions(directory=root, file_seconds=options.pop("file_seconds", 600.0)),
            new_id=lambda: os.urandom(8).hex(),
            clock=monotonic,
            wall=utc_now,
        ) as media,
    ):
        files = RecordDirectory(root, utc_now)
        changes = ChangeLog(audit, wall=utc_now, new_id=lambda: "1")
        cameras = Cameras(bench)
        service = RecordingService(
            sessions=cameras,
            media=media,
            files=files,
            index=index,
            plans=PlanBook(documents, changes),
            events=EventBook(documents, now=monotonic, wall=utc_now),
            changes=changes,
            options=RecordingOptions(
                **({"min_free": 0, "first_retry": 0.1, "check_interval": 0.2, "first_rest": 0.2}
                   | options)
            ),
            scope=scope,
            now=monotonic,
            wall=utc_now,
            spread=lambda: 1.0,
        )  # fmt: skip
        await service.load()
        service.start()
        scope.spawn(cameras.send(), name="camera")
        try:
            yield Site(
                service, RecordingLibrary(index, files, service), cameras, index, audit, root
            )
        finally:
            await service.close()
            assert service.active == service.keeper.open_count == 0
            # What is left are tasks that only end with their owner.
            scope.spawn(asyncio.sleep(0), name="last")
    assert crashes == []


async def test_a_plan_records_until_it_is_deleted_and_the_file_is_hashed(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        await it.service.save_plan(plan(), by=BOSS)
        await it.until(Phase.RECORDING)
        await it.seconds(2.0)
        await it.service.delete_plan(DEVICE, CHANNEL, by=BOSS)

        async def hashed() -> bool:
            return all(row.sha256 for row in it.index.rows.values())

        await eventually(hashed, 10.0, "the digest")
        (row,) = it.index.rows.values()
        assert (row.state, row.cause) == (RecordState.CLOSED, "always")
        assert it.phase() is Phase.OFF
        assert it.service.statuses() == []
        assert [entry.action for entry in it.audit.entries] == ["create", "delete"]
        found = await asyncio.to_thread(probe, tmp_path / row.path)
        assert found.pictures == round(row.seconds * 25)


async def test_a_lost_camera_is_asked_for_again_and_the_gap_shows(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        await it.service.save_plan(plan(), by=BOSS)
        await it.seconds(1.0)
        it.cameras.refuse = Unavailable("device_offline", "Device is offline (keepalive_missed)")
        with capture_logs() as logs:
            output = it.cameras.bench.stream._outputs[0]
            output.close("source_lost", "No packet for 10 s")
            await it.until(Phase.OFFLINE)
            asked = it.cameras.joins

            async def again() -> bool:
                return it.cameras.joins >= asked + 2

            await eventually(again, 10.0, "two more tries")
        status = it.service.status(DEVICE, CHANNEL)
        assert (status.reason, status.detail) == (
            "device_offline", "Device is offline (keepalive_missed)"
        )  # fmt: skip
        assert status.tries >= 2
        # Once for the loss and once for its reason, not for every try.
        assert [entry["event"] for entry in logs].count("recording_interrupted") == 2
        it.cameras.refuse = None
        await it.until(Phase.RECORDING)
        first, second, *_ = await it.seconds(2.0, files=2)
        assert second.begin > first.end
        now = utc_now() + timedelta(hours=1)
        ranges = await it.library.ranges(DEVICE, CHANNEL, now - timedelta(days=1), now)
        # In life the camera would have been away for longer than a second.
        assert ranges[0].begin == first.begin


async def test_an_event_is_recorded_with_what_came_before_and_after(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        wanted = plan(RecordMode.EVENT, pre_seconds=2.0, post_seconds=1.0)
        await it.service.save_plan(wanted, by=BOSS)
        await it.until(Phase.ARMED)
        # The last seconds have to be there first.
        await asyncio.sleep(1.0)
        assert it.index.rows == {}
        it.service.alarm(DEVICE, "34020000001320000099", "alarm:5")
        assert it.service.status(DEVICE, CHANNEL).event_until is None
        it.service.alarm(DEVICE, CHANNEL, "alarm:5/2")
        await it.until(Phase.RECORDING)
        await it.until(Phase.ARMED)

        async def closed() -> list[Any]:
            return [row for row in it.index.rows.values() if row.state is RecordState.CLOSED]

        (row,) = await eventually(closed, 10.0, "the file")
        assert row.cause == "alarm:5/2"
        assert row.seconds >= 3.0
        assert it.cameras.joins == 1


async def test_a_command_to_record_holds_over_a_restart(tmp_path: Path) -> None:
    documents, index = MemoryDocuments(), MemoryIndex()
    async with site(tmp_path, index, documents) as it:
        it.service.trigger(DEVICE, CHANNEL, seconds=60, cause="manual")
        await it.service.keep_events()
        await it.until(Phase.RECORDING)
    async with site(tmp_path, index, documents) as it:
        await it.until(Phase.RECORDING)
        until = it.service.status(DEVICE, CHANNEL).event_until
        assert until is not None
        assert until <= utc_now() + timedelta(seconds=60)
        it.service.end_event(DEVICE, CHANNEL)
        await it.service.keep_events()
        await it.until(Phase.OFF)
    assert {row.cause for row in index.rows.values()} == {"manual"}
    async with site(tmp_path, index, documents) as it:
        assert it.service.statuses() == []


async def test_an_event_that_the_store_cannot_keep_is_recorded_and_kept_later(
    tmp_path: Path,
) -> None:
    documents = MemoryDocuments()
    async with site(tmp_path, documents=documents) as it:
        documents.broken = True
        with capture_logs() as logs:
            it.service.trigger(DEVICE, CHANNEL, seconds=60, cause="manual")
            await it.service.keep_events()
            await it.service.keep_events()
        assert [entry["event"] for entry in logs].count("record_events_not_kept") == 1
        await it.until(Phase.RECORDING)
        documents.broken = False

        async def kept() -> bool:
            return bool(documents.collections.get("record_events"))

        await eventually(kept, 10.0, "the event in the store")


async def test_a_command_records_for_its_time_and_stop_ends_it(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        status = it.service.trigger(DEVICE, CHANNEL, seconds=60, cause="manual")
        assert status.event_until is not None
        await it.until(Phase.RECORDING)
        it.service.end_event(DEVICE, CHANNEL)
        await it.until(Phase.OFF)
        with pytest.raises(NotFound):
            it.service.end_event(DEVICE, CHANNEL)
        for seconds in (0, -1, float("nan"), float("inf"), 100_000):
            with pytest.raises(Invalid):
                it.service.trigger(DEVICE, CHANNEL, seconds=seconds, cause="manual")


async def test_locked_files_are_not_deleted_and_what_is_written_neither(tmp_path: Path) -> None:
    async with site(tmp_path, file_seconds=1.0) as it:
        await it.service.save_plan(plan(), by=BOSS)
        first, *_, last = await it.seconds(2.5, files=3)
        (locked,) = await it.service.lock([first], locked=True, by=BOSS)
        assert locked.locked
        with pytest.raises(Conflict, match="locked"):
            await it.service.delete(locked, by=BOSS)
        current = it.service.written()[0]
        with pytest.raises(Conflict, match="being written"):
            await it.service.delete(current, by=BOSS)
        (open_one,) = await it.service.lock([current], locked=True, by=BOSS)

        async def closed() -> bool:
            row = it.index.rows.get(open_one.file_id)
            return row is not None and row.state is RecordState.CLOSED

        await eventually(closed, 10.0, "the end of the locked file")
        assert it.index.rows[open_one.file_id].locked
        (first,) = await it.service.lock([locked], locked=False, by=BOSS)
        await it.service.delete(first, by=BOSS)
        with pytest.raises(NotFound):
            await it.library.find(first.file_id)
        assert not (tmp_path / first.path).exists()
        assert {"lock", "unlock", "delete"} <= {entry.action for entry in it.audit.entries}
        assert last.file_id != first.file_id


async def test_a_store_that_fails_costs_no_picture_and_learns_of_the_files_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.recording.keeper.RETRY", 0.1)
    async with site(tmp_path) as it:
        await it.service.save_plan(plan(), by=BOSS)
        await it.until(Phase.STARTING)
        it.index.broken = True
        with capture_logs():
            await it.until(Phase.RECORDING)

            async def written() -> bool:
                return sum(file.seconds for file in it.service.written()) >= 1.0

            await eventually(written, 10.0, "a second on disk")
        it.index.broken = False
        await it.seconds(1.5)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.fail("a small file system must be mounted for this: run as root, with mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_disk_full_while_recording_is_a_state_and_recovers_by_itself(
    small_disk: Path,
) -> None:
    ballast = small_disk / "ballast"
    async with site(small_disk) as it:
        await it.service.save_plan(plan(), by=BOSS)
        await it.until(Phase.RECORDING)
        await it.seconds(0.5)
        with capture_logs() as logs:
            free = os.statvfs(small_disk)
            await asyncio.to_thread(ballast.write_bytes, bytes(free.f_bavail * free.f_frsize))
            await it.until(Phase.DISK_FULL)
            status, disk = it.service.status(DEVICE, CHANNEL), it.service.disk()
            assert (status.reason, disk.state) == ("disk_full", "disk_full")
            assert "No space left on device" in status.detail
            await asyncio.to_thread(ballast.unlink)
            await it.until(Phase.RECORDING)
        assert "recording_disk_refuses" in {entry["event"] for entry in logs}
        first, *_ = await it.seconds(1.0, files=2)
        assert it.service.disk().state == "ok"
        found = await asyncio.to_thread(probe, small_disk / first.path)
        assert found.pictures == round(first.seconds * 25) > 0


async def test_too_little_free_space_deletes_the_oldest_while_recording_goes_on(
    small_disk: Path,
) -> None:
    async with site(small_disk, file_seconds=1.0, min_free=3_800_000) as it:
        await it.service.save_plan(plan(), by=BOSS)

        async def removed() -> bool:
            return it.service.disk().removed >= 2

        await eventually(removed, 20.0, "two deleted files")
        assert it.phase() is Phase.RECORDING
        paths = await asyncio.to_thread(files_below, small_disk)
        assert {row.path for row in it.index.rows.values()} >= paths


async def test_what_a_crash_left_is_recovered_and_what_the_index_never_knew_is_found(
    tmp_path: Path,
) -> None:
    index = MemoryIndex()
    async with site(tmp_path, index, file_seconds=2.0) as it:
        await it.service.save_plan(plan(), by=BOSS)
        files = await it.seconds(6.5, files=4)
    first, second, third = [index.rows[file.file_id] for file in files[:3]]
    cut = (tmp_path / first.path).read_bytes()
    (tmp_path / first.path).write_bytes(cut[:-100])
    index.rows[first.file_id] = _reopened(first)
    del index.rows[second.file_id]
    (tmp_path / third.path).write_bytes(b"")
    index.rows[third.file_id] = _reopened(third)
    async with site(tmp_path, index) as it:

        async def done() -> bool:
            return second.file_id in index.rows and index.rows[first.file_id].bytes > 0

        await eventually(done, 10.0, "recovery")

        async def gone() -> bool:
            return third.file_id not in index.rows

        await eventually(gone, 10.0, "the empty file's row")
    assert index.rows[first.file_id].state is RecordState.DAMAGED
    found = await asyncio.to_thread(probe, tmp_path / first.path)
    assert 0 < found.pictures == round(index.rows[first.file_id].seconds * 25)
    adopted = index.rows[second.file_id]
    assert abs(adopted.begin - second.begin) < timedelta(milliseconds=1)
    assert adopted.seconds == pytest.approx(second.seconds)
    assert not (tmp_path / third.path).exists()


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.mp4")}


def _reopened(row: Any) -> Any:
    return replace(row, state=RecordState.OPEN, end=row.begin, bytes=0, sha256="")


async def test_days_and_ranges_tell_when_something_was_recorded(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        base = {"device_id": DEVICE, "channel_id": CHANNEL, "cause": "always"}
        # 15:59 to 16:09 UTC: two days in China.
        day = datetime(2026, 3, 1, 15, 59, tzinfo=UTC)
        for number, (begin, cause) in enumerate(
            ((day, "always"), (day + timedelta(minutes=10), "always"),
             (day + timedelta(hours=1), "alarm:5"))
        ):  # fmt: skip
            row = file(
                number, begin=begin, end=begin + timedelta(minutes=10), **(base | {"cause": cause})
            )
            it.index.rows[row.file_id] = row
        days = await it.library.days(
            DEVICE, CHANNEL, day.date(), day.date() + timedelta(days=1), zone_of("Asia/Shanghai")
        )
        assert [(item.day.day, item.seconds, item.events) for item in days] == [
            (1, 60.0, False), (2, 1740.0, True)
        ]  # fmt: skip
        ranges = await it.library.ranges(DEVICE, CHANNEL, day, day + timedelta(hours=2))
        assert [(item.cause, (item.end - item.begin).seconds) for item in ranges] == [
            ("always", 1200), ("alarm:5", 600)
        ]  # fmt: skip


async def test_a_weekly_plan_waits_outside_its_windows(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        now = utc_now()
        other = now + timedelta(days=3)
        day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        closed = plan(
            RecordMode.WEEKLY, windows=(f"{day[other.weekday()]} 00:00-24:00",), zone="UTC"
        )
        await it.service.save_plan(closed, by=BOSS)
        await it.until(Phase.WAITING)
        assert it.cameras.joins == 0
        await it.service.save_plan(
            plan(RecordMode.WEEKLY, windows=("daily 00:00-24:00",), zone="UTC"), by=BOSS
        )
        (first, *_) = await it.seconds(0.5)
        assert first.cause == "weekly"


async def test_a_plan_that_makes_no_sense_is_refused_and_plans_survive_a_restart(
    tmp_path: Path,
) -> None:
    documents = MemoryDocuments()
    async with site(tmp_path, documents=documents) as it:
        for changes in (
            {"mode": RecordMode.WEEKLY},
            {"mode": RecordMode.WEEKLY, "windows": ("whenever",)},
            {"zone": "Europe/Atlantis"},
            {"pre_seconds": 1e9},
            {"post_seconds": float("nan")},
            {"keep_days": -1},
        ):
            with pytest.raises(Invalid) as caught:
                await it.service.save_plan(plan(**({"mode": RecordMode.EVENT} | changes)), by=BOSS)
            assert caught.value.code == "invalid_plan"
        kept = plan(RecordMode.EVENT, keep_days=3, windows=("Mon 08:00-09:00",))
        await it.service.save_plan(kept, by=BOSS)
    async with site(tmp_path, documents=documents) as it:
        assert it.service.plans.all() == [kept]


async def test_who_may_see_the_sub_stream_only_gets_clips_of_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path, file_seconds=1.0) as it:
        await it.service.save_plan(plan(), by=BOSS)
        first, *_ = await it.seconds(3.0, files=3)
        await it.service.delete_plan(DEVICE, CHANNEL, by=BOSS)

        async def closed() -> bool:
            return all(row.sha256 for row in it.index.rows.values())

        await eventually(closed, 10.0, "the digests")
        begin, end = first.begin, first.begin + timedelta(hours=1)
        with pytest.raises(Forbidden) as caught:
            await it.library.clip(DEVICE, CHANNEL, begin, end, sub_stream=True)
        assert caught.value.code == "sub_stream_only"
        middle = sorted(it.index.rows.values(), key=lambda row: row.begin)[1]
        it.index.rows[middle.file_id] = replace(middle, stream=1)
        clip = await it.library.clip(DEVICE, CHANNEL, begin, end, sub_stream=True)
        assert [part.begin for part in clip.parts] == [middle.begin]
        assert clip.parts[-1].end <= middle.end
        with pytest.raises(NotFound):
            await it.library.clip(
                DEVICE,
                CHANNEL,
                begin - timedelta(hours=2),
                begin - timedelta(hours=1),
                sub_stream=True,
            )
