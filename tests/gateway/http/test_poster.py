"""Webhooks against real receivers on loopback."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway.domain.policy import Action
from gateway.http.poster import HttpPoster
from gateway.sharing.signature import request_signature
from gateway.sharing.webhooks import WebhookEvent
from gateway.sharing.webhooks_delivery import DeliveryFailed, DeliveryOptions
from gateway.sharing.webhooks_service import WebhookService
from gateway.sharing.webhooks_target import TargetRule
from gb28181.aio.tasks import TaskScope
from tests.support.departments import BOSS, Fleet, ListedPolicy, books

pytestmark = pytest.mark.net

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A department's own server."""

    url: str
    seen: asyncio.Queue[tuple[dict[str, str], bytes]]
    paths: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def receiving(host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    receiver = Receiver("", asyncio.Queue(maxsize=100))

    async def take(request: web.Request) -> web.StreamResponse:
        receiver.paths.append(request.raw_path)
        receiver.seen.put_nowait((dict(request.headers), await request.read()))
        status = receiver.answers.pop(0) if receiver.answers else 200
        if status == 302:
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if status == 0:
            await receiver.over.wait()
        return web.Response(status=status, text="x" * 100_000)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    receiver.url = f"http://{host}:{runner.addresses[0][1]}/hook?for=urban"
    try:
        yield receiver
    finally:
        receiver.over.set()
        await runner.cleanup()


async def test_a_status_change_arrives_at_a_real_receiver_and_its_signature_fits() -> None:
    held = await books()
    await held.departments.save("urban", name="城管局", by=BOSS)
    fleet, policy, numbers = Fleet(), ListedPolicy(), itertools.count(1)
    fleet.put("d1", "c1")
    policy.give("urban", "c1", Action.CATALOG)
    async with (
        asyncio.timeout(10),
        receiving() as receiver,
        HttpPoster(TargetRule(local=True)) as poster,
        TaskScope(lambda _, error: pytest.fail(repr(error))) as scope,
    ):
        service = WebhookService(
            book=held.webhooks,
            departments=held.departments,
            access=policy,
            directory=fleet,
            poster=poster,
            scope=scope,
            wall=held.clock.utc_now,
            now=held.clock.monotonic,
            new_id=lambda: f"id{next(numbers)}",
            spread=lambda: 1.0,
            options=DeliveryOptions(first_retry=0.01),
            gather=0.01,
        )
        scope.spawn(service.run(), name="webhooks")
        _, secret = await held.webhooks.create(
            "urban", receiver.url, frozenset(WebhookEvent), by=BOSS
        )
        await asyncio.sleep(0.05)
        receiver.answers = [500, 302]
        fleet.of["d1"]["c1"].online = False
        service.touch("d1")
        bodies = []
        for _ in range(3):
            headers, body = await receiver.seen.get()
            bodies.append(body)
            signature = request_signature(
                secret,
                "POST",
                "/hook?for=urban",
                headers["X-Gb-Timestamp"],
                headers["X-Gb-Nonce"],
                body,
            )
            assert headers["X-Gb-Signature"] == signature
            assert headers["Content-Type"] == "application/json"
        assert len(set(bodies)) == 1
        assert json.loads(bodies[0])["events"][0]["event"] == "off"
    assert set(receiver.paths) == {"/hook?for=urban"}


async def test_what_is_signed_is_what_is_sent_however_the_address_is_written() -> None:
    async with receiving() as receiver, HttpPoster(TargetRule(local=True)) as poster:
        base = receiver.url.partition("/hook")[0]
        targets = ["/hook?a=b|c&x=%7e+%20", "/x/../hook?q={1}", "/%68ook"]
        for target in targets:
            await poster.post(base + target, b"{}", {})
        assert receiver.paths == targets


async def test_a_redirect_is_not_followed_and_a_big_answer_not_read() -> None:
    async with receiving() as receiver, HttpPoster(TargetRule(local=True)) as poster:
        receiver.answers = [302, 200]
        assert await poster.post(receiver.url, b"{}", {}) == 302
        assert await poster.post(receiver.url, b"{}", {}) == 200
    assert receiver.paths == ["/hook?for=urban"] * 2


async def test_a_silent_receiver_is_given_up_in_time_and_named() -> None:
    async with receiving() as receiver, HttpPoster(TargetRule(local=True), timeout=0.1) as poster:
        receiver.answers = [0]
        with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1 did not answer within 0\.1 s"):
            await poster.post(receiver.url, b"{}", {})


async def test_nobody_there_and_nonsense_are_failures_with_a_reason() -> None:
    async with HttpPoster(TargetRule(local=True)) as poster:
        for url in ("http://127.0.0.1:1/", "http://no-such-host.invalid/", "ftp://x/", "http://["):
            with pytest.raises(DeliveryFailed):
                await poster.post(url, b"{}", {})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
async def test_our_own_machine_is_refused_however_it_is_written(host: str) -> None:
    async with receiving() as receiver, HttpPoster(TargetRule()) as poster:
        url = receiver.url.replace("127.0.0.1", host)
        with pytest.raises(DeliveryFailed):
            await poster.post(url, b"{}", {})
        assert receiver.paths == []


async def test_a_receiver_that_answers_garbage_is_a_failure() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\x01 garbage\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server, HttpPoster(TargetRule(local=True)) as poster:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DeliveryFailed):
            await poster.post(f"http://127.0.0.1:{port}/", b"{}", {})
