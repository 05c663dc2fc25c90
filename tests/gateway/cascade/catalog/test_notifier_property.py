"""What an upper platform knows from its query and the NOTIFYs is what a fresh query gives, and what the rules give."""

import asyncio
import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.cascade.catalog.view import CatalogView
from gateway.domain.device import Channel
from gateway.domain.platform import Edition, IdMode, TreeMode
from gateway.domain.policy import Decision, Obligations
from gateway.domain.selector import ChannelSelector, facts_of
from gb28181.manscdp import CatalogItem
from gb28181.manscdp.item import sent_fields
from tests.support.catalog_oracle import expect
from tests.support.catalog_random import (
    LOWER,
    NODES,
    PLATFORM_IDS,
    RECORDER,
    change,
    random_policy,
    random_world,
)
from tests.support.catalog_upper import Subscription, notifying, query, settled
from tests.support.catalog_world import (
    ALLOW,
    COUNTY,
    NO_RULE,
    ModelUpper,
    TurnPolicy,
    World,
    denied,
    make_view,
)
from tests.support.policy import ADMIN, rule
from tests.support.sharing import Office

KEPT: dict[str, Any] = {"tree": TreeMode.KEPT, "id_mode": IdMode.KEEP, "charset": "GB18030"}
RENAMED: dict[str, Any] = {
    "tree": TreeMode.KEPT,
    "id_mode": IdMode.RENAME,
    "edition": Edition.V2022,
}
DIVIDED: dict[str, Any] = {
    "tree": TreeMode.DIVISION,
    "id_mode": IdMode.KEEP,
    "transport": "TCP",
    "charset": "UTF-8",
}
OWN: dict[str, Any] = {
    "tree": TreeMode.CUSTOM,
    "id_mode": IdMode.RENAME,
    "nodes": NODES,
    "edition": Edition.V2022,
    "transport": "TCP",
}


def rules_agree(
    items: dict[str, CatalogItem], view: CatalogView, world: World, policy: TurnPolicy
) -> None:
    """Compare what a platform knows with a plain reading of the rules, attribute by attribute."""
    expected = expect(world, view.config, COUNTY, policy.rule, view.codes.get)
    assert items.keys() == expected.keys()
    for code, item in items.items():
        wanted = expected[code]
        names = sent_fields(item, view.config.edition.value)
        channel, rules = wanted.channel, wanted.obligations
        if "status" in names:
            assert item.status == wanted.status
        if "parent_id" in names:
            assert frozenset(filter(None, item.parent_id.split("/"))) == wanted.parents
        if "business_group_id" in names:
            assert item.business_group_id == wanted.group
        if not channel.device_id:
            continue
        if rules.mask_name is not None:
            assert item.name == rules.mask_name
        elif not view.rename:
            assert item.name == channel.name.strip()
        if "longitude" in names:
            masked = rules.mask_position
            assert item.longitude == (None if masked else channel.longitude)
            assert item.latitude == (None if masked else channel.latitude)
            assert item.address == ("" if masked else channel.address)
            assert item.civil_code == channel.civil_code


