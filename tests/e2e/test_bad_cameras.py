"""Cameras that do it wrong: each has its stage and reason, and its neighbour plays on."""

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

SENDS_ALREADY = "answered first_packet decodable"
"""Media may overtake the answer that cannot be used."""
NEIGHBOUR = "34020000001189000001"


async def watch(it: RunningGateway, device_id: str, transport: str) -> tuple[int, dict[str, Any]]:
    """Open the FLV of a device's first channel; the status and the session that came of it."""
    channel = (await it.channels(device_id, 1))[0]
    status, answer = await it.api.call(
        "POST", f"channels/{device_id}/{channel}/play", json={"transport": transport}
    )
    if status < 300:
        async with aiohttp.ClientSession() as http, http.get(answer["urls"]["flv"]) as flv:
            status = flv.status
            await asyncio.wait_for(flv.read(), 20)  # noqa: TID251 - a test's own deadline
    listed = await it.api.get("sessions")
    record = next(item for item in listed["items"] if item["device_id"] == device_id)
    return status, await it.ended(record["session_id"])


@pytest.mark.parametrize(
    ("quirk", "transport", "reason", "stage", "status"),
    [
        (Quirk.ANSWER_4XX, "udp", "invite_refused", "trying", 502),
        (Quirk.ANSWER_5XX, "udp", "invite_refused", "trying", 502),
        (Quirk.NEVER_ANSWER_INVITE, "udp", "invite_timeout", "trying", 504),
        (Quirk.ANSWER_PORT_ZERO, "udp", "answer_unusable", SENDS_ALREADY, 502),
        (Quirk.ANSWER_WITHOUT_SDP, "udp", "answer_unusable", SENDS_ALREADY, 502),
        (Quirk.SEND_NOTHING, "udp", "no_packet", "answered", 502),
        (Quirk.SEND_NOTHING, "tcp_passive", "no_packet", "connected", 502),
        (Quirk.DROP_MEDIA, "udp", "source_lost", "first_output", 200),
        (Quirk.DROP_MEDIA, "tcp_passive", "source_lost", "first_output", 200),
        (Quirk.BYE_MIDSTREAM, "udp", "device_bye", "first_output", 200),
    ],
)
async def test_a_bad_camera_gets_a_reason_and_its_neighbour_plays_on(
    tmp_path: Path, quirk: Quirk, transport: str, reason: str, stage: str, status: int
) -> None:
    async with running_gateway(tmp_path, media={"invite_timeout": 1.5}) as it:
        bad = it.simulator_options(
            quirks=frozenset({quirk}), drop_after=1.0, bye_after=1.0, refuse_status=486
        )
        async with (
            Simulator(bad) as simulator,
            Simulator(it.simulator_options(base_id=NEIGHBOUR)) as good,
        ):
            async with asyncio.timeout(15):
                await simulator.wait_registered()
                await good.wait_registered()
            channel = (await it.channels(NEIGHBOUR, 1))[0]
            played = await it.api.play(NEIGHBOUR, channel)
            async with asyncio.TaskGroup() as group:
                watched = group.create_task(asyncio.to_thread(decode, played["urls"]["flv"], 50))
                bad_one = group.create_task(watch(it, simulator.devices[0].device_id, transport))
            assert watched.result()[3] == 50
            got, record = bad_one.result()
            assert got == status
            assert record["ended"]["reason"] == reason
            assert record["stage"] in stage.split()
            timeline = await it.api.get(f"devices/{simulator.devices[0].device_id}/timeline")
            assert any(
                entry["kind"] == "session_ended" and reason in entry["detail"]
                for entry in timeline["items"]
            )
            health = await it.api.get("status")
            assert health["devices"]["online"] == 2


async def test_garbage_instead_of_media_is_told_apart_from_silence(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(quirks=frozenset({Quirk.SEND_GARBAGE}))) as simulator,
    ):
        async with asyncio.timeout(15):
            await simulator.wait_registered()
        _, record = await watch(it, simulator.devices[0].device_id, "udp")
        assert record["ended"]["reason"] in {"not_decodable", "codec_unsupported"}
        assert record["stage"] == "first_packet"


@pytest.mark.parametrize(
    ("quirk", "transport"),
    [
        (Quirk.OWN_SSRC, "udp"),
        (Quirk.NO_Y, "udp"),
        (Quirk.OTHER_SSRC_IN_RTP, "udp"),
        (Quirk.DOUBLE_200, "udp"),
        (Quirk.CONTACT_PRIVATE, "udp"),
        (Quirk.NO_PSM, "udp"),
        (Quirk.BAD_PSM_CRC, "udp"),
        (Quirk.PES_LENGTH_ZERO, "udp"),
        (Quirk.PRIVATE_STREAMS, "udp"),
        (Quirk.RAW_H264, "udp"),
        (Quirk.TCP_PREAMBLE_256, "tcp_passive"),
        (Quirk.TCP_DOLLAR_FRAMING, "tcp_passive"),
        (Quirk.KEEPALIVE_PORT_CHANGE, "udp"),
    ],
)
async def test_a_camera_that_is_only_odd_plays_all_the_same(
    tmp_path: Path, quirk: Quirk, transport: str
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(quirks=frozenset({quirk}))) as simulator,
    ):
        async with asyncio.timeout(15):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = (await it.channels(device, 1))[0]
        played = await it.api.play(device, channel, transport=transport)
        decoded = await asyncio.to_thread(decode, played["urls"]["flv"], 20)
        assert decoded == ("h264", 320, 240, 20)


