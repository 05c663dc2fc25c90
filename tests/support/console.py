"""A browser's view of the API: a cookie, and the CSRF token beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.http_sharing import USER_PASSWORD

__all__ = ["ConsoleClient", "console_client"]

_BASE = "/api/v1/console"


class ConsoleClient:
    """Somebody at a browser."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.csrf = ""

    async def call(
        self, method: str, path: str, *, csrf: str | None = None, **options: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """One request as a page of the console sends it; status, decoded JSON (or bytes) and the response."""
        headers = {"Origin": self.url, **options.pop("headers", {})}
        token = self.csrf if csrf is None else csrf
        if token and method not in {"GET", "HEAD"}:
            headers["X-CSRF-Token"] = token
        async with self.http.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            body: Any = await answer.read()
            if answer.content_type.endswith("json") and body:
                body = await answer.json(content_type=None)
            return answer.status, body, answer

    async def login(self, name: str, password: str = USER_PASSWORD) -> tuple[int, Any]:
        """Log in; remembers the CSRF token."""
        status, body, _ = await self.call(
            "POST", f"{_BASE}/login", json={"name": name, "password": password}, csrf=""
        )
        if status == 200:
            self.csrf = body["csrf"]
        return status, body

    @property
    def cookie(self) -> str:
        """The session's token; empty without one."""
        return next((item.value for item in self.http.cookie_jar), "")


@asynccontextmanager
async def console_client(url: str, name: str = "") -> AsyncIterator[ConsoleClient]:
    """A browser with no cookies yet; with a name that user logs in."""
    # The jar keeps cookies of IP addresses only if it is told to.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        client = ConsoleClient(http, url)
        if name:
            status, body = await client.login(name)
            assert status == 200, body
        yield client
