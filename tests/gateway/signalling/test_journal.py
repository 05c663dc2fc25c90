"""Open dialogs survive a crash; a clean end leaves none, and a damaged file stops nothing."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.signalling.journal import DialogJournal, OpenDialog
from gb28181.aio.tasks import TaskScope


def dialog(call_id: str, device_id: str = "34020000001180000001") -> OpenDialog:
    return OpenDialog(
        device_id=device_id,
        channel_id="34020000001320000001",
        call_id=call_id,
        local_tag="ours",
        remote_tag="theirs",
    )


def kept(path: Path) -> list[str]:
    return [entry["call_id"] for entry in json.loads(path.read_text())]


async def test_what_is_open_is_found_by_the_next_run_once(tmp_path: Path) -> None:
    path = tmp_path / "dialogs.json"
    async with TaskScope(lambda name, exc: pytest.fail(f"{name}: {exc!r}")) as scope:
        journal = DialogJournal(path, scope)
        for number in range(3):
            journal.opened(dialog(f"call-{number}"))
        journal.closed("call-1")
        await journal.flush()
    assert await asyncio.to_thread(kept, path) == ["call-0", "call-2"]
    async with TaskScope(lambda name, exc: pytest.fail(f"{name}: {exc!r}")) as scope:
        journal = DialogJournal(path, scope)
        assert await journal.load() == 2
        assert not journal.has_ghosts("34020000001189999999")
        ghosts = journal.ghosts("34020000001180000001")
        assert ghosts == [dialog("call-0"), dialog("call-2")]
        assert journal.ghosts("34020000001180000001") == []
        await journal.flush()
    assert await asyncio.to_thread(kept, path) == []


@pytest.mark.parametrize("text", ["", "[{}]", "no json", '[{"device_id": 1}]', "3"])
async def test_a_damaged_journal_is_no_reason_not_to_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dialogs.json"
    await asyncio.to_thread(path.write_text, text)
    async with TaskScope(lambda name, exc: pytest.fail(f"{name}: {exc!r}")) as scope:
        assert await DialogJournal(path, scope).load() == 0
