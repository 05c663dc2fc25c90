"""Watching under policy: play tokens, obligations, quotas, and the ends in words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.errors import Unavailable
from gateway.domain.policy import Action
from gateway.domain.session import EndReason
from gateway.sharing.keys import IssuedKey, KeySettings, Scope
from tests.support.http import (
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    Watcher,
    http_bench,
    session_failed,
)
from tests.support.http_sharing import BOSS
from tests.support.policy import rule
from tests.support.registry import camera

pytestmark = pytest.mark.net

PLAY = f"/api/v1/channels/{DEVICE}/{CHANNEL}/play"
URBAN = '{ departments = ["urban"] }'
ONE = f'{{ channels = ["{CHANNEL}"] }}'
MAY_WATCH = rule("watch", subjects=URBAN, objects=ONE)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with asyncio.timeout(20), http_bench(tmp_path) as running:
        await running.sharing.apply(MAY_WATCH)
        running.sharing.audit.entries.clear()
        yield running


async def played(bench: HttpBench, key: IssuedKey, **body: Any) -> dict[str, str]:
    """Ask for the stream; return its URLs."""
    status, answer, _ = await bench.call("POST", PLAY, token=key.bearer, json=body)
    assert status == 200, answer
    assert answer["single_use"]
    urls: dict[str, str] = answer["urls"]
    return urls


async def opened(bench: HttpBench, url: str) -> tuple[int, dict[str, Any] | None]:
    """Open a URL of a stream that ends at once."""
    async with asyncio.TaskGroup() as group:
        ender = group.create_task(end_next(bench))
        async with bench.client.get(url) as answer:
            body = await answer.json(content_type=None) if answer.status >= 400 else None
            await answer.read()
        ender.cancel()
    return answer.status, body


async def end_next(bench: HttpBench) -> None:
    watcher = await bench.sessions.watchers.get()
    watcher.sink.write(b"data")
    watcher.sink.close("source_lost", "The device went away")


async def watching(bench: HttpBench, url: str) -> tuple[aiohttp.ClientResponse, Watcher]:
    """Open a URL and let it give its first bytes."""
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(bench.client.get(url))
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(b"data")
    return asked.result(), watcher


def records(bench: HttpBench) -> list[AuditEntry]:
    return bench.sharing.audit.of(AuditKind.ACCESS, AuditKind.END)


async def settled(bench: HttpBench) -> None:
    while bench.server.viewers:
        await asyncio.sleep(0.005)


# Tokens


async def test_a_departments_url_opens_once(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    urls = await played(bench, key)
    assert (await opened(bench, urls["flv"]))[0] == 200
    for name in ("flv", "mp4"):
        status, body = await opened(bench, urls[name])
        assert (status, body and body["code"]) == (401, "token_used")


async def test_of_two_who_open_it_at_once_one_gets_through(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", max_streams=50)
    for _ in range(10):
        url = (await played(bench, key))["flv"]
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(opened(bench, url)) for _ in range(4)]
        assert sorted(task.result()[0] for task in tries) == [200, 401, 401, 401]
        await settled(bench)


async def test_head_does_not_use_a_token_up(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    for _ in range(2):
        async with bench.client.head(url) as answer:
            assert answer.status == 200
    assert (await opened(bench, url))[0] == 200


async def test_an_unused_token_lives_for_a_minute(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    bench.clock.advance(60)
    status, body = await opened(bench, url)
    assert (status, body and body["code"]) == (401, "token_expired")


async def test_a_token_is_worthless_after_a_restart_used_or_not(tmp_path: Path) -> None:
    async with http_bench(tmp_path) as bench:
        await bench.sharing.apply(MAY_WATCH)
        key = await bench.sharing.key()
        path = (await played(bench, key))["flv"].removeprefix(bench.url)
        documents = bench.sharing.documents.collections
    async with http_bench(tmp_path) as again:
        again.sharing.documents.collections.update(documents)
        await again.sharing.departments.load()
        await again.sharing.keys.load()
        await again.sharing.apply(MAY_WATCH)
        status, body = await opened(again, again.url + path)
        assert (status, body and body["code"]) == (401, "token_expired")


@pytest.mark.parametrize(
    ("change", "code"), [({"disabled": True}, "key_disabled"), ("delete", "token_invalid")]
)
async def test_a_token_goes_with_its_key(bench: HttpBench, change: Any, code: str) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    key_id = key.key.key_id
    if change == "delete":
        await bench.sharing.keys.delete(key_id, by=BOSS)
    else:
        settings = KeySettings(scopes=frozenset(Scope), **change)
        await bench.sharing.keys.change(key_id, settings, by=BOSS)
    status, body = await opened(bench, url)
    assert (status, body and body["code"]) == (401, code)


async def test_a_token_opens_its_own_stream_only(bench: HttpBench) -> None:
    await bench.sharing.apply(rule("watch", subjects=URBAN))
    key = await bench.sharing.key()
    token = (await played(bench, key))["flv"].partition("token=")[2]
    other = camera(2).channel_id
    for path in (f"/live/{DEVICE}/{other}.flv", f"/live/{OTHER_DEVICE}/{SHARED_CHANNEL}.mp4"):
        status, body = await opened(bench, f"{bench.url}{path}?token={token}")
        assert (status, body and body["code"]) == (403, "token_for_other_stream")


async def test_the_admins_urls_may_be_opened_again_and_again(bench: HttpBench) -> None:
    _, answer, _ = await bench.call("POST", PLAY)
    assert not answer["single_use"]
    for _ in range(2):
        assert (await opened(bench, answer["urls"]["flv"]))[0] == 200
    assert [(e.kind, e.result) for e in records(bench)] == [
        (AuditKind.ACCESS, "allow"),
        (AuditKind.END, "source_lost"),
    ] * 2


async def test_the_longest_purpose_and_ticket_fit_into_a_token(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    urls = await played(bench, key, purpose="查" * 200, ticket="票" * 64)
    assert (await opened(bench, urls["ws_flv"].replace("ws://", "http://")))[0] == 200
    entry = records(bench)[0]
    assert (entry.purpose, entry.ticket) == ("查" * 200, "票" * 64)
    status, _, _ = await bench.call("POST", PLAY, token=key.bearer, json={"purpose": "x" * 201})
    assert status == 422


# One record each


async def test_a_watch_is_one_record_with_its_end_and_asking_is_none(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban")
    urls = await played(bench, key, purpose="case 7", ticket="T-1")
    assert records(bench) == []
    await opened(bench, urls["flv"])
    allowed, end = records(bench)
    assert (allowed.result, allowed.rule, allowed.action) == ("allow", "watch", "live")
    assert allowed.subject == {"department": "urban", "key": key.key.key_id}
    assert (allowed.object_id, allowed.via) == (f"{DEVICE}/{CHANNEL}", "http")
    assert (allowed.device_id, allowed.channel_id) == (DEVICE, CHANNEL)
    assert (allowed.purpose, allowed.ticket, allowed.source) == ("case 7", "T-1", "127.0.0.1")
    assert (end.kind, end.ref, end.result) == (AuditKind.END, allowed.entry_id, "source_lost")


async def test_a_viewer_who_leaves_ends_the_access(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    answer, watcher = await watching(bench, (await played(bench, key))["flv"])
    assert len(list(bench.sharing.access.accesses())) == 1
    answer.close()
    await watcher.detached.wait()
    await settled(bench)
    assert records(bench)[-1].result == "viewer_left"
    assert list(bench.sharing.access.accesses()) == []


async def test_a_stream_that_does_not_come_is_an_access_that_ended(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    bench.sessions.refuse = session_failed(EndReason.INVITE_REFUSED, "486 Busy Here", 486)
    async with bench.client.get(url) as answer:
        assert answer.status == 502
    assert [(e.kind.value, e.result) for e in records(bench)] == [
        ("access", "allow"),
        ("end", "invite_refused"),
    ]


async def test_people_outside_are_not_told_what_is_behind_a_failure(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    detail = f"Device {DEVICE} at 10.9.8.7:62000 answered 486 from port 30000"
    bench.sessions.refuse = session_failed(EndReason.INVITE_REFUSED, detail, 486)
    answers = []
    async with bench.client.get(url) as answer:
        answers.append(await answer.json(content_type=None))
    answers.append((await bench.call("POST", PLAY, token=key.bearer))[1])
    for body in answers:
        assert (body["status"], body["code"]) == (502, "invite_refused")
        assert body["detail"] == "The camera refused to send"
        assert "sip_status" not in body
    bench.sessions.refuse = Unavailable("store_unavailable", "sqlite:///var/x.db is locked")
    body = (await bench.call("POST", PLAY, token=key.bearer))[1]
    assert body["detail"] == "This is not to be had at the moment; try again later"
    bench.sessions.refuse = session_failed(EndReason.INVITE_REFUSED, detail, 486)
    body = (await bench.call("POST", PLAY))[1]
    assert (body["detail"], body["sip_status"]) == (detail, 486)


async def test_a_denied_watch_is_one_record_and_says_only_why(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule("see", subjects=URBAN, objects=ONE, actions='["catalog"]'),
        rule(
            "watch",
            subjects=URBAN,
            objects=ONE,
            actions='["live"]',
            context="{ purpose_required = true }",
        ),
    )
    bench.sharing.audit.entries.clear()
    key = await bench.sharing.key()
    status, body, _ = await bench.call("POST", PLAY, token=key.bearer)
    assert (status, body["code"], body["reason"]) == (403, "purpose_required", "purpose_required")
    assert body["detail"] == "This needs a purpose: say what it is for"
    assert "rule" not in body
    assert [(e.kind.value, e.result, e.reason) for e in records(bench)] == [
        ("access", "deny", "purpose_required")
    ]
    urls = await played(bench, key, purpose="case 7")
    assert (await opened(bench, urls["flv"]))[0] == 200
    status, _ = await opened(bench, f"{bench.url}/live/{DEVICE}/{CHANNEL}.flv")
    assert status == 401


async def test_our_own_people_are_told_the_rule(bench: HttpBench) -> None:
    await bench.sharing.apply(rule("no", effect="deny", subjects="{ any = true }"))
    bench.sharing.audit.entries.clear()
    status, body, _ = await bench.call("POST", PLAY)
    assert (status, body["code"], body["rule"]) == (403, "denied", "no")
    assert "no" in body["detail"]
    assert [e.result for e in records(bench)] == ["deny"]
    status, body, _ = await bench.call("GET", f"/live/{DEVICE}/{CHANNEL}.flv")
    assert (status, body["rule"]) == (403, "no")
    assert len(records(bench)) == 2


@pytest.mark.parametrize("path", [f"{DEVICE}/unknown", f"{DEVICE}/{camera(2).channel_id}", "x/y"])
async def test_unknown_and_not_given_are_the_same_404_and_each_is_on_record(
    bench: HttpBench, path: str
) -> None:
    key = await bench.sharing.key()
    answers = []
    for method, url in (
        ("POST", f"/api/v1/channels/{path}/play"),
        ("GET", f"/api/v1/channels/{path}"),
        ("GET", f"/live/{path}.flv"),
        ("HEAD", f"/live/{path}.flv"),
        ("POST", f"/api/v1/channels/{path}/control/iframe"),
    ):
        status, body, _ = await bench.call(method, url, token=key.bearer)
        assert status == 404
        if method != "HEAD":
            answers.append((body["code"], body["detail"].replace(path, "")))
    assert set(answers) == {("channel_unknown", "No channel  is known here")}
    assert [(e.result, e.object_id) for e in records(bench)] == [("deny", path)] * 5


async def test_a_channel_asked_for_by_its_code_alone_is_found_among_ones_own(
    bench: HttpBench,
) -> None:
    """Two devices have this channel; the department is given one of them."""
    only = f'{{ channels = ["{DEVICE}/{SHARED_CHANNEL}"] }}'
    await bench.sharing.apply(rule("watch", subjects=URBAN, objects=only))
    key = await bench.sharing.key()
    url = f"/live/{SHARED_CHANNEL}.flv"
    async with asyncio.TaskGroup() as group:
        group.create_task(end_next(bench))
        status, _, _ = await bench.call("GET", url, token=key.bearer)
    assert status == 200
    assert (await bench.call("GET", url))[0] == 409
    await bench.sharing.apply(rule("none", subjects='{ departments = ["water"] }'))
    assert (await bench.call("GET", url, token=key.bearer))[0] == 404


# Obligations


async def test_who_may_see_the_sub_stream_only_gets_that(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule("watch", subjects=URBAN, objects=ONE, obligations="{ sub_stream = true }")
    )
    key = await bench.sharing.key()
    _, answer, _ = await bench.call("POST", PLAY, token=key.bearer)
    assert (answer["stream"], bench.sessions.records[-1].stream) == (1, 1)
    response, watcher = await watching(bench, answer["urls"]["flv"])
    assert watcher.stream_id == f"{DEVICE}/{CHANNEL}~1"
    response.close()
    await watcher.detached.wait()


async def test_an_obligation_that_came_after_the_token_holds_when_it_is_opened(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key()
    urls = await played(bench, key)
    await bench.sharing.apply(
        rule("watch", subjects=URBAN, objects=ONE, obligations="{ sub_stream = true }")
    )
    response, watcher = await watching(bench, urls["flv"])
    assert watcher.stream_id.endswith("~1")
    response.close()
    await watcher.detached.wait()


async def test_anybody_may_ask_for_the_sub_stream(bench: HttpBench) -> None:
    _, answer, _ = await bench.call("POST", PLAY, json={"stream": 1})
    response, watcher = await watching(bench, answer["urls"]["mp4"])
    assert watcher.stream_id.endswith("~1")
    response.close()
    await watcher.detached.wait()


# Ends


async def test_a_forced_stop_ends_a_viewer_at_once_with_the_reason(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    answer, _ = await watching(bench, (await played(bench, key))["flv"])
    status, order, _ = await bench.call(
        "POST", "/api/v1/stops", json={"everything": True, "reason": "Chemical alarm"}
    )
    assert (status, order["ended"], order["in_force"]) == (201, 1, True)
    assert await answer.content.read() == b"data"
    await settled(bench)
    end = records(bench)[-1]
    assert (end.kind, end.result, end.rule) == (
        AuditKind.END,
        "stopped",
        f"stop:{order['stop_id']}",
    )
    status, _, _ = await bench.call("POST", PLAY, token=key.bearer)
    assert status == 404
    await bench.call("POST", f"/api/v1/stops/{order['stop_id']}/lift")
    await played(bench, key)


async def test_a_websocket_viewer_is_told_the_reason_in_its_close_frame(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["ws_flv"]
    async with aiohttp.ClientSession() as client, client.ws_connect(url) as socket:
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(b"\x82\x04data")
        assert (await socket.receive()).data == b"data"
        await bench.sharing.apply(rule("other", subjects='{ departments = ["water"] }'))
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4000)
        assert message.extra == "no_rule: Nothing shared with you allows this"
    await settled(bench)
    assert records(bench)[-1].result == "no_rule"


async def test_one_who_is_stopped_before_the_first_picture_gets_403(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    url = (await played(bench, key))["flv"]
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(bench.client.get(url))
        await bench.sessions.watchers.get()
        await bench.sharing.apply(rule("other", subjects='{ departments = ["water"] }'))
    async with asked.result() as answer:
        body = await answer.json(content_type=None)
        assert (answer.status, body["code"]) == (403, "no_rule")


async def test_a_revoked_grant_ends_what_it_allowed(bench: HttpBench) -> None:
    await bench.sharing.apply(rule("see", subjects=URBAN, objects=ONE, actions='["catalog"]'))
    key = await bench.sharing.key()
    body = {
        "objects": {"channels": [CHANNEL]},
        "actions": ["live"],
        "purpose": "case 7",
        "until": (bench.clock.utc_now() + timedelta(days=1)).isoformat(),
    }
    _, grant, _ = await bench.call("POST", "/api/v1/grants", token=key.bearer, json=body)
    assert (await bench.call("POST", PLAY, token=key.bearer))[0] == 403
    path = f"/api/v1/grants/{grant['grant_id']}"
    assert (await bench.call("POST", f"{path}/approve"))[0] == 200
    answer, _ = await watching(bench, (await played(bench, key))["flv"])
    assert (await bench.call("POST", f"{path}/revoke", json={"remark": "over"}))[0] == 200
    assert await answer.content.read() == b"data"
    await settled(bench)
    assert records(bench)[-1].result == "revoked"


@pytest.mark.parametrize("change", ["disable", "delete", "scope", "expiry"])
async def test_a_key_that_may_not_watch_any_more_ends_what_it_has_open(
    bench: HttpBench, change: str
) -> None:
    expires = bench.clock.utc_now() + timedelta(seconds=0.2) if change == "expiry" else None
    key = await bench.sharing.key("urban", expires_at=expires)
    other = await bench.sharing.key("urban")
    key_id, book = key.key.key_id, bench.sharing.keys
    answer, _ = await watching(bench, (await played(bench, key))["flv"])
    kept, watcher = await watching(bench, (await played(bench, other))["flv"])
    match change:
        case "disable":
            settings = KeySettings(scopes=frozenset(Scope), disabled=True)
            await book.change(key_id, settings, by=BOSS)
        case "delete":
            await book.delete(key_id, by=BOSS)
        case "scope":
            await book.change(key_id, KeySettings(scopes=frozenset({Scope.CATALOG})), by=BOSS)
        case _:
            pass
    assert await answer.content.read() == b"data"
    while bench.server.viewers > 1:
        await asyncio.sleep(0.005)
    assert records(bench)[-1].result in {"key_disabled", "key_expired", "scope_missing"}
    assert not watcher.detached.is_set()
    kept.close()
    await watcher.detached.wait()


async def test_an_earlier_expiry_of_a_key_ends_what_it_has_open(bench: HttpBench) -> None:
    late = bench.clock.utc_now() + timedelta(days=300)
    for before in (None, late):
        key = await bench.sharing.key("urban", expires_at=before)
        answer, _ = await watching(bench, (await played(bench, key))["flv"])
        soon = (bench.clock.utc_now() + timedelta(seconds=0.2)).isoformat()
        path = f"/api/v1/keys/{key.key.key_id}"
        assert (await bench.call("PATCH", path, json={"expires_at": soon}))[0] == 200
        assert await answer.content.read() == b"data"
        await settled(bench)
        assert records(bench)[-1].result == "key_expired"


async def test_a_later_expiry_of_a_key_leaves_open_what_it_has_open(bench: HttpBench) -> None:
    watchers = []
    for settings in (
        {"name": "renamed"},
        {"expires_at": (bench.clock.utc_now() + timedelta(days=1)).isoformat()},
        {"expires_at": None},
    ):
        soon = bench.clock.utc_now() + timedelta(seconds=3)
        key = await bench.sharing.key("urban", expires_at=soon)
        answer, watcher = await watching(bench, (await played(bench, key))["flv"])
        path = f"/api/v1/keys/{key.key.key_id}"
        status, changed, _ = await bench.call("PATCH", path, json=settings)
        assert status == 200, changed
        watchers.append((answer, watcher))
    await watchers[0][1].detached.wait()
    # The others were to end with it, within the time their opening took.
    await asyncio.sleep(1.0)
    assert records(bench)[-1].result == "key_expired"
    for answer, watcher in watchers[1:]:
        assert not watcher.detached.is_set()
        answer.close()
        await watcher.detached.wait()


async def test_an_operator_can_end_one_access_by_hand(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    answer, _ = await watching(bench, (await played(bench, key, purpose="case 7"))["flv"])
    _, listed, _ = await bench.call("GET", "/api/v1/accesses")
    (access,) = listed["items"]
    assert access["subject"]["label"] == f"key:{key.key.key_id}"
    assert (access["channel_id"], access["purpose"], access["action"]) == (
        CHANNEL,
        "case 7",
        Action.LIVE,
    )
    status, _, _ = await bench.call("DELETE", f"/api/v1/accesses/{access['access_id']}")
    assert status == 200
    assert await answer.content.read() == b"data"
    await settled(bench)
    assert (records(bench)[-1].result, records(bench)[-1].detail) == (
        "ended",
        "Ended by role:admin",
    )
    assert (await bench.call("DELETE", f"/api/v1/accesses/{access['access_id']}"))[0] == 404
    await played(bench, key)


# Quotas


async def test_a_key_has_so_many_streams_open_or_promised(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", max_streams=2)
    first, watcher = await watching(bench, (await played(bench, key))["flv"])
    url = (await played(bench, key))["flv"]
    status, body, answer = await bench.call("POST", PLAY, token=key.bearer)
    assert (status, body["code"]) == (429, "too_many_streams")
    assert "Retry-After" in answer.headers
    assert (await opened(bench, url))[0] == 200
    await played(bench, key)
    assert (await bench.call("POST", PLAY, token=key.bearer))[0] == 429
    bench.clock.advance(61)
    await played(bench, key)
    first.close()
    await watcher.detached.wait()


async def test_asking_for_many_streams_at_once_starts_no_more_cameras_than_may_be_watched(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key("urban", max_streams=2)
    bench.sessions.hold = asyncio.Event()
    bench.sharing.audit.entries.clear()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(bench.call("POST", PLAY, token=key.bearer)) for _ in range(10)]
        while sum(task.done() for task in asking) < 8:
            await asyncio.sleep(0.01)
        bench.sessions.hold.set()
    answers = sorted(task.result()[0] for task in asking)
    assert answers == [200] * 2 + [429] * 8
    assert len(bench.sessions.records) == 2
    assert [(e.result, e.reason) for e in records(bench)] == [("deny", "too_many_streams")] * 8
    bench.sessions.hold = None
    assert (await bench.call("POST", PLAY, token=key.bearer))[0] == 429
    bench.clock.advance(61)
    await played(bench, key)


async def test_a_key_without_streams_left_is_refused_at_the_url_and_on_record(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key("urban", max_streams=1)
    first, watcher = await watching(bench, (await played(bench, key))["flv"])
    bench.sharing.audit.entries.clear()
    status, body, _ = await bench.call("GET", f"/live/{DEVICE}/{CHANNEL}.flv", token=key.bearer)
    assert (status, body["code"]) == (429, "too_many_streams")
    assert [(e.result, e.reason) for e in records(bench)] == [("deny", "too_many_streams")]
    _, me, _ = await bench.call("GET", "/api/v1/me", token=key.bearer)
    assert me["open_streams"] == 1
    first.close()
    await watcher.detached.wait()


async def test_while_nothing_can_be_recorded_departments_get_nothing_new(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    urls = await played(bench, key)
    bench.sharing.audit.ok = False
    status, body, _ = await bench.call("POST", PLAY, token=key.bearer)
    assert (status, body["code"]) == (403, "audit_unavailable")
    status, answer = await opened(bench, urls["flv"])
    assert (status, answer and answer["code"]) == (403, "audit_unavailable")
    assert (await bench.call("POST", PLAY))[0] == 200
