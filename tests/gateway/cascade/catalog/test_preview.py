"""A catalogue before it is sent, and its figures."""

from datetime import UTC, datetime

import pytest

from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.preview import CatalogStatistics, preview, statistics
from gateway.domain.errors import Unavailable
from gateway.domain.platform import IdMode, PlatformConfig, TreeMode, TreeNode
from gateway.domain.policy import Decision, Obligations, Subject
from gateway.domain.selector import ChannelSelector
from tests.support.catalog_town import CAMERA, CAMERA_2, ORG, RECORDER, TOWN, camera, town
from tests.support.catalog_world import (
    ALLOW,
    CITY,
    COUNTY,
    MemoryIds,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)


async def look(
    world: World, config: PlatformConfig, *, ids: MemoryIds, root: str | None = None
) -> tuple[list[str], CatalogStatistics]:
    found = await preview(
        config,
        root,
        local_id=COUNTY,
        directory=world,
        access=TurnPolicy(),
        ids=ids,
        subject=Subject(platform=config.platform_id),
        wall=lambda: datetime.now(UTC),
        own_item=lambda: OwnPlatform(name="County"),
    )
    return [item.device_id for item in found.items], found.statistics


async def test_a_preview_shows_what_would_be_sent_and_keeps_nothing() -> None:
    world, ids = World(), MemoryIds()
    town(world, camera(CAMERA, civil_code="371326"))
    config = PlatformConfig(platform_id=CITY, id_mode=IdMode.RENAME)
    codes, figures = await look(world, config, ids=ids)
    assert ids.rows == {}
    assert figures.renamed == 2
    view = make_view(world, ids=ids, id_mode=IdMode.RENAME)
    await view.load()
    assert [item.device_id for item in view.items()] == codes
    assert (await look(world, config, ids=ids))[0] == codes


async def test_a_preview_shows_the_codes_that_were_given_before() -> None:
    world, ids = World(), MemoryIds()
    other = "37132601001180000002"
    world.device(RECORDER, channel(RECORDER, CAMERA))
    view = make_view(world, ids=ids)
    await view.load()
    world.by_id = {}
    world.device(other, channel(other, CAMERA))
    world.device(RECORDER, channel(RECORDER, CAMERA))
    codes, _ = await look(world, PlatformConfig(platform_id=CITY), ids=ids)
    again = make_view(world, ids=ids)
    await again.load()
    assert codes == [item.device_id for item in again.items()]
    assert again.resolve(CAMERA) is world.channel(RECORDER, CAMERA)


async def test_a_preview_may_be_of_a_part() -> None:
    world = World()
    town(world, camera(CAMERA))
    world.device(RECORDER, channel(RECORDER, CAMERA_2))
    config = PlatformConfig(platform_id=CITY)
    codes, figures = await look(world, config, ids=MemoryIds(), root=RECORDER)
    assert codes == [RECORDER, CAMERA_2]
    assert figures.items == 5


async def test_a_preview_without_the_codes_given_is_refused() -> None:
    ids = MemoryIds()
    ids.broken = True
    with pytest.raises(Unavailable):
        await look(World(), PlatformConfig(platform_id=CITY), ids=ids)


async def test_figures_say_what_is_in_a_catalogue_and_what_is_not_and_why() -> None:
    world = World()
    masked = "37132601001320000003"
    refused = "37132601001320000004"
    secret = "37132601001320000005"
    town(
        world,
        channel(TOWN, ORG, parent_ids=(TOWN,)),
        channel(TOWN, "371326"),
        channel(TOWN, COUNTY, parent_ids=(TOWN,)),
        camera(CAMERA, TOWN, longitude=117.6, latitude=35.5, civil_code="371326", online=False),
        camera(CAMERA_2, TOWN, longitude=0.0, latitude=0.0, name=""),
        camera(masked, TOWN),
        camera(refused, TOWN),
        camera(secret, TOWN, secrecy=1),
    )
    world.device(RECORDER, channel(RECORDER, CAMERA))

    def decide(item: object) -> Decision:
        code = getattr(item, "channel_id", "")
        if code == refused:
            return denied()
        rules = Obligations(mask_name="x") if code == masked else Obligations()
        return Decision(allowed=True, reason=ALLOW.reason, obligations=rules)

    view = make_view(world, policy=TurnPolicy(decide))
    await view.load()
    assert await statistics(view) == CatalogStatistics(
        items=9,
        kinds={"platform": 2, "region": 1, "organisation": 1, "device": 1, "camera": 4},
        offline=1,
        renamed=1,
        masked=1,
        without_position=3,
        without_division=3,
        without_name=1,
        refused=1,
        secret=1,
        looped=1,
    )


async def test_figures_count_what_a_tree_has_no_place_for() -> None:
    world = World()
    town(world, camera(CAMERA), camera(CAMERA_2))
    selector = ChannelSelector(channels=frozenset({CAMERA}))
    nodes = (TreeNode(node_id="371326", name="x", select=selector),)
    view = make_view(world, tree=TreeMode.CUSTOM, nodes=nodes)
    await view.load()
    figures = await statistics(view)
    assert (figures.items, figures.unplaced) == (3, 1)


async def test_figures_count_what_waits_for_the_store() -> None:
    world, ids = World(), MemoryIds()
    view = make_view(world, ids=ids)
    await view.load()
    ids.broken = True
    town(world, camera(CAMERA))
    await view.refresh()
    assert (await statistics(view)).waiting == 1
