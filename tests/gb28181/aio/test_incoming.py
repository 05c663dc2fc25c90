"""Requests of peers as the handler sees them, and callbacks that fail."""

import asyncio

import pytest

from gb28181.aio.client import ClientEvent
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.sip.dialog.invite_call import InviteAccepted
from gb28181.sip.endpoint import Flow
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net

CALL = {
    "from_": "<sip:34020000002000000001@3402000000>",
    "to": "<sip:34020000001320000001@3402000000>",
    "sdp": b"v=0\r\n",
    "timeout": 2.0,
}


async def open_flow(platform: Peer, device: Peer) -> Flow:
    local = await platform.driver.listen_udp("127.0.0.1", 0)
    return platform.driver.flow_udp(await device.driver.listen_udp("127.0.0.1", 0), local)


async def eventually(met: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await met.wait()


def fail() -> None:
    raise ValueError("junk")


async def test_an_ignored_request_gets_no_answer_and_leaves_nothing() -> None:
    async with peers() as (platform, device):
        device.handler = lambda incoming: incoming.ignore()
        with pytest.raises(SipTimeout):
            await message(platform, await open_flow(platform, device), timeout=0.05)
        assert device.driver.stats.transactions == 0
        assert not device.incoming[0].answered or device.driver.stats.pending == 0


async def test_an_answer_may_come_later() -> None:
    async with peers() as (platform, device):
        device.handler = lambda incoming: None
        flow = await open_flow(platform, device)

        async def answer() -> None:
            while not device.incoming:
                await asyncio.sleep(0.005)
            assert not device.incoming[0].answered
            device.incoming[0].respond(202, "Later", headers=[("X-GB-Ver", "3.0")], body=b"ok")

        async with asyncio.TaskGroup() as group:
            group.create_task(answer(), name="answer")
            response = await message(platform, flow)
        assert (response.status, response.reason, response.body) == (202, "Later", b"ok")
        assert response.headers.get("X-GB-Ver") == "3.0"
        assert device.incoming[0].answered


async def test_a_failing_on_cancel_is_reported() -> None:
    async with peers() as (platform, device):
        told = asyncio.Event()
        device.driver._on_crash = lambda name, error: told.set()

        def ring(incoming: IncomingRequest) -> None:
            incoming.on_cancel = fail
            incoming.respond(180)

        device.handler = ring
        flow = await open_flow(platform, device)
        with pytest.raises(SipTimeout):
            await platform.driver.client.invite(
                "sip:x@y",
                flow=flow,
                **(CALL | {"timeout": 0.05}),  # type: ignore[arg-type]
            )
        await eventually(told)
        assert device.incoming[0].cancelled


async def test_a_failing_on_bye_is_reported_and_the_bye_is_answered() -> None:
    async with peers() as (platform, device):

        def accept(incoming: IncomingRequest) -> None:
            incoming.accept_invite(b"v=0\r\n").on_bye = fail

        device.handler = accept
        flow = await open_flow(platform, device)
        dialog = await platform.driver.client.invite("sip:x@y", flow=flow, **CALL)  # type: ignore[arg-type]
        assert "established" in repr(dialog)
        await dialog.bye()
        assert "ended" in repr(dialog)
        assert [name for name, _ in device.crashes] == ["on_bye"]
        assert "INVITE from 127.0.0.1" in repr(device.incoming[0])


async def test_a_crash_after_the_answer_changes_nothing_of_it() -> None:
    async with peers() as (platform, device):

        def answer_and_fail(incoming: IncomingRequest) -> None:
            incoming.respond(200)
            fail()

        device.handler = answer_and_fail
        assert (await message(platform, await open_flow(platform, device))).status == 200
        assert len(device.crashes) == 1


async def test_failing_callbacks_of_the_owner_are_reported() -> None:
    async with peers() as (platform, device):
        platform.driver._on_event = lambda event: fail()
        platform.driver.on_connection_lost = lambda number, reason: fail()
        flow = await device.driver.connect_tcp(*await platform.driver.listen_tcp("127.0.0.1", 0))
        assert (await message(device, flow, method="DANCE")).status == 501
        assert flow.connection is not None
        device.driver.drop_connection(flow.connection)
        async with asyncio.timeout(10):
            while len(platform.crashes) < 2:
                await asyncio.sleep(0.005)
        assert [name for name, _ in platform.crashes] == ["on_event", "on_connection_lost"]


async def test_a_call_accepted_in_the_moment_its_caller_gives_up_is_ended() -> None:
    async with peers() as (platform, device):
        over = asyncio.Event()

        def accept(incoming: IncomingRequest) -> None:
            dialog = incoming.accept_invite(b"v=0\r\n")
            dialog.on_bye = over.set

        device.handler = accept
        flow = await open_flow(platform, device)
        client = platform.driver.client
        handle = client.handle
        calling: list[asyncio.Task[object]] = []

        async def call() -> None:
            await client.invite("sip:x@y", flow=flow, **CALL)  # type: ignore[arg-type]

        def cancel_then_handle(event: ClientEvent) -> None:
            # The 2xx is being handled; the task that awaits it is cancelled before it wakes up.
            if isinstance(event, InviteAccepted):
                asyncio.get_running_loop().call_soon(calling[0].cancel)
            handle(event)

        client.handle = cancel_then_handle  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as group:
            calling.append(group.create_task(call(), name="call"))
        await eventually(over)
        assert platform.driver.stats.dialogs == 0


async def test_closing_the_driver_fails_a_call() -> None:
    async with peers() as (platform, device):
        device.handler = lambda incoming: None
        flow = await open_flow(platform, device)
        caught: list[Exception] = []

        async def call() -> None:
            try:
                await platform.driver.client.invite("sip:x@y", flow=flow, **CALL)  # type: ignore[arg-type]
            except SipTransportError as error:
                caught.append(error)

        async with asyncio.TaskGroup() as group:
            group.create_task(call(), name="call")
            while not device.incoming:
                await asyncio.sleep(0.005)
            await platform.driver.close()
        assert len(caught) == 1
