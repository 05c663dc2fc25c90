"""Devices that serve only so many streams: one INVITE a channel, a clear refusal, and ghosts of sessions that ended."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from tests.e2e.test_watch import decode
from tests.support.gateway import RunningGateway, eventually, running_gateway

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]


async def recorder(it: RunningGateway, simulator: Simulator) -> tuple[str, list[str]]:
    """The device and its channels, once it is catalogued."""
    async with asyncio.timeout(10):
        await simulator.wait_registered()
    device = simulator.devices[0]
    return device.device_id, await it.channels(device.device_id, len(device.channels))


async def refused(it: RunningGateway, device: str, channel: str) -> dict[str, Any]:
    """The problem of a play that must be refused with 486."""
    status, problem = await it.api.call("POST", f"channels/{device}/{channel}/play")
    assert (status, problem["code"], problem["sip_status"]) == (502, "invite_refused", 486)
    return dict(problem)


async def test_a_recorder_at_its_limit_is_the_reason_until_a_stream_is_left(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path, media={"no_readers_grace": 20.0}) as it,
        Simulator(it.simulator_options(channels=3, catalog_items=3, max_sessions=2)) as simulator,
        aiohttp.ClientSession() as http,
    ):
        device, channels = await recorder(it, simulator)
        first = await it.api.play(device, channels[0])
        second = await it.api.play(device, channels[1])
        async with http.get(first["urls"]["flv"]) as watched:
            async with http.get(second["urls"]["flv"]) as left:
                assert await watched.content.read(3) == await left.content.read(3) == b"FLV"
                await says_why(it, device, await refused(it, device, channels[2]))

            # Still within its grace, but a stream that somebody wants goes before one that nobody watches.
            async def unwatched() -> bool:
                record = await it.api.get(f"sessions/{second['session_id']}")
                return bool(record["viewers"] == 0)

            await eventually(unwatched, 5.0, "the viewer's leaving")
            third = await it.api.play(device, channels[2])
            decoded = await asyncio.to_thread(decode, third["urls"]["flv"], 5)
            assert decoded == ("h264", 320, 240, 5)
            assert await watched.content.read(1)
        assert (await it.ended(second["session_id"]))["ended"]["reason"] == "no_readers"
        assert (await it.api.get(f"sessions/{first['session_id']}"))["ended"] is None


async def says_why(it: RunningGateway, device: str, problem: dict[str, Any]) -> None:
    """The refusal in words: in the problem, the session, the timeline and the advice."""
    for word in (device, "486", "limit of streams"):
        assert word in problem["detail"]
    record = await it.api.get(f"sessions/{problem['session_id']}")
    assert (record["state"], record["ended"]["reason"]) == ("ended", "invite_refused")
    assert record["ended"]["sip_status"] == 486
    timeline = await it.api.get(f"devices/{device}/timeline")
    ends = [item["detail"] for item in timeline["items"] if item["kind"] == "session_ended"]
    assert len(ends) == 1
    assert "486" in ends[0]
    status, advice = await it.api.call(
        "POST", "doctor/explain", json={"session_id": problem["session_id"]}
    )
    assert status == 200
    assert "取流路数已达上限" in advice["causes"][0]["cause"]["zh"]
    assert "limit of streams" in advice["causes"][0]["cause"]["en"]


async def test_everybody_who_asks_while_the_camera_is_slow_shares_one_invite(
    tmp_path: Path,
) -> None:
    slow = {"quirks": frozenset({Quirk.SLOW_ANSWER}), "answer_delay": 1.0}
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(**slow)) as simulator,
    ):
        device, channels = await recorder(it, simulator)
        async with asyncio.TaskGroup() as group:
            plays = [group.create_task(it.api.play(device, channels[0])) for _ in range(5)]
        assert len({task.result()["session_id"] for task in plays}) == 1
        assert simulator.devices[0].invites_received == 1


async def test_a_play_during_the_stop_waits_for_the_bye_and_is_not_refused(tmp_path: Path) -> None:
    # The device serves a channel once: an INVITE ahead of the BYE would get 486.
    async with (
        running_gateway(tmp_path, media={"no_readers_grace": 20.0}) as it,
        Simulator(it.simulator_options(max_sessions=1)) as simulator,
    ):
        device, channels = await recorder(it, simulator)
        seen = set()
        for _ in range(5):
            played = await it.api.play(device, channels[0])
            seen.add(played["session_id"])
            async with asyncio.TaskGroup() as group:
                group.create_task(it.api.call("DELETE", f"sessions/{played['session_id']}"))
                again = group.create_task(it.api.play(device, channels[0]))
            seen.add(again.result()["session_id"])
        assert simulator.session_count == 1
        assert simulator.devices[0].invites_received == len(seen)
        listed = await it.api.get("sessions?state=failed")
        assert listed["items"] == []


async def test_a_lost_bye_is_told_as_a_ghost_and_the_channel_plays_once_it_is_gone(
    tmp_path: Path,
) -> None:
    ghosts = {"quirks": frozenset({Quirk.LOST_BYE}), "ghost_time": 2.0}
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(**ghosts)) as simulator,
    ):
        device, channels = await recorder(it, simulator)
        first = await it.api.play(device, channels[0])
        await it.api.call("DELETE", f"sessions/{first['session_id']}")
        assert simulator.session_count == 1, "the ghost"
        problem = await refused(it, device, channels[0])
        assert "still holds one that has ended" in problem["detail"]

        async def gone() -> bool:
            return simulator.session_count == 0

        await eventually(gone, 6.0, "the end of the ghost")
        played = await it.api.play(device, channels[0])
        decoded = await asyncio.to_thread(decode, played["urls"]["flv"], 5)
        assert decoded == ("h264", 320, 240, 5)
        assert (await it.api.get(f"sessions/{played['session_id']}"))["ended"] is None
