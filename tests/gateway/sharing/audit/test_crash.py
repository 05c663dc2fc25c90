"""A gateway that is killed while it records."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.domain.audit import AuditKind
from gateway.sharing.audit.search import AuditQuery
from gateway.sharing.audit.verify import verify
from tests.gateway.sharing.audit.samples import open_log


def run_until_killed(directory: Path, seconds: float) -> tuple[int, int]:
    """Return accesses and lines that the process had called durable when it died."""
    command = [
        sys.executable,
        "-m",
        "tests.gateway.sharing.audit.recording_process",
        str(directory),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        last = process.stdout.read().rstrip().rpartition("\n")[2]
    accesses, lines = last.split()
    return int(accesses), int(lines)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 0.31, 0.47])
async def test_what_was_durable_is_there_and_what_was_open_is_ended(
    tmp_path: Path, seconds: float
) -> None:
    accesses, lines = await asyncio.to_thread(run_until_killed, tmp_path, seconds)
    assert accesses > 100
    before = await asyncio.to_thread(verify, tmp_path)
    assert before.faults == []
    assert before.last is not None
    assert before.last.seq >= lines
    async with open_log(tmp_path) as log:
        report = await log.verify()
        assert (report.faults, report.half_written) == ([], 0)
        page = await log.search(AuditQuery(result="interrupted", limit=1000))
        assert page.rows
        # All others have ended by themselves: each access has one end, and the search shows it.
        numbers = {int(row.entry.entry_id[1:]) for row in page.rows}
        assert all(number % 5 == 0 or number >= accesses for number in numbers)
        assert {row.ended for row in page.rows} == {"interrupted"}
        kept = await log.search(AuditQuery(kinds=frozenset({AuditKind.ACCESS}), limit=1000))
        assert not any(row.open for row in kept.rows)
