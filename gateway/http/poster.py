"""Sends webhooks: once, to allowed addresses only, never following a redirect."""

import asyncio
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.domain.errors import Invalid
from gateway.sharing.webhooks_delivery import DeliveryFailed
from gateway.sharing.webhooks_target import TargetRule

__all__ = ["HttpPoster"]

TIMEOUT = 10.0
"""Seconds from the look-up of the name to the status line."""
CONNECTIONS = 100
"""Deliveries under way at once; a slow receiver holds one."""


class HttpPoster:
    """Implements `gateway.sharing.webhooks_delivery.WebhookPoster`; use as an async context manager.

    Args:
        targets: Where deliveries may go; names are judged by what they resolve to at that moment.
        timeout: Seconds for one delivery.
        user_agent: User-Agent header.
    """

    def __init__(
        self, targets: TargetRule, *, timeout: float = TIMEOUT, user_agent: str = "gb28181-gateway"
    ) -> None:
        self._targets = targets
        self._timeout = timeout
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(self._targets), limit=CONNECTIONS, force_close=True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent},
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """POST once and return the status; the answer's body is not read.

        Raises:
            DeliveryFailed: no answer; says who did not answer.
        """
        assert self._session is not None, "the poster is not open"
        host = ""
        try:
            host = urlsplit(self._targets.check_url(url)).hostname or ""
            async with asyncio.timeout(self._timeout):
                # Exactly as it was signed: nothing in it is quoted anew or left out.
                answer = await self._session.post(
                    URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
                )
                answer.close()
                return answer.status
        except TimeoutError:
            raise DeliveryFailed(f"{host} did not answer within {self._timeout:g} s") from None
        except Invalid as exc:
            raise DeliveryFailed(exc.detail) from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise DeliveryFailed(f"{host}: {_why(exc)}") from exc


class _GuardedResolver(AbstractResolver):
    """Looks names up and leaves out what may not be reached, however the name came to point there."""

    def __init__(self, targets: TargetRule) -> None:
        self._targets = targets
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [item for item in found if self._targets.permits(item["host"])]
        if not allowed:
            raise OSError(self._targets.refusal(host))
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def _why(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or str(exc.os_error)
    return str(exc) or type(exc).__name__
