"""What departments are told of: what changed in what they may see, and nothing else."""

import asyncio
import random

from gateway.domain.device import Channel
from gateway.domain.policy import Action, Obligations
from gateway.sharing.departments import Department
from gateway.sharing.webhooks import WebhookEvent
from gateway.sharing.webhooks_watch import MAX_NAMED, ChannelEvent, ChannelWatch
from tests.support.departments import Fleet, ListedPolicy
from tests.support.registry import ManualClock

A, B = "34020000001110000001", "34020000001110000002"


class Bench:
    """A watch over a fleet with what it reported."""

    def __init__(self, *departments: str) -> None:
        self.clock, self.policy, self.fleet = ManualClock(), ListedPolicy(), Fleet()
        self.events: list[tuple[str, ChannelEvent]] = []
        self.watch = ChannelWatch(
            access=self.policy,
            directory=self.fleet,
            wall=self.clock.utc_now,
            now=self.clock.monotonic,
            report=lambda code, event: self.events.append((code, event)),
        )
        self.departments = [
            Department(code=code, created_at=self.clock.start) for code in departments
        ]
        self.policy.on_changed.append(self.watch.touch_all)

    async def begin(self) -> None:
        self.watch.watch(self.departments)
        await self.watch.look()

    async def told(self) -> list[tuple[str, str, str]]:
        await self.watch.look()
        found = [(code, item.event.value, item.channel_id) for code, item in self.events]
        self.events.clear()
        return found


def channel(bench: Bench, number: str) -> Channel:
    found = bench.fleet.channel(A, number)
    assert found is not None
    return found


async def test_the_first_look_reports_nothing() -> None:
    bench = Bench("urban")
    bench.fleet.put(A, "c1")
    bench.policy.give("urban", "c1", Action.CATALOG)
    bench.watch.touch(A)
    await bench.begin()
    assert await bench.told() == []


async def test_each_department_is_told_of_its_own_channels_only() -> None:
    bench = Bench("urban", "water")
    bench.fleet.put(A, "c1")
    bench.fleet.put(A, "c2")
    bench.policy.give("urban", "c1", Action.CATALOG)
    bench.policy.give("water", "c2", Action.CATALOG, Action.LIVE)
    await bench.begin()
    channel(bench, "c1").online = False
    bench.watch.touch(A, ["c1", "c2"])
    assert await bench.told() == [("urban", "off", "c1")]
    channel(bench, "c1").online = True
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "on", "c1")]
    bench.watch.touch(A)
    assert await bench.told() == []


async def test_a_device_that_goes_takes_its_channels_with_it() -> None:
    bench = Bench("urban")
    bench.fleet.put(A, "c1")
    bench.fleet.put(A, "c2", online=False)
    for name in ("c1", "c2"):
        bench.policy.give("urban", name, Action.CATALOG)
    await bench.begin()
    bench.fleet.known[A].online = False
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "off", "c1")]


async def test_channels_that_come_and_go_are_added_and_removed() -> None:
    bench = Bench("urban")
    bench.policy.give("urban", "c1", Action.CATALOG)
    bench.policy.give("urban", "c2", Action.CATALOG)
    await bench.begin()
    bench.fleet.put(A, "c1")
    bench.fleet.put(A, "c2")
    bench.fleet.put(A, "c3")
    bench.watch.touch(A, ["c1", "c3"])
    assert await bench.told() == [("urban", "added", "c1")]
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "added", "c2")]
    del bench.fleet.of[A]["c1"]
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "removed", "c1")]
    del bench.fleet.known[A]
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "removed", "c2")]


async def test_what_policy_gives_and_takes_is_added_and_removed() -> None:
    bench = Bench("urban")
    bench.fleet.put(A, "c1")
    bench.fleet.put(B, "c1", online=False)
    await bench.begin()
    bench.policy.give("urban", "c1", Action.CATALOG)
    assert await bench.told() == [("urban", "added", "c1"), ("urban", "added", "c1")]
    bench.policy.give("urban", "c1", Action.LIVE)
    assert await bench.told() == [("urban", "removed", "c1"), ("urban", "removed", "c1")]


