"""The desk for upper platforms, asked by models of them over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.cascade.desk_gate import RateGate
from gateway.cascade.desk_subscriptions import MAX_SUBSCRIPTIONS
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import Edition, IdMode, PlatformEvent
from gateway.domain.policy import Action, Obligations
from gb28181.aio.errors import SubscribeRefused
from gb28181.flow.subscription import clamp_expires
from gb28181.manscdp import (
    AlarmNotify,
    CatalogItem,
    CatalogQuery,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
)
from tests.support.platform_catalog import (
    CAMERA,
    DEVICE,
    NODE,
    SHARED,
    FixedCatalog,
    ServingGateway,
    serving,
)
from tests.support.upper_platform import LOWER_ID, UPPER_ID, UpperPlatform, until

pytestmark = pytest.mark.net

SECOND_ID = "37130000002000000002"
STRANGE = "37132600001320009999"


@asynccontextmanager
async def served(
    transport: str = "UDP", *, config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[UpperPlatform, ServingGateway]]:
    """One upper that is registered at, and what serves it."""
    async with (
        UpperPlatform(transport=transport) as upper,
        serving(upper.config(**(config or {})), **options) as gateway,
    ):
        await gateway.online(UPPER_ID)
        await until(lambda: gateway.desk.view(UPPER_ID) is not None, 2, "the catalogue")
        yield upper, gateway


# Catalogue


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_catalogue_is_answered_whole_and_in_order_and_put_on_record_once(
    transport: str,
) -> None:
    async with served(transport, catalog=FixedCatalog(60)) as (upper, gateway):
        items = await upper.query_catalog()
        assert [item.device_id for item in items] == [
            item.device_id for item in gateway.catalog.listed
        ]
        assert items[1].name == "北门枪机 0"
        most = max(upper.sizes)
        assert most <= 800 if transport == "UDP" else most > 10_000
        (record,) = gateway.policy.checked
        assert (record.action, record.channel, record.object_id) == (Action.CATALOG, None, LOWER_ID)
        assert record.subject.platform == UPPER_ID
        assert record.detail == "61 items"
        await until(lambda: "queried" in gateway.kinds(UPPER_ID), 2, "the note")


async def test_messages_follow_each_other_and_each_waits_for_the_answer() -> None:
    async with served(catalog=FixedCatalog(5)) as (upper, _):
        upper.answer_delay = 0.05
        began = asyncio.get_running_loop().time()
        parts = await upper.query_catalog_parts()
        assert len(parts) >= 5
        assert asyncio.get_running_loop().time() - began >= 0.05 * (len(parts) - 1)


async def test_a_batch_set_by_the_operator_is_kept() -> None:
    async with served(catalog=FixedCatalog(25), config={"catalog_batch": 10}) as (upper, _):
        parts = await upper.query_catalog_parts()
        assert [len(part.items) for part in parts] == [10, 10, 6]


async def test_an_empty_part_says_so_and_a_node_gives_what_is_below_it() -> None:
    async with served() as (upper, gateway):
        assert [item.device_id for item in await upper.query_catalog(NODE)] == [SHARED]
        assert [item.device_id for item in await upper.query_catalog(SHARED)] == [SHARED]
        gateway.catalog.listed.clear()
        (part,) = await upper.query_catalog_parts()
        assert (part.sum_num, part.items) == (0, ())


async def test_a_2022_platform_gets_its_charset() -> None:
    config = {"edition": Edition.V2022}
    async with served(config=config) as (upper, gateway):
        gateway.catalog.listed[1] = replace(gateway.catalog.listed[1], name="㙟村 枪机")
        items = await upper.query_catalog()
        assert items[1].name == "㙟村 枪机"
        assert {message.declared.upper() for message in upper.messages} == {"GB18030"}


def items_of(upper: UpperPlatform, sn: int) -> int:
    return sum(len(part.items) for part in upper.answers(sn))


async def test_the_same_query_again_costs_nothing_and_a_new_one_waits_its_turn() -> None:
    async with served(catalog=FixedCatalog(10)) as (upper, gateway):
        upper.answer_delay = 0.02
        for sn in (1, 1, 1, 2, 3, 4):
            response = await upper.send(CatalogQuery(sn=sn, device_id=LOWER_ID))
            assert response.status == 200
        await until(lambda: items_of(upper, 4) == 11, 5, "the newest answer")
        assert items_of(upper, 1) == 11
        assert upper.answers(2) == []
        assert upper.answers(3) == []
        assert len(gateway.policy.checked) == 2


async def test_a_flood_of_queries_is_acknowledged_left_alone_and_harmless_to_others() -> None:
    async with (
        UpperPlatform() as flooding,
        UpperPlatform(SECOND_ID) as other,
        serving(
            flooding.config(), other.config(), queries_per_minute=10, catalog=FixedCatalog(5)
        ) as gateway,
    ):
        await gateway.online(UPPER_ID)
        await gateway.online(SECOND_ID)

        async def flood() -> None:
            for sn in range(1, 301):
                response = await flooding.send(CatalogQuery(sn=sn, device_id=LOWER_ID))
                assert response.status == 200

        async with asyncio.TaskGroup() as group:
            flooded = group.create_task(flood())
            began = asyncio.get_running_loop().time()
            assert len(await other.query_catalog()) == 6
            # On a machine that is slower, at least long before the flood is over.
            assert asyncio.get_running_loop().time() - began < 1.0 or not flooded.done()
        assert len(gateway.policy.checked) <= 12
        refused = [
            e for e in gateway.links.status(UPPER_ID).timeline if e.kind is PlatformEvent.REFUSED
        ]
        assert sum(entry.count for entry in refused) == 290
        assert len(refused) <= 2


async def test_an_answer_that_is_not_taken_is_given_up_and_the_next_one_works() -> None:
    async with served(catalog=FixedCatalog(5), timeout=0.2) as (upper, gateway):
        upper.message_status = None
        await upper.send(CatalogQuery(sn=1, device_id=LOWER_ID))
        await until(lambda: "message_failed" in gateway.kinds(UPPER_ID), 5, "the failure")
        upper.message_status = 200
        assert len(await upper.query_catalog()) == 6


async def test_a_message_refused_once_is_sent_again() -> None:
    async with served(catalog=FixedCatalog(0)) as (upper, _):
        upper.message_status = 503
        sn = upper.next_sn()
        await upper.send(CatalogQuery(sn=sn, device_id=LOWER_ID))
        await until(lambda: upper.answers(sn), 2, "the first try")
        upper.message_status = 200
        await until(lambda: len(upper.answers(sn)) == 2, 3, "the second try")
        first, second = upper.answers(sn)
        assert first == second


async def test_what_the_policy_forbids_gets_no_answer_rather_than_an_empty_one() -> None:
    async with served() as (upper, gateway):
        gateway.policy.denied.add(Action.CATALOG)
        sn = upper.next_sn()
        await upper.send(CatalogQuery(sn=sn, device_id=LOWER_ID))
        await until(lambda: "refused" in gateway.kinds(UPPER_ID), 2, "the note")
        await asyncio.sleep(0.1)
        assert upper.answers(sn) == []


async def test_what_was_never_given_and_what_does_not_exist_get_the_same_404() -> None:
    async with served() as (upper, gateway):
        answers = []
        for code in (CAMERA, STRANGE):
            answers += [
                await upper.send(query(sn=1, device_id=code))
                for query in (CatalogQuery, DeviceInfoQuery, DeviceStatusQuery)
            ]
        seen = {(a.status, a.reason, a.body, tuple(sorted(a.headers.index))) for a in answers}
        assert len(seen) == 1
        assert answers[0].status == 404
        assert [reason for _, reason in gateway.policy.refused] == ["not_shared"] * 6
        assert {request.object_id for request, _ in gateway.policy.refused} == {CAMERA, STRANGE}
        assert all(request.channel is None for request, _ in gateway.policy.refused)
        assert upper.messages == []


# What we are and how we are


async def test_device_info_and_status_of_ourselves() -> None:
    async with served(catalog=FixedCatalog(7)) as (upper, _):
        info = (await upper.ask(DeviceInfoQuery(sn=31, device_id=LOWER_ID))).content
        assert isinstance(info, DeviceInfoResponse)
        assert (info.device_name, info.channel, info.result) == ("County", 7, "OK")
        assert info.device_id == LOWER_ID

        status = (await upper.ask(DeviceStatusQuery(sn=32, device_id=LOWER_ID))).content
        assert isinstance(status, DeviceStatusResponse)
        assert (status.online, status.status) == ("ONLINE", "OK")
        assert status.device_time is not None
        assert abs(status.device_time - datetime.now(UTC)) < timedelta(seconds=3)


async def test_device_info_of_a_channel_comes_from_its_catalogue_under_its_shared_code() -> None:
    async with served() as (upper, gateway):
        info = (await upper.ask(DeviceInfoQuery(sn=5, device_id=SHARED))).content
        assert isinstance(info, DeviceInfoResponse)
        assert (info.device_id, info.device_name) == (SHARED, "北门枪机 0")
        assert (info.manufacturer, info.model, info.channel) == ("ExampleVision", "EV-B1", 1)
        (record,) = gateway.policy.checked
        assert (record.action, record.object_id) == (Action.CATALOG, SHARED)
        assert record.channel is not None
        assert record.channel.channel_id == CAMERA


@pytest.mark.parametrize(
    ("device_online", "channel_online", "asked", "expected"),
    [
        (True, True, None, ("ONLINE", "OK")),
        (True, False, None, ("OFFLINE", "ERROR")),
        (False, True, None, ("OFFLINE", "ERROR")),
        (True, True, {"Online": "OFFLINE", "Status": "ERROR"}, ("OFFLINE", "ERROR")),
        (False, True, {"Online": "ONLINE", "Status": "OK"}, ("OFFLINE", "ERROR")),
    ],
)
async def test_a_channels_status_is_its_own_word_or_that_of_its_parents(
    device_online: bool,
    channel_online: bool,
    asked: dict[str, str] | None,
    expected: tuple[str, str],
) -> None:
    async with served() as (upper, gateway):
        gateway.directory.device.online = device_online
        gateway.catalog.resolved[SHARED].online = channel_online
        gateway.status_fields = asked
        status = (await upper.ask(DeviceStatusQuery(sn=6, device_id=SHARED))).content
        assert isinstance(status, DeviceStatusResponse)
        assert (status.online, status.status) == expected
        assert status.device_id == SHARED


async def test_a_channel_hidden_by_now_is_as_if_it_had_never_been() -> None:
    async with served() as (upper, gateway):
        gateway.policy.denied.add(Action.CATALOG)
        for query in (DeviceInfoQuery, DeviceStatusQuery):
            assert (await upper.send(query(sn=1, device_id=SHARED))).status == 404


async def test_what_is_not_supported_is_acknowledged_and_noted() -> None:
    body = (
        f"<Query><CmdType>CruiseTrackListQuery</CmdType><SN>1</SN>"
        f"<DeviceID>{SHARED}</DeviceID></Query>"
    ).encode()
    async with served() as (upper, gateway):
        assert (await upper.send(body)).status == 200
        assert "queried" in gateway.kinds(UPPER_ID)


@pytest.mark.parametrize("status", [200, 403, 404, 482, 486])
async def test_controls_go_to_who_knows_about_them(status: int) -> None:
    async with served() as (upper, gateway):
        gateway.controls.status = status
        response = await upper.ptz(SHARED, "A50F0108140000D1")
        assert response.status == status
        ((requester, control),) = gateway.controls.taken
        assert (control.device_id, control.ptz_cmd) == (SHARED, "A50F0108140000D1")
        assert requester.subject.platform == UPPER_ID


# Subscriptions


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, 600),
        (-1, 600),
        (0, 0),
        (1, 60),
        (59, 60),
        (90, 90),
        (86_400, 86_400),
        (10**9, 86_400),
    ],
)
def test_absurd_expiries_are_granted_within_limits(asked: int | None, given: int) -> None:
    assert clamp_expires(asked) == given


@pytest.mark.parametrize(("asked", "given"), [(1, 60), (600, 600), (10**9, 86_400)])
async def test_a_subscription_is_accepted_notified_and_shown(asked: int, given: int) -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_catalog(expires=asked)
        assert sub.granted == given
        ((_, root),) = gateway.catalog.notifier.added
        assert root is None
        assert await gateway.catalog.notifier.tell(CatalogItem(device_id=SHARED, event="OFF")) == [
            True
        ]
        notify = await sub.next()
        assert [(item.device_id, item.event) for item in notify.items] == [(SHARED, "OFF")]
        assert sub.states == [f"active;expires={given}"]
        assert sub.events[0].startswith("Catalog;id=")
        ends = gateway.links.status(UPPER_ID).subscriptions["Catalog"]
        assert abs((ends - datetime.now(UTC)).total_seconds() - given) < 3
        assert "subscribed" in gateway.kinds(UPPER_ID)
        (record,) = gateway.policy.checked
        assert record.action is Action.CATALOG


async def test_a_refresh_prolongs_and_expires_0_cancels_with_a_last_notify() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_catalog(expires=90)
        again = await sub.refresh(300)
        assert (again.status, again.expires) == (200, 300)
        await gateway.catalog.notifier.tell(CatalogItem(device_id=SHARED, event="OFF"))
        await sub.next()
        assert sub.states == ["active;expires=300"]
        cancelled = await sub.cancel()
        assert (cancelled.status, cancelled.expires) == (200, 0)
        await until(lambda: gateway.catalog.notifier.removed, 2, "the end")
        assert gateway.links.status(UPPER_ID).subscriptions == {}
        assert "unsubscribed" in gateway.kinds(UPPER_ID)


async def test_a_second_subscription_to_the_same_takes_the_first_ones_place() -> None:
    async with served() as (upper, gateway):
        await upper.subscribe_catalog()
        await upper.subscribe_catalog()
        await upper.subscribe_catalog(NODE)
        notifier = gateway.catalog.notifier
        assert [root for _, root in notifier.added] == [None, None, NODE]
        assert notifier.removed == [notifier.added[0][0]]


async def test_a_subscription_that_is_not_refreshed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gb28181.flow.subscription.MIN_EXPIRES", 1)
    monkeypatch.setattr("gateway.cascade.desk_subscriptions.GRACE", 0.1)
    async with served() as (upper, gateway):
        sub = await upper.subscribe_catalog(expires=1)
        await until(lambda: sub.states, 3, "the last NOTIFY")
        assert sub.states == ["terminated;reason=timeout"]
        assert gateway.links.status(UPPER_ID).subscriptions == {}
        assert sub.dialog.ended


async def test_a_subscriber_that_has_gone_is_forgotten() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_catalog()
        sub.notify_status = 481
        told = await gateway.catalog.notifier.tell(CatalogItem(device_id=SHARED, event="OFF"))
        assert told == [False]
        assert gateway.links.status(UPPER_ID).subscriptions == {}
        assert gateway.catalog.notifier.removed


async def test_a_lost_connection_ends_its_subscriptions() -> None:
    async with served("TCP") as (upper, gateway):
        await upper.subscribe_catalog()
        upper.drop_connections()
        await until(lambda: gateway.catalog.notifier.removed, 3, "the end")
        await until(lambda: not gateway.links.status(UPPER_ID).subscriptions, 1, "no subscription")


async def test_the_end_of_a_link_is_told_to_its_subscribers() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_catalog()
        await gateway.book.save(upper.config(enabled=False))
        await until(lambda: sub.states, 3, "the last NOTIFY")
        assert sub.states == ["terminated;reason=deactivated"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"<Query", 400),
        (
            f"<Query><CmdType>MobilePosition</CmdType><SN>1</SN><DeviceID>{LOWER_ID}</DeviceID>"
            "</Query>".encode(),
            489,
        ),
        (b"<Query><CmdType>Nonsense</CmdType><SN>1</SN></Query>", 489),
        (
            f"<Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>{STRANGE}</DeviceID></Query>".encode(),
            404,
        ),
        (
            f"<Query><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>{CAMERA}</DeviceID></Query>".encode(),
            404,
        ),
        (b"<Query><CmdType>Catalog</CmdType><SN>1</SN></Query>", 400),
    ],
)
async def test_what_cannot_be_subscribed_is_refused(body: bytes, status: int) -> None:
    async with served() as (upper, gateway):
        with pytest.raises(SubscribeRefused) as refused:
            await upper.subscribe(body, "x", event="presence")
        response = refused.value.response
        assert response.status == status
        assert (response.headers.get("Allow-Events") is not None) == (status == 489)
        assert gateway.catalog.notifier.added == []


async def test_a_subscription_the_policy_forbids_is_refused() -> None:
    async with served() as (upper, gateway):
        gateway.policy.denied |= {Action.CATALOG, Action.ALARM}
        for subscribe in (upper.subscribe_catalog, upper.subscribe_alarm):
            with pytest.raises(SubscribeRefused) as refused:
                await subscribe()
            assert refused.value.response.status == 403


async def test_subscriptions_are_bounded() -> None:
    async with served(queries_per_minute=10_000) as (upper, gateway):
        catalog = gateway.catalog
        for number in range(MAX_SUBSCRIPTIONS + 1):
            code = str(int(SHARED) + 100 + number)
            catalog.resolved[code] = Channel(
                device_id=DEVICE, channel_id=code, kind=ChannelKind.CAMERA
            )
        for number in range(MAX_SUBSCRIPTIONS):
            await upper.subscribe_catalog(str(int(SHARED) + 100 + number))
        with pytest.raises(SubscribeRefused) as refused:
            await upper.subscribe_catalog(str(int(SHARED) + 100 + MAX_SUBSCRIPTIONS))
        assert refused.value.response.status == 486
        await upper.subscribe_catalog(str(int(SHARED) + 100))


async def test_a_2011_platform_gets_an_answer_in_the_200() -> None:
    async with served(config={"edition": Edition.V2011}) as (upper, _):
        sub = await upper.subscribe_alarm()
        assert b"<Result>OK</Result>" in sub.dialog.response.body
    async with served() as (upper, _):
        sub = await upper.subscribe_alarm()
        assert sub.dialog.response.body == b""


# Alarms


def alarm(**changes: Any) -> AlarmNotify:
    values: dict[str, Any] = {
        "sn": 9,
        "device_id": CAMERA,
        "alarm_priority": 1,
        "alarm_method": 5,
        "alarm_time": datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
        "alarm_description": f"Intrusion at {CAMERA}",
        "longitude": 117.6,
        "latitude": 35.5,
        "alarm_type": 6,
    }
    return AlarmNotify(**(values | changes))


async def test_an_alarm_goes_up_under_the_shared_code_once_and_on_record() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_alarm()
        gateway.desk.alarm(DEVICE, CAMERA, alarm())
        gateway.desk.alarm(DEVICE, CAMERA, alarm(sn=10))
        gateway.desk.alarm(DEVICE, STRANGE, alarm(device_id=STRANGE))
        notify = await sub.next()
        assert (notify.device_id, notify.alarm_method, notify.alarm_type) == (SHARED, 5, 6)
        assert notify.longitude == 117.6
        gateway.desk.alarm(DEVICE, CAMERA, alarm(alarm_type=2))
        assert (await sub.next()).alarm_type == 2
        assert len(sub.notifies) == 2
        asked = [r for r in gateway.policy.checked if r.action is Action.ALARM]
        assert [request.object_id for request in asked] == [LOWER_ID, SHARED, SHARED]
        assert sub.states[0].startswith("active;expires=")


async def test_only_alarms_asked_for_and_allowed_go_up() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_alarm(fields={"start_priority": 1, "end_priority": 2})
        gateway.desk.alarm(DEVICE, CAMERA, alarm(alarm_priority=4))
        gateway.policy.denied.add(Action.ALARM)
        gateway.desk.alarm(DEVICE, CAMERA, alarm(alarm_priority=1, alarm_type=1))
        gateway.policy.denied.clear()
        gateway.desk.alarm(DEVICE, CAMERA, alarm(alarm_priority=2, alarm_type=2))
        assert (await sub.next()).alarm_type == 2
        assert len(sub.notifies) == 1


async def test_an_alarm_of_elsewhere_does_not_reach_a_subscription_to_one_camera() -> None:
    async with served() as (upper, gateway):
        other = str(int(SHARED) + 1)
        sub = await upper.subscribe_alarm(other)
        node = await upper.subscribe_alarm(NODE)
        gateway.desk.alarm(DEVICE, CAMERA, alarm())
        assert (await node.next()).device_id == SHARED
        gateway.desk.alarm(DEVICE, str(int(CAMERA) + 1), alarm(device_id=str(int(CAMERA) + 1)))
        assert (await sub.next()).device_id == other
        assert (len(sub.notifies), len(node.notifies)) == (1, 1)


async def test_masks_and_renaming_hold_for_alarms_too() -> None:
    config = {"id_mode": IdMode.RENAME}
    async with served(config=config) as (upper, gateway):
        sub = await upper.subscribe_alarm()
        gateway.desk.alarm(DEVICE, CAMERA, alarm())
        assert (await sub.next()).alarm_description == f"Intrusion at {SHARED}"
        gateway.policy.obligations = Obligations(mask_position=True, mask_name="Camera")
        gateway.desk.alarm(DEVICE, CAMERA, alarm(alarm_type=1))
        masked = await sub.next()
        assert (masked.longitude, masked.latitude) == (None, None)
        assert masked.alarm_description == ""


async def test_a_subscriber_that_takes_no_alarm_is_forgotten() -> None:
    async with served() as (upper, gateway):
        sub = await upper.subscribe_alarm()
        sub.notify_status = 481
        gateway.desk.alarm(DEVICE, CAMERA, alarm())
        await until(lambda: not gateway.links.status(UPPER_ID).subscriptions, 3, "the end")


# The desk itself


async def test_no_platform_is_registered_at_before_the_codes_it_was_given_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.cascade.desk_office.LOAD_RETRY", 0.3)
    catalog = FixedCatalog()
    catalog.load_failures = 1
    async with UpperPlatform() as upper, serving(upper.config(), catalog=catalog) as gateway:
        await until(lambda: catalog.loads == 1, 2, "the first try")
        gateway.links.reconnect(UPPER_ID)
        await asyncio.sleep(0.1)
        assert upper.registers == []
        assert gateway.desk.view(UPPER_ID) is None
        assert gateway.links.status(UPPER_ID).catalog_items is None
        await gateway.online(UPPER_ID)
        assert len(await upper.query_catalog()) == 4


async def test_a_link_ends_though_its_catalogue_never_comes() -> None:
    catalog = FixedCatalog()
    catalog.load_failures = 1000
    async with UpperPlatform() as upper, serving(upper.config(), catalog=catalog) as gateway:
        await until(lambda: catalog.loads == 1, 2, "the first try")
        await gateway.book.save(upper.config(enabled=False))
        await until(lambda: gateway.links.find(UPPER_ID) is None, 2, "the end of the link")
        assert upper.registers == []


async def test_what_comes_while_a_desk_is_being_opened_is_put_off() -> None:
    async with served() as (upper, gateway):
        gateway.desk._offices[UPPER_ID].ready = False
        assert (await upper.send(CatalogQuery(sn=1, device_id=LOWER_ID))).status == 503


async def test_changes_below_are_passed_to_all_catalogues() -> None:
    async with (
        UpperPlatform() as first,
        UpperPlatform(SECOND_ID) as second,
        serving(first.config(), second.config()) as gateway,
    ):
        await until(lambda: len(gateway.catalogs) == 2, 2, "both catalogues")
        gateway.desk.touch(DEVICE, [CAMERA])
        gateway.desk.touch(DEVICE)
        gateway.desk.policy_changed([DEVICE])
        for catalog in gateway.catalogs.values():
            assert catalog.judged_first == [DEVICE]
            assert catalog.touched == [(DEVICE, (CAMERA,)), (DEVICE, None)]
            assert catalog.policy_changes == 1


async def test_a_changed_platform_gets_a_desk_of_its_own() -> None:
    async with served() as (upper, gateway):
        old = gateway.desk.view(UPPER_ID)
        await gateway.book.save(upper.config(expires=7200))
        await until(lambda: gateway.desk.view(UPPER_ID) not in {None, old}, 3, "the new desk")
        await gateway.online(UPPER_ID)
        assert len(await upper.query_catalog()) == 4


def test_the_gate_lets_so_many_through_and_more_after_a_while() -> None:
    gate = RateGate(6)
    assert [gate.passes(100.0) for _ in range(8)] == [True] * 6 + [False] * 2
    assert [gate.passes(110.0, 0.1) for _ in range(12)] == [True] * 10 + [False] * 2
    assert gate.refused == 4
    assert all(gate.passes(200.0) for _ in range(6))
