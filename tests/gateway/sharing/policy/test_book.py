"""Versions of the policy, kept and put into force."""

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.sharing.policy import book as book_module
from gateway.sharing.policy.book import PolicyBook, PolicyVersion
from gateway.sharing.policy.error import PolicyError
from tests.support.platform_book import AuditList, MemoryDocuments
from tests.support.policy import ADMIN, CITY, rule
from tests.support.registry import ManualClock

ONE = "version = 1\n" + rule("a")
TWO = "version = 1\n" + rule("b")


class Shelf:
    """A book and what is behind it."""

    def __init__(self, documents: MemoryDocuments | None = None) -> None:
        self.documents = documents or MemoryDocuments()
        self.audit = AuditList()
        self.changes = 0
        numbers = itertools.count(1)
        self.book = PolicyBook(
            self.documents,
            ManualClock().utc_now,
            audit=self.audit,
            new_id=lambda: f"r{next(numbers)}",
        )
        self.book.on_changed.append(self._changed)

    def _changed(self) -> None:
        self.changes += 1


async def test_without_a_policy_only_built_in_rules_are_in_force() -> None:
    shelf = Shelf()
    await shelf.book.load()
    assert shelf.book.current.version == 0
    assert shelf.book.current.rules == ()
    assert shelf.book.versions() == []


async def test_an_applied_policy_is_in_force_numbered_recorded_and_told() -> None:
    shelf = Shelf()
    version = await shelf.book.apply(ONE, ADMIN, "first", host="10.0.0.1")
    assert (version.number, version.author, version.comment) == (1, "role:admin", "first")
    assert version.active
    assert version.digest == hashlib.sha256(ONE.encode()).hexdigest()
    assert shelf.book.current.version == 1
    assert shelf.book.current.rule("a") is not None
    assert shelf.changes == 1
    [entry] = shelf.audit.entries
    assert (entry.kind, entry.action, entry.object_id) == (AuditKind.POLICY, "apply", "policy:1")
    assert entry.subject == {"role": "admin"}
    assert (entry.reason, entry.source) == ("first", "10.0.0.1")
    assert version.digest in entry.detail
    assert "1 added" in entry.detail


async def test_a_policy_with_a_mistake_is_refused_whole_and_the_old_one_stays_in_force() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    with pytest.raises(PolicyError, match=r"new.toml, line 9: .* effect: expected allow or deny"):
        await shelf.book.apply(ONE + rule("b", effect="x"), ADMIN, source="new.toml")
    assert shelf.book.current.text == ONE
    assert shelf.changes == 1
    assert [version.number for version in shelf.book.versions()] == [1]
    assert shelf.audit.entries[-1].result == "failed"
    assert "line 9" in shelf.audit.entries[-1].detail
    restarted = Shelf(shelf.documents)
    await restarted.book.load()
    assert restarted.book.current.text == ONE


async def test_the_same_text_again_changes_nothing() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    assert (await shelf.book.apply(ONE.encode(), ADMIN)).number == 1
    assert (shelf.changes, len(shelf.audit.entries)) == (1, 1)


async def test_versions_and_the_active_one_survive_a_restart() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    await shelf.book.apply(TWO, CITY, "second")
    await shelf.book.activate(1, ADMIN, "back")
    again = Shelf(shelf.documents)
    await again.book.load()
    assert again.book.current.text == ONE
    assert again.book.current.version == 1
    assert [(v.number, v.active) for v in again.book.versions()] == [(2, False), (1, True)]
    assert again.book.text(2) == TWO
    assert (await again.book.apply(TWO + "# x\n", ADMIN)).number == 3
    with pytest.raises(NotFound):
        again.book.text(9)


async def test_two_versions_are_compared() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    await shelf.book.apply(TWO, ADMIN)
    found = await shelf.book.diff(1, 2)
    assert (found.added, found.removed) == (("b",), ("a",))
    assert (await shelf.book.diff(0, 1)).added == ("a",)
    with pytest.raises(NotFound):
        await shelf.book.diff(1, 7)


