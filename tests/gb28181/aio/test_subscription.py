"""Subscriptions to await, between two drivers on loopback sockets."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from gb28181.aio.errors import CallCancelled, SipTimeout, SipTransportError, SubscribeRefused
from gb28181.aio.incoming import IncomingRequest, SubscriberDialog, SubscriptionDialog
from gb28181.errors import LocalProtocolError
from gb28181.sip.endpoint import Flow
from gb28181.sip.timers import TimerConfig
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net

QUERY = b"<Query><CmdType>Catalog</CmdType></Query>"


class Notifying:
    """A peer that accepts subscriptions and keeps their dialogs."""

    def __init__(self, peer: Peer, granted: int = 600) -> None:
        self.peer = peer
        self.granted = granted
        self.dialogs: list[SubscriptionDialog] = []
        self.refreshed: list[int | None] = []
        self.ends: list[str] = []
        peer.handler = self.take

    def take(self, incoming: IncomingRequest) -> None:
        if incoming.request.method != "SUBSCRIBE":
            incoming.respond(200)
            return
        dialog = incoming.accept_subscribe(expires=self.granted)
        dialog.on_refresh = self.refresh
        dialog.on_end = self.ends.append
        self.dialogs.append(dialog)

    def refresh(self, incoming: IncomingRequest) -> None:
        self.refreshed.append(incoming.request.expires)
        incoming.respond(200, headers=[("Expires", str(incoming.request.expires))])


class Notices:
    """What a subscriber was told."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        self.states: list[str | None] = []
        self.ends: list[str] = []

    def take(self, incoming: IncomingRequest) -> None:
        self.bodies.append(incoming.request.body)
        self.states.append(incoming.request.headers.get("Subscription-State"))
        incoming.respond(self.status)


async def open_flow(upper: Peer, lower: Peer, transport: str = "UDP") -> Flow:
    """Return the upper's flow to the lower; over TCP the lower connects."""
    if transport == "UDP":
        local = await upper.driver.listen_udp("127.0.0.1", 0)
        return upper.driver.flow_udp(await lower.driver.listen_udp("127.0.0.1", 0), local)
    flow = await lower.driver.connect_tcp(*await upper.driver.listen_tcp("127.0.0.1", 0))
    await message(lower, flow)
    return upper.incoming.pop().flow


async def subscribe(
    upper: Peer, flow: Flow, notices: Notices, **options: object
) -> SubscriberDialog:
    return await upper.driver.client.subscribe(
        "sip:34020000002000000002@127.0.0.1",
        flow=flow,
        from_="<sip:34020000002000000001@3402000000>",
        to="<sip:34020000002000000002@3402000000>",
        event="Catalog;id=7",
        expires=300,
        body=QUERY,
        content_type="Application/MANSCDP+xml",
        on_notify=notices.take,
        on_end=notices.ends.append,
        **options,  # type: ignore[arg-type]
    )


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_subscription_lives_from_the_subscribe_to_its_cancellation(transport: str) -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower, transport), notices)
        (theirs,) = notifying.dialogs
        assert dialog.granted == 600
        assert dialog.response.status == 200
        assert theirs.event == "Catalog;id=7"
        assert theirs.call_id == dialog.call_id
        assert theirs.remote_flow.transport == transport
        answer = await theirs.notify(b"<Notify/>", state="active;expires=600")
        assert answer.status == 200
        assert (await dialog.refresh(expires=200)).status == 200
        assert dialog.granted == 200
        assert upper.driver.stats.subscriptions == lower.driver.stats.subscriptions == 1
        assert upper.driver.stats.dialogs == 0
        assert (await dialog.refresh(expires=0)).status == 200
        assert notifying.refreshed == [200, 0]
        assert dialog.ended
        answer = await theirs.notify(b"", state="terminated;reason=timeout")
        assert answer.status == 200
        assert theirs.ended
        assert notices.bodies == [b"<Notify/>"]
        assert notices.ends == notifying.ends == []
        assert upper.driver.stats.subscriptions == lower.driver.stats.subscriptions == 0
        assert upper.crashes == lower.crashes == []
        assert [peer.incoming for peer in (upper, lower)] == [[], [lower.incoming[0]]]


async def test_a_notify_may_overtake_the_200() -> None:
    async with peers() as (upper, lower):
        notices = Notices()
        flow = await open_flow(upper, lower)
        client = upper.driver.client
        real = upper.driver.endpoint.receive_message
        kept: list[tuple[bytes, Flow, float]] = []

        def hold_back(data: bytes, way: Flow, now: float) -> None:
            if data.startswith(b"SIP/2.0 200") and b"SUBSCRIBE" in data:
                kept.append((data, way, now))
            else:
                real(data, way, now)

        upper.driver.endpoint.receive_message = hold_back  # type: ignore[method-assign,assignment]
        notifying = Notifying(lower)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(subscribe(upper, flow, notices), name="subscribe")
            await until(lambda: bool(kept))
            answer = await notifying.dialogs[0].notify(b"<First/>", state="active")
            assert answer.status == 200
            assert not task.done()
            real(*kept[0])
            upper.driver.transmit()
        assert notices.bodies == [b"<First/>"]
        assert not task.result().ended
        assert client.subscriptions.of(task.result()._subscriber) is task.result()


