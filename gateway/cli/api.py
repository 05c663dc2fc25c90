"""A client of the gateway's API, as the commands need it."""

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

__all__ = ["Api", "ApiRefused", "ApiUnreachable", "segment"]

TIMEOUT = 120.0
"""Seconds for one answer; `play` waits for the camera, a dry run goes over all channels."""


class ApiUnreachable(Exception):
    """Nothing answers."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


class ApiRefused(Exception):
    """The gateway answered with a problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "unknown"))
        self.detail = str(problem.get("detail", ""))
        if english := problem.get("detail_en"):
            self.detail += f" ({english})"
        super().__init__(f"{status} {self.code}: {self.detail}")


def segment(value: str) -> str:
    """Quote one path segment."""
    return quote(value, safe="")


class Api:
    """One gateway; use as an async context manager."""

    def __init__(self, url: str, token: str, *, purpose: str = "", language: str = "en") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
        if purpose:
            self._headers["X-Gb-Purpose"] = quote(purpose)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT, connect=5)
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def get(self, path: str, **query: str | int | bool | None) -> Any:  # noqa: ANN401 - JSON
        """GET below /api/v1; parameters that are None are left out."""
        return await self._call("GET", path, query=query)

    async def post(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        **query: str | int | bool | None,
    ) -> Any:  # noqa: ANN401 - JSON
        """POST below /api/v1."""
        return await self._call("POST", path, body=body, query=query)

    async def put(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """PUT below /api/v1."""
        return await self._call("PUT", path, body=body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """PATCH below /api/v1."""
        return await self._call("PATCH", path, body=body)

    async def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """DELETE below /api/v1."""
        return await self._call("DELETE", path)

    async def download(self, path: str, **query: str | int | bool | None) -> bytes:
        """GET a file below /api/v1."""
        status, raw = await self._send("GET", path, query=query)
        if status >= 400:
            _read(status, raw, self.url)
        return raw

    async def save(self, path: str, target: Path, **query: str | int | bool | None) -> None:
        """GET a file below /api/v1 of any size into a new file; one that is cut leaves nothing."""
        assert self._http is not None
        params = {name: str(value) for name, value in query.items() if value is not None}
        part = target.with_name(f"{target.name}.part")
        patience = aiohttp.ClientTimeout(total=None, connect=5, sock_read=TIMEOUT)
        url = f"{self.url}/api/v1/{path}"
        try:
            async with self._http.get(url, params=params, timeout=patience) as answer:
                if answer.status >= 400:
                    _read(answer.status, await answer.read(), self.url)
                await self._save(answer, part)
            await asyncio.to_thread(part.replace, target)
        except TimeoutError:
            raise ApiUnreachable(self.url, f"no answer within {TIMEOUT:g} s") from None
        except aiohttp.ClientError as exc:
            raise ApiUnreachable(self.url, _why(exc)) from exc
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    @staticmethod
    async def _save(answer: aiohttp.ClientResponse, part: Path) -> None:
        file = await asyncio.to_thread(part.open, "xb")
        try:
            async for piece in answer.content.iter_chunked(1024 * 1024):
                await asyncio.to_thread(file.write, piece)
        finally:
            await asyncio.to_thread(file.close)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        status, raw = await self._send(method, path, query=query, body=body)
        return _read(status, raw, self.url)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> tuple[int, bytes]:
        assert self._http is not None
        params = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in (query or {}).items()
            if value is not None
        }
        url = f"{self.url}/api/v1/{path}"
        try:
            async with self._http.request(method, url, params=params, json=body) as answer:
                return answer.status, await answer.read()
        except TimeoutError:
            raise ApiUnreachable(self.url, f"no answer within {TIMEOUT:g} s") from None
        except (aiohttp.ClientError, ValueError) as exc:
            raise ApiUnreachable(self.url, _why(exc)) from exc


def _read(status: int, raw: bytes, url: str) -> Any:  # noqa: ANN401 - JSON
    if status == 204:
        return None
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiRefused(status, {"code": "not_api", "detail": url}) from None
    if status >= 400:
        raise ApiRefused(status, body if isinstance(body, dict) else {})
    return body


def _why(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or str(exc.os_error)
    return str(exc) or type(exc).__name__
