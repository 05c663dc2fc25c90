"""One session by itself, on a way that does what the test says."""

import asyncio

import pytest

from gateway.domain.errors import SessionFailed
from gateway.domain.session import EndReason, SessionState
from gateway.sessions.ports import SessionSettings
from gateway.sessions.session import READ_FIRST, LiveSession
from gb28181.aio.clock import monotonic
from tests.support.sessions import BrokenWay, StandingWay, live_record

PLATFORM = "34020000002000000001"


async def test_who_waits_for_a_session_that_breaks_inside_the_gateway_is_told_so() -> None:
    way = BrokenWay()
    session = LiveSession(
        live_record(), way, settings=SessionSettings(platform_id=PLATFORM), now=monotonic
    )

    async def run() -> None:
        with pytest.raises(RuntimeError, match="a mistake"):
            await session.run()

    async with asyncio.TaskGroup() as group:
        group.create_task(run())
        with pytest.raises(SessionFailed) as caught:
            await session.established()
        # It still gives back what it held: nobody may join it.
        assert session.ending
        assert session.record.state is SessionState.CLOSING
        way.releasing.set()
    assert caught.value.ended.reason is EndReason.INTERNAL_ERROR
    assert way.released == [EndReason.INTERNAL_ERROR]
    assert session.record.ended == caught.value.ended


async def test_a_session_somebody_is_about_to_join_does_not_end_for_want_of_viewers() -> None:
    clock = [100.0]
    way = StandingWay()
    session = LiveSession(
        live_record(),
        way,
        settings=SessionSettings(platform_id=PLATFORM, no_readers_grace=1.0),
        now=lambda: clock[0],
    )

    async def pass_time(seconds: float) -> None:
        clock[0] += seconds
        session._wake.set()
        await asyncio.sleep(2.5 * READ_FIRST)

    async with asyncio.TaskGroup() as group:
        group.create_task(session.run())
        await session.established()
        with session.claimed():
            await pass_time(5.0)
            assert not session.ending
        await pass_time(0.9)
        assert not session.ending
        await pass_time(0.2)
    assert way.released == [EndReason.NO_READERS]
