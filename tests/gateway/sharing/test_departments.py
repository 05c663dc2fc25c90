"""Departments are kept, changed on record, and not deleted while they own something."""

import asyncio

import pytest

from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.sharing.departments import MAX_DEPARTMENTS
from gateway.sharing.keys import KeySettings, Scope
from gateway.sharing.webhooks import WebhookEvent
from tests.support.departments import BOSS, books


async def test_a_department_survives_a_restart() -> None:
    first = await books()
    await first.departments.save("urban", name="城管局", zone="egov", contact="8110", by=BOSS)
    second = await books(first.documents)
    assert second.departments.all() == first.departments.all()
    assert first.actions == [("create", "department:urban")]


async def test_changing_keeps_the_day_it_was_made() -> None:
    held = await books()
    made = await held.departments.save("urban", name="A", by=BOSS)
    held.clock.advance(3600)
    changed = await held.departments.save("urban", name="B", by=BOSS)
    assert (changed.name, changed.created_at) == ("B", made.created_at)
    assert held.audit.entries[-1].subject == {"role": "admin"}


@pytest.mark.parametrize("code", ["", "-a", "a b", "城管", "a" * 65, "a/b", "a\n"])
async def test_a_code_that_cannot_stand_in_a_path_is_refused(code: str) -> None:
    held = await books()
    with pytest.raises(Invalid):
        await held.departments.save(code, name="A", by=BOSS)
    assert held.departments.all() == []


async def test_what_the_store_cannot_keep_is_taken_back() -> None:
    held = await books()
    await held.departments.save("urban", name="A", by=BOSS)
    held.documents.broken = True
    with pytest.raises(Unavailable):
        await held.departments.save("urban", name="B", by=BOSS)
    with pytest.raises(Unavailable):
        await held.departments.save("water", name="C", by=BOSS)
    with pytest.raises(Unavailable):
        await held.departments.delete("urban", by=BOSS)
    assert [item.name for item in held.departments.all()] == ["A"]
    assert held.actions == [("create", "department:urban")]


async def test_of_two_changes_at_once_the_later_one_holds_in_memory_and_store() -> None:
    held = await books()
    await held.departments.save("urban", name="A", by=BOSS)
    held.documents.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(held.departments.save("urban", name="B", by=BOSS))
        group.create_task(held.departments.save("urban", name="C", by=BOSS))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for future in held.documents.held:
            future.set_result(None)
    assert held.departments.get("urban").name == "C"
    assert (await books(held.documents)).departments.get("urban").name == "C"


async def test_a_department_with_keys_or_webhooks_is_not_deleted() -> None:
    held = await books()
    await held.departments.save("urban", name="A", by=BOSS)
    settings = KeySettings(scopes=frozenset({Scope.CATALOG}))
    issued = await held.keys.create(settings, department="urban", by=BOSS)
    hook, _ = await held.webhooks.create(
        "urban", "https://receiver.example/", frozenset(WebhookEvent), by=BOSS
    )
    with pytest.raises(Conflict, match="1 keys and 1 webhooks"):
        await held.departments.delete("urban", by=BOSS)
    await held.keys.delete(issued.key.key_id, by=BOSS)
    await held.webhooks.delete(hook.hook_id, by=BOSS)
    await held.departments.delete("urban", by=BOSS)
    with pytest.raises(NotFound):
        held.departments.get("urban")


async def test_there_is_an_end_to_their_number() -> None:
    held = await books()
    for number in range(MAX_DEPARTMENTS):
        await held.departments.save(f"d{number}", name="", by=BOSS)
    with pytest.raises(Conflict):
        await held.departments.save("more", name="", by=BOSS)
    await held.departments.save("d1", name="changed", by=BOSS)


async def test_an_unreadable_document_is_left_out() -> None:
    first = await books()
    await first.departments.save("urban", name="A", by=BOSS)
    first.documents.collections["departments"]["broken"] = {"name": "x"}
    assert [item.code for item in (await books(first.documents)).departments.all()] == ["urban"]