async def test_a_change_made_from_an_older_version_is_refused() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN, expected=0)
    with pytest.raises(Conflict, match="Version 1 is in force, not 0"):
        await shelf.book.apply(TWO, ADMIN, expected=0)
    assert shelf.book.current.text == ONE


async def test_policies_applied_at_once_come_into_force_one_after_the_other() -> None:
    shelf = Shelf()
    texts = ["version = 1\n" + rule(f"r{number}") for number in range(8)]
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(shelf.book.apply(text, ADMIN))
    assert [version.number for version in shelf.book.versions()] == list(range(8, 0, -1))
    again = Shelf(shelf.documents)
    await again.book.load()
    assert again.book.current.text == shelf.book.current.text


async def test_a_policy_that_cannot_be_kept_does_not_come_into_force() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    shelf.documents.broken = True
    with pytest.raises(Unavailable):
        await shelf.book.apply(TWO, ADMIN)
    assert shelf.book.current.text == ONE
    shelf.documents.broken = False
    assert (await shelf.book.apply(TWO, ADMIN)).active


async def test_a_stored_policy_that_cannot_be_read_leaves_outsiders_nothing() -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    shelf.documents.collections["policy"]["00000001"]["text"] = "version = 7"
    again = Shelf(shelf.documents)
    await again.book.load()
    assert again.book.current.rules == ()
    assert "version 1 cannot be used" in again.book.problem
    assert (await again.book.apply(TWO, ADMIN)).number == 2
    assert again.book.problem == ""


@pytest.mark.parametrize("spoiled", [{}, {"number": "x"}, {"text": 5}])
async def test_a_spoiled_document_does_not_keep_the_gateway_from_starting(
    spoiled: dict[str, object],
) -> None:
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    await shelf.book.apply(TWO, ADMIN)
    shelf.documents.collections["policy"]["00000001"] = spoiled
    again = Shelf(shelf.documents)
    await again.book.load()
    assert again.book.current.text == TWO


async def test_the_oldest_versions_go_but_never_the_active_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_module, "MAX_VERSIONS", 3)
    shelf = Shelf()
    for number in range(5):
        await shelf.book.apply("version = 1\n" + rule(f"r{number}"), ADMIN)
    assert [version.number for version in shelf.book.versions()] == [5, 4, 3]
    await shelf.book.activate(3, ADMIN)
    monkeypatch.setattr(book_module, "MAX_VERSIONS", 1)
    monkeypatch.setattr(book_module, "MAX_KEPT_BYTES", 10)
    await shelf.book.apply(TWO, ADMIN)
    assert [version.number for version in shelf.book.versions()] == [6]
    assert sorted(shelf.documents.collections["policy"]) == ["00000006", "active"]


async def test_a_version_that_goes_while_it_is_asked_for_is_not_put_into_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_module, "MAX_VERSIONS", 1)
    shelf = Shelf()
    await shelf.book.apply(ONE, ADMIN)
    held: list[asyncio.Future[None]] = []
    shelf.documents.held = held
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        applying = tasks.create_task(shelf.book.apply(TWO, ADMIN))
        while not held:
            await asyncio.sleep(0.01)
        activating = tasks.create_task(_code(shelf.book.activate(1, ADMIN)))
        # It is read, and waits for its turn.
        await asyncio.sleep(0.2)
        while not activating.done():
            for future in held:
                if not future.done():
                    future.set_result(None)
            await asyncio.sleep(0.01)
    assert activating.result() == "version_unknown"
    assert applying.result().number == 2
    assert [version.number for version in shelf.book.versions() if version.active] == [2]
    assert shelf.book.current.version == 2


async def _code(changing: Awaitable[PolicyVersion]) -> str:
    try:
        await changing
    except NotFound as exc:
        return exc.code
    return ""
