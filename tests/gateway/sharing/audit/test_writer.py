"""Records on their way to the disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import Unavailable
from gateway.sharing.audit import writer as module
from gateway.sharing.audit.chain import SegmentLimits
from gateway.sharing.audit.line import LineKind
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.verify import verify
from tests.gateway.sharing.audit.faulty import FaultyFiles
from tests.gateway.sharing.audit.samples import AT, MemorySource, Wall, access, open_log
from tests.gateway.sharing.audit.test_recovery import parsed

LARGE = SegmentLimits(records=100_000)


@asynccontextmanager
async def opened(files: FaultyFiles, **changes: Any) -> AsyncIterator[AuditLog]:
    defaults: dict[str, Any] = {"limits": LARGE, "checkpoint_records": 1000}
    async with open_log(files.directory, files=files, **defaults | changes) as log:
        yield log


@pytest.fixture
def files(tmp_path: Path) -> FaultyFiles:
    return FaultyFiles(tmp_path / "audit")


async def until_well(log: AuditLog) -> None:
    async with asyncio.timeout(20):
        while not log.health().ok:
            await asyncio.sleep(0.01)


async def test_records_are_durable_soon_and_share_writes(files: FaultyFiles) -> None:
    async with opened(files, group_commit=0.02) as log:
        before = len(files.appended)
        for number in range(500):
            log.record(access(number))
        assert log.health().pending == 500
        async with asyncio.timeout(10):
            while log.health().pending:
                await asyncio.sleep(0.005)
        assert len(files.appended) - before == 1
        data = await asyncio.to_thread(files.read, 1)
        assert data.count(b'"line":"entry"') == 501


async def test_a_flush_waits_for_what_was_recorded_before_it(files: FaultyFiles) -> None:
    async with opened(files, group_commit=0.01) as log:
        for number in range(5):
            log.record(access(number))
            await log.flush()
            assert log.status().durable_seq == log.status().head.seq
        await log.flush()


async def test_a_checkpoint_follows_after_a_number_of_lines_and_after_a_time(
    files: FaultyFiles,
) -> None:
    async with opened(files, checkpoint_records=5, checkpoint_interval=0.2) as log:
        begin = log.status().head.seq
        for number in range(7):
            log.record(access(number))
        signed = log.status().signed
        assert signed is not None
        assert signed.seq == begin + 6
        async with asyncio.timeout(15):
            while log.status().signed == signed:
                await asyncio.sleep(0.02)
        await log.flush()
        beside = await asyncio.to_thread(files.read_beside, "checkpoint.json")
        assert beside is not None
        assert str(log.status().signed).split(":")[1].encode() in beside
        # With nothing new there is nothing to sign.
        head = log.status().head
        await asyncio.sleep(0.5)
        assert log.status().head == head


async def test_a_segment_is_sealed_for_its_age(files: FaultyFiles) -> None:
    wall = Wall()
    async with opened(files, wall=wall) as log:
        log.record(access(1))
        wall.pass_(days=1.1)
        log.record(access(2))
        await log.flush()
        async with asyncio.timeout(15):
            while log.status().segments == 1:
                await asyncio.sleep(0.02)


async def test_a_full_disk_is_told_kept_for_and_recovered_from(files: FaultyFiles) -> None:
    async with opened(files) as log:
        files.full = True
        for number in range(100):
            log.record(access(number))
        with pytest.raises(Unavailable, match="No space left on device") as caught:
            await log.flush()
        assert caught.value.code == "audit_unavailable"
        health = log.health()
        assert not health.ok
        assert "No space left on device" in health.detail
        assert (health.since, health.pending, health.dropped) == (AT, 100, 0)
        for number in range(100, 200):
            log.record(access(number))
        with pytest.raises(Unavailable):
            await log.flush()
        files.full = False
        await until_well(log)
        await log.flush()
    report = await asyncio.to_thread(verify, files.directory)
    assert report.faults == []
    assert report.gaps == []
    assert report.records == 202


async def test_half_a_write_is_made_whole(files: FaultyFiles) -> None:
    async with opened(files, limits=SegmentLimits(records=7)) as log:
        for number in range(60):
            files.half = number * 37
            log.record(access(number))
            await asyncio.sleep(0.005)
        await until_well(log)
        await log.flush()
    report = await asyncio.to_thread(verify, files.directory)
    assert report.faults == []
    assert report.records == 62


async def test_what_no_longer_fits_is_counted_and_the_gap_put_on_record(
    files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG", 20_000)
    wall = Wall()
    with capture_logs() as logged:
        async with opened(files, wall=wall, limits=SegmentLimits(records=10)) as log:
            files.full = True
            for number in range(200):
                log.record(access(number))
                wall.pass_(seconds=1)
            with pytest.raises(Unavailable):
                await log.flush()
            lost = log.health().dropped
            assert 100 < lost < 200
            assert log.status().pending_bytes < 25_000
            files.full = False
            await until_well(log)
            log.record(access(1000))
    report = await asyncio.to_thread(verify, files.directory)
    assert report.faults == []
    (gap,) = report.gaps
    assert gap.lost == lost
    assert gap.since < gap.until
    assert report.records + lost == 200 + 1 + 2
    assert any(each["event"] == "audit_records_lost" for each in logged)
    kinds = [line.kind for name in ("00000001", "00000002") for line in parsed(files.directory / f"{name}.log")]  # fmt: skip
    assert LineKind.GAP not in kinds, "it stands where the records are missing, not before"


async def test_a_disk_that_does_not_answer_counts_as_one_that_refuses(
    files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STALLED_AFTER", 0.2)
    monkeypatch.setattr(module, "_FLUSH_TIMEOUT", 0.4)
    async with opened(files) as log:
        files.answers.clear()
        log.record(access(1))
        waiting = asyncio.TaskGroup()
        async with waiting:
            flushed = waiting.create_task(expect_silence(log))
            await asyncio.sleep(0.3)
            assert not log.health().ok
            assert "does not answer for" in log.health().detail
            assert log.health().since is not None
        assert flushed.result()
        files.answers.set()
        await until_well(log)
        await log.flush()


async def expect_silence(log: AuditLog) -> bool:
    with pytest.raises(Unavailable, match="does not answer for"):
        await log.flush()
    return True


async def test_a_file_that_somebody_changes_meanwhile_stops_the_audit(files: FaultyFiles) -> None:
    async with opened(files) as log:
        path = files.directory / "00000001.log"
        data = await asyncio.to_thread(path.read_bytes)
        await asyncio.to_thread(path.write_bytes, data[:-100])
        log.record(access(1))
        with pytest.raises(Unavailable, match="somebody else changed it"):
            await log.flush()
        # Put back, it goes on.
        await asyncio.to_thread(path.write_bytes, data)
        await until_well(log)
    assert (await asyncio.to_thread(verify, files.directory)).faults == []


async def test_lines_that_somebody_appends_meanwhile_do_not_stay(files: FaultyFiles) -> None:
    async with opened(files) as log:
        data = await asyncio.to_thread(files.read, 1)
        await asyncio.to_thread((files.directory / "00000001.log").write_bytes, data + b"forged\n")
        log.record(access(1))
        await until_well(log)
        with pytest.raises(Unavailable):
            await log.flush()
        await until_well(log)
    assert (await asyncio.to_thread(verify, files.directory)).faults == []


async def test_a_checkpoint_that_cannot_be_published_is_trouble_too(files: FaultyFiles) -> None:
    async with opened(files, checkpoint_records=1) as log:
        files.beside_fails = True
        log.record(access(1))
        with pytest.raises(Unavailable):
            await log.flush()
        files.beside_fails = False
        await until_well(log)
    assert (await asyncio.to_thread(verify, files.directory)).faults == []


async def test_the_end_signs_and_writes_what_waits(files: FaultyFiles) -> None:
    async with opened(files, group_commit=5.0) as log:
        for number in range(50):
            log.record(access(number))
    report = await asyncio.to_thread(verify, files.directory)
    assert (report.faults, report.unsigned, report.records) == ([], 0, 52)


async def test_the_end_does_not_wait_for_ever_and_says_what_was_lost(
    files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sharing.audit.log._CLOSE_TIMEOUT", 0.5)
    with capture_logs() as logged:
        async with asyncio.timeout(5), opened(files) as log:
            files.full = True
            log.record(access(1))
    lines = [each for each in logged if each["event"] == "audit_not_flushed"]
    # The record, the note of the end, and the signature.
    assert [each["count"] for each in lines] == [3]
    assert not log.health().ok


async def test_after_the_end_nothing_is_kept_and_that_is_said(files: FaultyFiles) -> None:
    async with opened(files) as log:
        pass
    with capture_logs() as logged:
        log.record(access(1))
    assert [each["event"] for each in logged] == ["audit_records_lost"]
    assert not log.health().ok
    with pytest.raises(Unavailable):
        await log.flush()


async def test_a_writer_that_ends_by_a_bug_stops_outside_access(
    files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[str] = []
    async with opened(files, on_crash=lambda name, exc: crashes.append(name)) as log:

        def crash(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(files, "append", crash)
        log.record(access(1))
        with pytest.raises(Unavailable):
            await log.flush()
        assert crashes == ["audit"]
        assert not log.health().ok


async def test_order_of_calls_is_order_of_the_chain(files: FaultyFiles) -> None:
    async with opened(files, limits=SegmentLimits(records=20)) as log, asyncio.TaskGroup() as group:
        for part in range(5):
            group.create_task(record_some(log, part))
    source = MemorySource.of(files.directory)
    lines = [
        raw for name in sorted(source.files) if name.endswith(".log") for raw in source.lines(name)
    ]
    marks = [raw for raw in lines if b'"kind":"access"' in raw]
    numbers = [int(raw.split(b'"entry_id":"a')[1].split(b'"')[0]) for raw in marks]
    assert sorted(numbers) == list(range(100))
    for part in range(5):
        own = [number for number in numbers if number // 20 == part]
        assert own == sorted(own)


async def record_some(log: AuditLog, part: int) -> None:
    for number in range(20):
        log.record(access(20 * part + number))
        await asyncio.sleep(0.001)
