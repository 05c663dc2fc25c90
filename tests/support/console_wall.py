"""The console's pictures in Chromium: a gateway with a simulator, and somebody who is logged in and looks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import ConsoleMessage, Page

from gateway.simulator.device import SimulatedDevice
from gateway.simulator.simulator import Simulator
from tests.support.browser import Browser
from tests.support.gateway import RunningGateway, running_gateway

__all__ = ["PASSWORD", "Looker", "Site", "picture_site"]

ADMIN_TOKEN = "the-admin-token-of-this-test-0001"
PASSWORD = "correct horse battery 9"
PATIENCE = 30.0
"""Seconds for what takes one on an idle machine."""
NETWORK_TROUBLE = "Failed to load resource"
"""What Chromium logs about each answer above 399."""

# Sums of a picture's pixels by a coarse raster: of a still or black picture they are the same twice.
_SUMS = """video => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const sums = [];
  for (let y = 0; y + 20 <= canvas.height; y += 20) for (let x = 0; x + 20 <= canvas.width; x += 20)
    sums.push(context.getImageData(x, y, 20, 20).data.reduce((sum, value) => sum + value, 0));
  return sums;
}"""
_TILES = """() => [...document.querySelectorAll("gb-video")].map(video => ({
  phase: video.state.phase, way: video.state.way ? video.state.way.path : "", code: video.state.error?.code || "",
  level: video.level, text: video.querySelector(".gbv-layer").innerText, still: video.hasPicture,
  width: video.video?.videoWidth || 0, height: video.video?.videoHeight || 0, time: video.video?.currentTime || 0,
}))"""

_Value = TypeVar("_Value")


class Looker:
    """Somebody at a page of the console; lives in the browser's loop.

    Args:
        page: Theirs.
        base: Address of the gateway.
        home: Loop of the gateway.
        expect_trouble: Whether answers above 399 belong to the test.
    """

    def __init__(
        self, page: Page, base: str, home: asyncio.AbstractEventLoop, *, expect_trouble: bool
    ) -> None:
        self.page = page
        self.errors: list[str] = []
        self._base = base
        self._home = home
        self._expect_trouble = expect_trouble
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        if self._expect_trouble and message.text.startswith(NETWORK_TROUBLE):
            return
        self.errors.append(f"{message.text} {message.location.get('url', '')}")

    async def log_in(self, name: str) -> None:
        """Get a session cookie."""
        answer = await self.page.request.post(
            f"{self._base}/api/v1/console/login",
            data={"name": name, "password": PASSWORD},
            headers={"Origin": self._base},
        )
        assert answer.ok, await answer.text()

    async def go(self, place: str) -> None:
        """Open a page of the console: `live?n=4`."""
        await self.page.goto(f"{self._base}/console/#/{place}")

    async def at_gateway(self, work: Coroutine[Any, Any, _Value]) -> _Value:
        """Do something in the gateway's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._home))

    async def until(self, probe: Callable[[], Awaitable[_Value]], what: str) -> _Value:
        """Return the first truthy result."""
        last = None
        try:
            async with asyncio.timeout(PATIENCE):
                while not (last := await probe()):
                    await asyncio.sleep(0.1)
                return last
        except TimeoutError:
            tiles = await self.page.evaluate(_TILES)
            raise AssertionError(f"{what} did not come; last {last!r}; {tiles}") from None

    async def until_script(self, script: str, what: str, argument: Any = None) -> Any:
        """Return the first truthy result of a function in the page."""
        return await self.until(lambda: self.page.evaluate(script, argument), what)

    async def tiles(self) -> list[dict[str, Any]]:
        """What each picture is doing."""
        return list(await self.page.evaluate(_TILES))

    async def playing(self, count: int) -> list[dict[str, Any]]:
        """The pictures, once so many play."""

        async def probe() -> list[dict[str, Any]]:
            tiles = await self.tiles()
            return tiles if sum(tile["phase"] == "playing" for tile in tiles) >= count else []

        return await self.until(probe, f"{count} pictures")

    async def in_phase(self, phase: str, place: int = 0) -> dict[str, Any]:
        """One picture, once it is in a phase and shows it."""

        async def probe() -> dict[str, Any]:
            tiles = await self.tiles()
            found = tiles[place] if len(tiles) > place else {"phase": ""}
            said = phase == "playing" or found.get("text", "").strip()
            return found if found["phase"] == phase and said else {}

        return await self.until(probe, f"phase {phase}")

    async def sums(self) -> list[list[int]]:
        """Sums of the pixels of each picture that plays."""
        script = (
            f"() => [...document.querySelectorAll('gb-video')].map(tile => ({_SUMS})(tile.video))"
        )
        return list(await self.page.evaluate(script))


class Site:
    """A gateway with one simulated recorder, its channels known."""

    def __init__(self, it: RunningGateway, simulator: Simulator, channels: list[str]) -> None:
        self.it = it
        self.simulator = simulator
        self.channels = channels

    @property
    def device(self) -> SimulatedDevice:
        """The recorder."""
        return self.simulator.devices[0]

    def cells(self, *numbers: int) -> str:
        """Channels as the wall's address names them."""
        return ",".join(f"{self.device.device_id}/{self.channels[number]}" for number in numbers)

    async def look(
        self,
        browser: Browser,
        work: Callable[[Looker], Awaitable[_Value]],
        *,
        name: str = "admin",
        language: str = "en",
        size: tuple[int, int] = (1280, 800),
        expect_trouble: bool = False,
    ) -> _Value:
        """Let somebody look, and fail for what the page logged as an error."""
        home = asyncio.get_running_loop()

        async def visit(page: Page) -> _Value:
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await page.add_init_script(
                f"if (location.host) localStorage.setItem('gb.language', '{language}')"
            )
            looker = Looker(page, self.it.gateway.http_url, home, expect_trouble=expect_trouble)
            await looker.log_in(name)
            value = await work(looker)
            await page.goto("about:blank")
            assert not looker.errors, looker.errors
            return value

        return await browser.on_page("about:blank", visit)


@asynccontextmanager
async def picture_site(
    data_dir: Path, *, sections: dict[str, dict[str, Any]] | None = None, **simulated: Any
) -> AsyncIterator[Site]:
    """Run gateway and recorder; an admin account exists."""
    options: dict[str, Any] = {
        "width": 160, "height": 120, "fps": 5, "bitrate": 100_000, "channels": 4, **simulated,
    }  # fmt: skip
    given: dict[str, dict[str, Any]] = dict(sections or {})
    given["http"] = {"admin_token": ADMIN_TOKEN} | given.get("http", {})
    async with (
        running_gateway(data_dir, **given) as it,
        Simulator(it.simulator_options(**options)) as simulator,
    ):
        async with asyncio.timeout(10):
            await simulator.wait_registered()
        channels = await it.channels(simulator.devices[0].device_id, options["channels"])
        body = {"admin_token": ADMIN_TOKEN, "name": "admin", "password": PASSWORD}
        status, answer = await it.api.call("POST", "console/setup", json=body)
        assert status in {200, 201}, answer
        yield Site(it, simulator, channels)
