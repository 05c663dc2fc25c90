"""Every route refuses what has no business there; the table itself makes the cases."""

import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.http.route import Access, Route
from gateway.http.tokens import Tokens
from tests.support.http import (
    ADMIN,
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    http_bench,
)

pytestmark = pytest.mark.net

OPEN_PATHS = {"/healthz", "/readyz", "/player", "/player.js", "/player.css", "/api/v1/console"}
LOGIN = {"/api/v1/console/login", "/api/v1/console/setup"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


def concrete(route: Route) -> str:
    named = {"device_id": DEVICE, "channel_id": CHANNEL, "session_id": "s1"}
    return re.sub(r"{(\w+)}", lambda match: named.get(match[1], "x1"), route.path)


def guarded(bench: HttpBench) -> list[Route]:
    return [route for route in bench.server.routes if route.access is not Access.OPEN]


async def test_only_health_and_the_login_page_are_open(bench: HttpBench) -> None:
    opened = {r.path for r in bench.server.routes if r.access is Access.OPEN}
    pages = {path for path in opened if path == "/" or path.startswith("/console")}
    assert opened - pages == OPEN_PATHS | LOGIN
    assert len(guarded(bench)) >= 25


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "credential_missing"),
        ("Bearer wrong-token-wrong-token", "credential_wrong"),
        ("Bearer ", "invalid_credential"),
        (f"Basic {ADMIN}", "invalid_credential"),
        ("Bearer t\u00f6ken", "credential_wrong"),
    ],
)
async def test_every_route_refuses_a_missing_or_wrong_credential(
    bench: HttpBench, authorization: str | None, code: str
) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    seen = {}
    for route in guarded(bench):
        status, body, answer = await bench.call(
            route.method, concrete(route), token=None, headers=headers
        )
        challenge = answer.headers["WWW-Authenticate"]
        word = body["code"] if route.method != "HEAD" else code
        seen[f"{route.method} {route.path}"] = (status, word, challenge.split()[0])
    assert set(seen.values()) == {(401, code, "Bearer")}, seen


@pytest.mark.parametrize("kind", ["admin", "cli", "stream"])
async def test_no_route_takes_a_general_token_or_a_foreign_one_in_the_query(
    bench: HttpBench, kind: str
) -> None:
    token = {
        "admin": ADMIN,
        "cli": bench.server.cli_token,
        "stream": bench.stream_token(f"{OTHER_DEVICE}/{SHARED_CHANNEL}"),
    }[kind]
    refused = 403 if kind == "stream" else 401
    for route in guarded(bench):
        expected = refused if route.access is Access.STREAM else 401
        status, _, _ = await bench.call(
            route.method, concrete(route), token=None, params={"token": token}
        )
        assert status == expected, route


@pytest.mark.parametrize("as_bearer", [False, True])
async def test_an_expired_stream_token_is_refused_everywhere(
    bench: HttpBench, as_bearer: bool
) -> None:
    token = bench.stream_token(ttl=30)
    bench.clock.advance(30)
    for route in guarded(bench):
        options = {} if as_bearer else {"params": {"token": token}}
        status, body, _ = await bench.call(
            route.method, concrete(route), token=token if as_bearer else None, **options
        )
        assert status == 401, route
        expired = route.access is Access.STREAM and route.method == "GET" and not as_bearer
        assert not expired or body["code"] == "token_expired"


async def test_a_stream_token_opens_its_stream_and_nothing_else(bench: HttpBench) -> None:
    query = {"token": bench.stream_token()}
    for path in (f"/live/{DEVICE}/{CHANNEL}.flv", f"/live/{CHANNEL}.mp4"):
        status, _, _ = await bench.call("HEAD", path, token=None, params=query)
        assert status == 200
    status, _, _ = await bench.call("GET", "/api/v1/devices", token=query["token"])
    assert status == 401


@pytest.mark.parametrize("tamper", ["", "x", "A.B", "....", "\u00e9", "A" * 5000, "MTox.QQ"])
async def test_a_forged_stream_token_is_refused(bench: HttpBench, tamper: str) -> None:
    status, _, _ = await bench.call(
        "GET", f"/live/{DEVICE}/{CHANNEL}.flv", token=None, params={"token": tamper}
    )
    assert status == 401


async def test_changing_any_character_of_a_stream_token_invalidates_it(bench: HttpBench) -> None:
    token = bench.stream_token()
    for position in range(0, len(token), 7):
        other = "A" if token[position] != "A" else "B"
        forged = token[:position] + other + token[position + 1 :]
        status, body, _ = await bench.call(
            "GET", f"/live/{DEVICE}/{CHANNEL}.flv", token=None, params={"token": forged}
        )
        assert (status, body["code"]) == (401, "token_invalid")


async def test_unknown_paths_do_not_tell_strangers_that_they_are_unknown(bench: HttpBench) -> None:
    for path in ("/nothing", "/api/v1/nothing", "/live/x.avi", "/player/../api"):
        assert (await bench.call("GET", path, token=None))[0] == 401
    assert (await bench.call("GET", "/api/v1/nothing"))[0] == 404


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_open_paths_need_no_credential(bench: HttpBench, path: str) -> None:
    assert (await bench.call("GET", path, token=None))[0] == 200


async def test_the_cli_token_of_this_start_opens_the_api(bench: HttpBench) -> None:
    path = bench.data_dir / "cli.token"
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await bench.call("GET", "/api/v1/devices", token=token))[0] == 200


def test_the_first_start_makes_an_admin_token_once_and_keeps_its_hash(tmp_path: Path) -> None:
    first = Tokens.open(tmp_path)
    second = Tokens.open(tmp_path)
    assert first.new_admin_token is not None
    assert second.new_admin_token is None
    assert second.accepts(first.new_admin_token)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert first.new_admin_token.encode() not in kept


def test_the_stream_key_survives_a_restart_and_the_cli_token_does_not(tmp_path: Path) -> None:
    first, second = Tokens.open(tmp_path), Tokens.open(tmp_path)
    token = first.streams.sign("a/b", 1000)
    assert second.streams.read(token, 999.0).stream_id == "a/b"
    assert not second.accepts(first.cli_token)
    assert stat.S_IMODE((tmp_path / "stream.key").stat().st_mode) == 0o600


def test_a_configured_admin_token_replaces_the_generated_one(tmp_path: Path) -> None:
    generated = Tokens.open(tmp_path).new_admin_token
    assert generated is not None
    configured = Tokens.open(tmp_path, "configured-admin-token")
    assert configured.accepts("configured-admin-token")
    assert not configured.accepts(generated)


def test_only_the_own_cli_token_file_is_withdrawn(tmp_path: Path) -> None:
    first, second = Tokens.open(tmp_path), Tokens.open(tmp_path)
    first.withdraw(tmp_path)
    assert (tmp_path / "cli.token").exists()
    second.withdraw(tmp_path)
    assert not (tmp_path / "cli.token").exists()
