"""Every route of a whole gateway, every face on, against everybody who may not call it.

The cases are made from the route table. What the table cannot say stands in the lists below: a new route that is open,
that people outside may call, or whose path has a new kind of name fails here until somebody has thought about it.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway.app import Gateway
from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.policy import Role
from gateway.http.route import Access, Route
from gateway.http.server import HttpServer
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.keys import ROLE_SCOPES, KeySettings, Scope
from gateway.sharing.users_model import DEPARTMENT_SCOPES, UserSettings
from gb28181.aio.clock import monotonic
from tests.support.console import ConsoleClient, console_client
from tests.support.gateway import gateway_settings
from tests.support.http_sharing import BOSS, USER_PASSWORD
from tests.support.registry import DEVICE, address, camera, registration

pytestmark = pytest.mark.net

CHANNEL = camera(1).channel_id
OTHER = camera(2).channel_id
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /api/v1/console",
    "POST /api/v1/console/setup",
    "POST /api/v1/console/login",
}
"""Whoever comes may call these, and the static files."""
STATIC = re.compile(r"GET (/|/player[.\w]*|/console(/.*)?)")
VIEWING = re.compile(r"(GET|HEAD) /hls/{viewing_id}/.*|(GET|PATCH|DELETE) /whep/sessions/{whep_id}")
"""Parts of something that was opened: nobody can guess their address."""
OWN = {
    "list_channels", "list_devices", "list_sessions", "list_streams", "list_tree", "get_overview", "list_webhooks", "list_grants",
    "search_own_audit", "list_recorded_channels",
}  # fmt: skip
"""A department may call these and is shown its own: here nothing."""
MADE = {"create_webhook", "apply_for_grant"}
"""A department may make these for itself."""
OBJECTS = {
    "get_session", "get_webhook", "change_webhook", "delete_webhook", "test_webhook", "get_grant",
    "withdraw_application", "get_recording", "download_recording_file", "probe_download_recording_file", "get_device",
    "list_device_channels", "get_device_status",
}  # fmt: skip
"""A department gets its own; of anybody else's it is not told whether there is such a thing."""
_IDS = (
    "session_id hook_id key_id grant_id stop_id access_id viewing_id whep_id push_id source_id "
    "file_id"
)
NAMED = {
    "device_id": DEVICE,
    "channel_id": CHANNEL,
    "department": "urban",
    "name": "victim",
    "number": "1",
    "part": "1",
    "file": "nothing.js",
    "folder": "lib",
    "platform_id": "37130000002000000001",
    **dict.fromkeys(_IDS.split(), "0123456789abcdef"),
}
QUERIES = {
    "start": "2026-11-20T00:00:00Z",
    "from": "2026-11-20T00:00:00Z",
    "to": "2026-11-20T01:00:00Z",
}
DAYS = {"from": "2026-11-01", "to": "2026-11-20"}
BODIES: dict[str, Any] = {
    "move_camera": {"command": "move", "pan": 10},
    "control_drag_zoom": {
        "direction": "in",
        "window_width": 100,
        "window_height": 100,
        "x": 50,
        "y": 50,
        "width": 10,
        "height": 10,
    },
    "control_record": {"record": True},
    "control_guard": {"guard": True},
    "control_home_position": {"enabled": False},
}
"""What people outside must send to get as far as the policy."""


@dataclass
class Site:
    """A whole gateway, and an HTTP server of it that does not tire of refusing."""

    gateway: Gateway
    server: HttpServer
    http: aiohttp.ClientSession
    recorded: list[AuditEntry] = field(default_factory=list)

    def routes(self) -> Iterator[Route]:
        yield from self.server.routes

    async def call(
        self, route: Route, *, query: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, str]:
        """Status and problem code."""
        url = URL(self.server.url + concrete(route), encoded=True).update_query(query or {})
        async with self.http.request(route.method, url, allow_redirects=False, **options) as answer:
            body = await answer.json(content_type=None) if "json" in answer.content_type else None
            return answer.status, code_in(body)

    async def key(self, scopes: frozenset[Scope], department: str = "urban") -> str:
        settings = KeySettings(name="t", scopes=scopes, requests_per_minute=6000)
        issued = await self.gateway.sharing.keys.create(settings, department=department, by=BOSS)
        return issued.bearer

    async def user(self, name: str, role: Role, **settings: Any) -> None:
        await self.gateway.sharing.users.create(
            name, USER_PASSWORD, UserSettings(role=role, **settings), by=BOSS
        )

    def accesses(self) -> list[tuple[str, str]]:
        """Result and object of every access on record since the last time."""
        found = [(e.result, e.object_id) for e in self.recorded if e.kind is AuditKind.ACCESS]
        self.recorded.clear()
        return found


