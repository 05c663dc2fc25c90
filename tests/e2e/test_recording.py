"""Recording as a whole: by plan, through kill -9, played from an instant, in Chromium, and what may not be seen."""

import asyncio
import hashlib
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import av
import pytest
import structlog
from playwright.async_api import Page
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.simulator.picture import PictureLayout, read_text
from gateway.simulator.simulator import Simulator
from tests.e2e.test_restart import options, registered
from tests.support.browser import Browser, chromium
from tests.support.gateway import RunningGateway, eventually, running_gateway
from tests.support.gateway_process import GatewayProcess
from tests.support.recordings import probe

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

BEIJING = timedelta(hours=8)
PATIENCE = 20_000
"""Milliseconds for what takes one second on an idle machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def recorded(it: Any, channel: str, seconds: float, files: int = 1) -> list[dict[str, Any]]:
    """The files of a channel, once so many seconds are on disk in so many files."""
    device_id, _, channel_id = channel.partition("/")
    path = f"recordings?device_id={device_id}&channel_id={channel_id}"

    async def enough() -> list[dict[str, Any]] | None:
        items = list((await it.get(path))["items"])
        total = sum(item["seconds"] for item in items)
        return items if total >= seconds and len(items) >= files else None

    return list(await eventually(enough, 30.0, f"{seconds} s of recordings in {files} files"))


async def test_after_kill_9_the_file_plays_to_its_last_fragment_and_recording_goes_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data" / "recordings"
    async with GatewayProcess(tmp_path) as gateway, Simulator(options(gateway)) as simulator:
        device, channels = await registered(gateway, simulator)
        channel = f"{device}/{channels[0]}"
        status, plan = await gateway.call(
            "PUT", f"recordings/plans/{channel}", json={"mode": "always"}
        )
        assert (status, plan["mode"]) == (200, "always")
        (before,) = await recorded(gateway, channel, 3.0)
        assert before["state"] == "open"
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL

        (path,) = folder.rglob("*.mp4")
        left = await asyncio.to_thread(probe, path)
        assert left.pictures >= 3.0 * 25

        await gateway.start()
        simulator.devices[0].send_keepalive()

        async def indexed() -> dict[str, Any] | None:
            found = await gateway.get(f"recordings/files/{before['file_id']}")
            return dict(found) if found["sha256"] else None

        after = await eventually(indexed, 20.0, "the recovered file's digest")
        assert after["state"] in {"closed", "damaged"}
        assert after["seconds"] == pytest.approx(left.pictures / 25, abs=0.05)
        data = await asyncio.to_thread(path.read_bytes)
        assert after["sha256"] == hashlib.sha256(data).hexdigest()
        assert after["bytes"] == len(data)
        assert (await asyncio.to_thread(probe, path)).pictures == left.pictures

        await recorded(gateway, channel, after["seconds"] + 1.0, files=2)
        found = await gateway.get(f"recordings/{channel}/ranges")
        assert len(found["items"]) == 2
        gap = next(item for item in found["gaps"] if item["begin"] == after["end"])
        assert moment(gap["end"]) > moment(gap["begin"])


async def play(it: RunningGateway, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """GET below the gateway; status, headers and body."""
    async with it.api._http.get(it.gateway.http_url + url, headers=headers) as answer:
        return answer.status, dict(answer.headers), await answer.read()


def first_clock(data: bytes, folder: Path) -> timedelta:
    """The time of day in the first picture of an MP4 file, UTC."""
    path = folder / "clip.mp4"
    path.write_bytes(data)
    with av.open(path) as source:
        picture = next(source.decode(video=0))
    assert isinstance(picture, av.VideoFrame)
    plane = picture.planes[0]
    layout = PictureLayout(picture.width, picture.height)
    text = read_text(bytes(plane), stride=plane.line_size, layout=layout)
    hours, minutes, seconds = text.split(":")
    shown = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return (shown - BEIJING) % timedelta(days=1)


def time_of_day(at: datetime) -> timedelta:
    at = at.astimezone(UTC)
    return timedelta(
        hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond
    )


async def test_playback_begins_with_the_picture_of_the_instant_and_shares_the_one_invite(
    tmp_path: Path, browser: Browser
) -> None:
    async with (
        running_gateway(tmp_path, record={"file_minutes": 0.05}) as it,
        Simulator(it.simulator_options(channels=1, bitrate=300_000)) as simulator,
    ):
        await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = f"{device}/{(await it.channels(device, 1))[0]}"
        await it.api.call("PUT", f"recordings/plans/{channel}", json={"mode": "always"})
        files = await recorded(it.api, channel, 8.0, files=3)
        await it.api.play(*channel.split("/"))
        assert simulator.session_count == 1

        # An instant in the second file; key frames come once a second.
        wanted = moment(files[1]["begin"]) + timedelta(seconds=1.5)
        end = moment(files[1]["end"]) + timedelta(seconds=1)
        words = urlencode({"start": wanted.isoformat(), "end": end.isoformat()})
        status, headers, data = await play(it, f"/api/v1/recordings/{channel}/play.mp4?{words}")
        assert (status, int(headers["Content-Length"])) == (200, len(data))
        begin = moment(headers["X-Recording-Begin"])
        assert timedelta() <= wanted - begin <= timedelta(seconds=1)
        shown = await asyncio.to_thread(first_clock, data, tmp_path)
        assert abs(shown - time_of_day(begin)) < timedelta(seconds=1)

        (tmp_path / "play.mp4").write_bytes(data)
        found = await asyncio.to_thread(probe, tmp_path / "play.mp4")
        seconds = (moment(headers["X-Recording-End"]) - begin).total_seconds()
        assert found.pictures == round(seconds * 25)
        assert found.video_seconds == pytest.approx(seconds, abs=0.01)

        # Any range of bytes is the same as that part of the whole.
        url = f"/api/v1/recordings/{channel}/download.mp4?{words}"
        status, headers, whole = await play(it, url)
        assert whole[: len(data)] == data
        assert headers["Content-Disposition"].startswith(f'attachment; filename="{channel[21:]}_20')
        for span in ((0, 0), (700, 5_000), (len(whole) // 2, len(whole) - 1)):
            status, partial, piece = await play(it, url, Range=f"bytes={span[0]}-{span[1]}")
            assert status == 206
            assert partial["Content-Range"] == f"bytes {span[0]}-{span[1]}/{len(whole)}"
            assert piece == whole[span[0] : span[1] + 1]
        status, partial, _ = await play(it, url, Range=f"bytes={len(whole)}-")
        assert (status, partial["Content-Range"]) == (416, f"bytes */{len(whole)}")

        await watch_in_chromium(it, browser, url, seconds)
        await append_in_chromium(it, browser, channel, words, seconds)


async def watch_in_chromium(it: RunningGateway, browser: Browser, url: str, seconds: float) -> None:
    """A plain <video src> knows the duration, plays and seeks."""

    async def work(page: Page) -> None:
        headers = {"Authorization": f"Bearer {it.gateway.cli_token}"}
        await page.set_extra_http_headers(headers)
        await page.evaluate(
            """url => {
              const video = document.createElement("video");
              video.id = "recording"; video.muted = true; video.src = url;
              document.body.append(video);
              return video.play();
            }""",
            url,
        )
        await page.wait_for_function(
            "() => document.getElementById('recording').currentTime > 0.5", timeout=PATIENCE
        )
        # What it takes for the duration grows while it reads.
        await page.wait_for_function(
            "s => Math.abs(document.getElementById('recording').duration - s) < 0.3",
            arg=seconds,
            timeout=PATIENCE,
        )
        await page.evaluate(
            "t => { document.getElementById('recording').currentTime = t }", seconds - 1
        )
        await page.wait_for_function(
            "() => document.getElementById('recording').ended", timeout=PATIENCE
        )

    await browser.on_page(f"{it.gateway.http_url}/console/", work)


async def append_in_chromium(
    it: RunningGateway, browser: Browser, channel: str, words: str, seconds: float
) -> None:
    """MediaSource takes what `play` describes."""
    described = await it.api.get(f"recordings/{channel}/play?{words}")
    assert described["seconds"] == pytest.approx(seconds, abs=0.01)
    assert described["mime"].startswith('video/mp4; codecs="avc1.')

    async def work(page: Page) -> None:
        await page.set_extra_http_headers({"Authorization": f"Bearer {it.gateway.cli_token}"})
        ranges = await page.evaluate(
            """async ([url, mime]) => {
              const source = new MediaSource(), video = document.createElement("video");
              video.src = URL.createObjectURL(source);
              document.body.append(video);
              await new Promise(done => source.addEventListener("sourceopen", done, {once: true}));
              const buffer = source.addSourceBuffer(mime);
              buffer.appendBuffer(await (await fetch(url)).arrayBuffer());
              await new Promise(done => buffer.addEventListener("updateend", done, {once: true}));
              return [...Array(buffer.buffered.length).keys()].map(
                i => [buffer.buffered.start(i), buffer.buffered.end(i)]);
            }""",
            [described["url"], described["mime"]],
        )
        assert len(ranges) == 1
        assert ranges[0][1] == pytest.approx(seconds, abs=0.3)

    await browser.on_page(f"{it.gateway.http_url}/console/", work)


async def test_departments_see_recordings_only_as_the_policy_says_and_that_is_on_record(
    tmp_path: Path,
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(channels=2, bitrate=300_000)) as simulator,
    ):
        await simulator.wait_registered()
        device = simulator.devices[0].device_id
        shown, hidden = [f"{device}/{code}" for code in await it.channels(device, 2)]
        for channel in (shown, hidden):
            await it.api.call("POST", f"recordings/{channel}/start", json={"seconds": 60})
        files = await recorded(it.api, shown, 3.0)
        other = await recorded(it.api, hidden, 1.0)
        await it.api.call("PUT", "departments/urban", json={"name": "Urban"})
        scopes = {"department": "urban", "scopes": ["playback", "download"]}
        _, key = await it.api.call("POST", "keys", json=scopes)
        policy = f"""
