"""`gateway users` and `gateway keys` against a real HTTP server."""

import json
from collections.abc import Awaitable, Callable

import pytest
from typer.testing import Result

from gateway.cli.starting import _console_url
from gateway.config.model import Settings
from gateway.domain.policy import Role
from tests.support.console import console_client
from tests.support.http import HttpBench
from tests.support.http_sharing import USER_PASSWORD

pytestmark = pytest.mark.net

Run = Callable[..., Awaitable[Result]]
STDIN = USER_PASSWORD + "\n"


async def test_a_user_is_added_with_a_password_from_standard_input(
    run: Run, office: HttpBench
) -> None:
    result = await run(
        "users", "add", "Li", "--role", "operator", "--full-name", "李", "--password-stdin",
        stdin=STDIN,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert USER_PASSWORD not in result.output
    user = office.sharing.users.get("li")
    assert (user.settings.role, user.settings.display_name) == (Role.OPERATOR, "李")
    async with console_client(office.url, "li") as page:
        assert (await page.call("GET", "/api/v1/me"))[1]["role"] == "operator"


async def test_the_password_is_asked_for_twice_and_not_echoed(run: Run, office: HttpBench) -> None:
    result = await run("users", "add", "li", stdin=STDIN * 2)
    assert result.exit_code == 0, result.output
    assert USER_PASSWORD not in result.output
    assert office.sharing.users.get("li").settings.role is Role.VIEWER


async def test_a_password_is_no_argument(run: Run, office: HttpBench) -> None:
    for words in (("add", "li", "--password", USER_PASSWORD), ("add", "li", USER_PASSWORD)):
        assert (await run("users", *words)).exit_code == 2
    result = await run("users", "add", "li", "--password-stdin", stdin="")
    assert result.exit_code == 2
    assert office.sharing.users.all() == []


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_accounts_are_listed_and_explained_when_there_are_none(
    run: Run, office: HttpBench, lang: str
) -> None:
    empty = await run("users", "list", lang=lang)
    await office.sharing.user("li", Role.OPERATOR)
    listed = await run("users", "list", lang=lang)
    nowhere = await run("users", "sessions", "li", lang=lang)
    for result in (empty, listed, nowhere):
        assert result.exit_code == 0, result.output
        chinese = any("\u4e00" <= character <= "\u9fff" for character in result.stdout)
        assert chinese is (lang == "zh")
    assert "operator" in listed.stdout
    page = json.loads((await run("users", "list", "--json")).stdout)
    assert [item["name"] for item in page["items"]] == ["li"]


async def test_disabling_ends_what_is_open_and_the_last_admin_stays(
    run: Run, office: HttpBench
) -> None:
    await office.sharing.user("root", Role.ADMIN)
    await office.sharing.user("li")
    async with console_client(office.url, "li") as page:
        sessions = json.loads((await run("users", "sessions", "li", "--json")).stdout)
        assert sessions["total"] == 1
        assert "127.0.0.1" in (await run("users", "sessions", "li")).stdout
        assert (await run("users", "disable", "li")).exit_code == 0
        assert (await page.call("GET", "/api/v1/me"))[0] == 401
        assert (await run("users", "enable", "li")).exit_code == 0
        assert (await page.login("li"))[0] == 200
        assert (await run("users", "logout", "li")).exit_code == 0
        assert (await page.call("GET", "/api/v1/me"))[0] == 401
    for words in (("disable", "root"), ("remove", "root"), ("edit", "root", "--role", "viewer")):
        refused = await run("users", *words)
        assert refused.exit_code == 1
        assert "last_admin" in refused.stderr
    refused = await run("users", "remove", "root", lang="zh")
    assert "这是最后一个管理员" in refused.stderr
    assert (await run("users", "remove", "li")).exit_code == 0
    assert (await run("users", "edit", "root", "--streams", "9", "--json")).exit_code == 0
    assert office.sharing.users.get("root").settings.max_streams == 9


async def test_a_password_is_replaced(run: Run, office: HttpBench) -> None:
    await office.sharing.user("li")
    weak = await run("users", "passwd", "li", "--password-stdin", stdin="password1234\n")
    assert weak.exit_code == 1
    assert "password_weak" in weak.stderr
    new = "another-lamp-on-the-quay"
    done = await run("users", "passwd", "li", "--password-stdin", "--no-must-change", stdin=new)
    assert done.exit_code == 0, done.output
    async with console_client(office.url) as page:
        assert (await page.login("li"))[0] == 401
        status, session = await page.login("li", new)
        assert (status, session["must_change_password"]) == (200, False)


async def test_keys_have_a_group_of_their_own(run: Run, office: HttpBench) -> None:
    await office.sharing.user("li", Role.OPERATOR)
    made = await run(
        "keys", "add", "--role", "operator", "--name", "li", "--scope", "live", "--json"
    )
    assert made.exit_code == 0, made.output
    key_id = json.loads(made.stdout)["key"]["key_id"]
    assert key_id in (await run("keys", "list")).stdout
    assert (await run("keys", "edit", key_id, "--disable")).exit_code == 0
    assert (await run("keys", "rotate", key_id)).exit_code == 0
    assert (await run("keys", "remove", key_id)).exit_code == 0
    assert office.sharing.keys.all() == []


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080/console/"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80/console/"),
        ({"host": "::", "port": 80}, "http://[::1]:80/console/"),
        ({"public_url": "https://video.example/"}, "https://video.example/console/"),
    ],
)
def test_the_first_start_names_the_consoles_address(http: dict[str, object], url: str) -> None:
    assert _console_url(Settings(http=http)) == url  # type: ignore[arg-type]