async def test_a_notify_outside_any_dialog_goes_to_the_owner() -> None:
    async with peers() as (upper, lower):
        Notifying(lower)
        notices = Notices()
        await subscribe(upper, await open_flow(upper, lower), notices)
        back = lower.driver.flow_udp(upper.driver.flow_udp(("127.0.0.1", 1)).local)
        assert (await message(lower, back, method="NOTIFY")).status == 200
        assert [request.request.method for request in upper.incoming] == ["NOTIFY"]
        assert upper.incoming[0].subscription is None
        assert notices.bodies == []


async def test_a_refused_subscription_is_raised_with_its_response() -> None:
    async with peers() as (upper, lower):
        lower.handler = lambda incoming: incoming.respond(489, headers=[("Allow-Events", "x")])
        with pytest.raises(SubscribeRefused, match="489 Bad Event") as caught:
            await subscribe(upper, await open_flow(upper, lower), Notices())
        assert caught.value.response.headers.get("Allow-Events") == "x"
        assert upper.driver.stats.subscriptions == 0


async def test_a_subscription_given_up_in_time_is_ended_over_there_by_its_first_notify() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        accept = notifying.take
        lower.handler = lambda incoming: None
        with pytest.raises(SipTimeout, match="no answer in"):
            await subscribe(upper, await open_flow(upper, lower), notices, timeout=0.05)
        assert upper.driver.stats.subscriptions == 0
        accept(lower.incoming[0])
        answer = await notifying.dialogs[0].notify(b"<Notify/>", state="active")
        assert answer.status == 481
        assert notifying.ends == ["gone"]
        assert lower.driver.stats.subscriptions == 0
        assert notices.bodies == []


async def test_the_end_by_the_notifier_is_told_after_its_last_notify() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        told: list[str] = []
        dialog.on_end = lambda why: told.append(f"{why} after {len(notices.states)}")
        await notifying.dialogs[0].notify(b"", state="terminated;reason=deactivated")
        assert told == ["terminated after 1"]
        assert dialog.ended
        with pytest.raises(SipTransportError):
            await dialog.refresh(expires=100)
        with pytest.raises(SipTransportError):
            await notifying.dialogs[0].notify(b"", state="active")


async def test_notifies_at_the_same_time_go_out_in_order_one_by_one() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        waiting: list[IncomingRequest] = []
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        dialog.on_notify = waiting.append
        (theirs,) = notifying.dialogs
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                body = b"<N>%d</N>" % number
                group.create_task(theirs.notify(body, state="active"), name=f"notify {number}")
            for number in range(3):
                await until(lambda number=number: len(waiting) > number)  # type: ignore[misc]
                await asyncio.sleep(0.02)
                assert len(waiting) == number + 1
                waiting[number].respond(200)
        assert [request.request.body for request in waiting] == [
            b"<N>0</N>",
            b"<N>1</N>",
            b"<N>2</N>",
        ]


async def test_a_subscriber_that_does_not_answer_loses_its_subscription() -> None:
    async with peers() as (upper, lower):
        notifying = Notifying(lower)
        dialog = await subscribe(upper, await open_flow(upper, lower), Notices())
        dialog.on_notify = lambda incoming: None
        (theirs,) = notifying.dialogs
        async with asyncio.TaskGroup() as group:
            caught: list[Exception] = []

            async def second() -> None:
                try:
                    await theirs.notify(b"<B/>", state="active", timeout=0.02)
                except SipTimeout as error:
                    caught.append(error)

            group.create_task(second(), name="second")
            with pytest.raises(SipTimeout, match="no answer"):
                await theirs.notify(b"<A/>", state="active", timeout=0.1)
        assert "earlier ones" in str(caught[0])
        assert notifying.ends == ["timeout"]
        assert theirs.ended
        assert lower.driver.stats.subscriptions == 0


async def test_a_lost_connection_ends_both_sides_and_what_they_wait_for() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower, "TCP"), notices)
        (theirs,) = notifying.dialogs
        connection = theirs.remote_flow.connection
        assert connection is not None
        dialog.on_notify = lambda incoming: lower.driver.drop_connection(connection)
        async with asyncio.timeout(4):
            with pytest.raises(SipTransportError):
                await theirs.notify(b"<Notify/>", state="active")
        await until(lambda: bool(notices.ends))
        assert notifying.ends == notices.ends == ["connection_lost"]
        assert dialog.ended
        assert upper.driver.stats.subscriptions == lower.driver.stats.subscriptions == 0


