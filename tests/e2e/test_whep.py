"""WHEP through a whole gateway in Debian's Chromium: moving pixels, sound, refusals and ends in words."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from gateway.simulator.picture import PictureLayout
from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.browser import Browser, chromium
from tests.support.gateway import RunningGateway, eventually, running_gateway
from tests.support.webrtc import AiortcViewer
from tests.support.whep_page import WHEP_SCRIPT, clock_reader

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


class Site:
    """A gateway, a camera, and where to watch it."""

    def __init__(self, it: RunningGateway, simulator: Simulator, answer: dict[str, Any]) -> None:
        self.it = it
        self.simulator = simulator
        self.session_id = answer["session_id"]
        self.url = answer["urls"]["whep"]

    @property
    def page(self) -> str:
        """An address of the gateway that a page can be opened at without a credential."""
        return f"{self.it.gateway.http_url}/healthz"

    async def over(self) -> None:
        """Wait until nobody watches by WebRTC any more."""

        async def none() -> bool:
            return self.it.gateway.counts()["webrtc"] == 0

        await eventually(none, 30.0, "the end of all WebRTC viewers")


@asynccontextmanager
async def site(
    tmp_path: Path, limits: dict[str, Any] | None = None, **simulated: Any
) -> AsyncIterator[Site]:
    async with (
        running_gateway(tmp_path, limits=limits or {}) as it,
        Simulator(it.simulator_options(**simulated)) as simulator,
    ):
        async with asyncio.timeout(20):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = (await it.channels(device, 1))[0]
        yield Site(it, simulator, await it.api.play(device, channel))


async def whep(page: Page, url: str) -> dict[str, Any]:
    """Watch on the page."""
    await page.evaluate(WHEP_SCRIPT + clock_reader(PictureLayout(320, 240)) + "null")
    return dict(await page.evaluate("url => whep(url)", url))


@pytest.mark.parametrize("audio", [Codec.PCM_ALAW, Codec.AAC], ids=str)
async def test_chromium_shows_moving_pixels_and_plays_sound(
    tmp_path: Path, browser: Browser, audio: Codec
) -> None:
    async def watch(page: Page) -> dict[str, Any]:
        began = await whep(page, spot.url)
        assert began["status"] == 201, began
        first = await page.evaluate("sums()")
        clocks = await page.evaluate("clocks(view.video, 40)")
        found = {
            "began": began,
            "first": first,
            "later": await page.evaluate("sums()"),
            "clocks": [text for _, text in clocks],
            "level": await page.evaluate("level()"),
            "stats": await page.evaluate("stats()"),
        }
        await page.evaluate("view.peer.close()")
        return found

    async with site(tmp_path, audio=audio) as spot:
        got = await browser.on_page(spot.page, watch)
        assert (got["began"]["width"], got["began"]["height"]) == (320, 240)
        ports = spot.it.gateway.settings.webrtc.ports
        candidates = [
            line.split() for line in got["began"]["sdp"].split("\r\n") if "typ host" in line
        ]
        assert candidates
        assert all(words[4] == "127.0.0.1" for words in candidates)
        assert all(ports[0] <= int(words[5]) <= ports[1] for words in candidates)
        changed = sum(a != b for a, b in zip(got["first"], got["later"], strict=True))
        assert changed >= 3, "the picture stands still"
        # The camera's own clock runs in the picture.
        assert len(set(got["clocks"])) > 20
        assert got["clocks"] == sorted(got["clocks"])
        assert got["level"] > 0.01, "there is no sound"
        kinds = got["stats"]
        assert kinds["video"]["framesDecoded"] > 30
        assert kinds["audio"]["packetsReceived"] > 10
        await spot.over()


async def test_h265_is_406_in_words(tmp_path: Path, browser: Browser) -> None:
    async def watch(page: Page) -> dict[str, Any]:
        return await whep(page, spot.url)

    async with site(tmp_path, video=Codec.HEVC) as spot:
        got = await browser.on_page(spot.page, watch)
        assert got["status"] == 406
        assert got["problem"]["code"] == "codec_not_supported"
        assert "H.265" in got["problem"]["detail"]
        await spot.over()


async def test_a_forced_stop_and_its_reason_reach_the_page(
    tmp_path: Path, browser: Browser
) -> None:
    loop = asyncio.get_running_loop()

    async def stop() -> None:
        accesses = (await spot.it.api.get("accesses"))["items"]
        (access,) = [item for item in accesses if item["via"] == "webrtc"]
        status, _ = await spot.it.api.call("DELETE", f"accesses/{access['access_id']}")
        assert status in {200, 204}

    async def watch(page: Page) -> dict[str, Any]:
        began = await whep(page, spot.url)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stop(), loop))
        # DTLS says goodbye, which Chromium tells at once; `connectionState` would need 6 s, for ICE to miss us.
        await page.wait_for_function(
            "view.peer.getReceivers()[0].transport.state === 'closed'", timeout=20_000
        )
        ended = await page.evaluate("url => fetch(url).then(a => a.json())", began["location"])
        return {"ended": ended}

    async with site(tmp_path) as spot:
        got = await browser.on_page(spot.page, watch)
        assert got["ended"]["state"] == "ended"
        assert got["ended"]["code"] == "ended"
        assert got["ended"]["detail"]
        await spot.over()


async def test_a_camera_that_hangs_up_is_the_reason(tmp_path: Path) -> None:
    quirks = frozenset({Quirk.BYE_MIDSTREAM})
    async with site(tmp_path, quirks=quirks, bye_after=2.0) as spot:
        viewer, http = AiortcViewer(), spot.it.api._http
        async with http.post(spot.url, data=await viewer.offer(), headers=SDP) as answer:
            assert answer.status == 201
            location = spot.it.gateway.http_url + answer.headers["Location"]
            await viewer.take(await answer.text())
        await viewer.frame()
        await viewer.until_over()
        async with http.get(location) as answer:
            body = await answer.json()
        assert (body["state"], body["code"]) == ("ended", "device_bye")
        assert "BYE" in body["detail"]
        await viewer.close()
        await spot.over()


async def test_the_last_viewer_that_there_is_room_for_has_sound_too(tmp_path: Path) -> None:
    limits = {"max_viewers": 1}
    async with site(tmp_path, limits=limits, audio=Codec.AAC) as spot:
        viewer, http = AiortcViewer(), spot.it.api._http
        async with http.post(spot.url, data=await viewer.offer(), headers=SDP) as answer:
            assert answer.status == 201
            await viewer.take(await answer.text())
        assert (await viewer.frame("audio")).sample_rate == 48_000
        await viewer.close()
        await spot.over()


async def test_the_only_viewers_leaving_stops_the_camera(tmp_path: Path) -> None:
    async with site(tmp_path) as spot:
        viewer, http = AiortcViewer(), spot.it.api._http
        async with http.post(spot.url, data=await viewer.offer(), headers=SDP) as answer:
            await viewer.take(await answer.text())
        await viewer.frame()
        (stream,) = (await spot.it.api.get("streams"))["items"]
        assert stream["viewers"] == {"webrtc": 1}
        await viewer.close()
        await spot.over()
        record = await spot.it.ended(spot.session_id)
        assert record["ended"]["reason"] == "no_readers"
        assert "first_output" in record["stages"]
