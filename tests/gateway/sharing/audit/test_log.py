"""The audit log as a whole."""

import asyncio
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Unavailable
from gateway.observe.metrics import Metrics
from gateway.sharing.audit.chain import SegmentLimits
from gateway.sharing.audit.checkpoint import Anchor, Signer
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.report import FaultCode
from gateway.sharing.audit.search import AuditQuery
from gateway.sharing.audit.verify import verify
from gateway.store.audit_files import DirectoryAuditFiles
from gateway.store.sql import SqlStore
from tests.gateway.sharing.audit.faulty import FaultyFiles
from tests.gateway.sharing.audit.samples import AT, KEY, Ids, Wall, access, end, open_log


async def own_actions(log: AuditLog) -> list[tuple[str, str]]:
    page = await log.search(AuditQuery(kinds=frozenset({AuditKind.AUDIT})))
    return [(row.entry.action, row.entry.result) for row in reversed(page.rows)]


async def test_its_own_life_is_on_record(tmp_path: Path) -> None:
    async with open_log(tmp_path):
        pass
    async with open_log(tmp_path) as log:
        assert await own_actions(log) == [("started", "ok"), ("stopped", "ok"), ("started", "ok")]


async def test_it_can_be_verified_from_its_first_moment(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        report = await asyncio.to_thread(verify, tmp_path / "audit")
        assert report.faults == []
        assert report.unsigned == 0
        assert report.last == log.status().head


async def test_a_running_gateway_can_be_verified_from_outside_at_any_time(tmp_path: Path) -> None:
    async with open_log(tmp_path, limits=SegmentLimits(records=50)) as log:

        async def busy() -> None:
            for number in range(3000):
                log.record(access(number))
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(busy())
            tried = 0
            while not task.done():
                report = await asyncio.to_thread(verify, tmp_path)
                assert report.faults == []
                tried += 1
        assert tried > 2


async def test_before_it_is_opened_nothing_may_be_shared(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert not log.health().ok


async def test_a_disk_that_refuses_at_the_start_does_not_stop_the_start(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    files.full = True
    async with open_log(tmp_path, files=files) as log:
        assert not log.health().ok
        log.record(access(1))
        files.full = False
        async with asyncio.timeout(15):
            while not log.health().ok:
                await asyncio.sleep(0.01)
    report = await asyncio.to_thread(verify, tmp_path)
    assert (report.faults, report.records) == ([], 3)


async def test_files_that_cannot_be_read_stop_the_start_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("not a directory")
    with pytest.raises(Unavailable, match=r"the audit in .*audit cannot be used") as caught:
        await open_log(tmp_path / "audit").__aenter__()
    assert caught.value.code == "audit_unavailable"


async def test_two_gateways_never_write_the_same_audit(tmp_path: Path) -> None:
    async with open_log(tmp_path) as first:
        second = open_log(tmp_path, lock_timeout=0.0)
        with pytest.raises(Unavailable, match="another process writes the audit in") as caught:
            await second.__aenter__()
        assert caught.value.code == "audit_unavailable"
        assert not second.health().ok
        first.record(access(1))
        await first.flush()
    report = await asyncio.to_thread(verify, tmp_path)
    assert (report.faults, report.records) == ([], 3)


async def test_a_gateway_started_before_the_other_has_ended_loses_none_of_its_records(
    tmp_path: Path,
) -> None:
    wall, ids = Wall(), Ids()
    first = open_log(tmp_path, wall, new_id=ids)
    await first.__aenter__()
    second = open_log(tmp_path, wall, new_id=ids, lock_timeout=30.0)
    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(second.__aenter__())
        for number in range(30):
            first.record(access(number))
            await first.flush()
        assert not starting.done()
        await first.__aexit__(None, None, None)
    second.record(access(99))
    await second.__aexit__(None, None, None)
    report = await asyncio.to_thread(verify, tmp_path)
    # The first began and ended, and so did the second.
    assert (report.faults, report.records) == ([], 30 + 1 + 4)


class LostStore:
    """A store that cannot be read."""

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        raise Unavailable("store_unavailable", f"{collection} cannot be read")

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        raise AssertionError("a log that could not read its heads writes none")

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        raise AssertionError("a log that could not read its heads writes none")


async def test_a_start_that_fails_leaves_the_files_to_the_next_one(tmp_path: Path) -> None:
    failed = open_log(tmp_path, witness=LostStore())
    with pytest.raises(Unavailable, match="cannot be read"):
        await failed.__aenter__()
    async with open_log(tmp_path, lock_timeout=0.0) as log:
        log.record(access(1))
        await log.flush()


async def test_a_start_that_is_cancelled_leaves_the_files_to_the_next_one(tmp_path: Path) -> None:
    slow = open_log(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(slow.__aenter__())
        while slow.health().detail == "the audit is not open":
            await asyncio.sleep(0)
        starting.cancel()
    assert starting.cancelled()
    async with open_log(tmp_path, lock_timeout=0.0) as log:
        log.record(access(1))
        await log.flush()


def test_records_are_kept_for_six_months_at_least(tmp_path: Path) -> None:
    files = DirectoryAuditFiles(tmp_path)
    with pytest.raises(ValueError, match="retention is 179 days, expected 180"):
        AuditLog(files, key=KEY, retention=timedelta(days=179))


async def test_its_figures_are_those_of_the_files(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        for number in range(25):
            log.record(access(number, wall.now, lasting=number > 22))
        status = log.status()
        assert (status.segments, status.stubs, status.open, status.lost) == (3, 0, 2, 0)
        assert status.records == 26
        assert status.first_at == AT
        assert status.fingerprint == Signer(KEY).fingerprint
        assert status.pending_bytes > 0
        await log.flush()
        assert (log.status().pending_bytes, log.status().durable_seq) == (0, status.head.seq)
    async with open_log(tmp_path, wall) as log:
        # The two left open were ended, and it was stopped and started.
        assert log.status().records == 26 + 4
        assert log.status().first_at == AT


async def test_it_verifies_itself_up_to_now(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1))
        report = await log.verify()
        assert (report.faults, report.unsigned) == ([], 0)
        head = log.status().head
        assert (await log.verify(expect=head)).anchored
        assert not (await log.verify(expect=Anchor(head.seq, "00" * 32))).ok


async def test_an_anchor_noted_elsewhere_shows_a_log_put_back_to_an_earlier_state(
    tmp_path: Path,
) -> None:
    async with open_log(tmp_path / "audit") as log:
        log.record(access(1))
    await asyncio.to_thread(shutil.copytree, tmp_path / "audit", tmp_path / "earlier")
    async with open_log(tmp_path / "audit") as log:
        log.record(end(1))
        await log.flush()
        noted = log.status().signed
    assert noted is not None
    # The whole directory, its checkpoint included: in itself it is faultless.
    assert (await asyncio.to_thread(verify, tmp_path / "earlier")).ok
    report = await asyncio.to_thread(lambda: verify(tmp_path / "earlier", expect=noted))
    assert not report.ok
    assert "lines were cut off" in str(report.faults[0])


async def test_searches_and_exports_by_somebody_are_on_record(tmp_path: Path) -> None:
    by = {"role": "admin", "user": "李四"}
    async with open_log(tmp_path) as log:
        await log.search(AuditQuery(channel_id="34", limit=7), by=by, source="10.0.0.9")
        await log.export(by=by, source="10.0.0.9")
        await log.search(AuditQuery())
        page = await log.search(AuditQuery(subject="role:admin"))
        assert [(row.entry.action, row.entry.source) for row in page.rows] == [
            ("export", "10.0.0.9"),
            ("search", "10.0.0.9"),
        ]
        assert page.rows[1].entry.detail == "channel_id=34 limit=7"
        assert page.rows[1].entry.subject == by


async def test_a_witness_outside_shows_files_put_back_while_the_gateway_was_down(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with SqlStore(url, Metrics(process=False)) as store:

        def witnessed() -> AuditLog:
            return open_log(tmp_path / "audit", witness=store)

        async with witnessed() as log:
            log.record(access(1))
        await asyncio.to_thread(shutil.copytree, tmp_path / "audit", tmp_path / "earlier")
        async with witnessed() as log:
            log.record(access(2))
        async with witnessed() as log:
            assert (await log.verify()).faults == []
            noted = log.status().signed
        await asyncio.to_thread(shutil.rmtree, tmp_path / "audit")
        await asyncio.to_thread(shutil.copytree, tmp_path / "earlier", tmp_path / "audit")
        async with witnessed() as log:
            report = await log.verify()
        assert FaultCode.RECORDED_DAMAGE in {fault.code for fault in report.faults}
        assert any("was noted in the store" in fault.detail for fault in report.faults)
        assert noted is not None
        # Even all of it gone, and begun anew.
        await asyncio.to_thread(shutil.rmtree, tmp_path / "audit")
        async with witnessed() as log:
            report = await log.verify()
        assert report.first_seq is not None
        assert report.first_seq > noted.seq
        assert FaultCode.MISSING in {fault.code for fault in report.faults}


async def test_a_witness_notices_another_log_in_the_place(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with SqlStore(url, Metrics(process=False)) as store:
        async with open_log(tmp_path / "audit", witness=store) as log:
            log.record(access(1))
        # Of the same key, and longer: in itself faultless.
        async with open_log(tmp_path / "other") as log:
            for number in range(50):
                log.record(access(number, result="deny"))
        await asyncio.to_thread(shutil.rmtree, tmp_path / "audit")
        await asyncio.to_thread(shutil.copytree, tmp_path / "other", tmp_path / "audit")
        async with open_log(tmp_path / "audit", witness=store) as log:
            report = await log.verify()
        assert any("not the one that was noted" in fault.detail for fault in report.faults)
