"""`gateway sources` against a running gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from tests.support.foreign_sources import free_port
from tests.support.gateway import running_gateway

pytestmark = pytest.mark.net

Run = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
async def run(tmp_path: Path, plain: None) -> AsyncIterator[Run]:
    sections = {"rtmp": {"enabled": True, "port": 0}, "sources": {"probe_interval": 0}}
    async with running_gateway(tmp_path, **sections) as gateway:

        async def invoke(*words: str, lang: str = "en", typed: str = "") -> Result:
            access = ("--url", gateway.gateway.http_url, "--token", gateway.gateway.cli_token)
            arguments = ["--lang", lang, *access, "sources", *words]
            return await asyncio.to_thread(CliRunner().invoke, app, arguments, input=typed)

        yield invoke


async def test_a_drone_gets_a_key_once_and_another_one_on_demand(run: Run) -> None:
    empty = await run("list", lang="zh")
    assert "没有外部视频源" in empty.stdout
    added = await run("add", "--push", "--name", "drone", "--set", "longitude=117.6")
    assert added.exit_code == 0, added.output
    assert "shown only this once" in added.stdout
    assert "rtmp://127.0.0.1" in added.stdout.replace("\n", "")
    listed = json.loads((await run("list", "--json")).stdout)
    (source,) = listed["items"]
    assert (source["name"], source["longitude"]) == ("drone", 117.6)
    shown = await run("show", source["source_id"], lang="zh")
    assert "等待推流" in shown.stdout
    issued = json.loads((await run("key", source["source_id"], "--json")).stdout)
    assert issued["key"] not in added.stdout
    tested = await run("test", source["source_id"])
    assert tested.exit_code == 1
    assert "no_publisher" in tested.stdout
    assert (await run("remove", source["source_id"])).exit_code == 0
    assert json.loads((await run("list", "--json")).stdout)["total"] == 0


async def test_a_camera_is_added_with_a_password_that_is_asked_for(run: Run) -> None:
    url = f"rtsp://127.0.0.1:{free_port()}/cam"
    added = await run("add", url, "--user", "admin", "--udp", typed="p@ss word\n")
    assert added.exit_code == 0, added.output
    assert "source_unreachable" in added.stdout
    (source,) = json.loads((await run("list", "--json")).stdout)["items"]
    assert (source["url"], source["rtsp_transport"]) == (url, "udp")
    assert "p@ss" not in added.output
    changed = await run("change", source["source_id"], "--name", "gate", "--always", "--json")
    assert json.loads(changed.stdout)["always"]
    off = await run("disable", source["source_id"])
    assert "disabled" in off.stdout
    shown = await run("show", source["source_id"])
    assert "gate" in shown.stdout
    on = json.loads((await run("enable", source["source_id"], "--json")).stdout)
    assert on["enabled"]


@pytest.mark.parametrize(
    "words",
    [
        ("add",),
        ("add", "rtsp://h/x", "--push"),
        ("add", "rtsp://h/x", "--set", "longitude=east"),
        ("add", "rtsp://h/x", "--set", "nothing"),
    ],
)
async def test_a_command_that_makes_no_sense_says_so(run: Run, words: tuple[str, ...]) -> None:
    assert (await run(*words)).exit_code == 2
