"""Finding records."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.sharing.audit.chain import SegmentLimits, SegmentSpan
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.search import (
    MAX_SECONDS,
    AuditPage,
    AuditQuery,
    AuditRow,
    search_records,
)
from gateway.sharing.audit.source import DirectorySource
from tests.gateway.sharing.audit.samples import AT, CAMERA, UPPER, Wall, access, end, open_log


async def find(log: AuditLog, **query: Any) -> list[AuditRow]:
    return (await log.search(AuditQuery(**query))).rows


async def found(log: AuditLog, **query: Any) -> list[str]:
    return [row.entry.entry_id for row in await find(log, **query)]


async def test_the_newest_come_first_and_pages_follow_each_other(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        for number in range(45):
            log.record(access(number))
        newest = [f"a{number}" for number in range(44, -1, -1)]
        kinds = frozenset({AuditKind.ACCESS})
        page = await log.search(AuditQuery(limit=20, kinds=kinds))
        assert ([row.entry.entry_id for row in page.rows], page.more) == (newest[:20], True)
        page = await log.search(AuditQuery(limit=20, offset=40, kinds=kinds))
        assert ([row.entry.entry_id for row in page.rows], page.more) == (newest[40:], False)
        page = await log.search(AuditQuery(limit=45, kinds=kinds))
        assert (len(page.rows), page.more, page.complete) == (45, False, True)
        assert await find(log, limit=10, offset=1000) == []
        assert await find(log, limit=0) == []


async def test_an_access_is_shown_with_its_end_in_one_row(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1, lasting=True))
        log.record(access(2, lasting=True))
        log.record(access(3))
        log.record(access(4, result="deny", rule="", reason="no_rule"))
        for number in range(100, 130):
            # So that the end is in another file.
            log.record(access(number))
        log.record(end(1, detail="the upper hung up", duration_s=63.5))
        rows = {row.entry.entry_id: row for row in await find(log, limit=1000)}
        assert rows["a1"].entry == access(1, lasting=True)
        assert (rows["a1"].ended, rows["a1"].end_detail) == ("bye", "the upper hung up")
        assert (rows["a1"].duration_s, rows["a1"].open) == (63.5, False)
        assert (rows["a2"].ended, rows["a2"].duration_s, rows["a2"].open) == ("", None, True)
        assert (rows["a3"].ended, rows["a3"].open) == ("", False)
        assert (rows["a4"].entry.result, rows["a4"].open) == ("deny", False)
        assert "e1" not in rows
        assert await found(log, kinds=frozenset({AuditKind.END})) == ["e1"]


async def test_each_filter_finds_its_own(tmp_path: Path) -> None:
    special: dict[str, AuditEntry] = {
        "action": access(901, action="ptz"),
        "object_id": access(902, object_id="票据/甲"),
        "device_id": access(903, device_id="34020000001320000099"),
        "channel_id": access(904, channel_id=CAMERA[:-1] + "9"),
        "rule": access(905, rule='quoted "rule" \\'),
        "entry_id": access(906),
    }
    async with open_log(tmp_path) as log:
        for entry in special.values():
            log.record(entry)
            for number in range(7):
                log.record(access(number))
        for name, entry in special.items():
            assert await found(log, **{name: getattr(entry, name)}) == [entry.entry_id]
            assert await found(log, **{name: getattr(entry, name)[:-1]}) == []
        assert await found(log, action="ptz", rule="county-live") == ["a901"]
        assert await found(log, action="ptz", rule="other") == []


async def test_a_subject_is_found_by_its_value_or_by_name_and_value(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1))
        log.record(access(2, subject={"department": "城管", "key": "k1"}))
        log.record(access(3, subject={"identity": UPPER}))
        assert await found(log, subject=UPPER) == ["a3", "a1"]
        assert await found(log, subject=f"platform:{UPPER}") == ["a1"]
        assert await found(log, subject="department:城管") == ["a2"]
        assert await found(log, subject="key:k1") == ["a2"]
        assert await found(log, subject="user:k1") == []
        assert await found(log, subject=UPPER[:-1]) == []


async def test_a_text_is_found_anywhere_whatever_its_case(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1, detail='The Upper said «Straße» \\ "x" \n'))
        log.record(access(2, subject={"user": "Zhang San"}))
        log.record(access(3))
        assert await found(log, text="the upper") == ["a1"]
        assert await found(log, text="straße") == ["a1"]
        assert await found(log, text="said", rule="county-live") == ["a1"]
        assert await found(log, text="\n") == ["a1"]
        assert await found(log, text='\\ "X"') == ["a1"]
        assert await found(log, text="zhang") == ["a2"]
        # Names of members are no text of a record.
        assert await found(log, text="channel_id") == []


async def test_a_period_is_found_in_files_and_across_clock_jumps(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        for number in range(60):
            # Once the clock goes back by half an hour.
            log.record(access(number, AT + timedelta(minutes=number - (30 if number > 40 else 0))))
        since, until = AT + timedelta(minutes=20), AT + timedelta(minutes=25)
        expected = [f"a{n}" for n in (55, 54, 53, 52, 51, 50, 25, 24, 23, 22, 21, 20)]
        assert await found(log, since=since, until=until) == expected
        assert await found(log, since=AT + timedelta(days=1)) == []
        assert await found(log, until=AT - timedelta(days=1)) == []


async def test_an_access_in_the_period_has_its_end_from_after_it(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1, AT, lasting=True))
        for number in range(10, 40):
            log.record(access(number, AT + timedelta(hours=1)))
        log.record(end(1, AT + timedelta(hours=2)))
        (row,) = await find(log, until=AT + timedelta(minutes=1), kinds=frozenset({AuditKind.ACCESS}))  # fmt: skip
        assert (row.entry.entry_id, row.ended) == ("a1", "bye")


async def test_results_are_found_of_records_and_of_ends(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        for number in range(30):
            log.record(access(number, lasting=True, at=AT + timedelta(minutes=number)))
        log.record(access(50, result="deny"))
        for number in range(30):
            how = "stopped" if number % 10 == 0 else "bye"
            log.record(end(number, AT + timedelta(hours=2), result=how))
        assert await found(log, result="deny") == ["a50"]
        assert await found(log, result="stopped") == ["a20", "a10", "a0"]
        assert await found(log, result="stopped", until=AT + timedelta(minutes=12)) == ["a10", "a0"]
        assert await found(log, result="nothing") == []
        assert len(await found(log, result="allow")) == 30


async def test_gaps_and_damage_are_shown_as_records_of_the_audit(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log._writer.chain.add_gap(7, AT)
        log._writer.chain.add_break("line 5 was changed")
        rows = await find(log, kinds=frozenset({AuditKind.AUDIT}), result="failed")
        assert [(row.entry.action, row.entry.detail) for row in rows] == [
            ("break", "line 5 was changed"),
            ("gap", "7 records lost since 2026-11-21T08:30:15.123456Z"),
        ]


async def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        for number in range(5):
            log.record(access(number))
    path = tmp_path / "00000001.log"
    lines = (await asyncio.to_thread(path.read_bytes)).splitlines(keepends=True)
    lines[3] = lines[3][:40] + b"\n"
    lines[4] = lines[4].replace(b'"kind":"access"', b'"kind":"unheard"')
    lines[5] = lines[5].replace(b"}\n", b",}\n")
    lines[-1] = lines[-1][:-100]
    await asyncio.to_thread(path.write_bytes, b"".join(lines))
    page = await on_files(tmp_path, AuditQuery())
    assert [row.entry.entry_id for row in page.rows] == ["own2", "a4", "a3", "own1"]


async def on_files(directory: Path, query: AuditQuery) -> AuditPage:
    span = SegmentSpan(number=1, first_seq=1, began=AT, sealed=True, unknown=True)
    return await asyncio.to_thread(search_records, DirectorySource(directory), [span], query, ())


async def test_what_retention_removed_is_not_found_and_no_fault(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path, wall) as log:
        for number in range(12):
            log.record(access(number, wall.now))
        wall.pass_(days=300)
        assert await log.apply_retention() == [1]
        log.record(access(100, wall.now))
        names = await found(log, kinds=frozenset({AuditKind.ACCESS}))
        assert names == ["a100", "a11", "a10", "a9"]
        # A list of files from before is no harm either.
        assert await on_files(tmp_path, AuditQuery()) == AuditPage(rows=[], more=False)


async def test_files_that_cannot_hold_it_are_not_read(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        for number in range(100):
            log.record(access(number, AT + timedelta(minutes=number)))
        await log.flush()
        # Gone from the disk, they would be missed.
        for number in (1, 2, 3, 8, 9):
            await asyncio.to_thread((tmp_path / f"{number:08d}.log").unlink)
        names = await found(log, since=AT + timedelta(minutes=35), until=AT + timedelta(minutes=60))
        assert names == [f"a{number}" for number in range(60, 34, -1)]


async def test_a_search_that_takes_too_long_says_how_far_it_got(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        for number in range(30):
            log.record(access(number, AT + timedelta(minutes=number)))
        await log.flush()
        times = iter([0.0, 1.0, MAX_SECONDS + 1])
        query = AuditQuery(action="live")
        spans = log._all_spans()
        page = await asyncio.to_thread(
            lambda: search_records(
                DirectorySource(tmp_path), spans, query, (), clock=lambda: next(times)
            )
        )
        assert not page.complete
        assert [row.entry.entry_id for row in page.rows] == [f"a{n}" for n in range(29, 18, -1)]
        assert page.back_to == AT + timedelta(minutes=19)
        rest = await found(log, action="live", until=page.back_to)
        assert rest == [f"a{n}" for n in range(19, -1, -1)]


async def test_a_search_goes_on_while_records_come_in(tmp_path: Path) -> None:
    async with open_log(tmp_path, limits=SegmentLimits(records=50)) as log:
        for number in range(500):
            log.record(access(number))
            if number % 50 == 25:
                assert (await found(log, limit=1))[0] == f"a{number}"


def test_a_query_is_described_in_one_line() -> None:
    query = AuditQuery(
        since=AT, kinds=frozenset({AuditKind.STOP, AuditKind.ACCESS}), subject="key:k1", offset=5
    )
    assert query.describe() == (
        "since=2026-11-21 08:30:15.123456+00:00 kinds=access,stop subject=key:k1 limit=100 offset=5"
    )
    assert AuditQuery().describe() == "limit=100"
