"""Running sessions and the bounded history of ended ones."""

import pytest

from gateway.domain.errors import NotFound
from gateway.domain.session import SessionState
from gateway.sessions.ports import SessionSettings
from gateway.sessions.session import LiveSession
from gateway.sessions.table import SessionTable
from tests.support.sessions import BrokenWay, live_record


def session(number: int, device_id: str = "34020000001180000001") -> LiveSession:
    return LiveSession(
        live_record(f"s{number}", device_id, f"3402000000132{number:07d}"),
        BrokenWay(),
        settings=SessionSettings(platform_id="34020000002000000001"),
        now=lambda: 0.0,
    )


async def test_running_ones_come_first_then_ended_ones_newest_first() -> None:
    table = SessionTable(history=2)
    sessions = [session(number) for number in range(5)]
    for item in sessions:
        table.add(item)
    for item in sessions[:4]:
        table.end(item)
    assert [record.session_id for record in table.records()] == ["s4", "s3", "s2"]
    assert len(table) == 1
    assert table.get("s4") is sessions[4].record
    assert table.get("s2") is sessions[2].record
    with pytest.raises(NotFound):
        table.get("s1")


async def test_unanswered_invites_are_counted_by_device_without_foreign_sources() -> None:
    table = SessionTable(history=2)
    for number in range(4):
        item = session(number)
        item.record.state = SessionState.INVITING
        table.add(item)
    table.running()[0].record.state = SessionState.RUNNING
    table.running()[1].record.foreign = True
    other = session(9, "34020000001180000002")
    other.record.state = SessionState.INVITING
    table.add(other)
    assert table.inviting("34020000001180000001") == 2
    assert [item.record.session_id for item in table.of_device("34020000001180000002")] == ["s9"]