def code_in(body: object) -> str:
    """Return the code of a problem; HEAD has no body to tell it."""
    return str(body.get("code", "")) if isinstance(body, dict) else ""


def concrete(route: Route) -> str:
    missing = set(re.findall(r"{(\w+)}", route.path)) - set(NAMED)
    assert not missing, f"{route.path}: what is {missing}?"
    return re.sub(r"{(\w+)}", lambda match: NAMED[match[1]], route.path)


def line(route: Route) -> str:
    return f"{route.method} {route.path}"


def guarded(site: Site) -> list[Route]:
    return [r for r in site.routes() if r.access not in {Access.OPEN, Access.VIEWING}]


def needed(route: Route) -> set[str]:
    """Parameters without which nobody gets further."""
    fields = route.query.model_fields.items() if route.query is not None else ()
    return {field.alias or name for name, field in fields if field.is_required()}


def queried(route: Route) -> dict[str, str]:
    names = needed(route)
    values = NAMED | (DAYS if names >= {"from", "to"} else QUERIES)
    return {name: values[name] for name in names}


def is_of_a_channel(route: Route) -> bool:
    return "{channel_id}" in route.path or "channel_id" in needed(route)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    recorded: list[AuditEntry] = []
    record = AuditLog.record

    def noted(log: AuditLog, entry: AuditEntry) -> None:
        recorded.append(entry)
        record(log, entry)

    monkeypatch.setattr(AuditLog, "record", noted)
    settings = gateway_settings(tmp_path, rtmp={"enabled": True, "port": 0}, rtsp={"port": 0})
    async with Gateway(settings) as gateway:
        gateway.registry.registered(registration(at=address("127.0.0.1", 9)), monotonic())
        await gateway.registry.replace_catalog(DEVICE, [camera(1), camera(2)], complete=True)
        await gateway.sharing.departments.save("urban", name="Urban", by=BOSS)
        # Nobody here comes from anywhere else: without this the tests themselves would be a flood.
        options = replace(gateway.http._options, port=0, auth_failures=1_000_000)
        server = HttpServer(gateway.http._deps, options)
        async with server, aiohttp.ClientSession() as http:
            recorded.clear()
            yield Site(gateway, server, http, recorded)


async def test_what_is_open_is_listed_here(site: Site) -> None:
    opened = {line(r) for r in site.routes() if r.access is Access.OPEN}
    viewing = {line(r) for r in site.routes() if r.access is Access.VIEWING}
    assert {name for name in opened if not STATIC.fullmatch(name)} == OPEN
    assert {name for name in viewing if not VIEWING.fullmatch(name)} == set()
    # All faces are on.
    for name in (
        "watch_whep",
        "watch_hls",
        "get_snapshot",
        "play_recording",
        "add_source",
        "add_push",
    ):
        assert any(route.name == name for route in site.routes()), name
    assert len(guarded(site)) > 130


STRANGERS: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
    ({}, {}),
    ({"Authorization": "Bearer not-a-token-of-this-gateway"}, {}),
    ({"Authorization": "Basic YWRtaW46YWRtaW4="}, {}),
    ({"Authorization": "Bearer gbk000000000000.0123456789abcdef"}, {}),
    ({"Cookie": "gbgw_session=" + "A" * 43}, {}),
    ({"X-Gb-Key": "gbk000000000000"}, {}),
    (
        {
            "X-Gb-Key": "gbk000000000000",
            "X-Gb-Timestamp": "1",
            "X-Gb-Nonce": "12345678",
            "X-Gb-Signature": "0" * 64,
        },
        {},
    ),
    ({}, {"token": "not.a-token"}),
)


