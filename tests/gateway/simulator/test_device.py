"""A simulated device under control: what it does with its pictures, its streams and itself."""

import asyncio
import socket

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from gateway.simulator import Defect
from gateway.simulator.picture import PictureLayout, read_position
from gb28181.aio.client import InviteDialog, InviteRefused
from gb28181.aio.errors import SipTimeout
from gb28181.manscdp import (
    CatalogNotify,
    CatalogQuery,
    DeviceControl,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Response,
    SubCommand,
)
from gb28181.manscdp.ptz import PtzCommand
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.sdp.offer import build_live_offer
from tests.support.device_site import DeviceSite, device_site
from tests.support.raw_platform import bound_socket

pytestmark = pytest.mark.net

DEVICE = "34020000001180000001"
FIRST = "34020000001320000001"


class Receiver:
    """Takes a stream by UDP and decodes it."""

    def __init__(self, site: DeviceSite) -> None:
        self._site = site
        self.socket: socket.socket = bound_socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._depacketizer = Depacketizer({96: "PS"})
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, VideoCodecContext)
        self._decoder = decoder
        self.times: list[int] = []
        self.key_frames: list[int] = []
        """Numbers of the key frames among the units."""

    async def invite(self, channel: str = FIRST, **changes: object) -> InviteDialog:
        """Play a channel."""
        values: dict[str, object] = {
            "owner_id": "34020000002000000001",
            "host": "127.0.0.1",
            "port": self.socket.getsockname()[1],
            "transport": "udp",
            "ssrc": 200_000_017,
        }
        uri = f"sip:{channel}@127.0.0.1:{self._site.flow.remote[1]}"
        return await self._site.peer.driver.client.invite(
            uri,
            flow=self._site.flow,
            from_="<sip:34020000002000000001@3402000000>",
            to=f"<{uri}>",
            sdp=build_live_offer(**(values | changes)),  # type: ignore[arg-type]
            timeout=5.0,
        )

    async def frame(self) -> VideoFrame:
        """The next picture."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            while True:
                data = await loop.sock_recv(self.socket, 2000)
                for unit in self._depacketizer.feed(RtpPacket.parse(data)):
                    if not unit.is_video:
                        continue
                    if unit.keyframe:
                        self.key_frames.append(len(self.times))
                    self.times.append(unit.pts)
                    frames = self._decoder.decode(av.Packet(unit.payload))
                    if frames:
                        return frames[-1]


def position(frame: VideoFrame) -> str:
    plane = frame.planes[0]
    layout = PictureLayout(frame.width, frame.height)
    return read_position(bytes(plane), stride=plane.line_size, layout=layout)


async def until_frame(receiver: Receiver, wanted: str) -> VideoFrame:
    """Decode pictures until one shows this position."""
    for _ in range(200):
        frame = await receiver.frame()
        if position(frame).strip() == wanted:
            return frame
    raise AssertionError(f"no picture shows {wanted}")


async def test_the_picture_tells_where_the_camera_was_moved() -> None:
    async with device_site(channels=2) as site:
        receiver = Receiver(site)
        dialog = await receiver.invite()
        first = await receiver.frame()
        assert "?" in position(first)
        frame = PtzCommand.move(pan=255, tilt=-128).serialize()
        assert await site.send(DeviceControl(sn=1, device_id=FIRST, ptz_cmd=frame)) == 200
        await site.until("the motion", lambda: site.device.controls)
        await asyncio.sleep(0.5)
        stop = PtzCommand.stop().serialize()
        await site.send(DeviceControl(sn=2, device_id=FIRST, ptz_cmd=stop))
        await site.until("the stop", lambda: len(site.device.controls) == 2)
        here = site.device.controller.position(FIRST)
        assert here.pan > 20
        assert here.tilt < -5
        await until_frame(receiver, here.text)
        # The other encoder goes on where the first one was: no jump in the stream's time.
        steps = [b - a for a, b in zip(receiver.times, receiver.times[1:], strict=False)]
        assert all(0 < step < 90_000 for step in steps)
        assert [entry.channel_id for entry in site.device.controls] == [FIRST, FIRST]
        assert site.device.controls[0].identity == "34020000002000000001-user"
        await dialog.bye()
        receiver.socket.close()


async def test_only_a_moved_camera_costs_an_encoder() -> None:
    async with device_site(channels=3) as site:
        receivers = [Receiver(site) for _ in range(3)]
        for number, receiver in enumerate(receivers):
            await receiver.invite(f"3402000000132000000{number + 1}")
            await receiver.frame()
        assert site.simulator.encoders_running == 1
        frame = PtzCommand.move(zoom=8).serialize()
        await site.send(DeviceControl(sn=1, device_id=FIRST, ptz_cmd=frame))
        await site.until("an encoder", lambda: site.simulator.encoders_running == 2)
        for receiver in receivers:
            await receiver.frame()
            receiver.socket.close()


@pytest.mark.parametrize("edition", ["2016", "2022"])
async def test_a_key_frame_comes_when_asked_for(edition: str) -> None:
    async with device_site(channels=1, gop=20.0) as site:
        receiver = Receiver(site)
        await receiver.invite()
        for _ in range(15):
            await receiver.frame()
        assert len(receiver.key_frames) == 1
        await site.send(DeviceControl(sn=1, device_id=FIRST, iframe_cmd="Send"), edition=edition)
        for _ in range(25):
            await receiver.frame()
        assert len(receiver.key_frames) == 2
        receiver.socket.close()


async def test_the_sub_stream_runs_beside_the_main_one() -> None:
    async with device_site(channels=1, gb_version="3.0", width=640, height=360) as site:
        main, sub = Receiver(site), Receiver(site)
        await main.invite()
        await sub.invite(streamnumber=1, ssrc=200_000_018)
        assert sorted(site.device.sessions) == [FIRST, f"{FIRST}/1"]
        sizes = [(frame.width, frame.height) for frame in (await main.frame(), await sub.frame())]
        assert sizes == [(640, 360), (320, 180)]
        with pytest.raises(InviteRefused) as refused:
            await sub.invite(streamnumber=1, ssrc=200_000_019)
        assert refused.value.response.status == 486
        main.socket.close()
        sub.socket.close()


async def test_a_device_before_2022_has_no_sub_stream() -> None:
    async with device_site(channels=1) as site:
        receiver = Receiver(site)
        await receiver.invite(streamnumber=1)
        frame = await receiver.frame()
        assert (frame.width, frame.height) == (320, 180)
        assert list(site.device.sessions) == [FIRST]
        receiver.socket.close()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_teleboot_makes_a_device_vanish_and_come_back(transport: str) -> None:
    async with device_site(channels=1, transport=transport, reboot_time=0.3) as site:
        receiver = Receiver(site)
        dialog = await receiver.invite()
        await site.subscribe(CatalogQuery(sn=1, device_id=DEVICE))
        ended: list[str] = []
        dialog.on_bye = lambda: ended.append("bye")
        first_call = next(i for i in site.peer.incoming if i.request.method == "REGISTER")
        await site.send(DeviceControl(sn=1, device_id=DEVICE, tele_boot="Boot"))
        await site.until("the reboot", lambda: not site.device.registered)
        assert site.device.subscriptions.kinds == []
        await site.until("no sessions", lambda: not site.device.sessions)
        await site.until("its return", lambda: site.device.registrations == 2)
        registers = [i.request for i in site.peer.incoming if i.request.method == "REGISTER"]
        assert registers[-1].call_id != first_call.request.call_id
        assert all(request.expires != 0 for request in registers)
        # A device without power says no farewell; a lost connection ends the dialog all the same.
        assert ended == ([] if transport == "UDP" else ["bye"])
        assert await site.send(DeviceStatusQuery(sn=9, device_id=DEVICE)) == 200
        await site.until("an answer", lambda: site.messages(DeviceStatusResponse))
        assert site.messages(Response) == []
        receiver.socket.close()


async def test_a_device_that_reboots_hears_nothing() -> None:
    async with device_site(channels=1, reboot_time=2.0) as site:
        await site.send(DeviceControl(sn=1, device_id=DEVICE, tele_boot="Boot"))
        await site.until("the reboot", lambda: not site.device.registered)
        with pytest.raises(SipTimeout):
            await site.send(
                DeviceControl(sn=2, device_id=DEVICE, guard_cmd="SetGuard"), timeout=0.8
            )
        assert len(site.device.controls) == 1


async def test_controls_are_answered_by_messages_of_the_same_number() -> None:
    async with device_site(channels=1) as site:
        await site.send(DeviceControl(sn=41, device_id=FIRST, record_cmd="Record"))
        await site.send(DeviceControl(sn=42, device_id=FIRST, guard_cmd="SetGuard"))
        await site.until("two answers", lambda: len(site.messages(Response)) == 2)
        assert site.messages(Response) == [
            Response(cmd_type="DeviceControl", sn=sn, device_id=FIRST, result="OK")
            for sn in (41, 42)
        ]
        assert [entry.sub_command for entry in site.device.controls] == [
            SubCommand.RECORD,
            SubCommand.GUARD,
        ]


async def test_a_camera_that_claims_to_be_on_line_may_not_be() -> None:
    async with device_site(channels=5, defects=frozenset(Defect)) as site:
        ((device, channel),) = site.simulator.find(Defect.OFFLINE_CLAIMS_ON)
        assert device is site.device
        assert channel.item().status == "ON"
        receiver = Receiver(site)
        with pytest.raises(InviteRefused) as refused:
            await receiver.invite(channel.channel_id)
        assert refused.value.response.status == 480
        receiver.socket.close()


async def test_a_camera_that_fails_ends_its_stream() -> None:
    async with device_site(channels=2) as site:
        receiver = Receiver(site)
        dialog = await receiver.invite()
        over: list[str] = []
        dialog.on_bye = lambda: over.append("bye")
        site.device.set_channel_status(FIRST, False)
        await site.until("a BYE", lambda: over)
        await site.send(DeviceStatusQuery(sn=1, device_id=FIRST))
        await site.until("an answer", lambda: site.messages(DeviceStatusResponse))
        (status,) = site.messages(DeviceStatusResponse)
        assert isinstance(status, DeviceStatusResponse)
        assert (status.device_id, status.online, status.status) == (FIRST, "OFFLINE", "ERROR")
        receiver.socket.close()


async def test_an_alarm_input_cannot_be_watched() -> None:
    async with device_site(channels=1, alarm_inputs=1) as site:
        receiver = Receiver(site)
        with pytest.raises(InviteRefused) as refused:
            await receiver.invite(site.device.channels[-1].channel_id)
        assert refused.value.response.status == 404
        receiver.socket.close()


async def test_a_lower_platform_notifies_its_own_kind_of_items() -> None:
    async with device_site(channels=2, platform=True) as site:
        system = site.device.device_id
        await site.subscribe(CatalogQuery(sn=1, device_id=system))
        camera = site.device.channels[-1]
        site.device.update_channel(camera)
        await site.until("two notices", lambda: len(site.notices()) == 2)
        notice = site.notices()[-1]
        assert isinstance(notice, CatalogNotify)
        (item,) = notice.items
        assert (item.device_id, item.event) == (camera.channel_id, "UPDATE")
        assert item.parent_id.startswith(f"{system}/")
