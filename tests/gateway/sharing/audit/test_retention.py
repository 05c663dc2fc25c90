"""Removing the records of old files."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import Unavailable
from gateway.sharing.audit.chain import SegmentLimits, SegmentSpan
from gateway.sharing.audit.checkpoint import KeyRing, Signer
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.report import FaultCode
from gateway.sharing.audit.retention import is_steady, leave_stub
from gateway.sharing.audit.search import AuditQuery
from gateway.sharing.audit.verify import verify
from gateway.store.audit_files import DirectoryAuditFiles
from tests.gateway.sharing.audit.faulty import FaultyFiles
from tests.gateway.sharing.audit.samples import AT, KEY, OTHER_KEY, Wall, access, end, open_log

KEYS = KeyRing([Signer(KEY).key_id])


async def filled(log: AuditLog, wall: Wall, count: int = 33) -> None:
    for number in range(count):
        log.record(access(number, wall.now))
        wall.pass_(hours=1)


async def test_old_files_become_stubs_and_the_chain_stays_proven(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        await filled(log, wall)
        assert await log.apply_retention() == []
        # The first ten are over the age, the next not all.
        wall.now = AT + timedelta(days=200, hours=12)
        assert await log.apply_retention() == [1]
        assert await log.apply_retention() == []
        assert log.status().stubs == 1
        report = await log.verify()
        assert (report.faults, report.stubs, report.removed_records) == ([], 1, 10)
        assert len(report.proven) == 1
        wall.pass_(days=1)
        assert await log.apply_retention() == [2, 3]
        (row, *_) = (await log.search(_own("retention"))).rows
        assert row.entry.detail == "files 2 to 3, records before 2026-11-22"
    report = await asyncio.to_thread(verify, tmp_path)
    assert (report.faults, report.stubs) == ([], 3)
    files = DirectoryAuditFiles(tmp_path)
    infos = await asyncio.to_thread(files.segments)
    assert [info.stub for info in infos] == [
        True,
        True,
        True,
        False,
    ]
    async with open_log(tmp_path, wall) as log:
        assert (log.status().segments, log.status().stubs) == (4, 3)
        assert await log.apply_retention() == []


def _own(action: str) -> AuditQuery:
    return AuditQuery(action=action)


async def test_a_stub_says_what_was_there(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        await filled(log, wall, 12)
        wall.pass_(days=300)
        await log.apply_retention()
    header, seal, stub = (tmp_path / "00000001.stub").read_text().splitlines()
    for text in ('"segment":1', '"seq":1,'):
        assert text in header
    for text in (
        '"records":10',
        '"first_seq":1',
        '"first_at":"2026-11-21T08:30:15.123456Z"',
        '"last_at":"2026-11-21T16:30:15.123456Z"',
        '"signature":',
    ):
        assert text in seal
    assert '"line":"stub"' in stub
    assert "county-live" not in header + seal + stub


async def test_a_file_that_does_not_verify_is_kept_as_evidence(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        await filled(log, wall)
        await log.flush()
        path = tmp_path / "00000002.log"
        data = await asyncio.to_thread(path.read_bytes)
        forged = data.replace(b"county-live", b"county-dead", 1)
        await asyncio.to_thread(path.write_bytes, forged)
        wall.pass_(days=300)
        with capture_logs() as logged:
            assert await log.apply_retention() == [1, 3]
            assert await log.apply_retention() == []
        kept = [each for each in logged if each["event"] == "audit_segment_kept"]
        assert len(kept) == 1
        assert "its bytes do not have the hash" in kept[0]["detail"]
    assert await asyncio.to_thread(path.read_bytes) == forged
    report = await asyncio.to_thread(verify, tmp_path)
    assert {fault.code for fault in report.faults} == {FaultCode.CHANGED}


async def test_an_access_that_lasts_keeps_its_end_though_its_begin_was_removed(
    tmp_path: Path,
) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        log.record(access(1000, wall.now, lasting=True))
        await filled(log, wall)
        wall.pass_(days=300)
        await log.apply_retention()
        assert log.status().open == 1
    async with open_log(tmp_path, wall) as log:
        assert log.status().open == 0
        log.record(end(1000))
    assert (await asyncio.to_thread(verify, tmp_path)).faults == []


async def test_a_disk_that_refuses_the_stub_leaves_the_file(tmp_path: Path) -> None:
    wall = Wall()
    files = FaultyFiles(tmp_path)
    async with open_log(tmp_path, wall, files=files) as log:
        await filled(log, wall)
        await log.flush()
        wall.pass_(days=300)
        files.full = True
        with pytest.raises(Unavailable, match="No space left on device"):
            await log.apply_retention()
        files.full = False
        assert await log.apply_retention() == [1, 2, 3]
    assert (await asyncio.to_thread(verify, tmp_path)).faults == []


async def test_two_at_once_do_it_once(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        await filled(log, wall)
        wall.pass_(days=300)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(log.apply_retention()) for _ in range(3)]
        assert sorted(task.result() for task in tasks) == [[], [], [1, 2, 3]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (b"nonsense\n", "expected a line of the audit"),
        (None, "the file has no header or no seal"),
    ],
)
async def test_what_is_no_sealed_file_is_left_alone(
    tmp_path: Path, data: bytes | None, why: str
) -> None:
    async with open_log(tmp_path):
        pass
    path = tmp_path / "00000001.log"
    if data is not None:
        path.write_bytes(data)
    before = path.read_bytes()
    files = DirectoryAuditFiles(tmp_path)
    assert why in leave_stub(files, 1, KEYS, Signer(KEY), AT)
    assert path.read_bytes() == before
    files.close()


async def test_a_stub_by_another_key_is_no_stub(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        await filled(log, wall)
    files = DirectoryAuditFiles(tmp_path)
    assert await asyncio.to_thread(leave_stub, files, 2, KEYS, Signer(OTHER_KEY), AT) == ""
    files.close()
    report = await asyncio.to_thread(verify, tmp_path)
    assert report.faults[0].code is FaultCode.STUB
    assert report.faults[0].segment == 2


async def test_a_clock_set_forward_by_a_year_removes_nothing_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sharing.audit.log._RETENTION_DELAY", 0.0)
    monkeypatch.setattr("gateway.sharing.audit.log._RETENTION_INTERVAL", 0.01)
    wall = Wall()
    async with open_log(tmp_path, wall, limits=SegmentLimits(records=10)) as log:
        for number in range(30):
            log.record(access(number, wall.now))
        await log.flush()
        wall.pass_(days=365)
        log.record(access(30, wall.now))
        await log.flush()
        await asyncio.sleep(0.1)
        assert log.status().stubs == 0
        # It was right after all: nine days later it still says so.
        for _ in range(9):
            wall.pass_(days=1)
            log.record(access(31, wall.now))
            await log.flush()
        async with asyncio.timeout(10):
            while not log.status().stubs:
                await asyncio.sleep(0.01)


def _span(began: float, last: float | None = None) -> SegmentSpan:
    first = AT + timedelta(days=began)
    last_at = None if last is None else AT + timedelta(days=last)
    return SegmentSpan(
        number=1, first_seq=1, began=first, first_at=last_at and first, last_at=last_at
    )


@pytest.mark.parametrize(
    ("spans", "now", "steady"),
    [
        ([], 0, True),
        ([(0, 1), (1, 2), (2, None)], 3, True),
        ([(0, 6)], 12, True),
        ([(0, 1)], 9, False),
        ([(0, 1), (300, 301)], 301, False),
        ([(0, 1), (300, 304), (304, 308)], 308, True),
        # Set forward and back again: what is later than now tells nothing.
        ([(0, 1), (300, 301), (2, 3)], 4, True),
        ([(0, 400), (2, 3)], 4, True),
        ([(0, 10)], 11, False),
    ],
)
def test_times_that_lead_up_to_now_are_believed(
    spans: list[tuple[float, float | None]], now: float, steady: bool
) -> None:
    assert is_steady([_span(*span) for span in spans], AT + timedelta(days=now)) is steady
