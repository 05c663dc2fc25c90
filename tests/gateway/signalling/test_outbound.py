"""Requests to devices over loopback sockets: where they go when the device has moved."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.domain.device import Device, DeviceAddress
from gateway.signalling.device_dialog import DeviceDialog
from gateway.signalling.outbound import SipSignaller
from gateway.signalling.pending import PendingAnswers
from gb28181.aio.client import InviteDialog
from gb28181.aio.incoming import IncomingRequest
from gb28181.sip.endpoint import Flow
from gb28181.sip.header.reason import Reason
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net

DEVICE = "34020000001320000001"


class Camera:
    """A device that takes every call; the record of it is what the registry would hold."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.record = Device(device_id=DEVICE, online=True)
        self.dialogs: list[InviteDialog] = []
        self.ended: list[str] = []
        peer.handler = self._take

    def registered(self, flow: Flow) -> None:
        """Do what the registry does with the flow of a registration."""
        self.record.address = DeviceAddress(
            transport=flow.transport,
            host=flow.remote[0],
            port=flow.remote[1],
            local_host=flow.local[0],
            local_port=flow.local[1],
            connection=flow.connection,
        )

    def _take(self, incoming: IncomingRequest) -> None:
        if incoming.request.method != "INVITE":
            incoming.respond(200)
            return
        dialog = incoming.accept_invite(b"v=0\r\n")
        dialog.on_bye = lambda: self.ended.append(dialog.call_id)
        self.dialogs.append(dialog)


async def call(
    platform: Peer, camera: Camera, on_bye: Callable[[str], None] = lambda _: None
) -> DeviceDialog:
    signaller = SipSignaller(
        platform.driver.client,
        PendingAnswers(),
        platform_id="34020000002000000001",
        domain="3402000000",
        charset="GB2312",
        timeout=1.0,
        find=lambda device_id: camera.record if device_id == DEVICE else None,
    )
    return await signaller.invite(
        camera.record,
        DEVICE,
        b"v=0\r\n",
        subject="s",
        timeout=2.0,
        on_trying=lambda: None,
        on_bye=on_bye,
    )


async def test_the_reason_of_a_lower_platforms_bye_is_told() -> None:
    async with peers() as (platform, device):
        camera = Camera(device)
        local = await platform.driver.listen_udp("127.0.0.1", 0)
        remote = await device.driver.listen_udp("127.0.0.1", 0)
        camera.registered(Flow(transport="UDP", remote=remote, local=local))
        said: list[str] = []
        await call(platform, camera, said.append)
        await camera.dialogs[0].bye(reason=Reason(480, "the stream of the camera ended"))
        assert said == ['SIP 480 "the stream of the camera ended"']
        await call(platform, camera, said.append)
        await camera.dialogs[1].bye()
        assert said[1:] == [""]


async def test_after_a_new_nat_mapping_bye_goes_to_the_new_port() -> None:
    async with peers() as (platform, device):
        camera = Camera(device)
        local = await platform.driver.listen_udp("127.0.0.1", 0)
        old = await device.driver.listen_udp("127.0.0.1", 0)
        new = await device.driver.listen_udp("127.0.0.1", 0)
        camera.registered(platform.driver.flow_udp(old, local))
        dialog = await call(platform, camera)
        camera.registered(platform.driver.flow_udp(new, local))
        await dialog.bye()
        assert camera.ended == [dialog.call_id]
        assert camera.dialogs[0].remote_flow.local == new


async def test_an_offline_device_gets_bye_where_it_answered() -> None:
    async with peers() as (platform, device):
        camera = Camera(device)
        local = await platform.driver.listen_udp("127.0.0.1", 0)
        old = await device.driver.listen_udp("127.0.0.1", 0)
        camera.registered(platform.driver.flow_udp(old, local))
        dialog = await call(platform, camera)
        camera.registered(platform.driver.flow_udp(("127.0.0.1", 1), local))
        camera.record.online = False
        await dialog.bye()
        assert camera.ended == [dialog.call_id]
        assert camera.dialogs[0].remote_flow.local == old


async def test_after_a_reconnect_bye_goes_out_on_the_new_connection() -> None:
    async with peers() as (platform, device):
        camera = Camera(device)
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        first = await device.driver.connect_tcp(*address)
        await message(device, first)
        camera.registered(platform.incoming[-1].flow)
        dialog = await call(platform, camera)
        assert first.connection is not None
        device.driver.drop_connection(first.connection)
        async with asyncio.timeout(10):
            while not platform.lost:
                await asyncio.sleep(0.005)
        await message(device, await device.driver.connect_tcp(*address))
        camera.registered(platform.incoming[-1].flow)
        await dialog.bye()
        assert camera.ended == [dialog.call_id]
