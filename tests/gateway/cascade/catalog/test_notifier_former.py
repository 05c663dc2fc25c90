"""What a platform was told by a former process, or under a former configuration, is taken back where it is gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.cascade.catalog.notifier import CatalogNotifier
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.domain.platform import IdMode
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.message import Content
from tests.support.cascade import FakeLink
from tests.support.catalog_world import (
    CITY,
    COUNTY,
    MemoryIds,
    ModelUpper,
    World,
    channel,
    make_view,
)

RECORDER = "37132600001180000001"
CAMERAS = [f"3713260000132{number:07d}" for number in range(1, 6)]


class _Sub:
    """A subscription of a platform, which may fail to take what it is sent."""

    def __init__(self, upper: ModelUpper) -> None:
        self.upper = upper
        self.takes = True

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        await asyncio.sleep(0)
        if self.takes and content is not None:
            self.upper.take(content)
        return self.takes


def _world(hidden: int = 0) -> World:
    world = World()
    world.device(RECORDER, *(channel(RECORDER, code) for code in CAMERAS[hidden:]))
    return world


async def _process(
    world: World, ids: MemoryIds, upper: ModelUpper, *subs: _Sub, **config: Any
) -> CatalogView:
    """Live for a while as one process does, with these subscriptions one after the other."""
    view = make_view(world, ids=ids, **config)
    await view.load()
    with _quiet() as crashes:
        async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
            notifier = CatalogNotifier(
                view,
                FakeLink(view.config),
                on_crash=lambda name, exc: crashes.append(f"{name}: {exc!r}"),
                settings=NotifierSettings(gather=0.001, delay=0.005),
            )
            scope.spawn(notifier.run(), name="notifier")
            for sub in subs:
                notifier.add(sub, root=None, remaining=lambda: 600, gone=lambda: None)
                await asyncio.sleep(0.05)
                notifier.remove(sub)
    return view


@contextmanager
def _quiet() -> Iterator[list[str]]:
    crashes: list[str] = []
    yield crashes
    assert crashes == []


def _answered(view: CatalogView, upper: ModelUpper) -> None:
    upper.items = {item.device_id: item for item in view.items()}


async def test_what_went_while_nobody_ran_is_taken_back_at_the_first_subscription() -> None:
    ids, upper = MemoryIds(), ModelUpper()
    _answered(await _process(_world(), ids, upper, _Sub(upper)), upper)
    view = await _process(_world(hidden=2), ids, upper, _Sub(upper))
    assert {code for event, code in upper.events if event == "DEL"} == set(CAMERAS[:2])
    assert upper.items.keys() == {item.device_id for item in view.items()}
    assert upper.complaints == []


async def test_it_is_told_once_in_a_process() -> None:
    ids, upper = MemoryIds(), ModelUpper()
    _answered(await _process(_world(), ids, upper, _Sub(upper)), upper)
    await _process(_world(hidden=2), ids, upper, _Sub(upper), _Sub(upper), _Sub(upper))
    assert len([event for event, _ in upper.events if event == "DEL"]) == 2
    assert upper.complaints == []


async def test_what_the_first_subscription_did_not_take_the_next_one_gets() -> None:
    ids, upper = MemoryIds(), ModelUpper()
    _answered(await _process(_world(), ids, upper, _Sub(upper)), upper)
    deaf = _Sub(upper)
    deaf.takes = False
    await _process(_world(hidden=2), ids, upper, deaf, _Sub(upper))
    assert not upper.items.keys() & set(CAMERAS[:2])
    assert upper.complaints == []


@pytest.mark.parametrize(
    ("before", "after"), [(IdMode.KEEP, IdMode.RENAME), (IdMode.RENAME, IdMode.KEEP)]
)
async def test_codes_of_another_mode_are_taken_back(before: IdMode, after: IdMode) -> None:
    ids, upper = MemoryIds(), ModelUpper()
    old = await _process(_world(), ids, upper, _Sub(upper), id_mode=before)
    _answered(old, upper)
    gone = upper.items.keys() - {COUNTY}
    new = await _process(_world(), ids, upper, _Sub(upper), id_mode=after)
    assert {code for event, code in upper.events if event == "DEL"} == gone
    assert not gone & {item.device_id for item in new.items()}


async def test_nothing_is_taken_back_where_all_is_as_it_was() -> None:
    ids, upper = MemoryIds(), ModelUpper()
    _answered(await _process(_world(), ids, upper, _Sub(upper)), upper)
    await _process(_world(), ids, upper, _Sub(upper))
    assert upper.events == []
    assert CITY not in upper.items


async def test_two_thousand_go_in_batches() -> None:
    ids, upper = MemoryIds(), ModelUpper()
    world = World()
    codes = [f"3713260000132{number:07d}" for number in range(2_000)]
    world.device(RECORDER, *(channel(RECORDER, code) for code in codes))
    _answered(await _process(world, ids, upper, _Sub(upper)), upper)
    empty = World()
    empty.device(RECORDER)
    view = make_view(empty, ids=ids)
    await view.load()
    sub = _Sub(upper)
    async with TaskScope(lambda name, exc: None) as scope:
        notifier = CatalogNotifier(view, FakeLink(view.config), on_crash=lambda *_: None)
        scope.spawn(notifier.run(), name="notifier")
        notifier.add(sub, root=None, remaining=lambda: 600, gone=lambda: None)
        async with asyncio.timeout(20):
            while len(upper.items) > 2:
                await asyncio.sleep(0.01)
    assert upper.largest <= 1_300
    assert upper.complaints == []
