"""Who may call which route: the table itself makes the cases; signed requests; quotas; limits of failures."""

import json
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway.domain.audit import AuditKind
from gateway.http.route import Access, Route
from gateway.sharing.keys import IssuedKey, Scope
from gateway.sharing.signature import request_signature
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.registry import ManualClock

pytestmark = pytest.mark.net

ME = "/api/v1/me"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


def concrete(route: Route) -> str:
    named = {"device_id": DEVICE, "channel_id": CHANNEL, "session_id": "s1"}
    return re.sub(r"{(\w+)}", lambda match: named.get(match[1], "x1"), route.path)


async def signed(
    bench: HttpBench,
    key: IssuedKey,
    method: str = "GET",
    target: str = ME,
    body: bytes = b"",
    **changes: Any,
) -> tuple[int, Any]:
    """Send a signed request; `changes` replace what is signed (`secret`) or sent (headers by name)."""
    stamp = changes.pop("timestamp", str(int(bench.clock.utc_now().timestamp())))
    nonce = changes.pop("nonce", f"nonce-{time.monotonic_ns()}")
    secret = changes.pop("secret", key.secret)
    why = changes.pop("why", None)
    signature = request_signature(secret, method, target, stamp, nonce, body, why=why)
    headers = {
        "X-Gb-Key": key.key.key_id,
        "X-Gb-Timestamp": stamp,
        "X-Gb-Nonce": nonce,
        "X-Gb-Signature": signature,
        "Content-Type": "application/json",
        **changes,
    }
    url = URL(bench.url + target, encoded=True)
    async with bench.client.request(method, url, data=body, headers=headers) as answer:
        raw = await answer.read()
        return answer.status, json.loads(raw) if raw else None


def refusals(bench: HttpBench) -> list[tuple[str, str, str]]:
    return [
        (entry.object_id, entry.reason, entry.subject.get("key", ""))
        for entry in bench.sharing.audit.of(AuditKind.KEY)
        if entry.action == "authenticate"
    ]


# The table


async def test_every_route_refuses_a_key_that_lacks_its_scope(bench: HttpBench) -> None:
    lacking = {scope: await bench.sharing.key("urban", *(set(Scope) - {scope})) for scope in Scope}
    everything = await bench.sharing.key("urban")
    seen = {}
    for route in bench.server.routes:
        if route.access in {Access.OPEN, Access.ANY}:
            continue
        scope = route.access.scope
        key = everything if scope is None else lacking[scope]
        status, body, _ = await bench.call(route.method, concrete(route), token=key.bearer)
        word = body["code"] if route.method != "HEAD" else "scope_missing"
        seen[f"{route.method} {route.path}"] = (status, word, scope is None)
    assert set(seen.values()) == {(403, "scope_missing", False), (403, "role_missing", True)}, seen
    assert len(seen) > 75


async def test_every_route_with_a_scope_lets_a_key_with_it_past_the_door(bench: HttpBench) -> None:
    keys = {scope: await bench.sharing.key("urban", scope) for scope in Scope}
    for route in bench.server.routes:
        if route.access.scope is None or route.method == "HEAD":
            continue
        key = keys[route.access.scope]
        _, body, _ = await bench.call(route.method, concrete(route), token=key.bearer)
        code = body.get("code") if isinstance(body, dict) else None
        assert code not in {"scope_missing", "role_missing", "credential_wrong"}, route


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        (
            "viewer",
            {Access.OPERATOR, Access.ADMIN, Access.PTZ, Access.CONFIG, Access.GRANTS}
            | {Access.AUDIT_OWN, Access.WEBHOOKS, Access.ALARM},
        ),
        (
            "operator",
            {Access.ADMIN, Access.CONFIG, Access.GRANTS, Access.AUDIT_OWN, Access.WEBHOOKS},
        ),
    ],
)
async def test_our_own_people_may_call_what_their_role_says(
    bench: HttpBench, role: str, refused: set[Access]
) -> None:
    key = await bench.sharing.key(role=role)
    for route in bench.server.routes:
        if route.access is Access.OPEN or route.access is Access.STREAM:
            continue
        status, body, _ = await bench.call(route.method, concrete(route), token=key.bearer)
        code = body.get("code") if isinstance(body, dict) else None
        forbidden = status == 403 and code in {"scope_missing", "role_missing"}
        assert forbidden is (route.access in refused), route


