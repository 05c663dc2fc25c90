"""What may be started, and which refusal each obstacle gets."""

import pytest

from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.session import SessionState
from gateway.sessions.admission import MAX_STARTS_PER_DEVICE, Admission
from gateway.sessions.ports import SessionSettings
from gateway.sessions.session import LiveSession
from gateway.sessions.table import SessionTable
from tests.support.sessions import BrokenWay, ScriptedDirectory, device, live_record

DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"


@pytest.fixture
def directory() -> ScriptedDirectory:
    return ScriptedDirectory([device()], [CHANNEL])


@pytest.fixture
def table() -> SessionTable:
    return SessionTable(history=10)


def invite(table: SessionTable, count: int) -> None:
    """Let INVITEs to the device be under way."""
    for number in range(count):
        record = live_record(f"s{number}", DEVICE, f"3402000000132{number:07d}")
        record.state = SessionState.INVITING
        settings = SessionSettings(platform_id="34020000002000000001")
        table.add(LiveSession(record, BrokenWay(), settings=settings, now=lambda: 0.0))


async def test_a_device_is_sent_only_so_many_invites_at_once(
    directory: ScriptedDirectory, table: SessionTable
) -> None:
    admission = Admission(directory, table, max_sessions=1000)
    invite(table, MAX_STARTS_PER_DEVICE - 1)
    assert admission.admit(DEVICE, CHANNEL, 0).device_id == DEVICE
    invite(table, MAX_STARTS_PER_DEVICE)
    with pytest.raises(Unavailable) as caught:
        admission.admit(DEVICE, CHANNEL, 0)
    assert caught.value.code == "device_busy"


async def test_there_are_no_more_sessions_than_allowed(
    directory: ScriptedDirectory, table: SessionTable
) -> None:
    invite(table, 3)
    with pytest.raises(Unavailable) as caught:
        Admission(directory, table, max_sessions=3).admit(DEVICE, CHANNEL, 0)
    assert caught.value.code == "too_many_sessions"


async def test_a_sub_stream_is_started_only_where_there_is_one(
    directory: ScriptedDirectory, table: SessionTable
) -> None:
    admission = Admission(directory, table, max_sessions=10)
    with pytest.raises(Unavailable) as caught:
        admission.admit(DEVICE, CHANNEL, 1)
    assert caught.value.code == "sub_stream_unavailable"
    directory.devices[DEVICE].gb_version = "3.0"
    assert admission.admit(DEVICE, CHANNEL, 1) is directory.devices[DEVICE]
    directory.channels[0].extra["Info.StreamNumberList"] = "0/2"
    assert [admission.has_stream(DEVICE, CHANNEL, number) for number in range(3)] == [
        True,
        False,
        True,
    ]


async def test_while_a_device_s_catalogue_is_not_known_any_channel_may_be_tried(
    table: SessionTable,
) -> None:
    directory = ScriptedDirectory([device()], [])
    admission = Admission(directory, table, max_sessions=10)
    with pytest.raises(NotFound):
        admission.admit(DEVICE, CHANNEL, 0)
    directory.devices[DEVICE].channel_count = 0
    assert admission.admit(DEVICE, CHANNEL, 0).device_id == DEVICE
