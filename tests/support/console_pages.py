"""The console's pages in Chromium: a gateway, people at browsers of their own, and everything their consoles log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import ConsoleMessage, Page, expect

from tests.support.browser import Browser
from tests.support.gateway import RunningGateway, running_gateway

__all__ = ["ADMIN_TOKEN", "DESK", "PASSWORD", "PHONE", "ConsoleSite", "Visitor", "console_site"]

ADMIN_TOKEN = "the-admin-token-of-this-test-0001"
PASSWORD = "correct horse battery 9"
PATIENCE = 20_000
"""Milliseconds for what takes one second on an idle machine."""
DESK = (1440, 900)
PHONE = (360, 740)
_REFUSED = "Failed to load resource"
"""What Chromium logs about each answer above 399; tests that want such answers say so."""

_Value = TypeVar("_Value")

expect.set_options(timeout=PATIENCE)


class Visitor:
    """Somebody at a browser without cookies; lives in the browser's loop."""

    def __init__(self, page: Page, base: str, home: asyncio.AbstractEventLoop) -> None:
        self.page = page
        self.problems: list[str] = []
        """Everything logged that must not be."""
        self.refusals_are_fine = False
        self._base = base
        self._home = home
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        place = message.location.get("url", "")
        # Whether there is a session can only be asked.
        asked = place.endswith("/api/v1/console/session")
        if message.text.startswith(_REFUSED) and (self.refusals_are_fine or asked):
            return
        self.problems.append(f"{message.text} {place}")

    async def log_in(self, name: str, password: str = PASSWORD) -> None:
        """Get a session's cookie without the page."""
        answer = await self.page.request.post(
            f"{self._base}/api/v1/console/login",
            data={"name": name, "password": password},
            headers={"Origin": self._base},
        )
        assert answer.ok, await answer.text()

    async def go(self, place: str = "") -> None:
        """Open the console, or another page of it."""
        address = f"{self._base}/console/" + (f"#/{place}" if place else "")
        await self.page.goto(address)

    async def at_gateway(self, work: Coroutine[Any, Any, _Value]) -> _Value:
        """Do something in the gateway's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._home))


class ConsoleSite:
    """A gateway and a browser to look at it."""

    def __init__(self, it: RunningGateway, browser: Browser) -> None:
        self.it = it
        self._browser = browser

    async def add_user(self, name: str, role: str = "admin", **settings: Any) -> None:
        """Make an account with the password of all."""
        body = {"name": name, "password": PASSWORD, "role": role, **settings}
        status, answer = await self.it.api.call("POST", "users", json=body)
        assert status == 201, answer

    async def visit(
        self,
        work: Callable[[Visitor], Awaitable[_Value]],
        *,
        user: str = "",
        size: tuple[int, int] = DESK,
        theme: str = "dark",
        locale: str = "zh-CN",
    ) -> _Value:
        """Let somebody look, logged in if a user is named; fails if their console logs any trouble."""
        home = asyncio.get_running_loop()

        async def look(blank: Page) -> _Value:
            assert blank.context.browser is not None
            context = await blank.context.browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="light" if theme == "light" else "dark",
                locale=locale,
                has_touch=size[0] < 500,
                is_mobile=size[0] < 500,
            )
            context.set_default_timeout(PATIENCE)
            try:
                visitor = Visitor(await context.new_page(), self.it.gateway.http_url, home)
                if user:
                    await visitor.log_in(user)
                value = await work(visitor)
                assert visitor.problems == []
                return value
            finally:
                await context.close()

        return await self._browser.on_page("about:blank", look)


@asynccontextmanager
async def console_site(
    data_dir: Path, browser: Browser, **sections: dict[str, Any]
) -> AsyncIterator[ConsoleSite]:
    """A gateway whose devices may be silent for long, with no account yet."""
    sections["http"] = {"admin_token": ADMIN_TOKEN} | sections.get("http", {})
    sections["sip"] = {"keepalive_interval": 3600} | sections.get("sip", {})
    async with running_gateway(data_dir, **sections) as it:
        yield ConsoleSite(it, browser)