async def test_a_masked_name_stays_masked() -> None:
    bench = Bench("urban")
    bench.policy.obliged[Action.CATALOG] = Obligations(mask_name="点位")
    bench.policy.give("urban", "c1", Action.CATALOG)
    await bench.begin()
    bench.fleet.put(A, "c1")
    bench.watch.touch(A)
    await bench.watch.look()
    assert bench.events[0][1].name == "点位"


async def test_a_department_that_joins_later_gets_no_flood() -> None:
    bench = Bench("urban")
    bench.fleet.put(A, "c1")
    bench.policy.give("urban", "c1", Action.CATALOG)
    bench.policy.give("water", "c1", Action.CATALOG)
    await bench.begin()
    bench.departments.append(Department(code="water", created_at=bench.clock.start))
    bench.watch.touch(A)
    bench.watch.watch(bench.departments)
    assert await bench.told() == []
    channel(bench, "c1").online = False
    bench.watch.touch(A)
    assert await bench.told() == [("urban", "off", "c1"), ("water", "off", "c1")]


async def test_one_that_is_not_watched_any_more_is_forgotten() -> None:
    bench = Bench("urban")
    bench.fleet.put(A, "c1")
    bench.policy.give("urban", "c1", Action.CATALOG)
    await bench.begin()
    bench.watch.watch([])
    channel(bench, "c1").online = False
    bench.watch.touch(A)
    assert await bench.told() == []
    asked = bench.policy.asked
    bench.policy.changed()
    await bench.watch.look()
    assert bench.policy.asked == asked


async def test_many_marked_channels_are_one_marked_device() -> None:
    bench = Bench("urban")
    await bench.begin()
    for number in range(MAX_NAMED + 1):
        bench.watch.touch(A, [f"c{number}"])
    bench.fleet.put(A, "c-late")
    bench.policy.give("urban", "c-late", Action.CATALOG)
    assert await bench.told() == [("urban", "added", "c-late")]


async def test_a_long_look_lets_the_loop_run() -> None:
    bench = Bench("urban")
    for number in range(500):
        bench.fleet.put(A, f"c{number}")
        bench.policy.given.setdefault("urban", {})[f"c{number}"] = {Action.CATALOG}
    turns = 0

    def advancing() -> float:
        bench.clock.advance(0.001)
        return bench.clock.now

    bench.watch._now = advancing

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counter = group.create_task(count())
        await bench.begin()
        counter.cancel()
    assert turns > 50


async def test_events_added_up_are_what_is_seen_after_any_history() -> None:
    """500 random changes: whoever applies the events to what it knew knows what is to be seen."""
    chance = random.Random(28181)
    bench = Bench("urban")
    names = [f"c{number}" for number in range(12)]
    await bench.begin()
    known: dict[tuple[str, str], bool] = {}
    for _ in range(500):
        device, name = chance.choice((A, B)), chance.choice(names)
        match chance.randrange(5):
            case 0:
                bench.fleet.put(device, name, online=chance.random() < 0.5)
                bench.watch.touch(device, [name])
            case 1:
                bench.fleet.of.get(device, {}).pop(name, None)
                bench.watch.touch(device, [name])
            case 2:
                if (item := bench.fleet.known.get(device)) is not None:
                    item.online = not item.online
                bench.watch.touch(device)
            case 3:
                bench.policy.give("urban", name, *([Action.CATALOG] * chance.randrange(2)))
            case _:
                await bench.watch.look()
    await bench.watch.look()
    for _, event in bench.events:
        key = (event.device_id, event.channel_id)
        if event.event is WebhookEvent.REMOVED:
            del known[key]
        else:
            assert (key in known) is (event.event is not WebhookEvent.ADDED)
            known[key] = event.online
    expected = {
        (item.device_id, item.channel_id): item.online and bench.fleet.known[device].online
        for device in bench.fleet.of
        for item in bench.fleet.channels(device)
        if Action.CATALOG in bench.policy.given.get("urban", {}).get(item.channel_id, set())
    }
    assert known == expected
    assert len(bench.events) > 100
