"""A simulated device as notifier."""

import asyncio
from datetime import timedelta

import pytest

from gateway.simulator import Quirk, SimulatedChannel
from gb28181.aio.clock import utc_now
from gb28181.aio.errors import SubscribeRefused
from gb28181.manscdp import (
    AlarmNotify,
    AlarmQuery,
    CatalogNotify,
    CatalogQuery,
    CatalogResponse,
    DeviceControl,
    DeviceInfoQuery,
    parse_message,
)
from tests.support.device_site import DeviceSite, device_site

pytestmark = pytest.mark.net

DEVICE = "34020000001180000001"
FIRST = "34020000001320000001"
SECOND = "34020000001320000002"
CATALOG = CatalogQuery(sn=1, device_id=DEVICE)
ALARM = AlarmQuery(sn=1, device_id=DEVICE)


def changes(site: DeviceSite) -> list[tuple[str, str]]:
    """Items of the catalogue NOTIFYs, in order."""
    found = []
    for content in site.notices():
        assert isinstance(content, CatalogNotify)
        found += [(item.device_id, item.event) for item in content.items]
    return found


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_changes_of_the_catalogue_are_notified_in_order(transport: str) -> None:
    async with device_site(channels=2, transport=transport) as site:
        dialog = await site.subscribe(CATALOG)
        assert dialog.granted == 600
        site.device.set_channel_status(FIRST, False)
        site.device.set_channel_status(FIRST, True)
        site.device.add_channel(SimulatedChannel(channel_id="34020000001320000009", name="新门"))
        site.device.remove_channel(SECOND)
        await site.until("four changes", lambda: len(changes(site)) >= 4)
        assert changes(site) == [
            (FIRST, "OFF"),
            (FIRST, "ON"),
            ("34020000001320000009", "ADD"),
            (SECOND, "DEL"),
        ]
        first, *_ = site.notified
        assert first.request.headers.get("Event") == "Catalog;id=1894"
        state = first.request.headers.get("Subscription-State") or ""
        assert state.startswith("active;expires=")
        added = site.notices()[3]
        assert isinstance(added, CatalogNotify)
        assert added.items[0].name == "新门"
        assert site.device.subscriptions.kinds == ["Catalog"]


async def test_what_is_off_already_is_told_at_once() -> None:
    async with device_site(channels=3, catalog_items=1) as site:
        site.device.set_channel_status(FIRST, False)
        site.device.set_channel_status(SECOND, False)
        await site.subscribe(CATALOG)
        await site.until("both", lambda: len(changes(site)) >= 2)
        assert changes(site) == [(FIRST, "OFF"), (SECOND, "OFF")]
        notices = site.notices()
        assert all(isinstance(notice, CatalogNotify) for notice in notices)
        assert [notice.sum_num for notice in notices if isinstance(notice, CatalogNotify)] == [2, 2]


async def test_a_subscription_is_refreshed_and_cancelled() -> None:
    async with device_site(channels=1, subscription_limit=300) as site:
        dialog = await site.subscribe(CATALOG)
        assert dialog.granted == 300
        response = await dialog.refresh(expires=200)
        assert (response.status, response.expires) == (200, 200)
        await dialog.refresh(expires=0)
        assert site.device.subscriptions.kinds == []
        assert site.device.subscriptions.received == 3
        site.device.set_channel_status(FIRST, False)
        await asyncio.sleep(0.1)
        assert changes(site) == []


async def test_a_subscription_that_is_not_refreshed_ends_with_a_word() -> None:
    async with device_site(channels=1) as site:
        await site.subscribe(CATALOG, expires=1)
        await site.until("the end", lambda: site.device.subscriptions.kinds == [])
        await site.until("the word", lambda: len(site.notified) >= 2)
        state = site.notified[-1].request.headers.get("Subscription-State")
        assert state == "terminated;reason=timeout"
        assert [event.what for event in site.events][-1] == "subscription_ended"