async def test_nothing_of_the_configuration_is_for_departments(bench: HttpBench) -> None:
    for route in bench.server.routes:
        tags = {"platforms", "policy", "stops", "accesses", "keys", "system"}
        seen_by_all = {"get_overview"}  # a department sees its own share in it
        closed = route.access is not Access.OPEN and route.name not in seen_by_all
        if route.tag in tags and closed:
            assert route.access.scope is None, route
        own = {"webhooks", "console"}  # one's own webhooks, one's own session
        if route.method in {"PUT", "DELETE"} and route.tag not in own:
            assert route.access in {Access.ADMIN, Access.OPERATOR}, route


async def test_me_says_who_calls(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", Scope.LIVE, Scope.CATALOG, max_streams=3)
    _, body, _ = await bench.call("GET", ME, token=key.bearer)
    assert (body["department"], body["key_id"]) == ("urban", key.key.key_id)
    assert (body["scopes"], body["max_streams"], body["role"]) == (["catalog", "live"], 3, "")
    _, body, _ = await bench.call("GET", ME)
    assert (body["role"], body["max_streams"], body["label"]) == ("admin", None, "role:admin")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"disabled": True}, "key_disabled"),
        ({"expires_at": "past"}, "key_expired"),
    ],
)
@pytest.mark.parametrize("signs", [False, True])
async def test_a_key_that_is_disabled_or_expired_opens_nothing_and_is_on_record(
    bench: HttpBench, change: dict[str, Any], code: str, signs: bool
) -> None:
    if "expires_at" in change:
        change = {"expires_at": bench.clock.utc_now() - timedelta(seconds=1)}
    key = await bench.sharing.key("urban", **change)
    if signs:
        status, body = await signed(bench, key)
    else:
        status, body, _ = await bench.call("GET", ME, token=key.bearer)
    assert (status, body["code"]) == (401, code)
    assert refusals(bench) == [(f"key:{key.key.key_id}", code, key.key.key_id)]