@pytest.mark.parametrize(
    ("mode", "seed"),
    [(KEPT, 1), (RENAMED, 2), (DIVIDED, 3), (OWN, 4)],
    ids=["kept", "renamed", "divided", "own"],
)
@pytest.mark.slow
async def test_after_a_thousand_changes_the_notified_state_is_a_fresh_query_is_what_the_rules_give(
    mode: dict[str, Any], seed: int
) -> None:
    rng = random.Random(seed)
    world, policy = random_world(rng), TurnPolicy(random_policy(rng))
    view = make_view(world, policy=policy, **mode)
    await view.load()
    upper = ModelUpper(charset=view.config.body_charset, edition=view.config.edition.value)
    upper.items = await query(view)
    given: dict[str, tuple[str, str]] = {}
    async with notifying(view) as notifier:
        notifier.add(Subscription(upper, rng), root=None, remaining=lambda: 600, gone=pytest.fail)
        await settled(view, notifier)
        changes = 0
        while changes < 1000:
            for _ in range(rng.choice((1, 2, 5, 30))):
                change(rng, world)
                changes += 1
                if rng.random() < 0.1:
                    await asyncio.sleep(0)
            if rng.random() < 0.05:
                policy.turn(random_policy(rng))
            if rng.random() < 0.3:
                # Changes meet a notifier that is at work.
                continue
            await settled(view, notifier)
            fresh = await query(view)
            assert upper.items == fresh
            rules_agree(fresh, view, world, policy)
            for code in fresh:
                key = view.codes.find(code)
                if key is not None:
                    assert given.setdefault(code, key) == key
        await settled(view, notifier)
        assert upper.items == await query(view)
    assert upper.complaints == []
    assert len(set(given.values())) == len(given)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_subscribers_to_parts_know_what_a_query_for_their_part_gives(seed: int) -> None:
    rng = random.Random(seed)
    world, policy = random_world(rng), TurnPolicy(random_policy(rng))
    view = make_view(world, policy=policy, **KEPT | {"edition": Edition.V2022})
    await view.load()
    orgs = [code for code in PLATFORM_IDS if code[10:13] in {"215", "216"}]
    roots = [LOWER, RECORDER, "371326", "37", orgs[0], orgs[3], orgs[4]]
    uppers = {root: ModelUpper() for root in roots}
    async with notifying(view) as notifier:
        for root, upper in uppers.items():
            upper.items = await query(view, root)
            subscription = Subscription(upper, rng)
            notifier.add(subscription, root=root, remaining=lambda: 60, gone=pytest.fail)
        for _ in range(60):
            for _ in range(rng.choice((1, 3, 10))):
                change(rng, world)
            if rng.random() < 0.1:
                policy.turn(random_policy(rng))
            if rng.random() < 0.3:
                continue
            await settled(view, notifier)
            for root, upper in uppers.items():
                assert upper.items == await query(view, root), root
    told = [event for upper in uppers.values() for event in upper.events]
    assert len(told) > 50
    unknown = [c for u in uppers.values() for c in u.complaints if "unknown" in c or "known" in c]
    assert unknown == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_pages_of_a_long_answer_that_arrive_after_the_news_do_no_harm(seed: int) -> None:
    """Old news in a late page is put right once the answer is complete."""
    rng = random.Random(seed)
    world, policy = random_world(rng), TurnPolicy(random_policy(rng))
    view = make_view(world, policy=policy, **KEPT)
    await view.load()
    upper = ModelUpper(edition="2016")

    async def trouble() -> None:
        for _ in range(150):
            change(rng, world)
            await asyncio.sleep(0)
            if rng.random() < 0.05:
                policy.turn(random_policy(rng))

    async with notifying(view) as notifier:
        upper.items = await query(view)
        subscription = Subscription(upper, rng)
        notifier.add(subscription, root=None, remaining=lambda: 600, gone=pytest.fail)
        for _ in range(10):
            async with asyncio.TaskGroup() as group:
                group.create_task(trouble())
                group.create_task(query(view, pause=rng.randrange(10), upper=upper))
                if rng.random() < 0.5:
                    group.create_task(query(view, LOWER, pause=3, upper=upper))
            await settled(view, notifier)
            assert upper.items == await query(view)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_a_platform_that_subscribes_again_learns_what_it_missed(seed: int) -> None:
    rng = random.Random(seed)
    world, policy = random_world(rng), TurnPolicy(random_policy(rng))
    view = make_view(world, policy=policy, **RENAMED)
    await view.load()
    upper, lost = ModelUpper(), []
    async with notifying(view) as notifier:
        upper.items = await query(view)
        for _ in range(30):
            for _ in range(rng.randrange(6)):
                change(rng, world)
            await view.refresh()
            subscription = Subscription(upper, rng)
            gone = lambda: lost.append(1)  # noqa: E731
            notifier.add(subscription, root=None, remaining=lambda: 600, gone=gone)
            await settled(view, notifier)
            assert upper.items == await query(view)
            change(rng, world)
            if rng.random() < 0.5:
                notifier.remove(subscription)
            subscription.gone = True
            await asyncio.sleep(0.001)
            while subscription.busy or not view.is_current:
                await asyncio.sleep(0)
            notifier.remove(subscription)
            await asyncio.sleep(0)


def texts_of(items: Iterable[CatalogItem]) -> str:
    """Return everything that is written of items, as one text."""
    return "\n".join(
        value
        for item in items
        for name in CatalogItem.__slots__
        if isinstance(value := getattr(item, name), str)
    )