async def test_another_codec_midstream_ends_the_viewers_and_new_ones_see_the_new_codec(
    tmp_path: Path,
) -> None:
    async with (
        running_gateway(tmp_path, media={"no_readers_grace": 5.0}) as it,
        Simulator(
            it.simulator_options(
                quirks=frozenset({Quirk.CODEC_CHANGE_MIDSTREAM}), codec_change_after=1.5
            )
        ) as simulator,
    ):
        async with asyncio.timeout(15):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = (await it.channels(device, 1))[0]
        played = await it.api.play(device, channel)
        async with aiohttp.ClientSession() as http, http.get(played["urls"]["mp4"]) as mp4:
            async with asyncio.timeout(30):
                first = await mp4.read()
        assert b"avc1" in first
        assert (await asyncio.to_thread(decode, played["urls"]["mp4"], 5))[0] == "hevc"
        assert simulator.devices[0].invites_received == 1


@pytest.mark.parametrize(
    "quirk",
    [
        Quirk.GB2312_DECLARED_UTF8,
        Quirk.RAW_AMPERSAND_IN_NAME,
        Quirk.CATALOG_SUMNUM_HIGH,
        Quirk.CATALOG_SUMNUM_LOW,
        Quirk.CATALOG_SUMNUM_MISSING,
        Quirk.CATALOG_DUPLICATES,
        Quirk.CATALOG_OUT_OF_ORDER,
        Quirk.STATUS_OK_WORD,
        Quirk.NO_EXPIRES,
    ],
)
async def test_an_odd_catalogue_is_read_whole(tmp_path: Path, quirk: Quirk) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(quirks=frozenset({quirk}), channels=5)) as simulator,
    ):
        device = simulator.devices[0].device_id
        await it.channels(device, 5)
        found = await it.api.get(f"channels?device_id={device}")
        assert found["total"] == 5
        assert all(item["online"] for item in found["items"])
        assert all("�" not in item["name"] for item in found["items"])
        assert all("摄像机" in item["name"] or "通道" in item["name"] for item in found["items"])


async def test_a_silent_catalogue_is_reported_not_awaited_for_ever(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path, sip={"catalog_first": 1.0}) as it,
        Simulator(it.simulator_options(quirks=frozenset({Quirk.CATALOG_SILENT}))) as simulator,
    ):
        async with asyncio.timeout(15):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id

        async def failed() -> bool:
            status, body = await it.api.call("GET", f"devices/{device}/sync")
            return status == 200 and body["state"] == "failed"

        await eventually(failed, 8.0, "the failed synchronisation")
        timeline = await it.api.get(f"devices/{device}/timeline")
        assert "catalog_failed" in {entry["kind"] for entry in timeline["items"]}


async def test_a_wrong_password_is_refused_and_leaves_its_reason(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(quirks=frozenset({Quirk.WRONG_PASSWORD}))) as simulator,
    ):
        device = simulator.devices[0].device_id

        async def told() -> bool:
            status, body = await it.api.call("GET", f"devices/{device}/timeline")
            return status == 200 and any(item["kind"] == "auth_failed" for item in body["items"])

        await eventually(told, 5.0, "the failed digest in the timeline")
        assert simulator.registered_count == 0


async def test_a_dropped_signalling_connection_ends_the_sessions_of_that_device_only(
    tmp_path: Path,
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(transport="TCP")) as simulator,
        Simulator(it.simulator_options(base_id=NEIGHBOUR)) as good,
    ):
        async with asyncio.timeout(15):
            await simulator.wait_registered()
            await good.wait_registered()
        device = simulator.devices[0].device_id
        channel = (await it.channels(device, 1))[0]
        other = (await it.channels(NEIGHBOUR, 1))[0]
        played = await it.api.play(device, channel)
        neighbour = await it.api.play(NEIGHBOUR, other)
        simulator.devices[0].drop_connection()
        record = await it.ended(played["session_id"])
        assert record["ended"]["reason"] == "device_offline"
        assert (await it.api.get(f"devices/{device}"))["offline_reason"] == "connection_lost"
        decoded = await asyncio.to_thread(decode, neighbour["urls"]["flv"], 10)
        assert decoded[3] == 10
