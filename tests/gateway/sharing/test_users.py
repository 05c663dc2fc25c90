"""The book of users: what holds at once, what a failing store takes back, what survives."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.errors import Conflict, GatewayError, Unavailable
from gateway.domain.policy import Role, Subject
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.keys import KeyBook, KeySettings, Scope
from gateway.sharing.users import UserBook, UserChange
from gateway.sharing.users_model import UserSettings
from gateway.sharing.users_password import PasswordHasher
from gateway.sharing.users_session import TOUCH, SessionBook
from tests.support.platform_book import AuditList, MemoryDocuments, PlainBox
from tests.support.registry import ManualClock

BOSS = Subject(role=Role.ADMIN.value)
PASSWORD = "seven-lamps-on-the-quay"
ADMIN = UserSettings(role=Role.ADMIN)
VIEWER = UserSettings(role=Role.VIEWER)


class Office:
    """Books over one store; `again` is the same after a restart."""

    def __init__(self, documents: MemoryDocuments | None = None, memory_kib: int = 64) -> None:
        self.documents = documents or MemoryDocuments()
        self.clock = ManualClock()
        self.audit = AuditList()
        numbers = itertools.count()
        changes = ChangeLog(self.audit, wall=self.clock.utc_now, new_id=lambda: f"r{next(numbers)}")
        self.departments = DepartmentBook(self.documents, changes)
        self.keys = KeyBook(
            self.documents, box=PlainBox(), departments=self.departments, changes=changes
        )
        self.users = UserBook(
            self.documents,
            departments=self.departments,
            keys=self.keys,
            changes=changes,
            hasher=PasswordHasher(memory_kib),
        )
        hour = timedelta(hours=1)
        self.logins = SessionBook(
            self.documents, self.users, wall=self.clock.utc_now, idle=hour, longest=12 * hour
        )
        self.told: list[UserChange] = []
        self.users.on_changed.append(self.told.append)

    async def again(self, memory_kib: int = 64) -> "Office":
        office = Office(self.documents, memory_kib)
        office.clock = self.clock
        office.logins._wall = self.clock.utc_now
        for book in (office.departments, office.keys, office.users, office.logins):
            await book.load()
        return office

    async def make(self, name: str, settings: UserSettings = VIEWER) -> None:
        await self.users.create(name, PASSWORD, settings, by=BOSS)


async def test_of_two_admins_who_are_removed_at_once_one_stays() -> None:
    office = Office()
    for name in ("anna", "bert"):
        await office.make(name, ADMIN)
    office.documents.held = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(removed(office, name), name=name) for name in ("anna", "bert")]
        await asyncio.sleep(0.01)
        for future in office.documents.held:
            future.set_result(None)
    assert sorted(task.result() for task in tasks) == ["last_admin", "removed"]
    assert len(office.users.all()) == 1


async def removed(office: Office, name: str) -> str:
    try:
        await office.users.remove(name, by=BOSS)
    except Conflict as exc:
        return exc.code
    return "removed"


async def test_of_two_users_of_one_name_made_at_once_one_is_there() -> None:
    office = Office()

    async def made(name: str) -> str:
        try:
            await office.make(name)
        except Conflict as exc:
            return exc.code
        return "made"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(made(name)) for name in ("Anna", "anna", "ANNA")]
    assert sorted(task.result() for task in tasks) == ["made", "user_exists", "user_exists"]


@pytest.mark.parametrize("what", ["create", "change", "password", "remove"])
async def test_what_the_store_cannot_keep_is_taken_back(what: str) -> None:
    office = Office()
    await office.make("root", ADMIN)
    await office.make("li")
    before = office.users.get("li")
    office.documents.broken = True
    work: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: office.make("new"),
        "change": lambda: office.users.change("li", ADMIN, by=BOSS),
        "password": lambda: office.users.set_password("li", PASSWORD + "!", by=BOSS),
        "remove": lambda: office.users.remove("li", by=BOSS),
    }
    with pytest.raises(Unavailable):
        await work[what]()
    assert office.users.get("li") == before
    assert [user.name for user in office.users.all()] == ["li", "root"]


async def test_a_change_ends_what_is_open_before_the_disk_has_it() -> None:
    office = Office()
    await office.make("root", ADMIN)
    await office.make("li")
    token, _ = office.logins.begin(office.users.get("li"), source="here")
    office.documents.held = []
    changing = asyncio.ensure_future(  # noqa: TID251 - a test
        office.users.change("li", replace(VIEWER, disabled=True), by=BOSS)
    )
    await asyncio.sleep(0)
    assert not changing.done()
    assert office.logins.find(token) is None
    for future in office.documents.held:
        if not future.done():
            future.set_result(None)
    await changing
    assert [change.reason for change in office.told[-1:]] == ["user_disabled"]


async def test_a_password_changed_while_an_old_one_is_checked_does_not_let_it_in() -> None:
    office = Office(memory_kib=8192)
    await office.make("li")
    async with asyncio.TaskGroup() as group:
        checking = group.create_task(office.users.authenticate("li", PASSWORD))
        await asyncio.sleep(0)
        user = office.users.get("li")
        office.users._users["li"] = replace(user, password_hash="another")
    assert checking.result() is None


async def test_a_hash_of_older_parameters_is_replaced_at_the_next_login() -> None:
    office = Office()
    await office.make("li")
    later = await office.again(memory_kib=128)
    assert "m=64," in later.users.get("li").password_hash
    assert await later.users.authenticate("li", PASSWORD) is not None
    assert "m=128," in later.users.get("li").password_hash
    assert "m=128," in office.documents.collections["users"]["li"]["password"]
    assert await later.users.authenticate("li", PASSWORD) is not None


async def test_what_cannot_be_read_lets_nobody_in_and_leaves_the_rest() -> None:
    office = Office()
    await office.make("li")
    await office.make("wang")
    office.logins.begin(office.users.get("li"), source="here")
    office.documents.collections["users"]["li"]["role"] = "emperor"
    del office.documents.collections["users"]["li"]["password"]
    office.documents.collections["console_sessions"]["bad"] = {"name": "wang"}
    later = await office.again()
    assert [user.name for user in later.users.all()] == ["wang"]
    assert len(later.logins) == 0


async def test_a_removed_users_keys_are_gone_even_if_the_name_comes_back() -> None:
    office = Office()
    await office.make("li")
    settings = KeySettings(name="Li", scopes=frozenset({Scope.LIVE}))
    issued = await office.keys.create(settings, role="viewer", by=BOSS)
    await office.users.remove("li", by=BOSS)
    assert office.keys.find_bearer(issued.bearer) is None
    await office.make("li")
    assert (await office.again()).keys.all() == []


async def test_sessions_write_their_last_use_down_once_a_minute() -> None:
    office = Office()
    await office.make("li")
    token, session = office.logins.begin(office.users.get("li"), source="here")
    written = office.documents.collections["console_sessions"]
    first = dict(written[session.token_hash])
    for _ in range(59):
        office.clock.advance(1)
        assert office.logins.find(token) is not None
    assert written[session.token_hash] == first
    office.clock.advance(TOUCH.total_seconds() - 59)
    assert office.logins.find(token) is not None
    assert written[session.token_hash] != first
    office.clock.advance(3599)
    later = await office.again()
    assert later.logins.find(token) is not None
    office.clock.advance(3600)
    assert (await office.again()).logins.find(token) is None
    assert written == {}


@pytest.mark.parametrize(
    "name",
    ["", " ", "a" * 65, "-a", "a-", "a b", "a/b", "a\nb", "\u202eabc", "configuration", "any"],
)
async def test_names_that_would_confuse_are_refused(name: str) -> None:
    office = Office()
    with pytest.raises(GatewayError) as caught:
        await office.make(name)
    assert caught.value.code == "invalid_user"
