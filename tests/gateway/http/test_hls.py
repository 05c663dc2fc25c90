"""Viewings of HLS: opened with a credential, carried by an address nobody can guess, ended in words."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
import uvloop

from gateway.domain.audit import AuditKind
from gateway.domain.policy import Action, Role
from gateway.domain.session import EndReason
from gateway.http import hls_viewing, sending
from gateway.http.route import Access
from tests.support.console import console_client
from tests.support.hls_plane import INIT, PART, PLAYLIST, SEGMENT, ScriptedHls
from tests.support.http import (
    CHANNEL,
    DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    http_bench,
    session_failed,
)
from tests.support.policy import rule

pytestmark = pytest.mark.net

INDEX = f"/live/{DEVICE}/{CHANNEL}/index.m3u8"
PLAY = f"/api/v1/channels/{DEVICE}/{CHANNEL}/play"
FILES = ("live.m3u8", "init-0.mp4", "seg-4.m4s", "part-4.1.m4s")
WATCH = rule(
    "watch", subjects='{ departments = ["urban"] }', objects=f'{{ channels = ["{CHANNEL}"] }}'
)


@pytest.fixture
async def plane() -> ScriptedHls:
    return ScriptedHls()


@pytest.fixture
async def bench(tmp_path: Path, plane: ScriptedHls) -> AsyncIterator[HttpBench]:
    async with (
        asyncio.timeout(30),
        http_bench(tmp_path, hls=plane, cors_origins=("https://page.example",)) as running,
    ):
        await running.sharing.apply(WATCH)
        running.sharing.audit.entries.clear()
        yield running


async def viewing(bench: HttpBench, path: str = INDEX, **options: Any) -> str:
    """Open a viewing; return the path of its files."""
    status, body, _ = await bench.call("GET", path, **options)
    assert status == 200, body
    text = body.decode()
    uri = text.splitlines()[-1]
    folder = re.fullmatch(r"(?:\.\./)+hls/([\w-]{32,})/live\.m3u8", uri)
    assert folder is not None
    assert uri.count("../") == path.count("/") - 1
    return f"/hls/{folder[1]}"


async def get(bench: HttpBench, path: str, **options: Any) -> tuple[int, Any, Any]:
    """Ask as a player does: with the address alone."""
    return await bench.call("GET", path, token=None, **options)


def ends(bench: HttpBench) -> list[str]:
    return [entry.result for entry in bench.sharing.audit.of(AuditKind.END)]


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def test_a_viewing_is_opened_and_carried_by_its_address(bench: HttpBench) -> None:
    folder = await viewing(bench)
    for file, wanted, kind in (
        ("live.m3u8", PLAYLIST, "application/vnd.apple.mpegurl"),
        ("init-0.mp4", INIT, "video/mp4"),
        ("seg-4.m4s", SEGMENT, "video/iso.segment"),
        ("part-4.1.m4s", PART, "video/iso.segment"),
    ):
        status, body, answer = await get(bench, f"{folder}/{file}")
        assert (status, body, answer.content_type) == (200, wanted, kind)
        assert answer.headers["Content-Length"] == str(len(wanted))
        cached = "no-store" if file == "live.m3u8" else "private, max-age=60, immutable"
        assert answer.headers["Cache-Control"] == cached
    assert bench.server.viewers == 1


async def test_a_unique_channel_is_opened_by_its_id_alone(bench: HttpBench) -> None:
    await viewing(bench, f"/live/{CHANNEL}/index.m3u8")
    status, body, _ = await bench.call("GET", f"/live/{SHARED_CHANNEL}/index.m3u8")
    assert (status, body["code"]) == (409, "channel_ambiguous")


async def test_every_viewing_has_an_address_of_its_own(bench: HttpBench) -> None:
    assert len({await viewing(bench) for _ in range(20)}) == 20
    assert bench.server.viewers == 20


async def test_play_says_where(bench: HttpBench) -> None:
    _, body, _ = await bench.call("POST", PLAY)
    path = body["urls"]["hls"].removeprefix(bench.url)
    assert path.startswith(f"{INDEX}?token=")
    await viewing(bench, path, token=None)


async def test_without_hls_there_is_no_url_and_no_route(tmp_path: Path) -> None:
    async with http_bench(tmp_path) as bench:
        _, body, _ = await bench.call("POST", PLAY)
        assert body["urls"]["hls"] is None
        assert (await bench.call("GET", INDEX))[0] == 404


@pytest.mark.parametrize("credential", [None, "wrong-token-wrong-token", "admin"])
async def test_an_unknown_viewing_is_not_found_whoever_asks(
    bench: HttpBench, credential: str | None
) -> None:
    token = bench.server.cli_token if credential == "admin" else credential
    routes = [route for route in bench.server.routes if route.access is Access.VIEWING]
    assert len(routes) == 8
    for route in routes:
        for key in ("x", "A" * 32, "%00", "..%2f", "é" * 10):
            path = re.sub(r"{(\w+)}", lambda m, k=key: k if "id" in m[1] else "1", route.path)  # type: ignore[misc]
            status, body, _ = await bench.call(route.method, path, token=token)
            assert status == 404
            assert route.method == "HEAD" or body["code"] == "viewing_unknown"


async def test_opening_needs_a_credential(bench: HttpBench) -> None:
    for path in (INDEX, f"/live/{CHANNEL}/index.m3u8"):
        assert (await get(bench, path))[0] == 401
        assert (await get(bench, f"{path}?token=x"))[0] == 401
        assert (await bench.call("HEAD", path, token=None))[0] == 401
    assert bench.server.viewers == 0


async def test_a_departments_url_opens_one_viewing_which_then_needs_no_token(
    bench: HttpBench, plane: ScriptedHls
) -> None:
    key = await bench.sharing.key()
    _, body, _ = await bench.call("POST", PLAY, token=key.bearer)
    path = body["urls"]["hls"].removeprefix(bench.url)
    folder = await viewing(bench, path, token=None)
    status, body, _ = await get(bench, path)
    assert (status, body["code"]) == (401, "token_used")
    for file in FILES:
        assert (await get(bench, f"{folder}/{file}"))[0] == 200
    allowed = bench.sharing.audit.of(AuditKind.ACCESS)
    assert [(entry.action, entry.result, entry.rule) for entry in allowed] == [
        (Action.LIVE, "allow", "watch"),
        (Action.LIVE, "deny", ""),
    ]


async def test_a_denied_viewing_holds_nothing(bench: HttpBench, plane: ScriptedHls) -> None:
    await bench.sharing.apply(rule("no", effect="deny", subjects="{ any = true }"))
    assert (await bench.call("GET", INDEX))[0] == 403
    assert (plane.shares, bench.server.viewers) == ([], 0)


async def test_head_opens_nothing(bench: HttpBench, plane: ScriptedHls) -> None:
    status, _, answer = await bench.call("HEAD", INDEX)
    assert (status, answer.content_type) == (200, "application/vnd.apple.mpegurl")
    assert plane.shares == []


async def test_head_of_a_viewings_files_gives_lengths_without_bodies(bench: HttpBench) -> None:
    folder = await viewing(bench)
    status, body, answer = await bench.call("HEAD", f"{folder}/seg-4.m4s", token=None)
    assert (status, body, answer.headers["Content-Length"]) == (200, b"", str(len(SEGMENT)))
    assert (await get(bench, f"{folder}/seg-4.m4s"))[1] == SEGMENT


async def test_pages_of_allowed_origins_may_read_answers(bench: HttpBench) -> None:
    folder = await viewing(bench)
    for path in (INDEX, *(f"{folder}/{file}" for file in FILES)):
        for origin, allowed in (
            ("https://page.example", "https://page.example"),
            ("https://evil.example", None),
        ):
            _, _, answer = await bench.call("GET", path, headers={"Origin": origin})
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed


MISSING = (
    "seg-5.m4s",
    "seg-04.m4s",
    "seg--4.m4s",
    "seg-4x.m4s",
    "seg-99999999999999.m4s",
    "init-1.mp4",
    "init-.mp4",
    "part-4.2.m4s",
    "part-4.m4s",
    "part-4.1.1.m4s",
    "part-٤.1.m4s",
    "other.m4s",
)


async def test_what_is_not_there_is_not_found(bench: HttpBench) -> None:
    folder = await viewing(bench)
    seen = {file: (await bench.call("GET", f"{folder}/{file}"))[0] for file in MISSING}
    assert set(seen.values()) == {404}, seen


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", (None, None)),
        ("?_HLS_msn=7", (7, None)),
        ("?_HLS_msn=7&_HLS_part=2", (7, 2)),
        ("?_HLS_skip=YES&unknown=1", (None, None)),
    ],
)
async def test_directives_reach_the_stream(
    bench: HttpBench, plane: ScriptedHls, query: str, asked: tuple[int | None, int | None]
) -> None:
    folder = await viewing(bench)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(get(bench, f"{folder}/live.m3u8{query}"))
        await until(lambda: plane.shares[0].asked)
        assert plane.shares[0].asked == [asked]
        if asked == (None, None):
            assert (await asking)[0] == 200
        asking.cancel()


SENSELESS = (
    ("_HLS_part=1", "invalid_parameter"),
    ("_HLS_msn=", "invalid_parameter"),
    ("_HLS_msn=-1", "invalid_parameter"),
    ("_HLS_msn=1.5", "invalid_parameter"),
    ("_HLS_msn=9999999999999", "invalid_parameter"),
    ("_HLS_msn=1&_HLS_msn=2", "invalid_parameter"),
    ("_HLS_msn=1&_HLS_part=x", "invalid_parameter"),
    ("_HLS_msn=1001", "hls_too_far"),
)


async def test_directives_that_make_no_sense_are_refused(bench: HttpBench) -> None:
    folder = await viewing(bench)
    for query, code in SENSELESS:
        status, body, _ = await get(bench, f"{folder}/live.m3u8?{query}")
        assert (status, body["code"]) == (400, code), query


async def test_a_forced_stop_wakes_who_waits_and_answers_403_in_words(
    bench: HttpBench, plane: ScriptedHls
) -> None:
    key = await bench.sharing.key()
    folder = await viewing(bench, token=key.bearer)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(get(bench, f"{folder}/live.m3u8?_HLS_msn=7"))
        await until(lambda: plane.shares[0].asked)
        await bench.sharing.apply(rule("no", effect="deny", subjects="{ any = true }"))
    answers = [waiting.result(), *[await get(bench, f"{folder}/{file}") for file in FILES]]
    for status, body, answer in answers:
        assert status == 403
        assert answer.content_type == "application/problem+json"
        assert body["detail"] == "A rule of the sharing policy denies this"
    assert plane.shares[0].left.is_set()
    assert bench.server.viewers == 0
    assert len(ends(bench)) == 1


async def test_a_viewing_answers_one_player_and_no_crowd(
    bench: HttpBench, plane: ScriptedHls
) -> None:
    folder, other = await viewing(bench), await viewing(bench)
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(get(bench, f"{folder}/live.m3u8?_HLS_msn=7"))
            for _ in range(hls_viewing.MAX_ASKING)
        ]
        await until(lambda: len(plane.shares[0].asked) == hls_viewing.MAX_ASKING)
        for file in FILES:
            status, body, answer = await get(bench, f"{folder}/{file}")
            assert (status, body["code"]) == (429, "viewing_busy")
            assert answer.headers["Retry-After"] == "1"
            assert (await get(bench, f"{other}/{file}"))[0] == 200
        plane.shares[0].end("source_lost", "gone")
    assert {task.result()[0] for task in waiting} == {410}
    chinese = {"Accept-Language": "zh"}
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(get(bench, f"{other}/live.m3u8?_HLS_msn=7"))
            for _ in range(hls_viewing.MAX_ASKING)
        ]
        await until(lambda: len(plane.shares[1].asked) == hls_viewing.MAX_ASKING + 1)
        _, body, _ = await get(bench, f"{other}/live.m3u8", headers=chinese)
        assert body["detail"].startswith("此次观看的并发请求过多")
        plane.shares[1].end("source_lost", "gone")


async def elsewhere(bench: HttpBench, path: str, **options: Any) -> tuple[int, str]:
    """Ask from another address of this machine; status and problem code."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get(bench.url + path, **options) as answer,
    ):
        if answer.status == 200:
            await answer.read()
            return 200, ""
        return answer.status, (await answer.json(content_type=None))["code"]


