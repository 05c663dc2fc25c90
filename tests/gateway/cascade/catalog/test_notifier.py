"""How changes are told: gathered, in order, in time, in the right size, and never more than is needed."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cascade.catalog import notifier as notifier_module
from gateway.cascade.catalog.platform import SharedCatalog
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.desk_ports import PlatformCatalog
from gateway.domain.platform import Edition
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp import CatalogNotify, CatalogResponse, parse_message, serialize_message
from gb28181.manscdp.paging import UDP_PAGE_BYTES
from tests.support.catalog_town import (
    CAMERA,
    CAMERA_2,
    ORG,
    RECORDER,
    SUB_ORG,
    TOWN,
    VILLAGE,
    VOICE,
    camera,
    town,
)
from tests.support.catalog_upper import FAST, Link, Subscription, notifying, query, settled
from tests.support.catalog_world import (
    COUNTY,
    MemoryIds,
    ModelUpper,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)

CAMERAS = [f"3713260100132{number:07d}" for number in range(1, 301)]
SLOW = NotifierSettings(gather=0.0, delay=30.0)
"""Nothing goes out but for another reason than the time."""


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def some_view(world: World, *codes: str, **options: Any) -> CatalogView:
    """Return a loaded view of a town with cameras."""
    town(world, *(camera(code) for code in codes))
    view = make_view(world, **options)
    await view.load()
    return view


def subscribe(notifier: Any, subscription: Subscription, root: str | None = None) -> list[str]:
    """Add a subscription; what is returned fills when it is gone."""
    gone: list[str] = []
    notifier.add(subscription, root=root, remaining=lambda: 42, gone=lambda: gone.append("gone"))
    return gone


def told(subscription: Subscription) -> list[tuple[str, str]]:
    return subscription.upper.events


async def test_a_new_subscriber_is_told_what_is_off_and_nothing_else() -> None:
    world = World()
    town(world, camera(CAMERA), camera(CAMERA_2, online=False), channel(TOWN, ORG, online=False))
    view = make_view(world)
    await view.load()
    upper = ModelUpper(edition="2016")
    upper.items = await query(view)
    subscription = Subscription(upper)
    async with notifying(view, SLOW) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(told(subscription)))
        await settled(view, notifier)
    assert told(subscription) == [("OFF", CAMERA_2)]
    assert subscription.expiries == [42]
    (notify,) = subscription.notified
    assert isinstance(notify, CatalogNotify)
    assert (notify.device_id, notify.sum_num) == (COUNTY, 1)


@pytest.mark.parametrize("report", [True, False])
async def test_the_first_notify_is_empty_where_there_is_nothing_to_report(report: bool) -> None:
    world = World()
    view = await some_view(world, CAMERA)
    if not report:
        world.change(TOWN, CAMERA, online=False)
        await view.refresh()
    subscription = Subscription(ModelUpper())
    settings = NotifierSettings(gather=0.0, delay=30.0, initial_report=report)
    async with notifying(view, settings) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        await settled(view, notifier)
    assert subscription.notified == [None]


async def test_changes_wait_for_the_delay_and_go_together() -> None:
    world = World()
    view = await some_view(world, CAMERA, CAMERA_2)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view, NotifierSettings(gather=0.0, delay=0.15)) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        world.change(TOWN, CAMERA, online=False)
        await asyncio.sleep(0.05)
        world.change(TOWN, CAMERA_2, online=False)
        assert told(subscription) == []
        await until(lambda: len(told(subscription)) == 2)
    assert len(subscription.notified) == 2


async def test_a_platform_that_is_offline_is_told_nothing_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifier_module, "OFFLINE_PAUSE", 0.05)
    world = World()
    view = await some_view(world, CAMERA, CAMERA_2)
    subscription, link = Subscription(ModelUpper(edition="2016")), Link(view.config)
    subscription.upper.items = await query(view)
    async with notifying(view, FAST, link) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        link.online = False
        world.change(TOWN, CAMERA, online=False)
        world.remove(TOWN, CAMERA_2)
        await asyncio.sleep(0.3)
        assert told(subscription) == []
        link.online = True
        await until(lambda: len(told(subscription)) == 2)
        await settled(view, notifier)
    assert subscription.upper.items.keys() == {item.device_id for item in view.items()}


async def test_many_changes_do_not_wait() -> None:
    world = World()
    view = await some_view(world, *CAMERAS)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view, SLOW) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        for code in CAMERAS[:99]:
            world.change(TOWN, code, online=False)
        await asyncio.sleep(0.1)
        assert told(subscription) == []
        world.change(TOWN, CAMERAS[99], online=False)
        await until(lambda: len(told(subscription)) == 100)


async def test_what_policy_takes_away_goes_at_once() -> None:
    """A forced stop or a revoked grant: the DEL is out within a second, whatever the delay."""
    world, policy = World(), TurnPolicy()
    view = await some_view(world, *CAMERAS, policy=policy)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view, SLOW) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        policy.turn(lambda item: denied("stopped") if item.channel_id == CAMERA else ALLOWED)
        await until(lambda: bool(told(subscription)), 1.0)
        assert told(subscription) == [("DEL", CAMERA)]


ALLOWED = TurnPolicy().rule(channel(TOWN, CAMERA))


async def test_what_goes_off_and_on_again_within_the_delay_is_not_told() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view, NotifierSettings(gather=0.0, delay=0.1)) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        for online in (False, True, False, True):
            world.change(TOWN, CAMERA, online=online)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        await settled(view, notifier)
    assert told(subscription) == []


async def test_what_comes_and_goes_within_the_delay_is_not_told() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view, NotifierSettings(gather=0.0, delay=0.1)) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        world.put(camera(CAMERA_2))
        await asyncio.sleep(0.02)
        world.remove(TOWN, CAMERA_2)
        await asyncio.sleep(0.15)
        await settled(view, notifier)
    assert told(subscription) == []


async def test_a_flapping_item_is_told_a_few_times_a_minute_and_then_its_last_state() -> None:
    now = [1000.0]
    world = World()
    view = await some_view(world, CAMERA, CAMERA_2)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    settings = NotifierSettings(gather=0.0, delay=0.0, flaps=4)
    async with notifying(view, settings, now=lambda: now[0]) as notifier:
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        for number in range(11):
            world.change(TOWN, CAMERA, online=bool(number % 2))
            await until(lambda: view.is_current)
            await asyncio.sleep(0.002)
        assert told(subscription) == [("OFF", CAMERA), ("ON", CAMERA)] * 2
        # Others, and other changes of the same item, are not held back.
        world.change(TOWN, CAMERA_2, online=False)
        await until(lambda: len(told(subscription)) == 5)
        world.change(TOWN, CAMERA, name="new name")
        await until(lambda: len(told(subscription)) == 6)
        assert told(subscription)[-1] == ("UPDATE", CAMERA)
        assert subscription.upper.items[CAMERA].status == "OFF"
        world.change(TOWN, CAMERA, online=True)
        await until(lambda: view.is_current)
        await asyncio.sleep(0.01)
        assert len(told(subscription)) == 6
        now[0] += 61.0
        notifier._all()[0].wake()
        await until(lambda: len(told(subscription)) == 7)
    assert told(subscription)[-1] == ("ON", CAMERA)


async def test_parents_come_before_children_and_go_after_them() -> None:
    world = World()
    view = await some_view(world)
    upper = ModelUpper(edition="2016")
    upper.items = await query(view)
    subscription = Subscription(upper)
    async with notifying(view) as notifier:
        subscribe(notifier, subscription)
        await settled(view, notifier)
        world.put(camera(VOICE, CAMERA))
        world.put(camera(CAMERA, RECORDER, SUB_ORG))
        world.put(channel(TOWN, SUB_ORG, parent_ids=(ORG,)))
        world.put(channel(TOWN, RECORDER, parent_ids=(VILLAGE,)))
        world.put(channel(TOWN, ORG, parent_ids=(TOWN,)))
        world.put(channel(TOWN, VILLAGE, parent_ids=(TOWN,)))
        await settled(view, notifier)
        added = list(told(subscription))
        # A move away from what goes: the change first.
        world.remove(TOWN, RECORDER)
        await settled(view, notifier)
        moved = told(subscription)[len(added) :]
        world.forget(TOWN)
        await settled(view, notifier)
        gone = told(subscription)[len(added) + len(moved) :]
    assert [code for kind, code in added] == [VILLAGE, ORG, SUB_ORG, RECORDER, CAMERA, VOICE]
    assert moved == [("UPDATE", CAMERA), ("DEL", RECORDER)]
    assert gone == [("DEL", c) for c in (VOICE, CAMERA, SUB_ORG, ORG, VILLAGE, TOWN)]
    assert upper.complaints == []


async def test_notifies_over_udp_fit_a_datagram_and_go_one_after_the_other() -> None:
    world = World()
    view = await some_view(world)
    subscription = Subscription(ModelUpper())
    subscription.upper.items = await query(view)
    subscription.gate.clear()
    async with notifying(view) as notifier:
        for code in CAMERAS:
            world.put(camera(code, name="平邑县城区派出所门前球机"))
        subscribe(notifier, subscription)
        await until(lambda: bool(subscription.notified))
        await asyncio.sleep(0.05)
        assert len(subscription.notified) == 1
        subscription.gate.set()
        await settled(view, notifier)
    assert len(subscription.upper.items) == 302
    assert subscription.upper.largest <= UDP_PAGE_BYTES
    assert len(subscription.notified) > 50


async def test_notifies_over_tcp_carry_as_many_items_as_wished() -> None:
    world = World()
    view = await some_view(world, transport="TCP", catalog_batch=7)
    subscription = Subscription(ModelUpper())
    subscription.upper.items = await query(view)
    async with notifying(view, NotifierSettings(gather=0.0, delay=0.05)) as notifier:
        subscribe(notifier, subscription)
        await settled(view, notifier)
        for code in CAMERAS[:50]:
            world.put(camera(code))
        await settled(view, notifier)
    counts = [len(c.items) for c in subscription.notified if isinstance(c, CatalogNotify)]
    assert counts == [7] * 7 + [1]


async def test_a_slow_subscriber_gets_the_last_state_and_nothing_in_between() -> None:
    world = World()
    view = await some_view(world, *CAMERAS[:50])
    upper = ModelUpper(edition="2016")
    upper.items = await query(view)
    subscription = Subscription(upper)
    async with notifying(view) as notifier:
        subscribe(notifier, subscription)
        await settled(view, notifier)
        subscription.gate.clear()
        world.change(TOWN, CAMERAS[0], online=False)
        await until(lambda: subscription.busy)
        for number in range(40):
            for code in CAMERAS[:50]:
                world.change(TOWN, code, name=f"name {number}", online=bool(number % 2))
            await view.refresh()
        (sender,) = notifier._all()
        assert len(sender.told.pending) <= 51
        subscription.gate.set()
        await settled(view, notifier)
        assert upper.items == await query(view)
    assert len(told(subscription)) == 51


async def test_one_slow_subscriber_does_not_hold_up_another() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    slow, quick = (Subscription(ModelUpper(edition="2016")) for _ in range(2))
    quick.upper.items = await query(view)
    async with notifying(view) as notifier:
        slow.gate.clear()
        subscribe(notifier, slow, TOWN)
        subscribe(notifier, quick)
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: told(quick) == [("OFF", CAMERA)])
        assert told(slow) == []
        slow.gate.set()


async def test_a_subscription_that_is_no_more_is_said_to_be_gone_once() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view) as notifier:
        gone = subscribe(notifier, subscription)
        await settled(view, notifier)
        subscription.gone = True
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: gone == ["gone"])
        count = len(subscription.notified)
        world.change(TOWN, CAMERA, online=True)
        await until(lambda: view.is_current)
        await asyncio.sleep(0.01)
        notifier.remove(subscription)
        assert gone == ["gone"]
        assert len(subscription.notified) == count
        # Whoever subscribes next learns what the lost one missed.
        world.remove(TOWN, CAMERA)
        after = Subscription(subscription.upper)
        subscribe(notifier, after)
        await until(lambda: ("DEL", CAMERA) in told(after))


async def test_a_removed_subscription_is_sent_nothing_more() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    subscription = Subscription(ModelUpper(edition="2016"))
    async with notifying(view) as notifier:
        gone = subscribe(notifier, subscription)
        await settled(view, notifier)
        notifier.remove(subscription)
        notifier.remove(subscription)
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: view.is_current)
        await asyncio.sleep(0.01)
    assert subscription.notified == [None]
    assert gone == []


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_subscription_removed_while_its_events_are_put_in_order_is_sent_none(
    turns: int,
) -> None:
    world = World()
    view = await some_view(world, CAMERA, CAMERA_2)
    for code in (CAMERA, CAMERA_2):
        world.change(TOWN, code, online=False)
    await view.refresh()
    subscription = Subscription(ModelUpper(edition="2016"))
    hurried = itertools.count()
    # By this clock every stretch of work is over at once, so that a removal can come between any two steps.
    async with notifying(view, now=lambda: float(next(hurried))) as notifier:
        subscribe(notifier, subscription)
        for _ in range(turns):
            await asyncio.sleep(0)
        notifier.remove(subscription)
        before = len(subscription.notified)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(subscription.notified) == before


async def test_subscriptions_go_on_after_the_task_was_begun_anew() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    subscription = Subscription(ModelUpper(edition="2016"))
    subscription.upper.items = await query(view)
    async with notifying(view) as notifier:
        subscribe(notifier, subscription)
        await settled(view, notifier)
        one = notifier
    world.change(TOWN, CAMERA, online=False)
    async with TaskScope(lambda name, error: pytest.fail(f"{name}: {error}")) as scope:
        scope.spawn(one.run(), name="again")
        await until(lambda: told(subscription) != [])
        assert told(subscription) == [("OFF", CAMERA)]


async def test_a_subscription_whose_task_crashes_is_gone_and_the_crash_is_reported() -> None:
    world = World()
    view = await some_view(world, CAMERA)
    crashes: list[str] = []

    class Broken(Subscription):
        async def notify(self, content: Any, *, expires: int, reason: str = "") -> bool:
            raise RuntimeError("broken by the test")

    notifier = notifier_module.CatalogNotifier(
        view, Link(view.config), on_crash=lambda name, error: crashes.append(name), settings=FAST
    )
    async with TaskScope(lambda name, error: crashes.append(name)) as scope:
        scope.spawn(notifier.run(), name="notifier")
        await asyncio.sleep(0)
        gone = subscribe(notifier, Broken(ModelUpper()))
        await until(lambda: bool(crashes))
        assert gone == ["gone"]
    assert crashes == [f"catalog-notify:{view.config.platform_id}"]


async def test_2011_platforms_are_told_in_full_items_of_a_response() -> None:
    world = World()
    view = await some_view(world, CAMERA, edition=Edition.V2011)
    bodies: list[CatalogResponse] = []

    class Old(Subscription):
        async def notify(self, content: Any, *, expires: int, reason: str = "") -> bool:
            if content is not None:
                body = serialize_message(content, edition="2011")
                response = parse_message(body).content
                assert isinstance(response, CatalogResponse)
                bodies.append(response)
            return True

    async with notifying(view) as notifier:
        subscribe(notifier, Old(ModelUpper()))
        await settled(view, notifier)
        world.change(TOWN, CAMERA, online=False)
        await settled(view, notifier)
        world.remove(TOWN, CAMERA)
        await settled(view, notifier)
    off, gone = (response.items[0] for response in bodies)
    assert (off.device_id, off.name, off.parent_id, off.status, off.event) == (
        *(CAMERA, "n0000001", TOWN, "OFF", ""),
    )
    assert (gone.device_id, gone.status) == (CAMERA, "OFF")


async def test_changes_are_pushed_by_message_to_platforms_that_never_subscribe() -> None:
    world = World()
    view = await some_view(world, CAMERA, CAMERA_2, catalog_push=True)
    upper = ModelUpper(edition="2016")
    link = Link(view.config, upper)
    settings = NotifierSettings(gather=0.0, delay=0.0, push_retry=0.01)
    async with notifying(view, settings, link) as notifier:
        upper.items = await query(view)
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: upper.events == [("OFF", CAMERA)])
        # What cannot be sent is sent later, as it is then.
        link.broken = True
        world.remove(TOWN, CAMERA)
        world.change(TOWN, CAMERA_2, name="x")
        await until(lambda: bool(link.notes))
        world.change(TOWN, CAMERA_2, name="y")
        await asyncio.sleep(0.05)
        assert len(link.notes) == 1
        link.broken = False
        await until(lambda: len(upper.events) == 3)
        link.online = False
        world.put(camera(CAMERA))
        await until(lambda: view.is_current)
        await asyncio.sleep(0.03)
        assert len(upper.events) == 3
        link.online = True
        await until(lambda: len(upper.events) == 4)
        assert upper.items == await query(view)
        # A subscriber is not told twice.
        subscription = Subscription(ModelUpper(edition="2016"))
        subscription.upper.items = dict(upper.items)
        subscribe(notifier, subscription)
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: told(subscription)[-1:] == [("OFF", CAMERA)])
        await asyncio.sleep(0.03)
        assert len(upper.events) == 4


async def test_a_crowd_of_channels_that_may_all_be_seen_at_once_is_told_in_batches() -> None:
    world, policy = World(), TurnPolicy(lambda item: denied())
    view = await some_view(world, *CAMERAS, policy=policy, transport="TCP")
    upper = ModelUpper(edition="2016")
    upper.items = await query(view)
    subscription = Subscription(upper)
    async with notifying(view) as notifier:
        subscribe(notifier, subscription)
        await settled(view, notifier)
        policy.turn(lambda item: ALLOWED)
        await settled(view, notifier)
        assert upper.items == await query(view)
    assert len(told(subscription)) == 301
    assert len(subscription.notified) < 20
    assert upper.complaints == []


async def test_the_catalogue_of_the_desk_loads_runs_and_tells() -> None:
    world, ids = World(), MemoryIds()
    town(world, camera(CAMERA))
    view = make_view(world, ids=ids)
    crash: Any = lambda name, error: pytest.fail(f"{name}: {error}")  # noqa: E731
    catalog: PlatformCatalog = SharedCatalog(view, Link(view.config), on_crash=crash, settings=FAST)
    await catalog.load()
    subscription = Subscription(ModelUpper(edition="2016"))
    async with TaskScope(crash) as scope:
        scope.spawn(catalog.run(), name="catalog")
        subscription.upper.items = await query(view)
        catalog.notifier.add(subscription, root=COUNTY, remaining=lambda: 1, gone=pytest.fail)
        await until(lambda: bool(subscription.notified))
        catalog.view.touch(TOWN, [CAMERA])
        world.change(TOWN, CAMERA, online=False)
        await until(lambda: told(subscription) == [("OFF", CAMERA)])
