"""Village, township and county in a row: one catalogue, one camera pull, one control, all the way through."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from gateway.domain.policy import Subject
from gateway.domain.selector import ChannelSelector
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.simulator import Simulator
from gb28181.aio.clock import monotonic
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp.ptz import PtzCommand
from gb28181.ps.demuxer import PsDemuxer
from gb28181.rtp.packet import RtpPacket
from tests.support.gateway import RunningGateway, eventually
from tests.support.levels import COUNTY, TOWNSHIP, VILLAGE, connect, row_of_gateways
from tests.support.upper_platform import UpperPlatform

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

ADMIN = Subject(role="admin")
CITY = "37130000002000000001"


def camera_options(gateway: RunningGateway, **changes: Any) -> SimulatorOptions:
    """A recorder of the village."""
    values: dict[str, Any] = {
        "server_id": gateway.gateway.settings.sip.id,
        "base_id": "37132601001180000001",
        "channels": 3,
    }
    return gateway.simulator_options(**(values | changes))


class Levels:
    """Three gateways, and a recorder below the lowest."""

    def __init__(self, row: list[RunningGateway], simulator: Simulator) -> None:
        self.village, self.township, self.county = row
        self.row = row
        self.simulator = simulator
        self.recorder = simulator.devices[0]

    async def cameras(self) -> list[str]:
        """Codes of the cameras, once the county lists them all."""
        wanted = {
            channel.channel_id
            for channel in self.recorder.channels
            if DeviceId(channel.channel_id).kind is IdKind.CAMERA
        }

        async def listed() -> list[str]:
            page = await self.county.api.get(f"channels?device_id={TOWNSHIP}&kind=camera&limit=500")
            found = [item["channel_id"] for item in page["items"]]
            return found if wanted <= set(found) else []

        return list(await eventually(listed, 20.0, "the cameras in the county's catalogue"))

    async def at_county(self, code: str) -> dict[str, Any] | None:
        """A channel as the county sees it."""
        page = await self.county.api.get(f"channels?device_id={TOWNSHIP}&q={code}")
        return next((item for item in page["items"] if item["channel_id"] == code), None)

    async def idle(self) -> None:
        """Wait until no level holds a stream any more."""

        async def free() -> bool:
            return all(not busy(level) for level in self.row) and not self.simulator.session_count

        await eventually(free, 15.0, f"the end of all streams: {[busy(x) for x in self.row]}")


def busy(level: RunningGateway) -> dict[str, int]:
    """What a gateway holds besides its subscriptions."""
    held = level.gateway.counts()
    return {name: held.get(name, 0) for name in ("sessions", "bridges", "ssrcs") if held.get(name)}


@asynccontextmanager
async def levels(folder: Path, **options: Any) -> AsyncIterator[Levels]:
    async with AsyncExitStack() as stack:
        row = await stack.enter_async_context(row_of_gateways(folder))
        simulator = await stack.enter_async_context(Simulator(camera_options(row[0], **options)))
        await simulator.wait_registered()
        yield Levels(row, simulator)


def decode(url: str, frames: int, seen: list[float] | None = None) -> int:
    """Frames that PyAV decodes from a URL; the time of each goes into `seen`."""
    times = [] if seen is None else seen
    # A stream that is cut off ends in the middle of the HTTP answer.
    with av.open(url, timeout=15) as source, contextlib.suppress(av.error.OSError):
        for _ in source.decode(source.streams.video[0]):
            times.append(monotonic())
            if len(times) >= frames:
                break
    return len(times)


async def test_the_county_sees_the_village_s_tree_and_watches_its_camera(tmp_path: Path) -> None:
    async with levels(tmp_path) as it:
        cameras = await it.cameras()
        assert len(cameras) == 3
        camera = await it.at_county(cameras[0])
        assert camera is not None
        assert camera["parent_ids"], "the camera hangs under its recorder"
        recorder = await it.at_county(camera["parent_ids"][0])
        assert recorder is not None
        played = await it.county.api.play(TOWNSHIP, cameras[0])
        assert await asyncio.to_thread(decode, played["urls"]["flv"], 25) == 25
        assert it.simulator.session_count == 1
        # A second viewer two levels down shares the one stream of the camera.
        near = await it.village.api.play(it.recorder.device_id, cameras[0])
        assert await asyncio.to_thread(decode, near["urls"]["mp4"], 10) == 10
        assert it.simulator.session_count == 1
        await it.idle()


async def test_the_trees_of_all_levels_are_alike(tmp_path: Path) -> None:
    async with levels(tmp_path, channels=6, platform=True, base_id="37132601002000000009") as it:
        await it.cameras()
        village = await tree_of(it.village, None)
        county = await tree_of(it.county, TOWNSHIP)
        shared = {code: parents for code, parents in county.items() if code in village}
        assert set(village) <= set(county)
        for code, parents in village.items():
            known = {parent for parent in parents if parent in village}
            assert known <= set(shared[code]), (code, parents, shared[code])


async def tree_of(level: RunningGateway, device: str | None) -> dict[str, set[str]]:
    query = f"&device_id={device}" if device else ""
    page = await level.api.get(f"channels?limit=500{query}")
    return {item["channel_id"]: set(item["parent_ids"]) for item in page["items"]}


async def test_ptz_from_the_county_reaches_the_village_camera_byte_for_byte(
    tmp_path: Path,
) -> None:
    async with levels(tmp_path) as it:
        camera = (await it.cameras())[0]
        command = PtzCommand.move(pan=-0x30, tilt=0x20)
        await it.county.gateway.controls.ptz("test", TOWNSHIP, camera, command)
        await eventually(lambda: asyncio.sleep(0, it.recorder.controls), 5.0, "the control")
        received = it.recorder.controls[0]
        assert (received.channel_id, received.frame) == (camera, command.serialize())
        # Nobody says anything more: each level would stop it, and the nearest does.
        it.county.gateway.controls.holder_gone("test")
        await eventually(
            lambda: asyncio.sleep(0, len(it.recorder.controls) > 1), 5.0, "the stop of the motion"
        )
        assert it.recorder.controls[-1].frame == command.ending.serialize()


async def test_a_camera_that_goes_offline_is_offline_at_the_county_within_seconds(
    tmp_path: Path,
) -> None:
    async with levels(tmp_path) as it:
        camera = (await it.cameras())[0]

        async def offline() -> bool:
            seen = await it.at_county(camera)
            return seen is not None and not seen["online"]

        for device in it.simulator.devices:
            await device.logout()
        await eventually(offline, 10.0, "OFF at the county")


async def test_a_forced_stop_in_the_village_ends_the_county_s_stream_and_deletes_the_channel(
    tmp_path: Path,
) -> None:
    async with levels(tmp_path) as it:
        cameras = await it.cameras()
        played = await it.county.api.play(TOWNSHIP, cameras[0])
        seen: list[float] = []
        reader = asyncio.create_task(  # noqa: TID251 - awaited below
            asyncio.to_thread(decode, played["urls"]["flv"], 100_000, seen)
        )
        await eventually(lambda: asyncio.sleep(0, len(seen) > 10), 10.0, "pictures at the county")
        began = monotonic()
        await it.village.gateway.sharing.stops.order(
            objects=ChannelSelector(channels=frozenset({cameras[0]})),
            reason="by order of the owner",
            by=ADMIN,
        )
        await eventually(lambda: asyncio.sleep(0, not busy(it.village)), 5.0, "the end")
        assert monotonic() - began < 15.0

        async def deleted() -> bool:
            return await it.at_county(cameras[0]) is None

        await eventually(deleted, 10.0, "the DEL at the county")
        assert await reader > 10
        assert seen[-1] - began < 5.0
        await it.idle()
        status, problem = await it.county.api.call("POST", f"channels/{TOWNSHIP}/{cameras[0]}/play")
        assert (status, problem["code"]) == (404, "channel_unknown")


async def test_a_foreign_city_above_watches_the_village_over_every_transport(
    tmp_path: Path,
) -> None:
    async with levels(tmp_path) as it, UpperPlatform(CITY, lower_id=COUNTY) as city:
        await it.cameras()
        await it.county.gateway.policies.apply(
            'version = 1\n[[rule]]\nid = "city"\neffect = "allow"\n'
            f'subjects = {{ platforms = ["{CITY}"] }}\nactions = ["catalog", "live", "ptz"]\n',
            ADMIN,
        )
        await it.county.gateway.platforms.save(city.config(), city.password)
        await city.registered()

        async def listed() -> list[str]:
            items = await city.query_catalog()
            codes = {channel.channel_id for channel in it.recorder.channels}
            return [item.device_id for item in items if item.device_id in codes]

        cameras = await eventually(listed, 15.0, "the cameras in the city's catalogue")
        for transport in ("udp", "tcp_passive", "tcp_active"):
            call = await city.invite(cameras[0], transport)
            packets = [RtpPacket.parse(data) for data in await call.packets(60)]
            assert {packet.ssrc for packet in packets} == {call.answer.ssrc}
            numbers = [packet.sequence for packet in packets]
            assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))
            demuxer = PsDemuxer()
            units = [
                unit
                for packet in packets
                for unit in demuxer.feed(
                    bytes(packet.payload), timestamp=packet.timestamp, marker=packet.marker
                )
            ]
            assert any(unit.is_video for unit in units)
            await call.bye()
        assert it.simulator.session_count <= 1
        await it.idle()


async def test_a_loop_of_platforms_neither_grows_the_catalogue_nor_rings_for_ever(
    tmp_path: Path,
) -> None:
    async with levels(tmp_path) as it:
        cameras = await it.cameras()
        # The county gives its catalogue back down to the village: a ring.
        await connect(it.county, it.village)
        await asyncio.sleep(2.0)
        for level in it.row:
            page = await level.api.get("channels?limit=1")
            assert page["total"] < 60, "the same cameras over and over"
        played = await it.county.api.play(TOWNSHIP, cameras[0])
        assert await asyncio.to_thread(decode, played["urls"]["flv"], 10) == 10
        assert it.simulator.session_count == 1
        # What comes back round the ring is refused, not followed.
        for item in (await it.village.api.get(f"channels?device_id={COUNTY}&limit=500"))["items"]:
            assert item["channel_id"] not in {VILLAGE, COUNTY}
