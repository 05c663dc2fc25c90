"""Debian's Chromium in a thread with a loop of its own, so that one browser serves all tests of a module."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from playwright.async_api import Page, async_playwright

__all__ = ["Browser", "chromium"]

EXECUTABLE = "/usr/bin/chromium"
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
START = 60.0
"""Seconds that a first start may take on a loaded machine."""

_Value = TypeVar("_Value")


class Browser:
    """Runs coroutines on pages, called from any event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, new_page: Callable[[], Awaitable[Page]]):
        self._loop = loop
        self._new_page = new_page

    async def on_page(self, url: str, work: Callable[[Page], Awaitable[_Value]]) -> _Value:
        """Open a page, do the work on it in the browser's thread, and close it."""

        async def visit() -> _Value:
            page = await self._new_page()
            try:
                await page.goto(url)
                return await work(page)
            finally:
                await page.close()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(visit(), self._loop))


@asynccontextmanager
async def _launched() -> AsyncIterator[Callable[[], Awaitable[Page]]]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=list(SWITCHES), timeout=START * 1000
        )
        try:

            async def new_page() -> Page:
                return await chromium.new_page(viewport={"width": 1000, "height": 900})

            yield new_page
        finally:
            await chromium.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and end it and its thread."""
    started: Future[Browser] = Future()
    over = threading.Event()

    async def live() -> None:
        async with _launched() as new_page:
            started.set_result(Browser(asyncio.get_running_loop(), new_page))
            await asyncio.to_thread(over.wait)

    def run() -> None:
        try:
            asyncio.run(live())
        # Before the start it belongs to the thread that waits for it; later it is a plain crash.
        except Exception as exc:
            if started.done():
                raise
            started.set_exception(exc)

    thread = threading.Thread(target=run, name="browser")
    thread.start()
    try:
        yield started.result()
    finally:
        over.set()
        thread.join()
