"""A viewer whose last byte is timed, against a real WebSocket server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.cli.county_viewer import ByteViewer, Player
from gb28181.aio.clock import monotonic
from tests.support.gateway_process import free_port

pytestmark = pytest.mark.net

Serve = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[str]:
    """A server; its URL."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        await serve(socket)
        return socket

    application = web.Application()
    application.router.add_get("/live", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/live"
    finally:
        await runner.cleanup()


async def test_the_last_byte_is_that_of_the_media_and_the_reason_that_of_the_close() -> None:
    sent = 0.0

    async def serve(socket: web.WebSocketResponse) -> None:
        nonlocal sent
        await socket.send_str('{"type": "info"}')
        for _ in range(3):
            await socket.send_bytes(b"x" * 1000)
        sent = monotonic()
        await asyncio.sleep(0.2)
        await socket.close(code=4000, message=b"stopped: Sharing of this was stopped")

    async with asyncio.timeout(10), served(serve) as url:
        viewer = ByteViewer(url)
        await viewer.run()
    assert viewer.count == 3000
    assert viewer.over.is_set()
    assert viewer.reason == "stopped: Sharing of this was stopped"
    assert viewer.last_byte - sent < 0.15
    assert viewer.closed_at - viewer.last_byte > 0.1


async def test_a_connection_that_breaks_is_an_end_too() -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"x")
        transport = socket._req.transport if socket._req else None
        assert transport is not None
        transport.abort()

    async with asyncio.timeout(10), served(serve) as url:
        viewer = ByteViewer(url)
        await viewer.run()
    assert viewer.over.is_set()
    assert viewer.closed_at > 0


async def test_nobody_there_is_an_end_with_its_reason() -> None:
    viewer = ByteViewer(f"ws://127.0.0.1:{free_port()}/live")
    async with asyncio.timeout(10):
        await viewer.run()
    assert viewer.over.is_set()
    assert viewer.count == 0
    assert "Connect" in viewer.reason


async def test_a_player_without_a_stream_gives_up_and_says_why() -> None:
    player = Player(f"http://127.0.0.1:{free_port()}/live.mp4", wanted=5)
    began = monotonic()
    assert not await player.enough(60)
    assert monotonic() - began < 30
    assert "refused" in player.result.error.lower()
    player.close()
