"""Streams of people who are logged in: by cookie, by the URLs of play; their limits and their ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.policy import Role
from tests.support.console import ConsoleClient, console_client
from tests.support.http import CHANNEL, DEVICE, HttpBench, Watcher, http_bench

pytestmark = pytest.mark.net

PATH = f"/live/{DEVICE}/{CHANNEL}"
PLAY = f"/api/v1/channels/{DEVICE}/{CHANNEL}/play"
USER = "/api/v1/users/li"
MAY_WATCH = (
    '[[rule]]\nid = "watch"\neffect = "allow"\nsubjects = {departments = ["urban"]}\n'
    'actions = ["catalog", "live"]'
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with asyncio.timeout(60), http_bench(tmp_path) as running:
        await running.sharing.user("root", Role.ADMIN)
        yield running


@pytest.fixture
async def page(bench: HttpBench) -> AsyncIterator[ConsoleClient]:
    await bench.sharing.user("li")
    async with console_client(bench.url, "li") as client:
        yield client


async def socket_of(
    page: ConsoleClient, bench: HttpBench, url: str = "", **headers: str
) -> tuple[aiohttp.ClientWebSocketResponse, Watcher]:
    """Open a WebSocket viewer that has got its first bytes."""
    socket = await page.http.ws_connect(
        url or f"{bench.url}{PATH}.flv", headers={"Origin": bench.url, **headers}
    )
    watcher = await bench.sessions.watchers.get()
    watcher.sink.write(b"\x82\x05hello")
    assert await socket.receive_bytes() == b"hello"
    return socket, watcher


async def reason_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await socket.receive()
    assert message.type is aiohttp.WSMsgType.CLOSE
    await socket.close()
    return socket.close_code, str(message.extra)


async def settled(bench: HttpBench) -> None:
    while bench.server.viewers:
        await asyncio.sleep(0.005)


async def test_the_cookie_opens_streams_and_the_record_names_the_user(
    bench: HttpBench, page: ConsoleClient
) -> None:
    socket, _ = await socket_of(page, bench)
    _, listed, _ = await bench.call("GET", "/api/v1/accesses")
    assert [item["subject"]["user"] for item in listed["items"]] == ["li"]
    assert (await bench.call("GET", USER))[1]["open_streams"] == 1
    await socket.close()
    await settled(bench)
    [opened] = bench.sharing.audit.of(AuditKind.ACCESS)
    assert (dict(opened.subject), opened.result) == ({"role": "viewer", "user": "li"}, "allow")


@pytest.mark.parametrize("origin", ["", "https://evil.example", "null"])
async def test_a_websocket_with_the_cookie_needs_an_origin_of_ours(
    bench: HttpBench, page: ConsoleClient, origin: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await page.http.ws_connect(f"{bench.url}{PATH}.flv", headers={"Origin": origin})
    assert caught.value.status == 403
    assert bench.sessions.watchers.empty()


async def test_the_urls_of_play_work_beside_the_cookie_and_without(
    bench: HttpBench, page: ConsoleClient
) -> None:
    _, played, _ = await page.call("POST", PLAY)
    assert played["single_use"] is False
    for client in (page.http, bench.client):
        socket = await client.ws_connect(played["urls"]["ws_flv"])
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(b"\x82\x05hello")
        assert await socket.receive_bytes() == b"hello"
        assert bench.server.entrance.open_by("user:li") == 1
        await socket.close()
        await settled(bench)


async def test_the_urls_of_play_are_worth_nothing_after_the_logout(
    bench: HttpBench, page: ConsoleClient
) -> None:
    _, played, _ = await page.call("POST", PLAY)
    await page.call("DELETE", "/api/v1/console/session")
    async with bench.client.get(played["urls"]["flv"]) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (
            401,
            "token_invalid",
        )


@pytest.mark.parametrize("by_token", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PATCH", USER, {"disabled": True}, "user_disabled"),
        ("PATCH", USER, {"role": "operator"}, "user_changed"),
        ("DELETE", USER, None, "user_removed"),
        ("DELETE", f"{USER}/sessions", None, "logged_out"),
        (
            "POST",
            f"{USER}/password",
            {"password": "another-lamp-on-the-quay"},
            "password_changed",
        ),
    ],
)
async def test_what_ends_the_session_ends_its_streams_at_once(
    bench: HttpBench,
    page: ConsoleClient,
    *,
    by_token: bool,
    method: str,
    path: str,
    body: dict[str, object] | None,
    code: str,
) -> None:
    url = (await page.call("POST", PLAY))[1]["urls"]["ws_flv"] if by_token else ""
    socket, _ = await socket_of(page, bench, url)
    status, answer, _ = await bench.call(method, path, json=body)
    assert status in {200, 204}, answer
    number, reason = await reason_of(socket)
    assert (number, reason.partition(":")[0]) == (4000, code)
    await settled(bench)
    assert bench.sharing.audit.of(AuditKind.END)[-1].result == code


async def test_logging_out_ends_this_sessions_streams_and_no_others(
    bench: HttpBench, page: ConsoleClient
) -> None:
    async with console_client(bench.url, "li") as elsewhere:
        mine, _ = await socket_of(page, bench)
        other, watcher = await socket_of(elsewhere, bench)
        await page.call("DELETE", "/api/v1/console/session")
        assert (await reason_of(mine))[1].startswith("logged_out")
        watcher.sink.write(b"\x82\x05again")
        assert await other.receive_bytes() == b"again"
        await other.close()


async def test_a_users_streams_are_limited_over_all_sessions(bench: HttpBench) -> None:
    await bench.sharing.user("li", max_streams=1)
    async with console_client(bench.url, "li") as one, console_client(bench.url, "li") as other:
        socket, _ = await socket_of(one, bench)
        status, body, _ = await other.call("GET", f"{PATH}.flv")
        assert (status, body["code"]) == (429, "too_many_streams")
        status, body, _ = await other.call("POST", PLAY)
        assert (status, body["code"]) == (429, "too_many_streams")
        await socket.close()
        await settled(bench)
        assert (await other.call("POST", PLAY))[0] == 200


async def test_watching_is_a_use_of_the_session(bench: HttpBench, page: ConsoleClient) -> None:
    socket, _ = await socket_of(page, bench)
    bench.clock.advance(5 * 3600)
    assert bench.sharing.logins.of("li")
    await socket.close()
    await settled(bench)
    bench.clock.advance(3599)
    assert (await page.call("GET", "/api/v1/me"))[0] == 200


async def test_a_stream_ends_with_the_longest_time_of_its_session(
    bench: HttpBench, page: ConsoleClient
) -> None:
    socket, _ = await socket_of(page, bench)
    [session] = bench.sharing.logins.of("li")
    bench.clock.advance((session.expires_at - bench.clock.utc_now()).total_seconds() - 0.05)
    await socket.close()
    await settled(bench)
    socket, _ = await socket_of(page, bench)
    number, reason = await reason_of(socket)
    assert (number, reason) == (4000, "session_expired: The session is over: log in again")


async def test_a_department_users_url_opens_once(bench: HttpBench) -> None:
    await bench.sharing.apply(MAY_WATCH)
    await bench.sharing.user("zhao", Role.VIEWER, "urban")
    async with console_client(bench.url, "zhao") as page:
        _, played, _ = await page.call("POST", PLAY)
        assert played["single_use"] is True
        socket, _ = await socket_of(page, bench, played["urls"]["ws_flv"])
        async with bench.client.get(played["urls"]["flv"]) as answer:
            assert (await answer.json(content_type=None))["code"] == "token_used"
        await bench.sharing.apply()
        assert (await reason_of(socket))[1].startswith("no_rule")


async def test_viewers_are_told_in_their_language(bench: HttpBench, page: ConsoleClient) -> None:
    await bench.sharing.apply(MAY_WATCH)
    await bench.sharing.user("zhao", Role.VIEWER, "urban")
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    async with console_client(bench.url, "zhao") as outside:
        for client, why in ((page, "观看的设备已移走"), (outside, "")):
            socket, watcher = await socket_of(client, bench, **chinese)
            watcher.sink.close("source_lost", why or "No RTP from 10.0.0.7:62000 for 10 s")
            assert await reason_of(socket) == (4000, "source_lost: 摄像机停止了发送")
        socket, watcher = await socket_of(outside, bench)
        watcher.sink.close("source_lost", "No RTP from 10.0.0.7:62000 for 10 s")
        assert await reason_of(socket) == (4000, "source_lost: The camera has stopped sending")
        socket, watcher = await socket_of(page, bench)
        watcher.sink.close("source_lost", "No RTP from 10.0.0.7:62000 for 10 s")
        assert "10.0.0.7" in (await reason_of(socket))[1]
        socket, _ = await socket_of(outside, bench, **chinese)
        await bench.sharing.apply()
        assert await reason_of(socket) == (4000, "no_rule: 没有向您共享此内容")


async def test_a_stream_that_was_not_to_be_had_holds_no_session(
    bench: HttpBench, page: ConsoleClient
) -> None:
    status, _, _ = await page.call("GET", f"/live/{DEVICE}/34020000001320009999.flv")
    assert status == 404
    [session] = bench.sharing.logins.of("li")
    assert session.streams == 0
    bench.clock.advance(timedelta(hours=1).total_seconds())
    assert bench.sharing.logins.of("li") == []
