"""HLS from a simulated camera to foreign players: FFmpeg plays segments, hls.js in Chromium plays parts."""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest
from playwright.async_api import Page

from gateway.http import hls_viewing
from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.browser import Browser, chromium
from tests.support.gateway import RunningGateway, eventually, running_gateway
from tests.support.hls import check_rules, check_successor, read_playlist
from tests.support.hls_page import SAMPLE, START, Sample, hls_page

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

PATIENCE = 30_000
"""Milliseconds for what takes two seconds on an idle machine."""
QUICK = {"hls": {"idle": 0.3}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


async def played(it: RunningGateway, simulator: Simulator) -> dict[str, Any]:
    """Start the camera; what play said."""
    async with asyncio.timeout(10):
        await simulator.wait_registered()
    device = simulator.devices[0].device_id
    return await it.api.play(device, (await it.channels(device, 1))[0])


async def command(*arguments: str) -> tuple[str, str]:
    """Run a program that must end well; its output and what it complained about."""
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode()


class Viewer:
    """A player without a decoder."""

    def __init__(self, http: aiohttp.ClientSession, playlist: str) -> None:
        self.http = http
        self.playlist = playlist

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str) -> "Viewer":
        async with http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            lines = (await answer.text()).splitlines()
            return cls(http, urljoin(str(answer.url), lines[-1]))

    async def get(self, uri: str = "", query: str = "") -> tuple[int, bytes]:
        async with self.http.get(urljoin(self.playlist, uri) + query) as answer:
            return answer.status, await answer.read()


@pytest.mark.parametrize(
    ("video", "audio", "wanted"),
    [
        (Codec.H264, Codec.PCM_ALAW, [["h264", 320], ["aac", None]]),
        (Codec.HEVC, None, [["hevc", 320]]),
    ],
    ids=str,
)
async def test_ffmpeg_plays_it_without_a_complaint(
    tmp_path: Path, video: Codec, audio: Codec | None, wanted: list[list[Any]]
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(video=video, audio=audio)) as simulator,
    ):
        answer = await played(it, simulator)
        url = answer["urls"]["hls"]
        out, err = await command(
            *("ffmpeg", "-v", "error", "-i", url, "-t", "3", "-map", "0", "-c", "copy"),
            *("-f", "matroska", "-y", str(tmp_path / "got.mkv")),
        )
        assert (out, err) == ("", "")
        out, err = await command(
            *("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width"),
            *("-of", "json", str(tmp_path / "got.mkv")),
        )
        found = [[s["codec_name"], s.get("width")] for s in json.loads(out)["streams"]]
        assert (found, err) == (wanted, "")
        out, err = await command(
            *("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries"),
            *("frame=pts_time", "-of", "csv=p=0", str(tmp_path / "got.mkv")),
        )
        stamps = [float(line.strip(",")) for line in out.split()]
        gaps = [after - before for before, after in pairwise(stamps)]
        assert len(stamps) >= 60
        assert err == ""
        assert max(gaps) < 0.2, "a picture is missing"


async def test_playlists_of_a_running_camera_obey_the_rules_and_name_what_is_there(
    tmp_path: Path,
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(audio=Codec.AAC)) as simulator,
        aiohttp.ClientSession() as http,
    ):
        answer = await played(it, simulator)
        viewer = await Viewer.open(http, answer["urls"]["hls"])
        before = read_playlist((await viewer.get())[1])
        async with asyncio.timeout(30):
            while before.open.number < 3:
                where = f"?_HLS_msn={before.open.number}&_HLS_part={len(before.open.parts)}"
                async with asyncio.TaskGroup() as group:
                    hint = group.create_task(viewer.get(before.hint))
                    status, raw = await viewer.get(query=where)
                assert (status, hint.result()[0]) == (200, 200)
                shown = read_playlist(raw)
                check_rules(shown)
                check_successor(before, shown)
                assert (shown.open.number, len(shown.open.parts)) > (
                    before.open.number,
                    len(before.open.parts),
                )
                before = shown
        whole = b""
        for item in before.items:
            parts = [await viewer.get(part["URI"]) for part in item.parts]
            status, segment = await viewer.get(item.uri)
            assert status == 200
            assert not parts or b"".join(data for _, data in parts) == segment
            whole += segment
        file = tmp_path / "all.mp4"
        init = (await viewer.get(before.items[0].init))[1]
        await asyncio.to_thread(file.write_bytes, init + whole)
        out, err = await command(
            *("ffprobe", "-v", "error", "-count_frames", "-select_streams", "v"),
            *("-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", str(file)),
        )
        total = sum(item.duration for item in before.items)
        assert err == ""
        assert int(re.sub(r"\D", "", out)) == round(total * 25)


async def test_two_viewings_share_one_segmenter_and_one_invite_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_viewing, "IDLE_TARGETS", 0)
    monkeypatch.setattr(hls_viewing, "IDLE_GRACE", 1.0)
    async with (
        running_gateway(tmp_path, **QUICK) as it,
        Simulator(it.simulator_options()) as simulator,
        aiohttp.ClientSession() as http,
    ):
        answer = await played(it, simulator)
        first = await Viewer.open(http, answer["urls"]["hls"])
        second = await Viewer.open(http, answer["urls"]["hls"])
        assert first.playlist != second.playlist
        async with asyncio.TaskGroup() as group:
            playlists = [group.create_task(viewer.get()) for viewer in (first, second)]
        assert playlists[0].result() == playlists[1].result()
        counts = it.gateway.counts()
        assert (counts["hls_streams"], counts["hls_viewings"], counts["accesses"]) == (1, 2, 2)
        assert (simulator.session_count, it.gateway.media.streams()[0].viewers) == (1, {"hls": 1})
        await it.ended(answer["session_id"], timeout=20)
        counts = it.gateway.counts()
        assert (counts["hls_streams"], counts["hls_viewings"], counts["accesses"]) == (0, 0, 0)
        status, raw = await first.get()
        assert (status, json.loads(raw)["code"]) == (410, "viewing_ended")


