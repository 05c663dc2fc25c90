"""Users over HTTP: accounts, their keys, who is logged in where; what a change ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.policy import Role
from gateway.sharing.keys import KeySettings, Scope
from tests.support.console import console_client
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.http_sharing import BOSS, USER_PASSWORD

pytestmark = pytest.mark.net

USERS = "/api/v1/users"
PLAY = f"/api/v1/channels/{DEVICE}/{CHANNEL}/play"
MAY_SEE = (
    '[[rule]]\nid = "see"\neffect = "allow"\nsubjects = {departments = ["urban"]}\n'
    'actions = ["catalog"]'
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        await running.sharing.user("root", Role.ADMIN)
        yield running


async def test_an_account_is_made_shown_changed_and_removed(bench: HttpBench) -> None:
    body = {
        "name": "王芳",
        "password": USER_PASSWORD,
        "role": "operator",
        "display_name": "王芳 (值班)",
        "max_streams": 20,
    }
    status, made, _ = await bench.call("POST", USERS, json=body)
    assert (status, made["name"], made["role"], made["max_streams"]) == (
        201,
        "王芳",
        "operator",
        20,
    )
    assert "password" not in made
    assert set(made["scopes"]) >= {"catalog", "live", "ptz"}
    path = f"{USERS}/王芳"
    assert (await bench.call("GET", path))[1] == made
    status, changed, _ = await bench.call("PATCH", path, json={"role": "viewer"})
    assert (status, changed["role"], changed["display_name"]) == (200, "viewer", "王芳 (值班)")
    _, listed, _ = await bench.call("GET", USERS)
    assert [item["name"] for item in listed["items"]] == ["root", "王芳"]
    assert (await bench.call("DELETE", path))[0] == 204
    status, missing, _ = await bench.call("GET", path)
    assert (status, missing["code"]) == (404, "user_unknown")
    done = [
        (entry.action, entry.object_id)
        for entry in bench.sharing.audit.of(AuditKind.USER)
        if entry.object_id != "user:root"
    ]
    assert done == [("create", "user:王芳"), ("change", "user:王芳"), ("delete", "user:王芳")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "ROOT"}, (409, "user_exists")),
        ({"name": "a b"}, (422, "invalid_user")),
        ({"name": "-dash"}, (422, "invalid_user")),
        ({"name": "a/b"}, (422, "invalid_user")),
        ({"name": "configuration"}, (422, "invalid_user")),
        ({"name": "x" * 65}, (422, "invalid_body")),
        ({"name": ""}, (422, "invalid_body")),
        ({"password": "short"}, (422, "password_weak")),
        ({"password": "x" * 2000}, (422, "invalid_body")),
        ({"role": "king"}, (422, "invalid_body")),
        ({"department": "nowhere"}, (404, "department_unknown")),
        ({"zone": "no zone"}, (422, "invalid_code")),
        ({"max_streams": -1}, (422, "invalid_body")),
        ({"admin": True}, (422, "invalid_body")),
    ],
)
async def test_an_account_that_cannot_be_is_refused(
    bench: HttpBench, changes: dict[str, object], expected: tuple[int, str]
) -> None:
    body = {"name": "li", "password": USER_PASSWORD, **changes}
    status, refused, _ = await bench.call("POST", USERS, json=body)
    assert (status, refused["code"]) == expected
    assert len(bench.sharing.users.all()) == 1


async def test_people_of_a_department_are_no_admins(bench: HttpBench) -> None:
    await bench.sharing.key("urban")
    body = {"name": "li", "password": USER_PASSWORD, "department": "urban", "role": "admin"}
    status, refused, _ = await bench.call("POST", USERS, json=body)
    assert (status, refused["code"]) == (422, "invalid_user")
    status, made, _ = await bench.call("POST", USERS, json=body | {"role": "operator"})
    assert status == 201
    assert "config" not in made["scopes"]
    status, refused, _ = await bench.call("DELETE", "/api/v1/departments/urban")
    assert (status, refused["code"]) == (409, "department_in_use")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"disabled": True}),
        ("PATCH", {"role": "viewer"}),
        ("PATCH", {"role": "operator", "department": "urban"}),
        ("DELETE", None),
    ],
)
async def test_the_last_admin_stays(
    bench: HttpBench, method: str, body: dict[str, object] | None
) -> None:
    await bench.sharing.user("urbanist", department="urban")
    await bench.sharing.user("asleep", Role.ADMIN, disabled=True)
    status, refused, _ = await bench.call(method, f"{USERS}/root", json=body)
    assert (status, refused["code"]) == (409, "last_admin")
    await bench.sharing.user("second", Role.ADMIN)
    assert (await bench.call(method, f"{USERS}/root", json=body))[0] in {200, 204}


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 403), (Role.ADMIN, 200)]
)
async def test_only_admins_see_users(bench: HttpBench, role: Role, status: int) -> None:
    await bench.sharing.user("li", role)
    async with console_client(bench.url, "li") as page:
        assert (await page.call("GET", USERS))[0] == status


async def test_people_of_a_department_are_outsiders_whom_the_policy_governs(
    bench: HttpBench,
) -> None:
    await bench.sharing.apply(MAY_SEE)
    await bench.sharing.user("li", Role.OPERATOR, "urban")
    async with console_client(bench.url, "li") as page:
        _, me, _ = await page.call("GET", "/api/v1/me")
        assert (me["label"], me["department"], me["role"]) == ("user:li", "urban", "")
        assert (await page.call("GET", "/api/v1/channels"))[1]["total"] > 0
        for path in ("/api/v1/status", "/api/v1/users", "/api/v1/policy", "/metrics"):
            status, body, _ = await page.call("GET", path)
            assert (status, body["code"]) == (403, "role_missing"), path
        bench.sharing.audit.entries.clear()
        status, body, _ = await page.call("POST", PLAY)
        assert (status, body["code"]) == (403, "no_rule")
    refused = bench.sharing.audit.of(AuditKind.ACCESS)
    assert [(entry.subject, entry.result) for entry in refused] == [
        ({"department": "urban", "user": "li"}, "deny")
    ]


async def test_sessions_are_listed_without_their_cookie_and_ended_together(
    bench: HttpBench,
) -> None:
    await bench.sharing.user("li")
    path = f"{USERS}/li/sessions"
    async with console_client(bench.url, "li") as one, console_client(bench.url, "li") as other:
        _, listed, _ = await bench.call("GET", path)
        assert listed["total"] == 2
        assert one.cookie not in str(listed)
        assert listed["items"][0]["source"] == "127.0.0.1"
        assert (await bench.call("GET", f"{USERS}/li"))[1]["sessions"] == 2
        assert (await bench.call("DELETE", path))[0] == 204
        for page in (one, other):
            assert (await page.call("GET", "/api/v1/me"))[1]["code"] == "session_expired"


async def test_a_password_given_by_an_admin_must_be_changed_and_ends_the_sessions(
    bench: HttpBench,
) -> None:
    await bench.sharing.user("li")
    given = "a-password-of-the-admin"
    async with console_client(bench.url, "li") as page:
        status, user, _ = await bench.call("POST", f"{USERS}/li/password", json={"password": given})
        assert (status, user["must_change_password"]) == (200, True)
        assert (await page.call("GET", "/api/v1/me"))[1]["code"] == "session_expired"
        status, session = await page.login("li", given)
        assert (status, session["must_change_password"]) == (200, True)


@pytest.mark.parametrize("change", [{"display_name": "Li"}, {"max_streams": 2}])
async def test_what_is_only_named_or_counted_otherwise_ends_nothing(
    bench: HttpBench, change: dict[str, object]
) -> None:
    await bench.sharing.user("li")
    async with console_client(bench.url, "li") as page:
        await bench.call("PATCH", f"{USERS}/li", json=change)
        assert (await page.call("GET", "/api/v1/me"))[0] == 200


# Keys of users


async def test_a_key_that_names_a_user_shares_its_fate(bench: HttpBench) -> None:
    await bench.sharing.user("li", Role.OPERATOR)
    key = await bench.sharing.keys.create(
        KeySettings(name="LI", scopes=frozenset(Scope)), role="operator", by=BOSS
    )

    async def me() -> tuple[int, str, set[str]]:
        status, body, _ = await bench.call("GET", "/api/v1/me", token=key.bearer)
        return status, body.get("code", body.get("role")), set(body.get("scopes", ()))

    status, role, scopes = await me()
    assert (status, role) == (200, "operator")
    assert "ptz" in scopes
    await bench.call("PATCH", f"{USERS}/li", json={"role": "viewer"})
    status, role, scopes = await me()
    assert (status, role) == (200, "viewer")
    assert "ptz" not in scopes
    await bench.call("PATCH", f"{USERS}/li", json={"disabled": True})
    assert (await me())[:2] == (401, "key_disabled")
    await bench.call("PATCH", f"{USERS}/li", json={"disabled": False})
    assert (await me())[0] == 200
    await bench.call("DELETE", f"{USERS}/li")
    assert (await me())[:2] == (401, "credential_wrong")
    assert bench.sharing.keys.find(key.key.key_id) is None


async def test_a_key_cannot_be_made_for_a_user_who_may_not_use_it(bench: HttpBench) -> None:
    await bench.sharing.user("li", department="urban")
    await bench.sharing.user("gone", disabled=True)
    for name in ("li", "GONE"):
        body = {"role": "viewer", "name": name, "scopes": ["live"]}
        status, refused, _ = await bench.call("POST", "/api/v1/keys", json=body)
        assert (status, refused["code"]) == (422, "invalid_key")


# The store


async def test_what_cannot_be_kept_is_not_done(bench: HttpBench) -> None:
    await bench.sharing.user("li")
    bench.sharing.documents.broken = True
    body = {"name": "new", "password": USER_PASSWORD}
    for method, path, sent in (
        ("POST", USERS, body),
        ("PATCH", f"{USERS}/li", {"disabled": True}),
        ("POST", f"{USERS}/li/password", {"password": "another-lamp-on-the-quay"}),
        ("DELETE", f"{USERS}/li", None),
    ):
        status, refused, _ = await bench.call(method, path, json=sent)
        assert (status, refused["code"]) == (503, "store_unavailable")
    assert [user.name for user in bench.sharing.users.all()] == ["li", "root"]
    # One can log in nevertheless; only the restart would not know.
    async with console_client(bench.url, "li") as page:
        assert (await page.call("GET", "/api/v1/me"))[0] == 200
    bench.sharing.documents.broken = False
