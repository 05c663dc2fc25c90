"""The gateway's own player page in Debian's Chromium: pictures that move, or the reason why there are none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page

from gateway.http.tokens import STREAM_KEY_FILE, StreamSigner
from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from gb28181.aio.clock import utc_now
from gb28181.es.unit import Codec
from tests.support.browser import Browser, chromium
from tests.support.gateway import RunningGateway, running_gateway

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

PATIENCE = 20_000
"""Milliseconds for what takes one second on an idle machine."""

# Sums of the picture's pixels, by a coarse raster: a still or black picture gives the same sums twice.
PICTURE = """() => {
  const video = document.getElementById("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const sums = [];
  for (let y = 0; y < canvas.height; y += 40) for (let x = 0; x < canvas.width; x += 40)
    sums.push(context.getImageData(x, y, 40, 40).data.reduce((sum, value) => sum + value, 0));
  return {width: video.videoWidth, height: video.videoHeight, time: video.currentTime, sums};
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def player(it: RunningGateway, url: str) -> str:
    return f"{it.gateway.http_url}/player#{urlencode({'url': url})}"


async def state_of(page: Page, state: str) -> str:
    """The page's sentence, once it is in this state."""
    found = await page.wait_for_selector(f'#state[data-state="{state}"]', timeout=PATIENCE)
    assert found is not None
    return await found.inner_text()


async def moving_picture(page: Page) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The page's sentence and what it shows at two instants."""
    said = await state_of(page, "playing")
    first = await page.evaluate(PICTURE)
    await page.wait_for_function(
        "time => document.getElementById('video').currentTime > time + 0.5",
        arg=first["time"],
        timeout=PATIENCE,
    )
    return said, first, await page.evaluate(PICTURE)


async def failure(page: Page) -> tuple[str, bool]:
    """The page's sentence, and whether it shows a (black) picture besides."""
    return await state_of(page, "error"), await page.is_visible("#video")


async def played(it: RunningGateway, simulator: Simulator) -> dict[str, Any]:
    async with asyncio.timeout(10):
        await simulator.wait_registered()
    device = simulator.devices[0].device_id
    return await it.api.play(device, (await it.channels(device, 1))[0])


@pytest.mark.parametrize("audio", [Codec.PCM_ALAW, Codec.AAC, None], ids=str)
async def test_h264_plays_with_moving_pixels(
    tmp_path: Path, browser: Browser, audio: Codec | None
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(audio=audio)) as simulator,
    ):
        url = (await played(it, simulator))["urls"]["ws_mp4"]
        said, first, second = await browser.on_page(player(it, url), moving_picture)
        assert "Playing" in said
        assert "正在播放" in said
        assert (second["width"], second["height"]) == (320, 240)
        assert second["time"] > first["time"]
        changed = sum(a != b for a, b in zip(first["sums"], second["sums"], strict=True))
        assert changed >= 3, "the picture stands still"
        assert len(set(second["sums"])) > 10, "the picture is one colour"


async def test_h265_is_refused_in_words_and_not_by_a_black_picture(
    tmp_path: Path, browser: Browser
) -> None:
    async def unsupported(page: Page) -> tuple[str, bool]:
        return await state_of(page, "unsupported"), await page.is_visible("#video")

    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(video=Codec.HEVC)) as simulator,
    ):
        url = (await played(it, simulator))["urls"]["ws_mp4"]
        said, black = await browser.on_page(player(it, url), unsupported)
        assert "codec not supported by this browser" in said
        assert "浏览器不支持" in said
        assert "hvc1" in said
        assert not black


async def test_a_device_that_hangs_up_is_the_reason_shown(tmp_path: Path, browser: Browser) -> None:
    async def until_the_end(page: Page) -> tuple[str, bool]:
        await state_of(page, "playing")
        return await failure(page)

    async with (
        running_gateway(tmp_path) as it,
        Simulator(
            it.simulator_options(quirks=frozenset({Quirk.BYE_MIDSTREAM}), bye_after=4.0)
        ) as simulator,
    ):
        url = (await played(it, simulator))["urls"]["ws_mp4"]
        said, black = await browser.on_page(player(it, url), until_the_end)
        assert "设备结束了会话 / the device hung up" in said
        assert "The device ended the session with BYE" in said
        assert not black


async def test_a_stopped_stream_says_so_without_alarm(tmp_path: Path, browser: Browser) -> None:
    loop = asyncio.get_running_loop()

    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options()) as simulator,
    ):
        answer = await played(it, simulator)

        async def stop(page: Page) -> str:
            await state_of(page, "playing")
            call = it.api.call("DELETE", f"sessions/{answer['session_id']}")
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, loop))
            return await state_of(page, "stopped")

        said = await browser.on_page(player(it, answer["urls"]["ws_mp4"]), stop)
        assert "已按请求停止 / stopped by request" in said


async def test_an_offline_device_and_a_silent_one_are_the_reasons_shown(
    tmp_path: Path, browser: Browser
) -> None:
    async with running_gateway(tmp_path) as it:
        silent = it.simulator_options(quirks=frozenset({Quirk.SEND_NOTHING}))
        async with Simulator(silent) as simulator:
            url = (await played(it, simulator))["urls"]["ws_mp4"]
            said, black = await browser.on_page(player(it, url), failure)
            assert "没有画面 / No picture" in said
            assert "设备没有发送媒体 / the device sent no media" in said
            assert not black
        said, black = await browser.on_page(player(it, url), failure)
        assert "设备离线 / the device is offline" in said
        assert "logged_out" in said
        assert not black


async def test_an_unknown_channel_and_a_wrong_token_are_the_reasons_shown(
    tmp_path: Path, browser: Browser
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options()) as simulator,
    ):
        good = (await played(it, simulator))["urls"]["ws_mp4"]
        device, unknown = simulator.devices[0].device_id, "34020000001320009999"
        key = await asyncio.to_thread((tmp_path / STREAM_KEY_FILE).read_bytes)
        token = StreamSigner(key).sign(f"{device}/{unknown}", int(utc_now().timestamp()) + 60)
        said, _ = await browser.on_page(
            player(it, f"/live/{device}/{unknown}.mp4?token={token}"), failure
        )
        assert "没有这个通道 / no such channel" in said
        assert unknown in said
        said, _ = await browser.on_page(player(it, good.replace("token=", "token=x")), failure)
        assert "Cannot connect" in said
        assert "not a stream token of this gateway" in said
        said, _ = await browser.on_page(player(it, "/live/nothing.flv"), failure)
        assert "Not a usable URL" in said