async def test_people_outside_watch_from_where_they_opened_it(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    outside, own = await viewing(bench, token=key.bearer), await viewing(bench)
    for file in FILES:
        assert await elsewhere(bench, f"{outside}/{file}") == (403, "viewing_elsewhere")
        assert (await get(bench, f"{outside}/{file}"))[0] == 200
        assert await elsewhere(bench, f"{own}/{file}") == (200, "")
    assert bench.server.viewers == 2


async def test_the_cookie_of_its_session_carries_a_viewing_to_another_network(
    bench: HttpBench,
) -> None:
    for name in ("zhao", "qian"):
        await bench.sharing.user(name, Role.VIEWER, "urban")
    async with (
        console_client(bench.url, "zhao") as page,
        console_client(bench.url, "qian") as other,
    ):
        _, body, _ = await page.call("GET", INDEX)
        key = re.search(rb"/hls/([\w-]+)/", body)
        assert key is not None
        path = f"/hls/{key[1].decode()}/live.m3u8"
        assert await elsewhere(bench, path, cookies={"gbgw_session": page.cookie}) == (200, "")
        for cookie in (other.cookie, "", "x"):
            told = await elsewhere(bench, path, cookies={"gbgw_session": cookie})
            assert told == (403, "viewing_elsewhere")
        assert (await page.call("DELETE", "/api/v1/console/session"))[0] == 204
        assert (await elsewhere(bench, path, cookies={"gbgw_session": page.cookie}))[0] == 403


@pytest.mark.parametrize(
    ("opened", "asks", "served"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
async def test_what_counts_as_the_same_address(opened: str, asks: str, *, served: bool) -> None:
    found = hls_viewing.HlsViewings().new(outside=True, source=opened)
    assert found.serves(asks) is served


async def test_the_end_of_the_stream_is_told_for_a_while(
    bench: HttpBench, plane: ScriptedHls, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await bench.sharing.key()
    inside, outside = await viewing(bench), await viewing(bench, token=key.bearer)
    for share in plane.shares:
        share.end("source_lost", "No packet from 10.0.0.7:62000 for 10 s")
    status, body, _ = await get(bench, f"{inside}/live.m3u8")
    assert (status, body["code"]) == (410, "source_lost")
    assert body["detail"] == "No packet from 10.0.0.7:62000 for 10 s"
    status, body, _ = await get(bench, f"{outside}/seg-4.m4s")
    assert (status, body["detail"]) == (410, "The camera has stopped sending")
    assert ends(bench) == ["source_lost"] * 2
    monkeypatch.setattr(hls_viewing, "KEEP_REASON", 0.0)
    await viewing(bench)
    plane.shares[-1].end("source_lost", "again")
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda now=loop.time: now() + 61)
    assert (await get(bench, f"{inside}/live.m3u8"))[0] == 404


async def test_a_stream_that_ends_before_its_first_picture_is_the_cameras_failure(
    bench: HttpBench, plane: ScriptedHls
) -> None:
    plane.begun.clear()
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(bench.call("GET", INDEX))
        await until(lambda: plane.shares)
        plane.shares[0].end("not_decodable", "No key frame in 15 s")
        plane.begun.set()
    status, body, _ = opening.result()
    assert (status, body["code"], body["detail"]) == (502, "not_decodable", "No key frame in 15 s")
    assert bench.server.viewers == 0


@pytest.mark.parametrize(
    ("reason", "status"),
    [(EndReason.INVITE_REFUSED, 502), (EndReason.INVITE_TIMEOUT, 504), (EndReason.STOPPED, 503)],
)
async def test_a_camera_that_does_not_come_leaves_no_viewing(
    bench: HttpBench, plane: ScriptedHls, reason: EndReason, status: int
) -> None:
    bench.sessions.refuse = session_failed(reason, "It did not come")
    answered, body, _ = await bench.call("GET", INDEX)
    assert (answered, body["code"]) == (status, reason.value)
    assert bench.server.viewers == 0
    assert ends(bench) == [reason.value]


async def test_a_stop_while_the_camera_is_being_asked_is_a_denial(
    bench: HttpBench, plane: ScriptedHls
) -> None:
    bench.sessions.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(bench.call("GET", INDEX))
        await until(lambda: bench.server.viewers)
        await bench.sharing.apply(rule("no", effect="deny", subjects="{ any = true }"))
        await until(lambda: not bench.server.viewers)
        bench.sessions.hold.set()
    assert opening.result()[0] == 403
    assert plane.shares == []


async def test_a_viewing_ends_when_nobody_asks_any_more(
    bench: HttpBench, plane: ScriptedHls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_viewing, "IDLE_GRACE", 0.3)
    plane.target = 0
    folder = await viewing(bench)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 1.0:
        assert (await get(bench, f"{folder}/live.m3u8"))[0] == 200
        await asyncio.sleep(0.02)
    await plane.shares[0].left.wait()
    status, body, _ = await get(bench, f"{folder}/live.m3u8")
    assert (status, body["code"]) == (410, "viewing_ended")
    assert ends(bench) == ["viewer_left"]
    assert bench.server.viewers == 0


async def test_a_player_that_waits_is_not_idle(
    bench: HttpBench, plane: ScriptedHls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_viewing, "IDLE_GRACE", 0.1)
    plane.target = 0
    folder = await viewing(bench)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(get(bench, f"{folder}/live.m3u8?_HLS_msn=7"))
        await asyncio.sleep(0.5)
        assert not plane.shares[0].left.is_set()
        waiting.cancel()


async def test_a_client_that_takes_nothing_loses_its_connection_and_nothing_else(
    bench: HttpBench, plane: ScriptedHls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_TIMEOUT", 0.3)
    plane.segment = bytes(30_000_000)
    folder = await viewing(bench)
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port, limit=1024)
    writer.write(f"GET {folder}/seg-4.m4s HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Length: 30000000" in head
    await asyncio.sleep(1.0)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await reader.readexactly(30_000_000)
    writer.close()
    status, body, _ = await get(bench, f"{folder}/live.m3u8")
    assert (status, body) == (200, PLAYLIST)


async def test_the_bytes_that_went_out_are_counted(bench: HttpBench, plane: ScriptedHls) -> None:
    with structlog.testing.capture_logs() as logs:
        folder = await viewing(bench)
        await get(bench, f"{folder}/seg-4.m4s")
        await get(bench, f"{folder}/init-0.mp4")
        plane.shares[0].end("source_lost", "gone")
    left = next(line for line in logs if line["event"] == "viewer_disconnected")
    assert left["format"] == "hls"
    assert left["bytes"] >= len(SEGMENT) + len(INIT)


async def test_the_key_of_a_viewing_reaches_no_log(bench: HttpBench, plane: ScriptedHls) -> None:
    with structlog.testing.capture_logs() as logs:
        folder = await viewing(bench)
        for file in (*FILES, "seg-99.m4s", "live.m3u8?_HLS_part=1"):
            await get(bench, f"{folder}/{file}")
        plane.shares[0].end("source_lost", "gone")
        await get(bench, f"{folder}/live.m3u8")
    assert any(line["event"] == "http_request_handled" for line in logs)
    assert folder.removeprefix("/hls/") not in str(logs)


async def test_the_end_of_the_gateway_ends_viewings(tmp_path: Path) -> None:
    plane = ScriptedHls()
    async with http_bench(tmp_path, hls=plane) as bench:
        await viewing(bench)
        await viewing(bench)
    assert all(share.left.is_set() for share in plane.shares)


def test_viewings_under_uvloop(tmp_path: Path) -> None:
    async def play() -> None:
        plane = ScriptedHls()
        async with http_bench(tmp_path, hls=plane) as bench:
            folder = await viewing(bench)
            assert (await get(bench, f"{folder}/seg-4.m4s"))[1] == SEGMENT
            assert (await get(bench, f"{folder}/part-4.1.m4s"))[1] == PART

    uvloop.run(play())
