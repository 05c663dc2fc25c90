"""What a query for a part of a catalogue gets: the table of the standard, by what is asked for and by edition."""

import pytest

from gateway.domain.platform import Edition, TreeMode, TreeNode
from gateway.domain.selector import ChannelSelector
from tests.support.catalog_town import (
    CAMERA,
    CAMERA_2,
    GROUP,
    ORG,
    RECORDER,
    SUB_ORG,
    TOWN,
    VILLAGE,
    VOICE,
    camera,
    seen,
    town,
)
from tests.support.catalog_upper import query
from tests.support.catalog_world import COUNTY, World, channel, make_view

OTHER_TOWN = "37132602002000000001"
OTHER = "37132602001320000009"
BRIDGE = "37132601001320000003"


def county() -> World:
    """Two towns; one of them with everything."""
    world = World()
    town(
        world,
        channel(TOWN, "371326"),
        channel(TOWN, "37132601"),
        channel(TOWN, "37132602"),
        channel(TOWN, GROUP, parent_ids=(TOWN,), civil_code="371326"),
        channel(TOWN, ORG, business_group_id=GROUP),
        channel(TOWN, SUB_ORG, parent_ids=(ORG,), business_group_id=GROUP),
        channel(TOWN, VILLAGE, parent_ids=(TOWN,), civil_code="37132601"),
        channel(TOWN, RECORDER, parent_ids=(VILLAGE,), civil_code="37132601"),
        camera(CAMERA, RECORDER, SUB_ORG, civil_code="37132601", business_group_id=GROUP),
        camera(VOICE, CAMERA),
        camera(CAMERA_2, TOWN, civil_code="37132601", business_group_id=GROUP),
        camera(BRIDGE, TOWN, civil_code="37132602"),
    )
    world.device(OTHER_TOWN, channel(OTHER_TOWN, OTHER, civil_code="37132602"))
    return world


EVERYTHING = {
    *(COUNTY, TOWN, "371326", "37132601", "37132602", GROUP, ORG, SUB_ORG, VILLAGE, RECORDER),
    *(CAMERA, VOICE, CAMERA_2, BRIDGE, OTHER_TOWN, OTHER),
}
BY_ROOT: dict[str, set[str]] = {
    COUNTY: EVERYTHING,
    TOWN: EVERYTHING - {COUNTY, OTHER_TOWN, OTHER},
    VILLAGE: {VILLAGE, "371326", "37132601", RECORDER, CAMERA, VOICE},
    OTHER_TOWN: {OTHER_TOWN, OTHER, "371326", "37132602"},
    "371326": {
        *("371326", "37132601", "37132602", RECORDER, CAMERA, VOICE, CAMERA_2, BRIDGE, OTHER)
    },
    "37132601": {"37132601", RECORDER, CAMERA, VOICE, CAMERA_2},
    "37132602": {"37132602", BRIDGE, OTHER},
    RECORDER: {RECORDER, CAMERA, VOICE},
    CAMERA: {CAMERA, VOICE},
    VOICE: {VOICE},
    ORG: {ORG, SUB_ORG, CAMERA, VOICE},
    SUB_ORG: {SUB_ORG, CAMERA, VOICE},
    "37": {*("371326", "37132601", "37132602", RECORDER, CAMERA, VOICE, CAMERA_2, BRIDGE, OTHER)},
    "44": set(),
    "37132699001320000009": set(),
}


@pytest.mark.parametrize("edition", [Edition.V2016, Edition.V2022])
@pytest.mark.parametrize("root", BY_ROOT)
async def test_each_part_gives_what_the_standard_says(root: str, edition: Edition) -> None:
    view = make_view(county(), edition=edition)
    await view.load()
    codes = [item.device_id for item in view.items(root)]
    assert set(codes) == BY_ROOT[root]
    assert len(codes) == view.count(root) == len(view.codes_of(root))
    everything = [item.device_id for item in view.items()]
    assert codes == sorted(codes, key=everything.index)
    assert list(await query(view, root)) == codes


@pytest.mark.parametrize(
    ("edition", "codes"),
    [
        (Edition.V2016, {GROUP, ORG, SUB_ORG}),
        (Edition.V2022, {GROUP, ORG, SUB_ORG, CAMERA, VOICE, CAMERA_2}),
    ],
)
async def test_a_business_group_gives_its_devices_to_2022_platforms_only(
    edition: Edition, codes: set[str]
) -> None:
    view = make_view(county(), edition=edition)
    await view.load()
    assert set(view.codes_of(GROUP)) == codes


async def test_the_whole_is_asked_for_by_our_code_or_by_none() -> None:
    view = make_view(county())
    await view.load()
    assert view.codes_of(COUNTY) == view.codes_of("") == EVERYTHING
    assert view.count() == view.count(COUNTY) == view.count(None) == len(EVERYTHING)


async def test_a_division_of_our_own_tree_gives_what_was_put_there() -> None:
    world = World()
    town(world, camera(CAMERA, civil_code="44"), camera(CAMERA_2, civil_code="371326"))
    selector = ChannelSelector(channels=frozenset({CAMERA}))
    nodes = (
        TreeNode(node_id="371326", name="平邑县"),
        TreeNode(node_id="37132601", name="城区", select=selector),
    )
    view = make_view(world, tree=TreeMode.CUSTOM, nodes=nodes)
    await view.load()
    assert view.codes_of("371326") == {"371326", "37132601", CAMERA}


async def test_a_part_never_names_a_parent_that_is_not_in_the_whole() -> None:
    items = await seen(county())
    for root in BY_ROOT:
        view = make_view(county())
        await view.load()
        for item in view.items(root):
            assert all(parent in items for parent in item.parent_id.split("/") if parent)


async def test_slices_of_a_snapshot_are_snapshots() -> None:
    view = make_view(county())
    await view.load()
    items = view.items()
    assert [item.device_id for item in items[2:5]] == [item.device_id for item in items][2:5]
    assert len(items[2:5]) == 3
    assert items[-1].device_id == list(items)[-1].device_id
