"""Everything at a glance over HTTP: what is wrong by reason, and how little people outside are told."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.session import EndReason
from gateway.domain.store import StoreHealth
from gateway.http import overview as module
from tests.support.http import CHANNEL, DEVICE, OTHER_DEVICE, HttpBench, failed_session, http_bench
from tests.support.policy import rule
from tests.support.registry import registration

pytestmark = pytest.mark.net


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


async def overview(bench: HttpBench, **options: Any) -> dict[str, Any]:
    status, body, _ = await bench.call("GET", "/api/v1/overview", **options)
    assert status == 200, body
    return dict(body)


def codes(found: dict[str, Any]) -> list[str]:
    return [group["code"] for group in found["troubles"]]


async def test_all_is_well(bench: HttpBench) -> None:
    found = await overview(bench)
    assert (found["state"], found["troubles"]) == ("ok", [])
    assert found["devices"] == {"total": 2, "online": 2, "offline": 0}
    assert (found["channels"], found["streams"], found["viewers"]) == (4, 1, 2)
    assert found["platforms"] == {"total": 0, "online": 0}
    assert found["disk"]["total"] > found["disk"]["free"] > 0


async def test_offline_devices_are_grouped_by_reason_the_latest_first(bench: HttpBench) -> None:
    bench.registry.unregistered(DEVICE)
    bench.clock.advance(60)
    bench.registry.unregistered(OTHER_DEVICE)
    await bench.registry.set_secret("34020000001180000009", "not-yet-there")
    found = await overview(bench)
    assert found["state"] == "warning"
    gone, never = found["troubles"]
    assert (gone["code"], gone["count"], gone["severity"], gone["topic"]) == (
        "logged_out", 2, "warning", "devices",
    )  # fmt: skip
    assert [item["id"] for item in gone["affected"]] == [OTHER_DEVICE, DEVICE]
    assert gone["since"] == gone["affected"][1]["since"]
    assert (never["code"], never["severity"]) == ("never_registered", "info")


async def test_never_more_than_a_few_are_named(bench: HttpBench) -> None:
    for number in range(module.AFFECTED + 3):
        device_id = f"3402000000118000{number:04d}"
        bench.registry.registered(registration(device_id), bench.clock.now)
        bench.registry.unregistered(device_id)
    (group,) = (await overview(bench))["troubles"]
    assert (group["count"], len(group["affected"])) == (module.AFFECTED + 3, module.AFFECTED)


async def test_failed_sessions_of_the_last_hour_are_grouped_by_reason(bench: HttpBench) -> None:
    now = bench.clock.utc_now()
    bench.sessions.records = [
        failed_session(at=now - timedelta(minutes=5), number=1),
        failed_session(at=now - timedelta(minutes=9), number=2),
        failed_session(EndReason.INVITE_TIMEOUT, at=now - timedelta(minutes=1), number=3),
        failed_session(at=now - timedelta(hours=3), number=4),
        failed_session(EndReason.STOPPED, at=now - timedelta(minutes=1), number=5),
    ]
    found = await overview(bench)
    assert codes(found) == ["no_packet", "invite_timeout"]
    first = found["troubles"][0]
    assert (first["count"], first["topic"]) == (2, "sessions")
    latest = first["affected"][0]
    assert (latest["session_id"], latest["id"]) == ("failed1", f"{DEVICE}/{CHANNEL}")
    assert latest["name"]
    assert found["sessions"]["failed_last_hour"] == 3


async def test_the_gateway_itself_comes_first(bench: HttpBench) -> None:
    bench.registry.unregistered(DEVICE)
    bench.health.append(StoreHealth(ok=False, detail="disk I/O error", pending=3))
    bench.media.ports = (95, 0, 100)
    found = await overview(bench)
    assert found["state"] == "error"
    assert codes(found) == ["store_unavailable", "rtp_ports_low", "logged_out"]
    assert found["troubles"][0]["severity"] == "error"


async def test_a_full_disk_is_told_and_looked_at_now_and_then(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    free = 1

    class Usage:
        total = 1000

        @property
        def free(self) -> int:
            return free

    def usage(path: Path) -> Usage:
        looked.append(path)
        return Usage()

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert codes(await overview(bench)) == ["disk_full"]
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(overview(bench))
    assert len(looked) == 1
    bench.clock.advance(60)
    free = 50
    assert codes(await overview(bench)) == ["disk_low"]
    bench.clock.advance(60)
    free = 500
    assert codes(await overview(bench)) == []

    def broken(path: Path) -> Usage:
        raise OSError("gone")

    monkeypatch.setattr(shutil, "disk_usage", broken)
    bench.clock.advance(60)
    assert (await overview(bench))["disk"] is None


async def test_people_of_a_department_get_counts_of_what_they_may_see(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule(
            "urban",
            subjects='{ departments = ["urban"] }',
            objects=f'{{ channels = ["{CHANNEL}"] }}',
        )
    )
    token = (await bench.sharing.key()).bearer
    bench.registry.unregistered(OTHER_DEVICE)
    bench.sessions.records = [failed_session(at=bench.clock.utc_now())]
    found = await overview(bench, token=token)
    assert found["devices"] == {"total": 1, "online": 1, "offline": 0}
    assert (found["channels"], found["troubles"], found["sessions"]["failed_last_hour"]) == (
        1,
        [],
        0,
    )
    assert found["ports"] is found["platforms"] is found["disk"] is found["started_at"] is None


async def test_it_needs_a_credential(bench: HttpBench) -> None:
    status, body, _ = await bench.call("GET", "/api/v1/overview", token=None)
    assert (status, body["code"]) == (401, "credential_missing")