version = 1
[[rule]]
id = "recordings"
effect = "allow"
actions = ["catalog", "playback"]
subjects = {{ departments = ["urban"] }}
objects = {{ channels = ["{shown}"] }}
"""
        status, answer = await it.api.call("PUT", "policy", json={"text": policy})
        assert status in {200, 201}, answer

        headers = {"Authorization": f"Bearer {key['bearer']}"}
        start = quote(files[0]["begin"])
        async with aiohttp.ClientSession(headers=headers) as urban:
            base = f"{it.gateway.http_url}/api/v1/recordings"

            async def status_of(path: str) -> tuple[int, str]:
                async with urban.get(f"{base}{path}") as answer:
                    if answer.content_type != "application/problem+json":
                        await answer.read()
                        return answer.status, ""
                    return answer.status, (await answer.json())["code"]

            assert await status_of(f"/{shown}/play.mp4?start={start}") == (200, "")
            assert await status_of(f"/{shown}/ranges") == (200, "")
            assert await status_of(f"/{shown}/download.mp4?start={start}") == (403, "no_rule")
            assert await status_of(f"/files/{files[0]['file_id']}.mp4") == (403, "no_rule")
            assert await status_of(f"/{hidden}/play.mp4?start={start}") == (404, "channel_unknown")
            assert await status_of(f"/files/{other[0]['file_id']}") == (404, "channel_unknown")
            assert await status_of("/plans") == (403, "role_missing")
            async with urban.get(f"{base}/channels") as answer:
                listed = [item["channel_id"] for item in (await answer.json())["items"]]
            assert listed == [shown[21:]]
        for action, told in (
            ("playback", {("allow", "allowed"), ("deny", "no_rule")}),
            ("download", {("deny", "no_rule")}),
        ):
            found = (await it.api.get(f"audit?action={action}&limit=100"))["items"]
            mine = [item for item in found if item["subject"].get("department") == "urban"]
            assert {(item["result"], item["reason"]) for item in mine} >= told


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No log in what commands print: both share this process's stdout."""
    monkeypatch.setenv("COLUMNS", "220")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


