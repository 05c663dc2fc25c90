"""The gateway as a process: killed and started again, nothing it told is lost; told to end, it leaves no camera sending."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.simulator import Simulator
from tests.e2e.test_watch import decode
from tests.support.gateway import PASSWORD, SERVER_ID, eventually
from tests.support.gateway_process import GatewayProcess
from tests.support.tcp_device import TcpDevice

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

CAMERA = "34020000001320000777"
SECRET = "a-secret-of-its-own"


def options(gateway: GatewayProcess, **changes: Any) -> SimulatorOptions:
    """A recorder that says nothing unless it is told to."""
    values: dict[str, Any] = {
        "server_port": gateway.sip_port,
        "server_id": SERVER_ID,
        "password": PASSWORD,
        "local_host": "127.0.0.1",
        "channels": 3,
        "width": 320,
        "height": 240,
        "bitrate": 400_000,
        "catalog_items": 8,
        "gop": 1.0,
        "keepalive_interval": 3600.0,
    }
    return SimulatorOptions(**(values | changes))


async def registered(gateway: GatewayProcess, simulator: Simulator) -> tuple[str, list[str]]:
    """The recorder and its channels, once they are catalogued."""
    async with asyncio.timeout(10):
        await simulator.wait_registered()
    device = simulator.devices[0].device_id

    async def catalogued() -> list[str]:
        found = await gateway.get(f"channels?device_id={device}")
        ids = [item["channel_id"] for item in found["items"]]
        return ids if len(ids) == len(simulator.devices[0].channels) else []

    return device, await eventually(catalogued, 10.0, "the catalogue")


async def knowledge(gateway: GatewayProcess) -> dict[str, Any]:
    """What an operator would miss if it were gone."""
    devices = (await gateway.get("devices"))["items"]
    kept = ("name", "manufacturer", "address", "registered_at", "expires_at", "settings", "contact")
    return {
        "devices": {item["device_id"]: {name: item[name] for name in kept} for item in devices},
        "channels": (await gateway.get("channels?limit=1000"))["items"],
        "timelines": {
            item["device_id"]: [
                (entry["kind"], entry["detail"])
                for entry in (await gateway.get(f"devices/{item['device_id']}/timeline"))["items"]
            ]
            for item in devices
        },
    }


async def test_after_kill_9_everything_is_known_and_devices_need_not_register_anew(
    tmp_path: Path,
) -> None:
    async with GatewayProcess(tmp_path) as gateway:
        camera = TcpDevice(CAMERA, gateway.sip_port)
        status, _ = await gateway.call("PUT", f"devices/{CAMERA}/secret", json={"password": SECRET})
        assert status == 204
        async with Simulator(options(gateway)) as simulator:
            recorder, channels = await registered(gateway, simulator)
            async with camera.connected():
                assert await camera.register(SECRET) == "SIP/2.0 200 OK"
                await written(gateway, recorder)
                before = await knowledge(gateway)
                assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL

            await gateway.start()
            after = await knowledge(gateway)
            for kept in ("devices", "channels"):
                assert after[kept] == before[kept]
            assert set(after["devices"]) == {recorder, CAMERA}
            for device_id, entries in before["timelines"].items():
                assert "registered" in {kind for kind, _ in entries}
                assert set(after["timelines"][device_id]) >= set(entries)

            simulator.devices[0].send_keepalive()
            await heard(gateway, recorder)
            status, answer = await gateway.call("POST", f"channels/{recorder}/{channels[0]}/play")
            assert status == 200, answer
            decoded = await asyncio.to_thread(decode, answer["urls"]["flv"], 10)
            assert decoded == ("h264", 320, 240, 10)
            assert simulator.devices[0].registrations == 1

            known = await gateway.get(f"devices/{CAMERA}")
            assert (known["online"], known["offline_reason"]) == (False, "not_connected")
            asked = camera.registers
            async with camera.connected():
                assert await camera.keepalive() == "SIP/2.0 200 OK"
                assert (await gateway.get(f"devices/{CAMERA}"))["online"]
                status, problem = await gateway.call("POST", f"channels/{CAMERA}/{CAMERA}/play")
                assert (status, problem["sip_status"], camera.invites) == (502, 486, 1)
                assert camera.registers == asked
                assert (await camera.register(PASSWORD)).startswith("SIP/2.0 403 ")
                assert await camera.register(SECRET) == "SIP/2.0 200 OK"


async def test_a_camera_that_streamed_when_the_gateway_was_killed_gets_its_bye_afterwards(
    tmp_path: Path,
) -> None:
    async with (
        GatewayProcess(tmp_path) as gateway,
        Simulator(options(gateway)) as simulator,
    ):
        recorder, channels = await registered(gateway, simulator)
        status, answer = await gateway.call("POST", f"channels/{recorder}/{channels[0]}/play")
        assert status == 200, answer
        await written(gateway, recorder)
        journal = tmp_path / "data" / "dialogs.json"

        async def noted() -> bool:
            return journal.exists() and channels[0] in journal.read_text()

        await eventually(noted, 5.0, "the dialog in the journal")
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        assert simulator.session_count == 1
        await gateway.start()

        async def hung_up() -> bool:
            return simulator.session_count == 0

        await eventually(hung_up, 5.0, "the BYE of the session before the kill")
        status, answer = await gateway.call("POST", f"channels/{recorder}/{channels[0]}/play")
        assert status == 200, answer


async def written(gateway: GatewayProcess, recorder: str) -> None:
    """Wait until the recorder has said all and nothing of it waits to be written."""

    async def probe() -> bool:
        about = await gateway.get(f"devices/{recorder}")
        return about["manufacturer"] and not (await gateway.get("status"))["store"]["pending"]

    await eventually(probe, 5.0, "the last write")


async def heard(gateway: GatewayProcess, device_id: str) -> None:
    """Wait for a keepalive of a device that is online."""

    async def probe() -> bool:
        device = await gateway.get(f"devices/{device_id}")
        return device["online"] and device["last_keepalive_at"] is not None

    await eventually(probe, 5.0, f"the keepalive of {device_id}")


async def test_sigterm_hangs_up_on_every_camera_and_tells_every_viewer(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path) as gateway, Simulator(options(gateway)) as simulator:
        recorder, channels = await registered(gateway, simulator)
        urls = []
        for channel in channels:
            _, answer = await gateway.call("POST", f"channels/{recorder}/{channel}/play")
            urls.append(answer["urls"])
        assert simulator.session_count == len(channels)
        async with (
            aiohttp.ClientSession() as http,
            http.get(urls[0]["flv"]) as viewer,
            http.ws_connect(urls[1]["ws_mp4"]) as page,
        ):
            assert await viewer.content.read(3) == b"FLV"
            assert (await page.receive()).type is aiohttp.WSMsgType.TEXT
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                status = group.create_task(gateway.end(signal.SIGTERM))
                group.create_task(viewer.read())
                closed = group.create_task(close_frame(page))
            assert status.result() == 0
            assert closed.result() == (1001, "shutdown: The gateway is stopping")

        async def hung_up() -> bool:
            return simulator.session_count == 0

        await eventually(hung_up, 3.0, "the end of all sessions")
        assert '"gateway_stopped"' in gateway.log()
        assert "crashed" not in gateway.log()
        assert simulator.devices[0].registered


async def close_frame(page: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Code and reason with which a WebSocket ends."""
    while (said := await page.receive()).type is aiohttp.WSMsgType.BINARY:
        pass
    assert said.type is aiohttp.WSMsgType.CLOSE
    return said.data, said.extra or ""