async def test_the_secret_is_no_bearer_token(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    for token in (key.secret, f"{key.key.key_id}.{key.secret}"):
        status, body, _ = await bench.call("GET", ME, token=token)
        assert (status, body["code"]) == (401, "credential_wrong")


# Signed requests


async def test_a_signed_request_passes_with_its_query_and_body(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    assert (await signed(bench, key))[0] == 200
    target = "/api/v1/channels?q=%E5%9F%8E&limit=5"
    assert (await signed(bench, key, target=target))[0] == 200
    body = json.dumps({"url": "https://receiver.example/"}).encode()
    status, made = await signed(bench, key, "POST", "/api/v1/webhooks", body)
    assert (status, made["webhook"]["department"]) == (201, "urban")


async def test_a_replayed_request_is_refused_until_its_time_stamp_is(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    stamp = str(int(bench.clock.utc_now().timestamp()))
    once: dict[str, Any] = {"timestamp": stamp, "nonce": "the-same-nonce"}
    assert (await signed(bench, key, **once))[0] == 200
    for seconds, code in ((0, "nonce_used"), (299, "nonce_used"), (2, "timestamp_skewed")):
        bench.clock.advance(seconds)
        status, body = await signed(bench, key, **once)
        assert (status, body["code"]) == (401, code)
    assert [reason for _, reason, _ in refusals(bench)] == [
        "nonce_used",
        "nonce_used",
        "timestamp_skewed",
    ]
    assert {who for _, _, who in refusals(bench)} == {key.key.key_id}


async def test_a_nonce_is_each_keys_own(bench: HttpBench) -> None:
    first, second = await bench.sharing.key(), await bench.sharing.key()
    assert (await signed(bench, first, nonce="the-same-nonce"))[0] == 200
    assert (await signed(bench, second, nonce="the-same-nonce"))[0] == 200


@pytest.mark.parametrize(("skew", "status"), [(-300, 200), (300, 200), (-302, 401), (302, 401)])
async def test_clocks_may_differ_by_five_minutes(bench: HttpBench, skew: int, status: int) -> None:
    key = await bench.sharing.key()
    bench.clock.advance(1000)
    stamp = str(int(bench.clock.utc_now().timestamp()) + skew)
    got, body = await signed(bench, key, timestamp=stamp)
    assert got == status
    assert status == 200 or body["code"] == "timestamp_skewed"


async def test_what_was_sent_before_a_restart_cannot_be_sent_again_after_it(
    tmp_path: Path,
) -> None:
    async with http_bench(tmp_path / "before") as bench:
        key = await bench.sharing.key()
        bench.clock.advance(500)
        once: dict[str, Any] = {
            "timestamp": str(int(bench.clock.utc_now().timestamp())),
            "nonce": "the-same-nonce",
        }
        assert (await signed(bench, key, **once))[0] == 200
    clock = ManualClock()
    clock.advance(502)
    async with http_bench(tmp_path / "after", clock=clock) as bench:
        # The same key, as it would be read from the store.
        bench.sharing.keys._keys[key.key.key_id] = key.key
        for _ in range(3):
            status, body = await signed(bench, key, **once)
            assert (status, body["code"]) == (401, "timestamp_skewed")
            bench.clock.advance(149)
        # What is signed now passes; so does, later on, what a slow clock dates before the start.
        assert (await signed(bench, key))[0] == 200


async def test_a_clock_that_was_wrong_at_the_start_refuses_signed_requests_for_minutes_only(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key()
    bench.clock.start -= timedelta(days=400)
    assert (await signed(bench, key))[1]["code"] == "timestamp_skewed"
    bench.clock.advance(301)
    assert (await signed(bench, key))[0] == 200


async def test_a_future_request_cannot_be_replayed_when_its_time_has_come(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key()
    once: dict[str, Any] = {
        "timestamp": str(int(bench.clock.utc_now().timestamp()) + 300),
        "nonce": "from-future",
    }
    assert (await signed(bench, key, **once))[0] == 200
    for _ in range(10):
        bench.clock.advance(59.9)
        assert (await signed(bench, key, **once))[1]["code"] == "nonce_used"


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "another secret"},
        {"X-Gb-Signature": "0" * 64},
        {"X-Gb-Nonce": "another-nonce"},
        {"X-Gb-Timestamp": "1795248001"},
        {"X-Gb-Key": "gbk000000000000"},
    ],
)
async def test_a_signature_that_does_not_fit_is_refused_and_on_record(
    bench: HttpBench, change: dict[str, Any]
) -> None:
    key = await bench.sharing.key()
    status, body = await signed(bench, key, **change)
    assert (status, body["code"]) == (401, "signature_wrong")
    claimed = change.get("X-Gb-Key", key.key.key_id)
    # Nobody knows who that was: the key is only what was claimed.
    assert refusals(bench) == [(f"key:{claimed}", "signature_wrong", "")]


async def test_method_path_query_and_body_are_all_signed(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    stamp = str(int(bench.clock.utc_now().timestamp()))
    signature = request_signature(
        key.secret, "GET", "/api/v1/channels?limit=5", stamp, "nonce-000", b""
    )
    sent: dict[str, Any] = {"timestamp": stamp, "nonce": "nonce-000", "X-Gb-Signature": signature}
    for method, target, body in (
        ("POST", "/api/v1/channels?limit=5", b""),
        ("GET", "/api/v1/channels", b""),
        ("GET", "/api/v1/channels?limit=50", b""),
        ("GET", "/api/v1/devices?limit=5", b""),
        ("GET", "/api/v1/channels?limit=5", b"{}"),
    ):
        status, answer = await signed(bench, key, method, target, body, **sent)
        assert (status, answer["code"]) == (401, "signature_wrong")
    assert (await signed(bench, key, "GET", "/api/v1/channels?limit=5", **sent))[0] == 200


async def test_what_a_request_is_for_is_signed_where_it_is_said_in_headers(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key()
    sent: dict[str, Any] = {"X-Gb-Purpose": "case%207", "X-Gb-Ticket": "T-1"}
    target = f"/api/v1/channels/{DEVICE}/{CHANNEL}"
    for why, status in (
        (("case%207", "T-1"), 404),
        (None, 401),
        (("case%208", "T-1"), 401),
        (("case%207", ""), 401),
        (("case 7", "T-1"), 401),
    ):
        assert (await signed(bench, key, target=target, why=why, **sent))[0] == status
    ticket: dict[str, Any] = {"X-Gb-Ticket": "T-1"}
    assert (await signed(bench, key, target=target, why=("", "T-1"), **ticket))[0] == 404
    assert (await signed(bench, key, target=target, why=("case%207", "T-1")))[0] == 401
    (entry,) = bench.sharing.audit.of(AuditKind.ACCESS)[:1]
    assert (entry.purpose, entry.ticket) == ("case 7", "T-1")


@pytest.mark.parametrize(
    "change",
    [
        {"X-Gb-Timestamp": "now"},
        {"X-Gb-Timestamp": "1" * 13},
        {"X-Gb-Timestamp": "-1"},
        {"X-Gb-Nonce": "short"},
        {"X-Gb-Nonce": "x" * 65},
        {"X-Gb-Nonce": "with spaces"},
        {"X-Gb-Signature": "A" * 64},
        {"X-Gb-Signature": "0" * 63},
        {"X-Gb-Key": "../../etc"},
        {"X-Gb-Key": ""},
    ],
)
async def test_malformed_headers_are_refused_by_name(
    bench: HttpBench, change: dict[str, Any]
) -> None:
    key = await bench.sharing.key()
    status, body = await signed(bench, key, **change)
    assert (status, body["code"]) == (401, "signature_malformed")
    assert next(iter(change)) in body["detail"]


async def test_a_missing_or_doubled_header_and_a_second_credential_are_refused(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key()
    good = {
        "X-Gb-Key": key.key.key_id,
        "X-Gb-Timestamp": "1",
        "X-Gb-Nonce": "nonce-000",
        "X-Gb-Signature": "0" * 64,
    }
    for name, value in good.items():
        headers = [(k, v) for k, v in good.items() if k != name]
        for sent in (headers, [*headers, (name, value), (name, value)]):
            async with bench.client.get(bench.url + ME, headers=sent) as answer:
                assert (answer.status, (await answer.json(content_type=None))["code"]) == (
                    401,
                    "signature_malformed",
                )
    status, body, _ = await bench.call("GET", ME, token=key.bearer, headers=good)
    assert (status, body["code"]) == (401, "invalid_credential")


async def test_a_signed_body_may_not_be_bigger_than_its_path_takes(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    status, body = await signed(bench, key, "POST", "/api/v1/webhooks", b" " * 70_000)
    assert (status, body["code"]) == (413, "body_too_large")


# Quotas


async def test_a_key_has_so_many_requests_a_minute_and_no_more(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", requests_per_minute=6)
    other = await bench.sharing.key("urban", requests_per_minute=6)
    for _ in range(6):
        assert (await bench.call("GET", ME, token=key.bearer))[0] == 200
    status, body, answer = await bench.call("GET", ME, token=key.bearer)
    assert (status, body["code"], answer.headers["Retry-After"]) == (429, "quota_exceeded", "10")
    assert (await bench.call("GET", ME, token=other.bearer))[0] == 200
    bench.clock.advance(10)
    assert (await bench.call("GET", ME, token=key.bearer))[0] == 200
    assert (await bench.call("GET", ME, token=key.bearer))[0] == 429
    bench.clock.advance(3600)
    statuses = [(await bench.call("GET", ME, token=key.bearer))[0] for _ in range(7)]
    assert statuses == [200] * 6 + [429]


async def test_a_stranger_who_replays_a_request_does_not_use_up_the_quota(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key("urban", requests_per_minute=3)
    for _ in range(10):
        await signed(bench, key, nonce="the-same-nonce")
    assert (await signed(bench, key))[0] == 200
    assert (await signed(bench, key))[0] == 200
    assert (await signed(bench, key))[0] == 429


async def test_nonces_are_bounded_by_refusing_not_by_forgetting(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", requests_per_minute=1)
    codes = [(await signed(bench, key, nonce=f"nonce-{n:04}"))[1].get("code") for n in range(115)]
    assert codes.count("quota_exceeded") == 111
    assert codes[-1] == "too_many_nonces"
    assert (await signed(bench, key, nonce="nonce-0001"))[1]["code"] == "nonce_used"


async def test_too_many_failures_from_one_address_get_a_short_answer_and_no_record(
    tmp_path: Path,
) -> None:
    async with http_bench(tmp_path, auth_failures=5) as bench:
        key = await bench.sharing.key()
        statuses = [(await signed(bench, key, secret="wrong"))[0] for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        status, body, answer = await bench.call("GET", ME, token="wrong-token-wrong")
        assert (status, body["code"], answer.headers["Retry-After"]) == (
            429,
            "too_many_failures",
            "12",
        )
        assert len(refusals(bench)) == 5
        # Whoever has a good credential behind the same address is not locked out.
        assert (await bench.call("GET", ME))[0] == 200
        assert (await signed(bench, key))[0] == 200
        bench.clock.advance(12)
        assert (await bench.call("GET", ME, token="wrong-token-wrong"))[0] == 401


async def test_signing_headers_are_allowed_to_pages_of_configured_origins(tmp_path: Path) -> None:
    async with http_bench(tmp_path, cors_origins=("https://console.example",)) as bench:
        headers = {
            "Origin": "https://console.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "x-gb-key",
        }
        async with aiohttp.ClientSession() as client:
            answer = await client.options(bench.url + ME, headers=headers)
            assert "X-Gb-Signature" in answer.headers["Access-Control-Allow-Headers"]
