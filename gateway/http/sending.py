"""Sends a body whose length is known, to whoever takes it in time."""

import asyncio
from collections.abc import Mapping

import structlog
from aiohttp import web

from gateway.http.logged import logged_path

__all__ = ["send_bytes"]

log = structlog.get_logger()

SLICE = 256 * 1024
"""Bytes handed to a connection at once, so that a slow viewer holds no more than that."""
SEND_TIMEOUT = 20.0
"""Seconds for a body; who takes longer for a few seconds of video cannot play it."""


async def send_bytes(
    request: web.Request, body: bytes | memoryview, headers: Mapping[str, str]
) -> tuple[web.StreamResponse, int]:
    """Send a body slice by slice and return the response, which is complete, and the bytes sent.

    A client that takes nothing loses its connection.

    Args:
        request: What is answered; HEAD gets the headers alone.
        body: All of it.
        headers: Of the answer, with its type.
    """
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    sent = 0
    await response.prepare(request)
    if request.method == "HEAD":
        await response.write_eof()
        return response, 0
    view = memoryview(body)
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            while sent < len(view):
                await response.write(view[sent : sent + SLICE])
                sent += len(view[sent : sent + SLICE])
            await response.write_eof()
    except TimeoutError:
        log.info("viewer_closed_as_too_slow", path=logged_path(request), waited_s=SEND_TIMEOUT)
        if request.transport is not None:
            request.transport.abort()
    return response, sent
