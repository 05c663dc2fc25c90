"""Whether a secret camera exists makes no difference to anything that people outside are answered."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.policy import Action
from gateway.http.route import Route
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.policy import rule
from tests.support.registry import camera, registration

pytestmark = pytest.mark.net

SECRET = camera(2, DEVICE).channel_id
HIDDEN_DEVICE = "34020000001180000009"
HIDDEN = camera(3, HIDDEN_DEVICE).channel_id
NAMES = ((DEVICE, CHANNEL), (DEVICE, SECRET), (HIDDEN_DEVICE, HIDDEN), (HIDDEN_DEVICE,) * 2)
QUERIES = ("", f"?q={SECRET}", f"?device_id={HIDDEN_DEVICE}", f"?channel_id={SECRET}")
BODIES = {"ptz": {"command": "stop"}}
CHANGING = frozenset({"PUT", "PATCH", "DELETE"})


def _paths(route: Route) -> list[str]:
    if "{channel_id}" not in route.path and "{device_id}" not in route.path:
        return [re.sub(r"{\w+}", "x1", route.path) + query for query in QUERIES]
    paths = [
        route.path.replace("{device_id}", device).replace("{channel_id}", channel)
        for device, channel in NAMES
    ]
    return [re.sub(r"{\w+}", "x1", path) for path in paths]


def _asked(route: Route) -> bool:
    """Whether a route tells of channels and ends by itself."""
    opens = route.method == "GET" and route.path.startswith("/live")
    mine = route.path.startswith(("/api/v1/audit", "/api/v1/console", "/api/v1/me"))
    return not (opens or mine or route.method in CHANGING)


async def _told(bench: HttpBench) -> dict[tuple[str, str], tuple[int, str]]:
    every = json.dumps([action.value for action in Action])
    await bench.sharing.apply(rule("all", subjects="{ outside = true }", actions=every))
    key = await bench.sharing.key(requests_per_minute=6000, max_streams=1000)
    told: dict[tuple[str, str], tuple[int, str]] = {}
    for route in filter(_asked, bench.server.routes):
        for path in _paths(route):
            body = BODIES.get(route.path.rpartition("/")[2], {})
            sent = {"json": body} if route.method == "POST" else {}
            status, answer, _ = await bench.call(route.method, path, token=key.bearer, **sent)
            text = json.dumps(answer, sort_keys=True) if isinstance(answer, dict) else str(answer)
            # What is made anew each time.
            text = re.sub(r"token=[\w.-]+|gb[kw][0-9a-f]{12}|127\.0\.0\.1:\d+", "_", text)
            told[route.method, path] = (status, text)
    return told


async def test_a_secret_camera_changes_nothing_that_people_outside_are_answered(
    tmp_path: Path,
) -> None:
    async with http_bench(tmp_path / "without") as bench:
        listed = [camera(1, DEVICE), camera(7, DEVICE)]
        await bench.registry.replace_catalog(DEVICE, listed, complete=True)
        without = await _told(bench)
    async with http_bench(tmp_path / "with") as bench:
        secret = replace(camera(2, DEVICE), secrecy=1)
        await bench.registry.replace_catalog(DEVICE, [*listed, secret], complete=True)
        bench.registry.registered(registration(HIDDEN_DEVICE), bench.clock.now)
        hidden = replace(camera(3, HIDDEN_DEVICE), secrecy=1)
        await bench.registry.replace_catalog(HIDDEN_DEVICE, [hidden], complete=True)
        told = await _told(bench)
        assert bench.sharing.controls.moves
        assert {move[2] for move in bench.sharing.controls.moves} == {CHANNEL}
        assert {record.channel_id for record in bench.sessions.records} == {CHANNEL}
    different = {ask: (without[ask], told[ask]) for ask in told if told[ask] != without[ask]}
    assert different == {}
    statuses = {status for status, _ in told.values()}
    assert {200, 404} <= statuses
    assert len(told) > 150
