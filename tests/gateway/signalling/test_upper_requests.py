"""Whose a request is, and where it goes: uppers, strangers and devices ask the same sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.cascade.ports import CallLeg, IncomingCall
from gateway.domain.errors import Conflict
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import Action, Subject
from gateway.signalling import upper_refusals, upper_requests
from gb28181.aio.errors import InviteRefused, SipTimeout, SubscribeRefused
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp import CatalogQuery, DeviceControl, DeviceInfoQuery, Keepalive, Response
from gb28181.sip.header.reason import Reason
from gb28181.sip.transaction.flow import host_port
from tests.support.platform_catalog import SHARED, ServingGateway, serving
from tests.support.upper_platform import LOWER_ID, UPPER_ID, UpperPlatform, until

pytestmark = pytest.mark.net

OTHER_ID = "37130000002000000077"
DEVICE_ID = "37132600001180000009"


@asynccontextmanager
async def served(
    transport: str = "UDP", **config: Any
) -> AsyncIterator[tuple[UpperPlatform, ServingGateway]]:
    async with (
        UpperPlatform(transport=transport) as upper,
        serving(upper.config(**config)) as gateway,
    ):
        await gateway.online(UPPER_ID)
        await until(lambda: gateway.desk.view(UPPER_ID) is not None, 2, "the catalogue")
        yield upper, gateway


async def statuses(upper: UpperPlatform, from_user: str = "", **options: Any) -> list[int]:
    """What a query, a subscription and an INVITE in this name are answered with."""
    query = CatalogQuery(sn=upper.next_sn(), device_id=LOWER_ID)
    found = [(await upper.send(query, from_user=from_user, **options)).status]
    try:
        await upper.subscribe(query, "Catalog", event="presence", from_user=from_user, **options)
        found.append(200)
    except SubscribeRefused as refused:
        found.append(refused.response.status)
    try:
        await upper.invite(SHARED, from_user=from_user, **options)
        found.append(200)
    except InviteRefused as refused:
        found.append(refused.response.status)
    return found


async def test_a_platform_we_are_registered_at_is_served() -> None:
    async with served() as (upper, gateway):
        assert await statuses(upper) == [200, 200, 488]
        ((call, requester),) = gateway.bridges.calls
        assert call.target == SHARED
        assert call.subject.startswith(f"{SHARED}:")
        assert b"s=Play" in call.sdp
        assert (call.max_forwards, call.source, call.route_path) == (70, "127.0.0.1", "")
        assert (requester.platform_id, requester.source) == (UPPER_ID, "127.0.0.1")
        assert gateway.left_to_devices == []


async def test_another_from_id_is_refused_noted_and_put_on_record() -> None:
    async with served() as (upper, gateway):
        assert await statuses(upper, OTHER_ID) == [403, 403, 403]
        refused = [
            e for e in gateway.links.status(UPPER_ID).timeline if e.kind is PlatformEvent.REFUSED
        ]
        assert sum(entry.count for entry in refused) == 3
        assert OTHER_ID in refused[0].detail
        assert [(r.action, reason) for r, reason in gateway.policy.refused] == [
            (Action.CATALOG, "other_id"),
            (Action.CATALOG, "other_id"),
            (Action.LIVE, "other_id"),
        ]
        assert {r.subject.platform for r, _ in gateway.policy.refused} == {UPPER_ID}
        assert {r.context.source for r, _ in gateway.policy.refused} == {"127.0.0.1"}
        assert gateway.bridges.calls == []


async def test_the_right_id_from_another_address_is_refused_noted_and_put_on_record() -> None:
    async with served() as (upper, gateway), UpperPlatform(host="127.0.0.2") as impostor:
        impostor.flow = impostor.driver.flow_udp(
            (upper._flow.remote[0], upper._flow.remote[1]), (impostor.host, impostor.port)
        )
        assert await statuses(impostor) == [403, 403, 403]
        assert [reason for _, reason in gateway.policy.refused] == ["other_address"] * 3
        assert {r.context.source for r, _ in gateway.policy.refused} == {"127.0.0.2"}
        assert "127.0.0.2" in gateway.links.status(UPPER_ID).timeline[0].detail
        assert await statuses(upper) == [200, 200, 488]


async def test_a_flood_of_refusals_is_put_on_record_in_one_and_takes_nothing_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upper_refusals, "PER_MINUTE", 2)
    monkeypatch.setattr(upper_requests, "COUNTED_EVERY", 0.3)
    async with (
        served() as (upper, gateway),
        UpperPlatform(host="127.0.0.2") as flooder,
        UpperPlatform(host="127.0.0.3") as other,
    ):
        for impostor in (flooder, other):
            impostor.flow = impostor.driver.flow_udp(
                (upper._flow.remote[0], upper._flow.remote[1]), (impostor.host, impostor.port)
            )
        for _ in range(2):
            assert await statuses(flooder) == [403, 403, 403]
        assert len(gateway.policy.refused) == 2
        assert await statuses(other) == [403, 403, 403]
        assert [r.context.source for r, _ in gateway.policy.refused[2:4]] == ["127.0.0.3"] * 2
        await until(lambda: len(gateway.policy.refused) == 5, 3, "what was counted")
        request, reason = gateway.policy.refused[-1]
        assert (request.subject, reason) == (Subject(), "too_many_refusals")


async def test_a_stranger_is_left_to_the_devices_side() -> None:
    async with served() as (upper, gateway), UpperPlatform(host="127.0.0.2") as stranger:
        stranger.flow = stranger.driver.flow_udp(
            (upper._flow.remote[0], upper._flow.remote[1]), (stranger.host, stranger.port)
        )
        assert await statuses(stranger, OTHER_ID) == [403, 403, 403]
        assert len(gateway.left_to_devices) == 3
        assert gateway.policy.refused == []


async def test_a_platform_that_is_not_registered_or_disabled_is_refused() -> None:
    async with served() as (upper, gateway):
        flow = upper.flow
        upper.register_status = 403
        link = gateway.links.find(UPPER_ID)
        assert link is not None
        link.reconnect("test")
        await until(lambda: not link.online, 3, "off-line")
        assert await statuses(upper) == [403, 403, 403]
        assert {reason for _, reason in gateway.policy.refused} == {"not_registered"}

        gateway.policy.refused.clear()
        await gateway.book.save(upper.config(enabled=False))
        await until(lambda: gateway.links.find(UPPER_ID) is None, 3, "the end of the link")
        upper.flow = flow
        assert await statuses(upper) == [403, 403, 403]
        assert {reason for _, reason in gateway.policy.refused} == {"disabled"}


async def test_what_comes_together_with_the_200_is_not_refused() -> None:
    async with UpperPlatform() as upper:
        queries: list[asyncio.Task[Any]] = []
        original = upper._granted

        def grant_and_ask(request: Any, flow: Any) -> None:
            original(request, flow)
            if request.expires:
                # Goes out before the 200 does.
                queries.append(
                    asyncio.get_running_loop().create_task(
                        upper.send(DeviceInfoQuery(sn=3, device_id=LOWER_ID)), name="early"
                    )
                )

        upper._granted = grant_and_ask  # type: ignore[method-assign]
        async with serving(upper.config()) as gateway:
            await gateway.online(UPPER_ID)
            assert (await queries[0]).status == 200
            assert gateway.policy.refused == []


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_query_right_behind_the_200_is_served(transport: str) -> None:
    for _ in range(10):
        async with UpperPlatform(transport=transport) as upper, serving(upper.config()) as gateway:
            async with asyncio.timeout(10):
                while not upper.is_registered:
                    await asyncio.sleep(0)
            assert (await upper.send(DeviceInfoQuery(sn=3, device_id=LOWER_ID))).status == 200
            assert gateway.policy.refused == []


async def test_a_query_waits_until_the_registration_is_acted_on() -> None:
    async with served() as (upper, gateway):
        record = (await gateway.online(UPPER_ID)).record
        record.is_online = False
        asyncio.get_running_loop().call_later(0.1, setattr, record, "is_online", True)
        assert (await upper.send(DeviceInfoQuery(sn=3, device_id=LOWER_ID))).status == 200
        assert gateway.policy.refused == []


async def test_a_code_may_be_a_device_below_and_a_platform_above() -> None:
    async with served() as (upper, gateway):
        gateway.devices.add(UPPER_ID)
        for content in (
            Keepalive(sn=1, device_id=UPPER_ID, status="OK"),
            Response(cmd_type="DeviceControl", sn=1, device_id=UPPER_ID, result="OK"),
        ):
            assert (await upper.send(content)).status == 403
        assert len(gateway.left_to_devices) == 2
        assert (await upper.send(CatalogQuery(sn=1, device_id=LOWER_ID))).status == 200
        control = DeviceControl(sn=2, device_id=SHARED, ptz_cmd="A50F010800000000")
        assert (await upper.send(control)).status == 200
        assert len(gateway.left_to_devices) == 2


async def test_a_device_at_a_platforms_address_is_not_swallowed() -> None:
    async with served() as (upper, gateway):
        gateway.devices.add(DEVICE_ID)
        assert await statuses(upper, DEVICE_ID) == [403, 403, 403]
        assert len(gateway.left_to_devices) == 3
        assert gateway.policy.refused == []
        # Nor one with a platform's code, from its own address.
        gateway.devices.add(UPPER_ID)
        async with UpperPlatform(host="127.0.0.2") as device:
            device.flow = device.driver.flow_udp(
                (upper._flow.remote[0], upper._flow.remote[1]), (device.host, device.port)
            )
            await statuses(device)
        assert len(gateway.left_to_devices) == 6


async def test_an_identity_is_read_passed_on_and_refused_if_it_is_bad() -> None:
    gateways = "37130000002110000001-37130000002110000002"
    async with served() as (upper, gateway):
        good = [("Monitor-User-Identity", f"{gateways}-37130000003000000001")]
        assert await statuses(upper, headers=good) == [200, 200, 488]
        ((call, requester),) = gateway.bridges.calls
        assert requester.subject.identity == "37130000003000000001"
        assert requester.subject.gateways == tuple(gateways.split("-"))
        assert requester.identity is not None
        assert call.identity == good[0][1]

        bad = [("Monitor-User-Identity", f"{gateways}-mallory")]
        assert await statuses(upper, headers=bad) == [403, 403, 403]
        assert [reason for _, reason in gateway.policy.refused] == ["identity_untrusted"] * 3
        assert "refused" in gateway.kinds(UPPER_ID)
        assert len(gateway.bridges.calls) == 1


async def test_two_identities_are_none() -> None:
    twice = [("Monitor-User-Identity", "37130000002110000001-37130000003000000001")] * 2
    async with served() as (upper, gateway):
        assert await statuses(upper, headers=twice) == [403, 403, 403]
        assert {reason for _, reason in gateway.policy.refused} == {"identity_malformed"}


async def test_an_identity_may_be_required() -> None:
    async with served(require_identity=True) as (upper, gateway):
        assert await statuses(upper) == [403, 403, 403]
        assert {reason for _, reason in gateway.policy.refused} == {"identity_required"}


async def test_a_flood_of_refusals_is_answered_but_does_not_fill_the_record() -> None:
    async with served() as (upper, gateway):
        for sn in range(1, 301):
            query = CatalogQuery(sn=sn, device_id=LOWER_ID)
            assert (await upper.send(query, from_user=OTHER_ID)).status == 403
        assert len(gateway.policy.refused) <= 125
        refused = [
            e for e in gateway.links.status(UPPER_ID).timeline if e.kind is PlatformEvent.REFUSED
        ]
        assert sum(entry.count for entry in refused) == 300
        assert len(refused) <= 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<Query", 400),
        (b"<Query>" + b"<Item/>" * 10_000 + b"</Query>", 413),
        (b"<Control><CmdType>DeviceConfig</CmdType><SN>1</SN></Control>", 200),
        (b"<?xml version='1.0'?>\n<!-- who knows -->\n<query><CmdType>X</CmdType></query>", 200),
        (b"rubbish", 400),
        (b"<Query><CmdType>Catalog</CmdType><DeviceID>1</DeviceID></Query>", 400),
        (b"<Query><CmdType>Catalog</CmdType><SN>0</SN><DeviceID>1</DeviceID></Query>", 400),
        (b"<Query><CmdType>DeviceInfo</CmdType><SN>1</SN></Query>", 400),
        (b"<Notify><CmdType>Broadcast</CmdType><SN>1</SN></Notify>", 200),
    ],
)
async def test_bodies_that_are_none_and_commands_nobody_knows(body: bytes, status: int) -> None:
    async with served("TCP") as (upper, gateway):
        assert (await upper.send(body)).status == status
        assert gateway.left_to_devices == []


async def test_what_only_a_device_says_is_left_to_the_devices_side_if_it_is_one() -> None:
    alive = Keepalive(sn=1, device_id=UPPER_ID, status="OK")
    async with served() as (upper, gateway):
        assert (await upper.send(alive)).status == 200
        assert gateway.left_to_devices == []
        gateway.devices.add(UPPER_ID)
        await upper.send(alive)
        await upper.send(b"rubbish")
        # Somebody else behind the platform's address may be a device that is not known yet.
        await upper.send(alive, from_user=OTHER_ID)
        assert len(gateway.left_to_devices) == 3
        assert (await upper.send(DeviceInfoQuery(sn=2, device_id=LOWER_ID))).status == 200
        assert len(gateway.left_to_devices) == 3


class Callee:
    """Accepts what the bridge is asked for, and remembers."""

    def __init__(self) -> None:
        self.leg: CallLeg | None = None
        self.acks: list[bytes] = []
        self.byes: list[str] = []
        self.reinvites: list[bytes] = []

    def take(self, call: IncomingCall) -> None:
        answer = call.sdp.replace(b"recvonly", b"sendonly") or OFFER
        self.leg = call.accept(answer, headers=[("X-RoutePath", LOWER_ID)])
        self.leg.on_ack = self.acks.append
        self.leg.on_bye = self.byes.append
        self.leg.on_reinvite = self.reinvited

    def reinvited(self, sdp: bytes) -> tuple[int, bytes]:
        self.reinvites.append(sdp)
        return (200, b"v=0\r\n") if sdp else (488, b"")


OFFER = (
    b"v=0\r\no=x 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=video 30000 RTP/AVP 96\r\na=rtpmap:96 PS/90000\r\na=sendonly\r\ny=0100000001\r\n"
)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_call_is_accepted_acknowledged_changed_and_ended_by_the_upper(
    transport: str,
) -> None:
    callee = Callee()
    async with served(transport) as (upper, gateway):
        gateway.bridges.take = callee.take
        call = await upper.invite(SHARED)
        assert call.dialog.response.headers.get("X-RoutePath") == LOWER_ID
        await until(lambda: callee.acks, 2, "the ACK")
        assert callee.acks == [b""]
        assert callee.leg is not None
        assert callee.leg.call_id == call.dialog.call_id
        response = await call.dialog.request("INFO", body=b"PAUSE", content_type="x/y")
        assert response.status == 405
        await call.bye()
        await until(lambda: callee.byes, 2, "the BYE")
        assert callee.byes == ["bye"]


async def test_we_may_hang_up_and_the_upper_is_told() -> None:
    callee = Callee()
    async with served() as (upper, gateway):
        gateway.bridges.take = callee.take
        call = await upper.invite(SHARED)
        assert callee.leg is not None
        await callee.leg.bye(Reason(403, "access was withdrawn"))
        await callee.leg.bye()
        await until(call.ended.is_set, 2, "the BYE at the upper")
        assert call.dialog.peer_reason == 'SIP 403 "access was withdrawn"'
        assert callee.byes == []
        await call.sink.close()


async def test_a_call_without_an_offer_gets_ours_and_its_answer_comes_with_the_ack() -> None:
    callee = Callee()
    async with served() as (upper, gateway):
        gateway.bridges.take = callee.take
        call: Any = await upper.invite(SHARED, sdp=False)
        assert "y=0100000001" in call.offer
        await until(lambda: callee.acks, 2, "the ACK")
        assert b"a=recvonly" in callee.acks[0]
        await call.bye()
        assert call.bye_status == 200
        assert callee.byes == ["bye"]


async def test_a_re_invite_is_answered_by_the_bridge() -> None:
    callee = Callee()
    async with served() as (upper, gateway):
        gateway.bridges.take = callee.take
        call: Any = await upper.invite(SHARED, sdp=False)
        assert await call.reinvite("v=0\r\ns=Play\r\n") == (200, "v=0\r\n")
        assert await call.reinvite("") == (488, "")
        assert callee.reinvites == [b"v=0\r\ns=Play\r\n", b""]
        assert callee.leg is not None
        callee.leg.on_reinvite = None
        assert (await call.reinvite("v=0\r\n"))[0] == 488
        await call.bye()
        assert callee.byes == ["bye"]
        assert len(callee.acks) == 1


async def test_the_reason_of_the_uppers_bye_and_the_answer_to_our_offer_are_told() -> None:
    callee = Callee()
    async with served() as (upper, gateway):
        gateway.bridges.take = callee.take
        call: Any = await upper.invite(SHARED, sdp=False)
        assert callee.leg is not None
        answers: list[bytes] = []
        callee.leg.on_answer = answers.append
        callee.leg.on_reinvite = lambda sdp: (200, OFFER)
        assert (await call.reinvite("", answer=True))[0] == 200
        await until(lambda: answers, 2, "the answer in the ACK")
        assert b"a=recvonly" in answers[0]
        await call.bye(reason='SIP ;cause=600 ;text="Busy; everywhere"')
        assert callee.leg.peer_reason == 'SIP 600 "Busy; everywhere"'


async def test_a_call_that_is_cancelled_is_told_and_cannot_be_accepted() -> None:
    async with served() as (upper, gateway):
        waiting: list[IncomingCall] = []
        cancelled: list[bool] = []

        def hold(call: IncomingCall) -> None:
            call.on_cancel = lambda: cancelled.append(True)
            waiting.append(call)

        gateway.bridges.take = hold
        with pytest.raises(SipTimeout):
            await upper.invite(SHARED, timeout=0.3)
        await until(lambda: cancelled, 3, "the CANCEL")
        assert waiting[0].cancelled
        with pytest.raises(Conflict):
            waiting[0].accept(OFFER)
        waiting[0].refuse(486)


async def test_a_connection_lost_before_the_answer_is_no_wish_of_the_upper() -> None:
    async with served("TCP") as (upper, gateway):
        waiting: list[IncomingCall] = []
        gateway.bridges.take = waiting.append
        async with TaskScope(lambda name, error: None) as scope:
            scope.spawn(upper.invite(SHARED), name="invite")
            await until(lambda: waiting, 3, "the INVITE")
            upper.drop_connections()
            await until(lambda: waiting[0].cancelled, 10, "the loss")
            assert (waiting[0].peer_lost, waiting[0].cancel_reason) == (True, "")


async def test_a_lost_connection_ends_the_call() -> None:
    callee = Callee()
    async with served("TCP") as (upper, gateway):
        gateway.bridges.take = callee.take
        call = await upper.invite(SHARED)
        upper.drop_connections()
        await until(lambda: callee.byes, 3, "the end")
        assert callee.byes == ["connection_lost"]
        await call.sink.close()


async def test_an_invite_to_ourselves_names_its_channel_in_the_subject() -> None:
    async with served() as (upper, gateway):
        driver = upper.driver
        with pytest.raises(InviteRefused):
            await driver.client.invite(
                f"sip:{LOWER_ID}@{host_port(upper._flow.remote)}",
                flow=upper._flow,
                from_=f"<sip:{UPPER_ID}@3713000000>",
                to=f"<sip:{LOWER_ID}@3713000000>",
                sdp=OFFER,
                headers=[("Subject", f"{SHARED}:0100000001,{UPPER_ID}:0")],
                timeout=3.0,
            )
        assert gateway.bridges.calls[0][0].target == SHARED
