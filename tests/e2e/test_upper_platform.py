"""A whole gateway between simulated cameras and a model upper platform: what it sees, watches and moves."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.document import SharedId
from gateway.domain.policy import Subject
from gateway.simulator.simulator import Simulator
from gb28181.aio.errors import InviteRefused
from gb28181.manscdp import CatalogItem, CatalogQuery
from gb28181.rtp.packet import RtpPacket
from tests.support.gateway import SERVER_ID, RunningGateway, eventually, running_gateway
from tests.support.levels import POLICY
from tests.support.upper_platform import PASSWORD, UPPER_ID, UpperPlatform, until

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]

ADMIN = Subject(role="admin")
RECORDER = "34020000001180000001"
HIDDEN = "34020000001320000002"
HIDE = f"""
[[rule]]
id = "not-that-one"
effect = "deny"
subjects = {{ platforms = ["*"] }}
objects = {{ channels = ["{HIDDEN}"] }}
actions = ["*"]
"""


class Scene:
    """The three of them."""

    def __init__(self, gateway: RunningGateway, simulator: Simulator, upper: UpperPlatform) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.upper = upper

    async def cameras(self, count: int) -> list[CatalogItem]:
        """The cameras the upper sees, once there are so many."""

        async def listed() -> list[CatalogItem]:
            items = await self.upper.query_catalog()
            found = [item for item in items if item.device_id[10:13] in {"131", "132"}]
            return found if len(found) >= count else []

        return list(await eventually(listed, 10.0, f"{count} cameras at the upper"))


@asynccontextmanager
async def scene(
    folder: Path, *, channels: int = 2, signalling: str = "UDP", **config: Any
) -> AsyncIterator[Scene]:
    async with (
        UpperPlatform(lower_id=SERVER_ID, transport=signalling) as upper,
        running_gateway(folder) as gateway,
        Simulator(gateway.simulator_options(channels=channels)) as simulator,
    ):
        await gateway.gateway.policies.apply(POLICY, ADMIN, comment="share everything")
        await simulator.wait_registered()
        await gateway.gateway.platforms.save(upper.config(local_id="", **config), PASSWORD)
        await upper.registered()
        yield Scene(gateway, simulator, upper)


@pytest.mark.parametrize("signalling", ["UDP", "TCP"])
@pytest.mark.parametrize("transport", ["udp", "tcp_passive", "tcp_active"])
async def test_the_upper_watches_a_camera_over_every_transport(
    tmp_path: Path, signalling: str, transport: str
) -> None:
    async with scene(tmp_path, signalling=signalling) as it:
        camera, *_ = await it.cameras(2)
        call = await it.upper.invite(camera.device_id, transport)
        packets = await call.packets(60)
        parsed = [RtpPacket.parse(data) for data in packets]
        assert {packet.ssrc for packet in parsed} == {call.answer.ssrc} == {call.ssrc}
        numbers = [packet.sequence for packet in parsed]
        assert all((b - a) % 65_536 == 1 for a, b in itertools.pairwise(numbers))
        await call.bye()

        async def idle() -> bool:
            return not it.simulator.session_count

        await eventually(idle, 10.0, "the end of the camera's stream")


async def test_an_invite_without_an_offer_is_served_too(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        camera, *_ = await it.cameras(2)
        call: Any = await it.upper.invite(camera.device_id, sdp=False)
        assert len(await call.packets(30)) == 30
        await call.bye()
        assert call.bye_status == 200


async def test_an_upper_is_told_when_cameras_go_and_come(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        cameras = await it.cameras(2)
        sub = await it.upper.subscribe_catalog()
        view = {camera.device_id: camera for camera in cameras}
        await it.simulator.devices[0].logout()

        def off() -> bool:
            seen = dict(view)
            sub.apply_to(seen)
            return all(item.status == "OFF" for item in seen.values())

        await until(off, 10.0, "OFF of both cameras")
        assert off(), "and none comes back by itself"


async def test_an_upper_moves_a_camera_and_is_refused_what_it_was_never_given(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        camera, *_ = await it.cameras(2)
        assert (await it.upper.ptz(camera.device_id, "A50F0108140000D1")).status == 200
        for code in ("34020000001320009999", camera.device_id[:-1] + "x"):
            with pytest.raises(InviteRefused) as refused:
                await it.upper.invite(code)
            assert refused.value.response.status == 404
            assert (await it.upper.ptz(code, "A50F0108140000D1")).status == 404


async def test_an_alarm_of_a_camera_reaches_the_upper_that_subscribed(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.cameras(2)
        sub = await it.upper.subscribe_alarm()
        device = it.simulator.devices[0]
        camera = device.channels[0].channel_id
        device.raise_alarm(camera)
        alarm = await sub.next()
        assert alarm.device_id == camera
        device.raise_alarm(method=6, alarm_type=1)
        assert (await sub.next()).device_id == device.device_id
        assert sub.states[0].startswith("active")


async def test_a_hundred_queries_in_a_row_leave_viewers_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        camera, *_ = await it.cameras(2)
        call = await it.upper.invite(camera.device_id)
        await call.packets(20)
        own_id = it.upper.lower_id
        async with asyncio.TaskGroup() as group:
            for sn in range(1, 101):
                group.create_task(it.upper.send(CatalogQuery(sn=sn, device_id=own_id)))
        before = len(call.received)
        await call.packets(before + 30)
        await call.bye()
        assert it.gateway.gateway.links.status(UPPER_ID).state == "online"


async def test_a_platform_that_is_deleted_leaves_no_codes_behind(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.cameras(2)
        store = it.gateway.gateway.store

        async def codes() -> list[SharedId]:
            return [shared async for part in store.load_shared_ids(UPPER_ID) for shared in part]

        assert len(await codes()) >= 2
        await it.gateway.gateway.platforms.save(it.upper.config(local_id="", name="2"), None)
        assert len(await codes()) >= 2
        await it.gateway.gateway.platforms.delete(UPPER_ID)

        async def none() -> bool:
            return not await codes()

        await eventually(none, 10.0, "the end of its codes")
        await it.upper.deregistered()
        # What is served afterwards is built on nothing of it.
        await it.gateway.gateway.platforms.save(it.upper.config(local_id=""), PASSWORD)
        await it.upper.registered()
        await it.cameras(2)


async def test_after_a_failover_the_next_server_learns_what_the_last_one_was_not_told(
    tmp_path: Path,
) -> None:
    async with (
        UpperPlatform(lower_id=SERVER_ID) as first,
        UpperPlatform(lower_id=SERVER_ID, host="127.0.0.2") as second,
        running_gateway(tmp_path, cascade={"notify_delay": 0.1}) as site,
        Simulator(site.simulator_options(channels=3, catalog_items=3, audio=None)) as simulator,
    ):
        gateway = site.gateway
        await gateway.policies.apply(POLICY, ADMIN)
        await simulator.wait_registered()
        await site.channels(RECORDER, 3)
        config = first.config(local_id="", retry_delay=1)
        config = replace(config, addresses=(*config.addresses, *second.config().addresses))
        await gateway.platforms.save(config, PASSWORD)
        await first.registered()
        told = await first.subscribe_catalog()
        before = {item.device_id for item in await first.query_catalog()}
        first.register_status = 503
        gateway.links.reconnect(UPPER_ID)
        await second.registered()
        # The first one would still take it, and the second one would never know.
        await gateway.policies.apply(POLICY + HIDE, ADMIN)
        await asyncio.sleep(1.5)
        assert told.notifies == []
        assert gateway.links.status(UPPER_ID).subscriptions == {}
        again = await second.subscribe_catalog()
        notify = await again.next()
        assert [(item.device_id, item.event) for item in notify.items] == [(HIDDEN, "DEL")]
        after = {item.device_id for item in await second.query_catalog()}
        assert before - after == {HIDDEN}
