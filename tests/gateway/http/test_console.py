"""Console sessions: set-up, login and its throttle, the cookie and what must come with it, logout, passwords."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.policy import Role
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.users import UserBook
from gateway.sharing.users_session import MAX_SESSIONS_PER_USER, SessionBook
from tests.support.console import ConsoleClient, console_client
from tests.support.http import ADMIN, HttpBench, http_bench
from tests.support.http_sharing import BOSS, USER_PASSWORD

pytestmark = pytest.mark.net

CONSOLE = "/api/v1/console"
SESSION = f"{CONSOLE}/session"
NEW = "another-lamp-on-the-quay"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


@pytest.fixture
async def page(bench: HttpBench) -> AsyncIterator[ConsoleClient]:
    async with console_client(bench.url) as client:
        yield client


def recorded(bench: HttpBench) -> list[tuple[str, str, str, str]]:
    return [
        (entry.action, entry.object_id, entry.result, entry.reason)
        for entry in bench.sharing.audit.of(AuditKind.USER)
    ]


# Set-up


async def test_the_first_admin_is_made_with_the_admin_token_and_is_logged_in(
    bench: HttpBench, page: ConsoleClient
) -> None:
    _, before, _ = await page.call("GET", CONSOLE)
    body = {"admin_token": ADMIN, "name": "Wang Fang"[:4], "password": USER_PASSWORD}
    status, session, answer = await page.call("POST", f"{CONSOLE}/setup", json=body)
    _, after, _ = await page.call("GET", CONSOLE)
    assert (before["setup_required"], status, after["setup_required"]) == (True, 201, False)
    assert (session["user"], session["role"], session["department"]) == ("wang", "admin", "")
    cookie = answer.headers["Set-Cookie"]
    assert re.match(r"gbgw_session=[\w-]{43}; ", cookie)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert (await page.call("GET", "/api/v1/users"))[0] == 200
    assert recorded(bench) == [
        ("create", "user:wang", "ok", ""),
        ("login", "user:wang", "ok", ""),
    ]
    status, refused, _ = await page.call("POST", f"{CONSOLE}/setup", json=body)
    assert (status, refused["code"]) == (409, "setup_done")


async def test_set_up_without_the_admin_token_makes_nobody(
    bench: HttpBench, page: ConsoleClient
) -> None:
    body = {"admin_token": "guessed", "name": "mallory", "password": USER_PASSWORD}
    status, refused, answer = await page.call("POST", f"{CONSOLE}/setup", json=body)
    assert (status, refused["code"]) == (401, "credential_wrong")
    assert "WWW-Authenticate" in answer.headers
    assert bench.sharing.users.all() == []
    assert recorded(bench) == [("setup", "user:?", "failed", "credential_wrong")]


async def test_of_two_set_ups_at_once_one_makes_the_admin(bench: HttpBench) -> None:
    async with console_client(bench.url) as one, console_client(bench.url) as other:
        body = {"admin_token": ADMIN, "password": USER_PASSWORD}
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    client.call("POST", f"{CONSOLE}/setup", json=body | {"name": name})
                )
                for client, name in ((one, "anna"), (other, "bert"))
            ]
    assert sorted(task.result()[0] for task in tasks) == [201, 409]
    assert len(bench.sharing.users.all()) == 1


async def test_a_weak_password_is_refused_with_the_reason(page: ConsoleClient) -> None:
    body = {"admin_token": ADMIN, "name": "wang", "password": "password2026!"}
    status, refused, _ = await page.call("POST", f"{CONSOLE}/setup", json=body)
    assert (status, refused["code"]) == (422, "password_weak")
    assert "tried first" in refused["detail"]


async def test_behind_https_the_cookie_is_for_https_only(tmp_path: Path) -> None:
    async with http_bench(tmp_path, public_url="https://video.example") as bench:
        await bench.sharing.user()
        async with console_client(bench.url) as page:
            _, _, answer = await page.call(
                "POST", f"{CONSOLE}/login", json={"name": "alice", "password": USER_PASSWORD}
            )
            assert "Secure" in answer.headers["Set-Cookie"].split("; ")
            status, _, _ = await page.call(
                "POST",
                f"{CONSOLE}/login",
                json={"name": "alice", "password": USER_PASSWORD},
                headers={"Origin": "https://video.example"},
            )
            assert status == 200


# Login


async def test_names_are_the_same_in_any_case_and_width(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user("\uff21LICE", Role.OPERATOR, display_name="Alice Li")
    status, body = await page.login("Alice")
    assert (status, body["user"], body["display_name"]) == (200, "alice", "Alice Li")
    assert {"catalog", "live", "ptz"} <= set(body["scopes"])
    _, me, _ = await page.call("GET", "/api/v1/me")
    assert (me["label"], me["user"], me["role"]) == ("user:alice", "alice", "operator")
    assert me["expires_at"] == body["expires_at"]


@pytest.mark.parametrize("name", ["alice", "nobody-here", "x" * 1000, "\x00", ""])
async def test_a_wrong_password_and_a_name_nobody_has_get_the_same_answer(
    bench: HttpBench, page: ConsoleClient, name: str
) -> None:
    await bench.sharing.user()
    status, body = await page.login(name, "not-the-password-at-all")
    assert (status, body["code"]) == (401, "login_failed")
    assert body["detail"] == "The name or the password is wrong"
    assert page.cookie == ""
    known = "user:alice" if name == "alice" else "user:?"
    assert recorded(bench)[-1] == ("login", known, "failed", "login_failed")


async def test_a_name_nobody_has_takes_a_hash_too(
    bench: HttpBench, page: ConsoleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    hasher = bench.sharing.users._hasher
    verify = hasher.verify

    async def counted(plain: str, encoded: str | None) -> bool:
        compared.append(plain)
        return await verify(plain, encoded)

    monkeypatch.setattr(hasher, "verify", counted)
    await page.login("nobody-here", "whatever-it-may-be")
    assert compared == ["whatever-it-may-be"]


async def test_a_disabled_account_is_told_so_only_with_its_password(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user(disabled=True)
    assert (await page.login("alice", "not-the-password-at-all"))[1]["code"] == "login_failed"
    status, body = await page.login("alice")
    assert (status, body["code"], page.cookie) == (403, "user_disabled", "")


async def test_guessing_waits_longer_each_time_and_the_right_password_must_wait_too(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    codes = [(await page.login("alice", f"guess-number-{n}"))[1]["code"] for n in range(6)]
    assert codes == ["login_failed"] * 5 + ["login_throttled"]
    status, body, answer = await page.call(
        "POST", f"{CONSOLE}/login", json={"name": "alice", "password": USER_PASSWORD}
    )
    assert (status, body["code"]) == (429, "login_throttled")
    assert answer.headers["Retry-After"] == "1"
    waits: list[int] = []
    for _ in range(4):
        bench.clock.advance(waits[-1] if waits else 1)
        await page.login("alice", "guess-again-and-again")
        _, _, answer = await page.call(
            "POST", f"{CONSOLE}/login", json={"name": "alice", "password": USER_PASSWORD}
        )
        waits.append(int(answer.headers["Retry-After"]))
    assert waits == [2, 4, 8, 16]
    bench.clock.advance(16)
    assert (await page.login("alice"))[0] == 200
    assert (await page.login("alice", "one-mistake-after-that"))[0] == 401


async def test_a_flood_at_once_is_throttled_before_any_of_it_was_decided(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(page.login("alice", f"guess-number-{number}")) for number in range(20)
        ]
    codes = [task.result()[1]["code"] for task in tasks]
    assert (codes.count("login_failed"), codes.count("login_throttled")) == (5, 15)


async def test_guessing_many_names_from_one_address_is_throttled(page: ConsoleClient) -> None:
    codes = [(await page.login(f"name{n}", "the-same-guess"))[1]["code"] for n in range(32)]
    assert codes == ["login_failed"] * 30 + ["login_throttled"] * 2


async def test_only_a_page_of_the_gateway_may_log_in(bench: HttpBench, page: ConsoleClient) -> None:
    await bench.sharing.user()
    body = {"name": "alice", "password": USER_PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
        status, refused, _ = await page.call("POST", f"{CONSOLE}/login", json=body, headers=headers)
        assert (status, refused["code"]) == (403, "origin_refused")
    form = "name=alice&password=x"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, refused, _ = await page.call("POST", f"{CONSOLE}/login", data=form, headers=kind)
    assert (status, refused["code"]) == (415, "not_json")


async def test_a_new_login_in_the_same_browser_ends_the_session_before(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    old = page.cookie
    await page.login("alice")
    assert page.cookie != old
    assert bench.sharing.logins.find(old) is None
    assert len(bench.sharing.logins) == 1


async def test_one_user_has_so_many_sessions_and_the_one_unused_for_longest_goes(
    bench: HttpBench,
) -> None:
    user = await bench.sharing.user()
    tokens = []
    for _ in range(MAX_SESSIONS_PER_USER + 1):
        tokens.append(bench.sharing.logins.begin(user, source="10.0.0.1")[0])
        bench.clock.advance(1)
    alive = [bench.sharing.logins.find(token) is not None for token in tokens]
    assert alive == [False] + [True] * MAX_SESSIONS_PER_USER


# The cookie


async def test_what_changes_something_needs_the_csrf_token(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user("boss", Role.ADMIN)
    await page.login("boss")
    body = {"name": "Urban", "zone": "", "contact": ""}
    path = "/api/v1/departments/urban"
    for wrong in ("", "wrong", page.csrf[:-1], page.csrf + "x", "\u00e4"):
        status, refused, _ = await page.call("PUT", path, json=body, csrf=wrong)
        assert (status, refused["code"]) == (403, "csrf_token_wrong"), wrong
    assert bench.sharing.departments.all() == []
    assert (await page.call("PUT", path, json=body))[0] == 200
    _, session, _ = await page.call("GET", SESSION)
    assert session["csrf"] == page.csrf


async def test_pages_of_other_origins_cannot_use_the_cookie(tmp_path: Path) -> None:
    named = "https://wall.example"
    async with http_bench(tmp_path, cors_origins=("*", named)) as bench:
        await bench.sharing.user()
        async with console_client(bench.url, "alice") as page:
            neighbour = bench.url.rpartition(":")[0] + ":1"
            refused: list[dict[str, str]] = [
                {"Origin": "https://evil.example"},
                {"Origin": neighbour},
                {"Origin": "", "Sec-Fetch-Site": "cross-site"},
                {"Origin": "", "Sec-Fetch-Site": "same-site"},
            ]
            for headers in refused:
                status, body, _ = await page.call("GET", "/api/v1/me", headers=headers)
                assert (status, body["code"]) == (403, "origin_refused"), headers
            for headers in ({"Origin": named}, {"Origin": "", "Sec-Fetch-Site": "same-origin"}):
                assert (await page.call("GET", "/api/v1/me", headers=headers))[0] == 200


async def test_a_credential_that_was_chosen_counts_and_not_the_cookie(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    chosen = {"Authorization": f"Bearer {ADMIN}"}
    _, me, _ = await page.call("GET", "/api/v1/me", headers=chosen)
    assert me["label"] == "role:admin"
    status, body, _ = await page.call(
        "GET", "/api/v1/me", headers={"Authorization": "Bearer wrong"}
    )
    assert (status, body["code"]) == (401, "credential_wrong")


async def test_a_session_that_is_unused_for_too_long_is_over(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    for _ in range(3):
        bench.clock.advance(3599)
        assert (await page.call("GET", SESSION))[0] == 200
    bench.clock.advance(3600)
    status, body, answer = await page.call("GET", SESSION)
    assert (status, body["code"]) == (401, "session_expired")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert page.cookie == ""


async def test_a_session_is_over_after_its_longest_time_however_used(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    for _ in range(11):
        bench.clock.advance(3599)
        await page.call("GET", SESSION)
    bench.clock.advance(3599 + 12)
    assert (await page.call("GET", SESSION))[1]["code"] == "session_expired"


@pytest.mark.parametrize("value", ["x", "A" * 43, "A" * 5000, '"quoted"', "a b"])
async def test_a_made_up_cookie_lets_nobody_in(bench: HttpBench, value: str) -> None:
    status, body, _ = await bench.call(
        "GET", SESSION, token=None, headers={"Cookie": f"gbgw_session={value}"}
    )
    assert status == 401
    assert body["code"] in {"session_expired", "credential_missing"}


async def test_the_cookie_is_kept_nowhere(bench: HttpBench, page: ConsoleClient) -> None:
    await bench.sharing.user()
    await page.login("alice")
    kept = repr(bench.sharing.documents.collections) + repr(bench.sharing.audit.entries)
    assert page.cookie not in kept
    assert USER_PASSWORD not in kept
    assert "$argon2id$v=19$m=64,t=1,p=1$" in kept


# Logout and passwords


async def test_logging_out_ends_the_session_and_takes_the_cookie_back(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    cookie = page.cookie
    status, _, _ = await page.call("DELETE", SESSION)
    assert (status, page.cookie) == (204, "")
    status, body, _ = await bench.call(
        "GET", SESSION, token=None, headers={"Cookie": f"gbgw_session={cookie}"}
    )
    assert (status, body["code"]) == (401, "session_expired")
    assert recorded(bench)[-1] == ("logout", "user:alice", "ok", "")


async def test_a_token_has_no_session(bench: HttpBench) -> None:
    for method in ("GET", "DELETE"):
        status, body, _ = await bench.call(method, SESSION)
        assert (status, body["code"]) == (403, "session_missing")


async def test_changing_ones_password_ends_ones_other_sessions(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    async with console_client(bench.url, "alice") as elsewhere:
        status, body, _ = await page.call(
            "POST", f"{CONSOLE}/password", json={"old": USER_PASSWORD, "new": NEW}
        )
        assert (status, body["csrf"]) == (200, page.csrf)
        assert (await elsewhere.call("GET", SESSION))[1]["code"] == "session_expired"
        assert (await page.call("GET", SESSION))[0] == 200
        assert (await elsewhere.login("alice"))[0] == 401
        assert (await elsewhere.login("alice", NEW))[0] == 200


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("not-the-old-password", NEW, (403, "old_password_wrong")),
        (USER_PASSWORD, USER_PASSWORD, (422, "password_unchanged")),
        (USER_PASSWORD, "short", (422, "password_weak")),
        (USER_PASSWORD, "alicealice12", (422, "password_weak")),
    ],
)
async def test_ones_password_is_not_changed_to_anything(
    bench: HttpBench, page: ConsoleClient, old: str, new: str, expected: tuple[int, str]
) -> None:
    await bench.sharing.user()
    await page.login("alice")
    status, body, _ = await page.call("POST", f"{CONSOLE}/password", json={"old": old, "new": new})
    assert (status, body["code"]) == expected
    assert (await page.login("alice"))[0] == 200


async def test_until_the_password_is_changed_nothing_else_may_be_called(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user("boss", Role.ADMIN, must_change_password=True)
    _, session = await page.login("boss")
    assert session["must_change_password"] is True
    for path in ("/api/v1/users", "/api/v1/channels", "/api/v1/status", "/metrics"):
        status, body, _ = await page.call("GET", path)
        assert (status, body["code"]) == (403, "password_change_required"), path
    await page.call("POST", f"{CONSOLE}/password", json={"old": USER_PASSWORD, "new": NEW})
    assert (await page.call("GET", "/api/v1/users"))[0] == 200


# After the gateway's restart


async def test_sessions_and_accounts_survive_a_restart(
    bench: HttpBench, page: ConsoleClient
) -> None:
    await bench.sharing.user()
    await bench.sharing.user("bert")
    await page.login("alice")
    sharing = bench.sharing

    async def restarted(**changes: Any) -> SessionBook:
        users = UserBook(
            sharing.documents,
            departments=sharing.departments,
            keys=sharing.keys,
            changes=ChangeLog(sharing.audit, wall=bench.clock.utc_now, new_id=lambda: "x"),
        )
        hour = timedelta(hours=1)
        logins = SessionBook(
            sharing.documents, users, wall=bench.clock.utc_now, idle=hour, longest=12 * hour
        )
        await users.load()
        await logins.load()
        return logins

    found = (await restarted()).find(page.cookie)
    assert found is not None
    assert found[0].name == "alice"
    # The end of a session that did not reach the disk: the account's epoch did.
    body = sharing.documents.collections["users"]["alice"]
    body["epoch"] += 1
    assert (await restarted()).find(page.cookie) is None


async def test_losing_a_role_ends_the_session_at_once(
    bench: HttpBench, page: ConsoleClient
) -> None:
    user = await bench.sharing.user("boss", Role.ADMIN)
    await bench.sharing.user("other", Role.ADMIN)
    await page.login("boss")
    await bench.sharing.users.change("boss", replace(user.settings, role=Role.VIEWER), by=BOSS)
    assert (await page.call("GET", SESSION))[1]["code"] == "session_expired"
