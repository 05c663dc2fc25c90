"""Calls to await, between two drivers on loopback sockets."""

import asyncio
import socket

import pytest

from gb28181.aio.client import InviteDialog
from gb28181.aio.errors import CallCancelled, InviteRefused, SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.errors import LocalProtocolError
from gb28181.sip.endpoint import Flow
from gb28181.sip.message import Response
from gb28181.sip.timers import TimerConfig
from tests.support.sip_drivers import Peer, peers

pytestmark = pytest.mark.net

INVITE = (
    b"INVITE sip:34020000001320000001@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKmute\r\n"
    b"From: <sip:34020000002000000001@3402000000>;tag=1\r\n"
    b"To: <sip:34020000001320000001@3402000000>\r\n"
    b"Call-ID: mute@127.0.0.1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
OFFER, ANSWER = b"v=0\r\ns=Play\r\n", b"v=0\r\ns=Answer\r\n"


class Device:
    """A peer that accepts calls and keeps their dialogs."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.dialogs: list[InviteDialog] = []
        self.told: list[str] = []
        peer.handler = self.take

    def take(self, incoming: IncomingRequest) -> None:
        if incoming.request.method != "INVITE":
            incoming.respond(200)
            return
        incoming.respond(180)
        dialog = incoming.accept_invite(ANSWER)
        dialog.on_bye = lambda: self.told.append("bye")
        dialog.on_ack = lambda: self.told.append("ack")
        self.dialogs.append(dialog)


async def open_flow(platform: Peer, device: Peer, transport: str = "UDP") -> Flow:
    """Return the platform's flow to the device; over TCP the device connects."""
    if transport == "UDP":
        local = await platform.driver.listen_udp("127.0.0.1", 0)
        return platform.driver.flow_udp(await device.driver.listen_udp("127.0.0.1", 0), local)
    address = await platform.driver.listen_tcp("127.0.0.1", 0)
    flow = await device.driver.connect_tcp(*address)
    await device.driver.client.request(
        "REGISTER", "sip:y", flow=flow, from_="<sip:d@y>", to="<sip:d@y>"
    )
    return platform.incoming.pop().flow


async def call(
    platform: Peer, flow: Flow, *, timeout: float = 2.0, **options: object
) -> InviteDialog:
    return await platform.driver.client.invite(
        "sip:34020000001320000001@192.168.1.64",
        flow=flow,
        from_="<sip:34020000002000000001@3402000000>",
        to="<sip:34020000001320000001@3402000000>",
        sdp=OFFER,
        timeout=timeout,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_call_is_set_up_used_in_both_directions_and_ended(transport: str) -> None:
    async with peers() as (platform, camera):
        device = Device(camera)
        flow = await open_flow(platform, camera, transport)
        heard: list[int] = []
        dialog = await call(platform, flow, on_provisional=lambda r: heard.append(r.status))
        assert heard == [180]
        assert dialog.response.body == ANSWER
        assert dialog.remote_flow == flow
        answer = await dialog.request("INFO", body=b"PAUSE", content_type="Application/MANSRTSP")
        assert answer.status == 200
        assert camera.incoming[-1].dialog is device.dialogs[0]
        answer = await device.dialogs[0].request("MESSAGE", body=b"<Notify/>", content_type="a/b")
        assert answer.status == 200
        assert platform.incoming[-1].dialog is dialog
        await dialog.bye()
        await dialog.bye()
        assert dialog.ended
        assert device.told == ["ack", "bye"]
        assert device.dialogs[0].ended
        assert platform.driver.stats.dialogs == camera.driver.stats.dialogs == 0
        assert [request.request.method for request in camera.incoming] == ["INVITE", "INFO"]


async def test_requests_inside_a_dialog_go_to_its_own_handler() -> None:
    async with peers() as (platform, camera):
        device = Device(camera)
        dialog = await call(platform, await open_flow(platform, camera))
        inside: list[IncomingRequest] = []

        def take(incoming: IncomingRequest) -> None:
            inside.append(incoming)
            incoming.respond(200)

        dialog.on_request = take
        await device.dialogs[0].request("MESSAGE", body=b"<Notify/>", content_type="a/b")
        assert len(inside) == 1
        assert platform.incoming == []
        await dialog.bye()


async def test_the_peers_bye_is_told_once() -> None:
    async with peers() as (platform, camera):
        device = Device(camera)
        byes: list[str] = []
        dialog = await call(
            platform, await open_flow(platform, camera), on_bye=lambda _: byes.append("bye")
        )
        await device.dialogs[0].bye()
        assert byes == ["bye"]
        assert dialog.ended
        await dialog.bye()
        with pytest.raises(SipTransportError):
            await dialog.request("INFO")


async def test_a_refusal_is_raised_with_its_response() -> None:
    async with peers() as (platform, camera):
        camera.handler = lambda incoming: incoming.respond(486, "Session limit")
        with pytest.raises(InviteRefused, match="486 Session limit") as caught:
            await call(platform, await open_flow(platform, camera))
        assert caught.value.response.status == 486


async def test_at_the_timeout_the_invite_is_cancelled() -> None:
    async with peers() as (platform, camera):
        withdrawn = asyncio.Event()

        def ring(incoming: IncomingRequest) -> None:
            incoming.on_cancel = withdrawn.set
            incoming.respond(180)

        camera.handler = ring
        with pytest.raises(SipTimeout):
            await call(platform, await open_flow(platform, camera), timeout=0.05)
        async with asyncio.timeout(10):
            await withdrawn.wait()
        (incoming,) = camera.incoming
        assert incoming.cancelled
        with pytest.raises(CallCancelled):
            incoming.accept_invite(ANSWER)


async def test_a_2xx_after_the_timeout_is_acknowledged_and_ended() -> None:
    async with peers() as (platform, camera):
        device = Device(camera)
        accept = device.take
        camera.handler = lambda incoming: None
        with pytest.raises(SipTimeout):
            await call(platform, await open_flow(platform, camera), timeout=0.02)
        accept(camera.incoming[0])
        async with asyncio.timeout(10):
            while device.told != ["ack", "bye"]:
                await asyncio.sleep(0.005)
        assert platform.driver.stats.dialogs == 0


async def test_cancelling_the_caller_cancels_the_invite() -> None:
    async with peers() as (platform, camera):
        withdrawn, ringing = asyncio.Event(), asyncio.Event()

        def ring(incoming: IncomingRequest) -> None:
            incoming.on_cancel = withdrawn.set
            incoming.respond(180)

        camera.handler = ring
        flow = await open_flow(platform, camera)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await call(platform, flow, on_provisional=lambda response: ringing.set())
        assert ringing.is_set()
        async with asyncio.timeout(10):
            await withdrawn.wait()


async def give_up(platform: Peer, flow: Flow) -> None:
    """Call and lose interest before anything has come back."""
    with pytest.raises(SipTimeout):
        await call(platform, flow, timeout=0.05)


async def test_settling_sends_held_cancels_and_waits_for_the_end() -> None:
    async with peers() as (platform, device):
        flow = await open_flow(platform, device)
        device.handler = lambda incoming: None
        cancelled = []

        def note(incoming: IncomingRequest) -> None:
            incoming.on_cancel = lambda: cancelled.append(incoming)

        device.handler = note
        await give_up(platform, flow)
        assert cancelled == []
        async with asyncio.timeout(4):
            await platform.driver.client.settle(5.0)
        assert len(cancelled) == 1
        assert platform.driver.endpoint.cancelled_calls() == []


async def test_settling_ends_a_call_that_is_accepted_all_the_same() -> None:
    async with peers() as (platform, device):
        flow = await open_flow(platform, device)
        told = []

        def take_late(incoming: IncomingRequest) -> None:
            def accept() -> None:
                dialog = incoming.accept_invite(ANSWER)
                dialog.on_bye = lambda: told.append("bye")

            asyncio.get_running_loop().call_later(0.1, accept)

        device.handler = take_late
        await give_up(platform, flow)
        # The CANCEL is lost on the way.
        platform.driver.endpoint.cancelled_calls()[0].hurry = lambda now: None  # type: ignore[method-assign]
        await platform.driver.client.settle(2.0)
        await platform.driver.close()
        async with asyncio.timeout(10):
            while not told:
                await asyncio.sleep(0.005)
        assert told == ["bye"]


async def test_settling_is_bounded_and_immediate_without_calls() -> None:
    async with peers(1) as (platform,):
        async with asyncio.timeout(0.05):
            await platform.driver.client.settle(5.0)
        local = await platform.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            await give_up(platform, platform.driver.flow_udp(silent.getsockname(), local))
            async with asyncio.timeout(10):
                await platform.driver.client.settle(0.1)
            silent.setblocking(False)
            heard = [silent.recv(4_096)[:6], silent.recv(4_096)[:6]]
        assert heard == [b"INVITE", b"CANCEL"]


async def test_a_lost_connection_fails_the_call_at_once() -> None:
    async with peers() as (platform, camera):

        def hang_up(incoming: IncomingRequest) -> None:
            assert incoming.flow.connection is not None
            camera.driver.drop_connection(incoming.flow.connection)

        flow = await open_flow(platform, camera, "TCP")
        camera.handler = hang_up
        async with asyncio.timeout(4):
            with pytest.raises(SipTransportError):
                await call(platform, flow, timeout=5.0)
        assert [number for number, _ in platform.lost] == [flow.connection]
        with pytest.raises(SipTransportError):
            await call(platform, flow)


async def test_bye_returns_in_time_and_never_raises() -> None:
    async with peers() as (platform, camera):
        Device(camera)
        dialog = await call(platform, await open_flow(platform, camera))
        await camera.driver.close()
        async with asyncio.timeout(10):
            await dialog.bye(timeout=0.05)
        assert dialog.ended


async def test_bye_after_closing_the_driver_is_silent() -> None:
    async with peers() as (platform, camera):
        Device(camera)
        dialog = await call(platform, await open_flow(platform, camera))
        await platform.driver.close()
        await dialog.bye()
        assert dialog.ended
        with pytest.raises(SipTransportError):
            await dialog.request("INFO")


async def test_a_2xx_nobody_acknowledges_ends_the_dialog() -> None:
    fast = TimerConfig(t1=0.002, t2=0.008, t4=0.01)
    async with peers(1, timers=fast) as (camera,):
        device = Device(camera)
        address = await camera.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            mute.sendto(INVITE, address)
            async with asyncio.timeout(10):
                while not device.told:
                    await asyncio.sleep(0.005)
        assert device.told == ["bye"]
        assert device.dialogs[0].ended
        assert camera.driver.stats.retransmitted > 3


async def test_a_crash_in_a_callback_is_reported_and_the_call_goes_on() -> None:
    async with peers() as (platform, camera):
        Device(camera)

        def fail(response: Response) -> None:
            raise ValueError("junk")

        dialog = await call(platform, await open_flow(platform, camera), on_provisional=fail)
        assert [name for name, _ in platform.crashes] == ["on_provisional"]
        await dialog.bye()


async def test_a_dialog_we_accepted_has_no_response() -> None:
    async with peers() as (platform, camera):
        device = Device(camera)
        await call(platform, await open_flow(platform, camera))
        with pytest.raises(LocalProtocolError):
            _ = device.dialogs[0].response


@pytest.mark.parametrize("size", [1_400, 20_000, 60_000])
async def test_a_long_request_stays_on_its_udp_flow(size: int) -> None:
    async with peers() as (platform, camera):
        flow = await open_flow(platform, camera)
        body = b"<" + b"x" * size + b">"
        answer = await platform.driver.client.request(
            "MESSAGE",
            "sip:x@y",
            flow=flow,
            from_="<sip:p@y>",
            to="<sip:x@y>",
            body=body,
            content_type="Application/MANSCDP+xml",
            timeout=2.0,
        )
        assert answer.status == 200
        assert camera.incoming[0].request.body == body
        assert camera.incoming[0].flow.transport == "UDP"


async def test_a_request_no_datagram_can_hold_fails_at_once() -> None:
    async with peers() as (platform, camera):
        flow = await open_flow(platform, camera)
        async with asyncio.timeout(10):
            with pytest.raises(SipTransportError):
                await platform.driver.client.request(
                    "MESSAGE",
                    "sip:x@y",
                    flow=flow,
                    from_="<sip:p@y>",
                    to="<sip:x@y>",
                    body=b"x" * 65_536,
                    content_type="Application/MANSCDP+xml",
                )