def hashed_policy(number: int) -> Any:
    """Return one of very many policies, quick to ask."""
    salt = str(number).encode()

    def decide(item: Channel) -> Decision:
        bits = hashlib.blake2b(
            item.channel_id.encode() + item.device_id.encode(), key=salt
        ).digest()
        if bits[0] < 140:
            return ALLOW
        return NO_RULE if bits[1] < 128 else denied()

    return decide


@pytest.mark.parametrize("part", range(10))
@pytest.mark.slow
async def test_ten_thousand_policies_let_nothing_secret_and_no_lower_level_code_out(
    part: int,
) -> None:
    rng = random.Random(part)
    world, policy = random_world(rng), TurnPolicy()
    for device_id in list(world.by_id)[:2]:
        for code in list(world.listed[device_id])[::2]:
            world.remove(device_id, code)
    mode = OWN if part % 2 else RENAMED
    renamed = make_view(world, policy=policy, **mode)
    kept = make_view(world, policy=policy, **KEPT)
    await renamed.load()
    await kept.load()
    lower = {*world.by_id, *(code for listed in world.listed.values() for code in listed)}
    own = {COUNTY, *(node.node_id for node in NODES)}
    lower = {code for code in lower if len(code) >= 10 and code not in own}
    secrets = 0
    for number in range(1000):
        policy.turn(hashed_policy(part * 1000 + number))
        if number % 10 == 0:
            change(rng, world)
        await renamed.refresh()
        await kept.refresh()
        secret = {
            (item.device_id, item.channel_id)
            for listed in world.listed.values()
            for item in listed.values()
            if item.secrecy
        }
        secrets += len(secret)
        for view in (renamed, kept):
            shown = {(p.channel.device_id, p.channel.channel_id) for p in view.items().placed}
            assert not shown & secret
        written = texts_of(renamed.items())
        assert not [code for code in lower if code in written]
    assert secrets > 1000


MASKED = replace(ALLOW, obligations=Obligations(mask_position=True))
COUNTY_RULE = rule(
    "county",
    subjects='{ platforms = ["3713*"] }',
    objects='{ civil_codes = ["3713"] }',
    actions='["catalog"]',
    obligations="{ mask_position = true }",
)
THIRD_CLASS_RULE = rule(
    "third-class",
    effect="deny",
    subjects="{ any = true }",
    objects='{ point_types = ["3"] }',
    actions='["catalog"]',
)


@pytest.mark.slow
async def test_the_real_policy_engine_decides_what_goes_up() -> None:
    rng, stopped = random.Random(5), False
    office = await Office().load()
    world = random_world(rng)
    view = make_view(world, **KEPT)
    view._access, view._wall = office.access, office.clock.utc_now
    office.access.on_changed.append(view.policy_changed)

    def touch(device_id: str, channel_ids: Sequence[str] | None = None) -> None:
        office.access.touch(device_id, channel_ids)
        view.touch(device_id, channel_ids)

    world.touch = touch  # type: ignore[method-assign]

    def in_words(item: Channel) -> Decision:
        """What the rules above say."""
        facts = facts_of(item)
        if item.secrecy or facts.point_type == "3" or (stopped and item.device_id == RECORDER):
            return denied()
        return MASKED if facts.civil_code.startswith("3713") else NO_RULE

    await view.load()
    assert view.count() == 1
    await office.apply(COUNTY_RULE, THIRD_CLASS_RULE)
    office.access.tick()
    upper = ModelUpper(edition="2016")
    upper.items = await query(view)
    async with notifying(view) as notifier:
        subscription = Subscription(upper)
        notifier.add(subscription, root=None, remaining=lambda: 600, gone=pytest.fail)
        for number in range(40):
            if number == 20:
                stopped = True
                objects = ChannelSelector(devices=frozenset({RECORDER}))
                await office.stops.order(reason="raid", by=ADMIN, objects=objects)
                office.access.tick()
            for _ in range(rng.choice((1, 5, 20))):
                change(rng, world)
            await settled(view, notifier)
            fresh = await query(view)
            assert upper.items == fresh
            rules_agree(fresh, view, world, TurnPolicy(in_words))
    assert upper.complaints == []
    assert len(upper.events) > 100