async def test_alarms_go_to_whoever_asked_for_their_kind() -> None:
    async with device_site(channels=1) as site:
        await site.subscribe(AlarmQuery(sn=1, device_id=DEVICE, alarm_method="5"), event="presence")
        assert site.device.raise_alarm(FIRST, method=5, alarm_type=6, description="入侵")
        await site.until("a notice", site.notices)
        (alarm,) = site.notices()
        assert isinstance(alarm, AlarmNotify)
        assert (alarm.device_id, alarm.alarm_method, alarm.alarm_type) == (FIRST, 5, 6)
        assert (alarm.alarm_priority, alarm.alarm_description) == (1, "入侵")
        assert alarm.alarm_time is not None
        assert abs(utc_now() - alarm.alarm_time) < timedelta(seconds=5)
        assert site.device.raise_alarm(FIRST, method=6, alarm_type=1)
        await site.until("a message", lambda: site.messages(AlarmNotify))
        assert len(site.notices()) == 1


async def test_a_device_alarm_is_held_back_until_the_last_one_was_reset() -> None:
    async with device_site(channels=1) as site:
        await site.subscribe(ALARM)
        assert site.device.raise_alarm(method=2, alarm_type=1)
        assert not site.device.raise_alarm(method=2, alarm_type=1)
        assert await site.send(DeviceControl(sn=5, device_id=DEVICE, alarm_cmd="ResetAlarm")) == 200
        await site.until("the reset", lambda: not site.device.controller.alarms)
        assert site.device.raise_alarm(method=2, alarm_type=1)
        await site.until("two notices", lambda: len(site.notices()) == 2)


async def test_only_what_is_subscribed_is_notified() -> None:
    async with device_site(channels=2) as site:
        await site.subscribe(CatalogQuery(sn=1, device_id=SECOND))
        site.device.set_channel_status(FIRST, False)
        site.device.set_channel_status(SECOND, False)
        await site.until("a change", lambda: changes(site))
        assert changes(site) == [(SECOND, "OFF")]


async def test_what_cannot_be_subscribed_is_refused() -> None:
    async with device_site(channels=1) as site:
        with pytest.raises(SubscribeRefused) as refused:
            await site.subscribe(DeviceInfoQuery(sn=1, device_id=DEVICE))
        assert refused.value.response.status == 489
    async with device_site(channels=1, quirks=frozenset({Quirk.SUBSCRIBE_REFUSED})) as site:
        with pytest.raises(SubscribeRefused):
            await site.subscribe(CATALOG)


async def test_a_silent_device_accepts_and_never_notifies() -> None:
    async with device_site(channels=1, quirks=frozenset({Quirk.SUBSCRIBE_SILENT})) as site:
        await site.subscribe(CATALOG)
        site.device.set_channel_status(FIRST, False)
        await asyncio.sleep(0.1)
        assert site.notified == []
        assert site.device.subscriptions.kinds == ["Catalog"]


async def test_some_devices_notify_outside_the_dialog() -> None:
    async with device_site(channels=1, quirks=frozenset({Quirk.NOTIFY_OUTSIDE_DIALOG})) as site:
        dialog = await site.subscribe(CATALOG)
        site.device.set_channel_status(FIRST, False)

        def strays() -> list[bytes]:
            return [
                item.request.body
                for item in site.peer.incoming
                if item.request.method == "NOTIFY" and item.request.to.tag is None
            ]

        await site.until("a stray NOTIFY", lambda: len(strays()) >= 2)
        assert site.notified == []
        content = parse_message(strays()[-1]).content
        assert isinstance(content, CatalogNotify)
        assert content.items[0].event == "OFF"
        assert dialog.call_id not in {
            item.request.call_id for item in site.peer.incoming if item.request.method == "NOTIFY"
        }


async def test_a_device_of_2011_notifies_by_a_response() -> None:
    async with device_site(channels=1, gb_version="1.0") as site:
        await site.subscribe(CATALOG)
        site.device.set_channel_status(FIRST, False)
        await site.until("two notices", lambda: len(site.notices()) >= 2)
        last = site.notices()[-1]
        assert isinstance(last, CatalogResponse)
        assert (last.items[0].status, last.items[0].event) == ("OFF", "")
        assert last.items[0].owner


async def test_a_subscriber_that_is_gone_ends_its_subscription() -> None:
    async with device_site(channels=1) as site:
        dialog = await site.subscribe(CATALOG)
        dialog.close()
        site.device.set_channel_status(FIRST, False)
        await site.until("the end", lambda: site.device.subscriptions.kinds == [])
