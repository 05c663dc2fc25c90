"""Behind a reverse proxy each client counts by itself, and nobody else may say where they come from."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.domain.audit import AuditKind
from gateway.http.forwarded import Forwarded
from tests.support.console import ConsoleClient, console_client
from tests.support.http import ADMIN, CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.http_sharing import USER_PASSWORD

pytestmark = pytest.mark.net

CONSOLE = "/api/v1/console"
TRUSTED = ("127.0.0.1/32", "10.1.0.0/24", "2001:db8:1::/64")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path, trusted_proxies=TRUSTED) as running:
        yield running


@pytest.fixture
async def page(bench: HttpBench) -> AsyncIterator[ConsoleClient]:
    async with console_client(bench.url) as client:
        yield client


async def fail_to_log_in(
    page: ConsoleClient, name: str, headers: Any = None
) -> tuple[int, dict[str, Any]]:
    body = {"name": name, "password": "wrong-and-wrong-again"}
    status, problem, _ = await page.call(
        "POST", f"{CONSOLE}/login", json=body, csrf="", headers=headers or {}
    )
    return status, problem


def sources(bench: HttpBench) -> list[str]:
    return [entry.source for entry in bench.sharing.audit.of(AuditKind.USER)]


async def test_guessing_behind_a_proxy_throttles_the_guesser_only(
    bench: HttpBench, page: ConsoleClient
) -> None:
    guesser, other = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "198.51.100.8"}
    codes = [(await fail_to_log_in(page, f"n{n}", guesser))[1]["code"] for n in range(31)]
    assert codes == ["login_failed"] * 30 + ["login_throttled"]
    status, problem = await fail_to_log_in(page, "anybody", other)
    assert (status, problem["code"]) == (401, "login_failed")
    assert set(sources(bench)) == {"198.51.100.7", "198.51.100.8"}


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ([], "127.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        # What the client itself wrote stands on the left, and is nobody's word.
        (["203.0.113.66, 198.51.100.7"], "198.51.100.7"),
        (["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        (["203.0.113.66", "198.51.100.7"], "198.51.100.7"),
        # Two proxies of ours, one behind the other.
        (["203.0.113.66, 198.51.100.7, 10.1.0.9"], "198.51.100.7"),
        (["203.0.113.66, 198.51.100.7, 10.2.0.9"], "10.2.0.9"),
        (["2001:db8:2::7, 2001:db8:1::9, 10.1.0.9"], "2001:db8:2::7"),
        # A tool of the operator on the proxy itself.
        (["10.1.0.9"], "10.1.0.9"),
        # Ports, as some proxies write them, and IPv4 in IPv6.
        (["198.51.100.7:50123"], "198.51.100.7"),
        (["[2001:db8:2::7]:50123"], "2001:db8:2::7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        # What is no address ends the list: nothing further left is believed.
        (["198.51.100.7, unknown"], "127.0.0.1"),
        (["198.51.100.7, unknown, 10.1.0.9"], "10.1.0.9"),
        (["203.0.113.66, , 198.51.100.7"], "198.51.100.7"),
        (["1.2.3.4, " * 300 + "198.51.100.7"], "198.51.100.7"),
        (["203.0.113.66, " + ", ".join(["10.1.0.9"] * 40)], "10.1.0.9"),
        (["<script>"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        (["198.51.100.7%eth0"], "127.0.0.1"),
        (["fe80::1%made-up"], "127.0.0.1"),
        (["1" * 4000], "127.0.0.1"),
    ],
)
async def test_the_client_is_the_right_most_hop_that_is_no_proxy_of_ours(
    bench: HttpBench, page: ConsoleClient, said: list[str], source: str
) -> None:
    headers = [("X-Forwarded-For", line) for line in said] + [("Origin", bench.url)]
    body = {"name": "boss", "password": "wrong-and-wrong-again"}
    async with page.http.post(f"{bench.url}{CONSOLE}/login", headers=headers, json=body) as answer:
        assert answer.status == 401
    assert sources(bench) == [source]


async def test_nobody_but_a_trusted_proxy_says_where_it_comes_from(tmp_path: Path) -> None:
    spoofed = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    for trusted in ((), ("10.1.0.0/24",), ("127.0.0.2",)):
        data = tmp_path / str(len(trusted) + len("".join(trusted)))
        data.mkdir()
        async with (
            http_bench(data, trusted_proxies=trusted) as bench,
            console_client(bench.url) as page,
        ):
            assert (await fail_to_log_in(page, "boss", spoofed))[0] == 401
            assert sources(bench) == ["127.0.0.1"]
            answer = await set_up(page, spoofed)
            assert "Secure" not in answer.headers["Set-Cookie"]


async def set_up(page: ConsoleClient, headers: dict[str, str]) -> aiohttp.ClientResponse:
    body = {"admin_token": ADMIN, "name": "wang", "password": USER_PASSWORD}
    status, _, answer = await page.call("POST", f"{CONSOLE}/setup", json=body, headers=headers)
    assert status == 201
    return answer


@pytest.mark.parametrize(
    ("said", "secure"),
    [("https", True), ("HTTPS", True), ("http", False), ("https, http", False), ("", False)],
)
async def test_the_cookie_is_secure_where_the_browser_came_by_https(
    page: ConsoleClient, said: str, secure: bool
) -> None:
    answer = await set_up(page, {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": said})
    assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) is secure


async def test_streams_opened_through_a_proxy_have_its_scheme_and_work(bench: HttpBench) -> None:
    headers = {
        "Authorization": f"Bearer {ADMIN}",
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
    }
    play = f"{bench.url}/api/v1/channels/{DEVICE}/{CHANNEL}/play"
    async with bench.client.post(play, headers=headers, json={}) as answer:
        urls = [url for url in (await answer.json())["urls"].values() if url]
    assert {url.partition(":")[0] for url in urls} == {"https", "wss"}
    here = "ws:" + next(url for url in urls if url.startswith("wss:"))[4:]
    async with bench.client.ws_connect(here, headers=headers) as socket:
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(b"\x82\x03FLV")
        message = await socket.receive()
        while message.type is aiohttp.WSMsgType.TEXT:
            message = await socket.receive()
        assert message.data == b"FLV"


async def test_a_body_still_arrives_after_the_address_was_put_right() -> None:
    async def echo(request: web.Request) -> web.Response:
        said = {"remote": request.remote, "scheme": request.scheme}
        return web.json_response({**said, "body": (await request.read()).decode()})

    application = web.Application(middlewares=[Forwarded(["127.0.0.0/8"]).middleware()])
    application.router.add_post("/", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        async with aiohttp.ClientSession() as client:
            for size in (3, 300_000):  # two on one connection
                async with client.post(url, data="x" * size, headers=headers) as answer:
                    got = json.loads(await answer.read())
                assert got == {"remote": "198.51.100.7", "scheme": "https", "body": "x" * size}
    finally:
        await runner.cleanup()