async def test_nobody_without_a_credential_gets_past_the_door(site: Site) -> None:
    wrong = {}
    for headers, query in STRANGERS:
        for route in guarded(site):
            answer = await site.call(route, headers=headers, query=query)
            if answer[0] != 401:
                wrong[line(route)] = (answer, headers, query)
    assert wrong == {}
    assert site.accesses() == []


async def test_what_was_opened_has_no_address_that_can_be_guessed(site: Site) -> None:
    for headers, query in STRANGERS:
        for route in site.routes():
            if route.access is Access.VIEWING:
                status, _ = await site.call(route, headers=headers, query=query)
                assert status in {404, 415, 422}, line(route)


async def test_streams_take_no_other_streams_token_and_no_websocket_of_a_strange_page(
    site: Site,
) -> None:
    now = int(site.gateway.http._deps.wall().timestamp())
    foreign = site.server.tokens.streams.sign(f"{DEVICE}/{OTHER}", now + 60)
    expired = site.server.tokens.streams.sign(f"{DEVICE}/{CHANNEL}", now - 1)
    streams = [route for route in site.routes() if route.access is Access.STREAM]
    assert len(streams) >= 14
    offer = {"data": b"v=0\r\n", "headers": {"Content-Type": "application/sdp"}}
    for route in streams:
        sent: dict[str, Any] = offer if route.method == "POST" else {}
        status, code = await site.call(route, query={"token": foreign}, **sent)
        assert (status, code or "token_for_other_stream") == (403, "token_for_other_stream"), route
        status, code = await site.call(route, query={"token": expired}, **sent)
        assert (status, code or "token_expired") == (401, "token_expired"), route
    await site.user("root", Role.ADMIN)
    async with console_client(site.server.url, "root") as page:
        for route in streams:
            if route.method != "GET" or route.path.endswith("m3u8"):
                continue
            for origin in ("", "https://evil.example"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await page.http.ws_connect(
                        site.server.url + concrete(route), headers={"Origin": origin}
                    )
                assert caught.value.status == 403, route


async def test_a_key_with_all_scopes_but_the_needed_one_is_refused(site: Site) -> None:
    lacking = {scope: await site.key(frozenset(Scope) - {scope}) for scope in Scope}
    everything = await site.key(frozenset(Scope))
    for route in guarded(site):
        if route.access is Access.ANY:
            continue
        scope = route.access.scope
        bearer = everything if scope is None else lacking[scope]
        status, code = await site.call(route, headers={"Authorization": f"Bearer {bearer}"})
        expected = "role_missing" if scope is None else "scope_missing"
        assert (status, code or expected) == (403, expected), line(route)
    assert site.accesses() == []


ROLES: dict[tuple[Role, str], set[Access]] = {
    (Role.VIEWER, ""): {Access.LOCAL},
    (Role.OPERATOR, ""): {Access.LOCAL, Access.OPERATOR},
    (Role.VIEWER, "urban"): set(),
    (Role.OPERATOR, "urban"): set(),
}
"""Which kinds of route without a scope people may call."""


async def test_people_may_not_call_what_their_role_does_not_say(site: Site) -> None:
    for number, ((role, department), kinds) in enumerate(ROLES.items()):
        name = f"user{number}"
        await site.user(name, role, department=department)
        scopes = (DEPARTMENT_SCOPES if department else ROLE_SCOPES)[role]
        async with console_client(site.server.url, name) as page:
            refused = [
                route
                for route in guarded(site)
                if route.access is not Access.ANY
                and (route.access.scope or route.access) not in scopes | kinds
            ]
            assert len(refused) > 30
            for route in refused:
                status, code = await called(site, page, route)
                assert status == 403, (line(route), role, department)
                assert code in {"role_missing", "scope_missing", ""}, line(route)
    assert site.accesses() == []


async def called(site: Site, page: ConsoleClient, route: Route, **options: Any) -> tuple[int, str]:
    status, body, _ = await page.call(route.method, concrete(route), **options)
    return status, code_in(body)


async def test_nothing_is_changed_with_the_cookie_alone(site: Site) -> None:
    await site.user("root", Role.ADMIN)
    site.recorded.clear()
    async with console_client(site.server.url, "root") as page:
        csrf = page.csrf
        unsafe = [route for route in guarded(site) if route.method in UNSAFE]
        assert len(unsafe) > 60
        for route in unsafe:
            for wrong in ("", "x" * len(csrf)):
                answer = await called(site, page, route, csrf=wrong)
                assert answer == (403, "csrf_token_wrong"), line(route)
            foreign = {"Origin": "https://evil.example", "X-CSRF-Token": csrf}
            answer = await called(site, page, route, headers=foreign)
            assert answer == (403, "origin_refused"), line(route)
        assert (await page.call("GET", "/api/v1/console/session"))[0] == 200
    kinds = {(entry.kind, entry.action) for entry in site.recorded}
    assert kinds == {(AuditKind.USER, "login")}


async def test_until_the_password_is_changed_every_door_is_shut(site: Site) -> None:
    await site.user("root", Role.ADMIN, must_change_password=True)
    async with console_client(site.server.url, "root") as page:
        for route in guarded(site):
            if route.access is Access.ANY:
                continue
            status, code = await called(site, page, route)
            assert (status, code or "password_change_required") == (
                403,
                "password_change_required",
            ), line(route)


def fault(route: Route, status: int, accesses: list[tuple[str, str]]) -> str:
    """Say what is wrong with the answer to somebody who is given nothing; empty if it is right."""
    results = [result for result, _ in accesses]
    if is_of_a_channel(route):
        right = status in {403, 404} and results == ["deny"]
    elif route.name in OWN:
        right = status == 200 and set(results) <= {"allow"}
    elif route.name in OBJECTS:
        right = status == 404
    elif route.name in MADE:
        right = True
    else:
        return f"{line(route)} is in none of the lists of this module"
    return "" if right else f"{line(route)} answered {status} and recorded {accesses}"


async def faults(
    site: Site, page: ConsoleClient, scopes: frozenset[Scope], headers: dict[str, str]
) -> list[str]:
    found = []
    for route in guarded(site):
        if route.access.scope not in scopes:
            continue
        options: dict[str, Any] = {"headers": headers}
        if route.access is Access.STREAM and route.method == "POST":
            options["headers"] = headers | {"Content-Type": "application/sdp"}
            options["data"] = b"v=0\r\n"
        elif route.body is not None:
            options["json"] = BODIES.get(route.name, {})
        site.recorded.clear()
        status, _, _ = await page.call(
            route.method, concrete(route), params=queried(route), **options
        )
        found.append(fault(route, status, site.accesses()))
    return [words for words in found if words]


async def test_what_the_policy_does_not_give_is_refused_and_recorded_exactly_once(
    site: Site,
) -> None:
    await site.user("zhao", Role.OPERATOR, department="urban")
    async with console_client(site.server.url, "zhao") as page:
        scopes = DEPARTMENT_SCOPES[Role.OPERATOR]
        assert await faults(site, page, scopes, {"X-CSRF-Token": page.csrf}) == []
    everything = frozenset(Scope)
    async with console_client(site.server.url) as program:
        headers = {"Authorization": f"Bearer {await site.key(everything)}"}
        assert await faults(site, program, everything, headers) == []


async def test_of_what_is_listed_people_outside_are_shown_nothing(site: Site) -> None:
    headers = {"Authorization": f"Bearer {await site.key(frozenset(Scope))}"}
    for route in site.routes():
        if route.name not in OWN:
            continue
        url = site.server.url + route.path
        async with site.http.get(url, params=queried(route), headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, route.name
            assert DEVICE not in text, route.name
            assert CHANNEL not in text, route.name
