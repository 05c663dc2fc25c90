"""The catalogue kept up to date bit by bit is the one a plain reading of the rules gives, whatever happens."""

import random
from typing import Any

import pytest

from gateway.cascade.catalog.item import Placed
from gateway.cascade.catalog.view import CatalogView
from gateway.domain.platform import Edition, IdMode, TreeMode
from tests.support.catalog_oracle import Expected, expect
from tests.support.catalog_random import NODES, change, random_policy, random_world
from tests.support.catalog_world import COUNTY, MemoryIds, TurnPolicy, World, make_view

MODES: list[dict[str, Any]] = [
    {"tree": TreeMode.KEPT, "id_mode": IdMode.KEEP},
    {"tree": TreeMode.KEPT, "id_mode": IdMode.RENAME, "edition": Edition.V2022},
    {"tree": TreeMode.KEPT, "id_mode": IdMode.KEEP, "edition": Edition.V2011},
    {"tree": TreeMode.DIVISION, "id_mode": IdMode.KEEP},
    {"tree": TreeMode.CUSTOM, "id_mode": IdMode.RENAME, "nodes": NODES, "edition": Edition.V2022},
]


def seen(placed: Placed) -> tuple[Any, ...]:
    status = {True: "ON", False: "OFF", None: ""}[placed.online]
    return placed.channel.channel_id, frozenset(placed.parents), placed.group, status


def wanted(expected: Expected) -> tuple[Any, ...]:
    return expected.channel.channel_id, expected.parents, expected.group, expected.status


def agree(view: CatalogView, world: World, policy: TurnPolicy) -> None:
    """Compare the view with the rules, and look at what holds for any catalogue."""
    code = view.codes.get
    expected = expect(world, view.config, COUNTY, policy.rule, code)
    placed = view.items().placed
    assert {each.code: seen(each) for each in placed} == {
        key: wanted(each) for key, each in expected.items()
    }
    assert view.count() == len(placed) == len({each.code for each in placed})
    known: set[str] = set()
    for each in placed:
        assert known.issuperset(each.parents), each
        assert not each.group or each.group in known
        known.add(each.code)
        assert view.find(each.code) is each
        if each.channel.device_id and each.rank != 2:
            assert view.shared_id(each.channel.device_id, each.channel.channel_id) == each.code
            assert not each.channel.secrecy
    assert placed[0].code == COUNTY
    assert placed[0].parents == ()


@pytest.mark.parametrize(
    "mode", MODES, ids=lambda mode: "-".join(map(str, list(mode.values())[:2]))
)
@pytest.mark.parametrize("seed", range(10))
async def test_any_history_of_changes_leads_to_the_catalogue_the_rules_give(
    mode: dict[str, Any], seed: int
) -> None:
    rng = random.Random(seed)
    world, policy, ids = random_world(rng), TurnPolicy(random_policy(rng)), MemoryIds()
    view = make_view(world, ids=ids, policy=policy, **mode)
    await view.load()
    agree(view, world, policy)
    for _ in range(60):
        for _ in range(rng.choice((1, 1, 1, 3, 20))):
            change(rng, world)
        if rng.random() < 0.1:
            policy.turn(random_policy(rng))
        await view.refresh()
        agree(view, world, policy)
    again = make_view(world, ids=ids, policy=policy, **mode)
    await again.load()
    assert {each.code: seen(each) for each in again.items().placed} == {
        each.code: seen(each) for each in view.items().placed
    }
