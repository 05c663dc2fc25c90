"""`gateway audit`: search and tail of a running gateway, verification of files without one."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.policy import rule

pytestmark = pytest.mark.net

Run = Callable[..., Awaitable[Result]]


async def watched(office: HttpBench) -> None:
    """Leave some records: an allowed and a denied access."""
    await office.sharing.apply(rule("urban", subjects='{ departments = ["urban"] }'))
    key = await office.sharing.key("urban")
    path = f"/api/v1/channels/{DEVICE}/{CHANNEL}"
    await office.call("GET", path, token=key.bearer, headers={"X-Gb-Purpose": "%E6%9F%A5"})
    await office.call("GET", "/api/v1/channels/x/y", token=key.bearer)


async def test_records_are_found_by_what_is_in_them(office: HttpBench, run: Run) -> None:
    await watched(office)
    result = await run("audit", "search", "--for", "department:urban")
    assert "allow" in result.stdout
    assert "deny" in result.stdout
    assert "查" in result.stdout
    page = json.loads((await run("audit", "search", "--result", "deny", "--json")).stdout)
    assert [row["object_id"] for row in page["items"]] == ["x/y"]
    page = json.loads((await run("audit", "search", "--kind", "policy", "--json")).stdout)
    assert [row["action"] for row in page["items"]] == ["apply"]
    result = await run("audit", "search", "--channel", "no-such-channel")
    assert "No record matches" in result.stdout
    result = await run("audit", "search", "--limit", "1")
    assert "--offset 1" in result.stdout


async def test_searching_is_on_record_and_following_only_now_and_then(
    office: HttpBench, run: Run
) -> None:
    async def searches() -> int:
        page = json.loads((await run("audit", "search", "--kind", "audit", "--json")).stdout)
        return sum(row["action"] == "search" for row in page["items"])

    assert [await searches(), await searches()] == [0, 1]
    for _ in range(5):
        _, body, _ = await office.call("GET", "/api/v1/audit", params={"after": "3"})
        assert min(row["seq"] for row in body["items"]) > 3
    assert await searches() == 3
    office.clock.advance(600)
    await office.call("GET", "/api/v1/audit", params={"after": "3"})
    assert await searches() == 5


async def test_tail_shows_the_newest_oldest_first(office: HttpBench, run: Run) -> None:
    await watched(office)
    result = await run("audit", "tail", "--no-follow", "-n", "3")
    numbers = [int(line.split()[0]) for line in result.stdout.splitlines()]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)


async def test_the_files_verify_without_a_gateway(office: HttpBench, plain: None) -> None:
    await watched(office)
    await office.sharing.audit.log.verify()
    words = ["--lang", "en", "--data-dir", str(office.data_dir), "audit", "verify"]
    result = await asyncio.to_thread(lambda: CliRunner().invoke(app, words))
    assert result.exit_code == 0, result.output
    assert "The audit is sound" in result.stdout


def test_a_changed_byte_is_found_without_a_gateway(plain: None, tmp_path: Path) -> None:
    async def make() -> None:
        async with http_bench(tmp_path, audit_files=True) as office:
            await watched(office)

    asyncio.run(make())
    segment = min((tmp_path / "audit").glob("*.log"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    words = ["audit", "verify", str(tmp_path / "audit")]
    result = CliRunner().invoke(app, ["--lang", "en", *words])
    assert result.exit_code == 1
    assert "faults" in result.stdout
    result = CliRunner().invoke(app, ["--lang", "zh", *words, "--json"])
    assert not json.loads(result.stdout)["ok"]


async def test_an_anchor_noted_elsewhere_proves_that_nothing_was_cut_off(
    office: HttpBench, run: Run
) -> None:
    await watched(office)
    _, status, _ = await office.call("GET", "/api/v1/audit/status")
    anchor = f"{status['signed']['seq']}:{status['signed']['hash']}"
    result = await run("audit", "verify", "--expect", anchor)
    assert (result.exit_code, "expected stands there" in result.stdout) == (0, True)
    wrong = f"{status['signed']['seq']}:{'0' * 64}"
    assert (await run("audit", "verify", "--expect", wrong)).exit_code == 1
    missing = f"{status['signed']['seq'] + 1000}:{'0' * 64}"
    assert (await run("audit", "verify", "--expect", missing)).exit_code == 1


async def test_an_export_verifies_with_the_published_key(
    office: HttpBench, run: Run, tmp_path: Path
) -> None:
    await watched(office)
    zip_file, pem = tmp_path / "audit.zip", tmp_path / "public.pem"
    result = await run("audit", "export", str(zip_file))
    assert result.exit_code == 0, result.output
    status, key, answer = await office.call("GET", "/api/v1/audit/public-key")
    assert (status, answer.content_type) == (200, "application/x-pem-file")
    pem.write_bytes(key)
    result = await run("audit", "verify", str(zip_file), "--key", str(pem))
    assert result.exit_code == 0, result.output
    pem.write_text("no key")
    assert (await run("audit", "verify", str(zip_file), "--key", str(pem))).exit_code == 2


async def test_status_shows_the_anchor_to_be_noted(office: HttpBench, run: Run) -> None:
    await watched(office)
    result = await run("audit", "status")
    assert "SHA256:" in result.stdout
    office.sharing.audit.ok = False
    result = await run("audit", "status")
    assert (result.exit_code, "the disk is full" in result.stdout) == (1, True)


@pytest.mark.slow
def test_verifying_as_a_process_of_its_own_needs_nothing_but_the_files(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    words = [sys.executable, "-m", "gateway", "audit", "verify", str(tmp_path / "audit"), "--json"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert not json.loads(done.stdout)["ok"]