async def test_the_command_line_plans_lists_locks_and_exports(tmp_path: Path, plain: None) -> None:
    async with (
        running_gateway(tmp_path / "data") as it,
        Simulator(it.simulator_options(channels=1, bitrate=300_000)) as simulator,
    ):
        await simulator.wait_registered()
        device = simulator.devices[0].device_id
        names = [device, (await it.channels(device, 1))[0]]

        async def run(*words: str, lang: str = "en", expect: int = 0) -> str:
            options = [
                "--lang",
                lang,
                "--url",
                it.gateway.http_url,
                "--token",
                it.gateway.cli_token,
            ]
            work = [*options, "record", *words]
            result = await asyncio.to_thread(lambda: CliRunner().invoke(app, work))
            assert result.exit_code == expect, result.output
            return result.output

        for lang, word in (("zh", "没有录像计划"), ("en", "There is no plan")):
            assert word in await run("plans", lang=lang)
        await run("plan", *names, "--mode", "weekly", expect=1)
        await run("plan", *names, "--mode", "weekly", "--window", "daily 00:00-24:00")
        files = await recorded(it.api, "/".join(names), 3.0)
        listed = json.loads(await run("list", *names, "--json"))
        assert [item["file_id"] for item in listed["items"]] == [files[0]["file_id"]]
        shown = await run("status")
        assert names[1] in shown
        assert "Disk ok" in shown
        assert "0 B free" not in shown
        assert "1 files locked" in await run("lock", files[0]["file_id"])
        assert (await it.api.get(f"recordings/files/{files[0]['file_id']}"))["locked"]
        target = tmp_path / "evidence.mp4"
        export = ("export", *names, "--from", "1h", "--to", "0s", "-o", str(target))
        assert "Exported" in await run(*export)
        assert (await asyncio.to_thread(probe, target)).pictures >= 50
        assert "exists already" in await run(*export, expect=2)
        assert "until" in await run("start", *names, "--seconds", "5")
        assert "ended" in await run("stop", *names)
        assert "deleted" in await run("plan", *names, "--remove")
        for lang, word in (("zh", "有录像的通道"), ("en", "Channels with recordings")):
            assert word in await run("list", lang=lang)