async def test_a_refresh_nobody_knows_ends_the_subscription() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        notifying.dialogs[0].close()
        notifying.dialogs[0].close()
        assert (await dialog.refresh(expires=300)).status == 481
        assert notices.ends == ["gone"]
        assert notifying.ends == []
        dialog.close()


async def test_a_refresh_nobody_answers_ends_the_subscription() -> None:
    fast = TimerConfig(t1=0.002, t2=0.008, t4=0.01)
    async with peers(timers=fast) as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        notifying.dialogs[0].on_refresh = lambda incoming: incoming.ignore()
        with pytest.raises(SipTimeout):
            await dialog.refresh(expires=300)
        assert notices.ends == ["timeout"]


async def test_a_moved_peer_is_told_where_it_is_now() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        (theirs,) = notifying.dialogs
        local = await upper.driver.listen_udp("127.0.0.1", 0)
        theirs.retarget(lower.driver.flow_udp(local))
        await theirs.notify(b"<Notify/>", state="active")
        assert dialog.remote_flow.local == local
        assert notices.bodies == [b"<Notify/>"]
        other = upper.driver.flow_udp(dialog.remote_flow.remote)
        dialog.retarget(other)
        await dialog.refresh(expires=300)
        assert theirs.remote_flow.remote == other.local


async def test_without_on_refresh_the_owner_gets_it_with_its_subscription() -> None:
    async with peers() as (upper, lower):
        notifying = Notifying(lower)
        dialog = await subscribe(upper, await open_flow(upper, lower), Notices())
        (theirs,) = notifying.dialogs
        theirs.on_refresh = None
        lower.handler = lambda incoming: incoming.respond(200)
        assert (await dialog.refresh(expires=100)).status == 200
        assert lower.incoming[-1].subscription is theirs
        with pytest.raises(LocalProtocolError):
            lower.incoming[-1].accept_subscribe(expires=1)


async def test_a_subscribe_is_accepted_once() -> None:
    async with peers() as (upper, lower):
        Notifying(lower)
        await subscribe(upper, await open_flow(upper, lower), Notices())
        with pytest.raises(CallCancelled):
            lower.incoming[0].accept_subscribe(expires=1)


async def test_a_crash_of_a_handler_is_a_500_and_the_subscription_goes_on() -> None:
    async with peers() as (upper, lower):
        notifying = Notifying(lower)

        def fail(anything: object) -> None:
            raise ValueError("junk")

        dialog = await subscribe(upper, await open_flow(upper, lower), Notices())
        dialog.on_notify = dialog.on_end = fail
        (theirs,) = notifying.dialogs
        assert (await theirs.notify(b"<Notify/>", state="active")).status == 500
        assert not theirs.ended
        await theirs.notify(b"", state="terminated")
        assert [name for name, _ in upper.crashes] == [
            "NOTIFY from 127.0.0.1",
            "NOTIFY from 127.0.0.1",
            "on_end",
        ]


async def test_a_subscriber_that_vanishes_is_found_by_the_next_notify() -> None:
    fast = TimerConfig(t1=0.002, t2=0.008, t4=0.01)
    async with peers(1, timers=fast) as (lower,):
        notifying = Notifying(lower)
        address = await lower.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            gone.sendto(
                b"SUBSCRIBE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\n"
                b"From: <sip:u@y>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: a\r\nCSeq: 1 SUBSCRIBE\r\n"
                b"o: presence\r\nExpires: 90\r\nContent-Length: 0\r\n\r\n",
                address,
            )
            await until(lambda: bool(notifying.dialogs))
        (theirs,) = notifying.dialogs
        assert theirs.event == "presence"
        with pytest.raises((SipTimeout, SipTransportError)):
            await theirs.notify(b"<Notify/>", state="active")
        assert notifying.ends in (["timeout"], ["unreachable"])
        assert lower.driver.stats.subscriptions == 0


async def test_closing_the_driver_fails_what_is_waited_for() -> None:
    async with peers() as (upper, lower):
        notifying, notices = Notifying(lower), Notices()
        dialog = await subscribe(upper, await open_flow(upper, lower), notices)
        await lower.driver.close()
        await upper.driver.close()
        with pytest.raises(SipTransportError):
            await dialog.refresh(expires=1)
        with pytest.raises(SipTransportError):
            await notifying.dialogs[0].notify(b"", state="active")
        with pytest.raises(SipTransportError):
            await subscribe(upper, dialog.remote_flow, notices)
        assert "SubscriberDialog" in repr(dialog)
        assert "SubscriptionDialog" in repr(notifying.dialogs[0])