async def test_the_end_of_the_session_is_told_to_viewings_in_words(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options()) as simulator,
        aiohttp.ClientSession() as http,
    ):
        answer = await played(it, simulator)
        viewer = await Viewer.open(http, answer["urls"]["hls"])
        number = read_playlist((await viewer.get())[1]).open.number
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(viewer.get(query=f"?_HLS_msn={number + 1}"))
            await asyncio.sleep(0.2)
            await it.api.call("DELETE", f"sessions/{answer['session_id']}")
        for status, raw in (waiting.result(), await viewer.get(), await viewer.get("seg-0.m4s")):
            assert (status, json.loads(raw)["code"]) == (410, "stopped")


async def test_a_codec_change_is_a_discontinuity_with_a_new_init(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options()) as simulator,
        aiohttp.ClientSession() as http,
    ):
        answer = await played(it, simulator)
        viewer = await Viewer.open(http, answer["urls"]["hls"])
        stream = it.gateway.media.live(it.gateway.media.streams()[0].stream_id)
        for output in stream._outputs:
            # As when the camera changes its picture size.
            output.close("codec_changed", "The source changed its picture size")

        async def changed() -> bool:
            shown = read_playlist((await viewer.get())[1])
            check_rules(shown)
            return any(item.discontinuity and item.parts for item in (*shown.items, shown.open))

        await eventually(changed, 20.0, "the discontinuity")
        shown = read_playlist((await viewer.get())[1])
        assert "init-1.mp4" in {item.init for item in (*shown.items, shown.open)}
        for init in ("init-0.mp4", "init-1.mp4"):
            assert (await viewer.get(init))[1][4:8] == b"ftyp"


async def watched(page: Page, url: str, seconds: float) -> tuple[Sample, Sample]:
    """Play a URL for some seconds; what was shown at the beginning and at the end."""
    await page.evaluate(START, {"url": url, "options": {}})
    await page.wait_for_function(
        "document.getElementById('video').currentTime > 0.5 && loaded.parts > 2", timeout=PATIENCE
    )
    first = Sample(await page.evaluate(SAMPLE))
    await page.wait_for_function(
        "time => document.getElementById('video').currentTime > time",
        arg=first.time + seconds,
        timeout=PATIENCE + 1000 * seconds,
    )
    return first, Sample(await page.evaluate(SAMPLE))


async def test_hls_js_plays_parts_with_moving_pixels_and_little_delay(
    tmp_path: Path, browser: Browser, record_property: Any
) -> None:
    async with (
        hls_page() as origin,
        running_gateway(tmp_path, http={"cors_origins": [origin]}) as it,
        Simulator(it.simulator_options(audio=Codec.PCM_ALAW)) as simulator,
    ):
        answer = await played(it, simulator)
        url = answer["urls"]["hls"]
        first, second = await browser.on_page(origin, lambda page: watched(page, url, 3.0))
        record_property("hls_delay_s", round(second.delay, 3))
        assert second.size == (320, 240)
        assert second.differs(first) > 0.02, "the picture stands still"
        assert not [error for error in second.found["errors"] if error["fatal"]]
        assert second.found["loaded"]["parts"] > 5
        assert 0 < second.found["parts"] < 0.6
        # Three parts behind the edge, and a second more for each stall of a busy machine: segments alone take 6 s.
        assert second.found["target"] < 6
        assert second.delay > 0


async def test_a_forced_stop_reaches_hls_js_as_403_with_words(
    tmp_path: Path, browser: Browser
) -> None:
    async with (
        hls_page() as origin,
        running_gateway(tmp_path, http={"cors_origins": [origin]}) as it,
        Simulator(it.simulator_options()) as simulator,
    ):
        answer = await played(it, simulator)
        url = answer["urls"]["hls"]
        playing = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def denied(page: Page) -> dict[str, Any]:
            await page.evaluate(START, {"url": url, "options": {}})
            await page.wait_for_function(
                "document.getElementById('video').currentTime > 0.5", timeout=PATIENCE
            )
            loop.call_soon_threadsafe(playing.set)
            await page.wait_for_function(
                "errors.some((error) => error.status === 403)", timeout=PATIENCE
            )
            found: dict[str, Any] = await page.evaluate(
                "errors.find((error) => error.status === 403)"
            )
            return found

        async with asyncio.TaskGroup() as group:
            page = group.create_task(browser.on_page(origin, denied))
            await playing.wait()
            [access] = (await it.api.get("accesses"))["items"]
            status, body = await it.api.call("DELETE", f"accesses/{access['access_id']}")
            assert status in {200, 204}, body
        error = page.result()
        assert json.loads(error["text"])["status"] == 403
        assert json.loads(error["text"])["code"] == "ended"
        assert json.loads(error["text"])["detail"]
        assert it.gateway.counts()["accesses"] == 0
