"""Catalogues arranged by division, by our own nodes, and over three levels; what queries for a part of one get."""

from typing import Any

import pytest

from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.view import CatalogView
from gateway.domain.platform import Edition, IdMode, TreeMode, TreeNode
from gateway.domain.selector import ChannelSelector
from gateway.signalling.convert import channels_from_items
from gb28181.manscdp import CatalogItem
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
from tests.support.catalog_world import (
    CITY,
    COUNTY,
    World,
    channel,
    make_view,
)

# Divisions


async def test_a_division_that_many_list_is_one_item() -> None:
    world = World()
    town(world, channel(TOWN, "371326", name="平邑县"), channel(TOWN, "37132601", name="城区"))
    other = "37132602002000000001"
    world.device(other, channel(other, "371326", name="Pingyi"), channel(other, "37132602"))
    view = make_view(world)
    await view.load()
    found = [item.device_id for item in view.items() if len(item.device_id) < 20]
    assert found == ["371326", "37132601", "37132602"]
    assert view.is_mine("371326")
    world.forget(TOWN)
    await view.refresh()
    assert {i.device_id: i.name for i in view.items()}["371326"] == "Pingyi"
    assert not view.is_mine("37132601")


async def test_a_tree_by_division_has_the_divisions_its_cameras_lie_in() -> None:
    world = World()
    town(
        world,
        channel(TOWN, "37132601", name="城区派出所"),
        channel(TOWN, GROUP),
        channel(TOWN, RECORDER),
        camera(CAMERA, RECORDER, civil_code="37132601"),
        camera(VOICE, CAMERA),
        camera(CAMERA_2, TOWN, civil_code="4401"),
    )
    nodes = (TreeNode(node_id="371326", name="平邑县"),)
    view = make_view(world, tree=TreeMode.DIVISION, nodes=nodes)
    await view.load()
    items = list(view.items())
    assert [(i.device_id, i.name) for i in items if len(i.device_id) < 20] == [
        ("44", "44"),
        ("4401", "4401"),
        ("371326", "平邑县"),
        ("37132601", "城区派出所"),
    ]
    assert {i.device_id: i.parent_id for i in items if len(i.device_id) == 20} == {
        COUNTY: "",
        CAMERA: COUNTY,
        VOICE: CAMERA,
        CAMERA_2: COUNTY,
    }
    world.change(TOWN, CAMERA_2, civil_code="37132602")
    await view.refresh()
    codes = [item.device_id for item in view.items() if len(item.device_id) < 20]
    assert codes == ["371326", "37132601", "37132602"]


async def test_a_civil_code_is_never_replaced_by_where_the_item_is_put() -> None:
    world = World()
    town(world, camera(CAMERA, civil_code="37132699"), camera(CAMERA_2))
    nodes = (TreeNode(node_id="371327", name="elsewhere", select=ChannelSelector()),)
    items = await seen(world, tree=TreeMode.CUSTOM, nodes=nodes)
    assert items[CAMERA].civil_code == "37132699"
    assert items[CAMERA_2].civil_code == ""
    assert items[CAMERA].parent_id == items[CAMERA_2].parent_id == f"{COUNTY}/371327"


# Our own trees

OWN_GROUP = "37132600002150000091"
OWN_ORG = "37132600002160000091"
OWN_SUB = "37132600002160000092"


def own_tree(**selectors: ChannelSelector) -> tuple[TreeNode, ...]:
    return (
        TreeNode(node_id="371326", name="平邑县", select=selectors.get("division")),
        TreeNode(node_id=OWN_SUB, name="sub", parent_id=OWN_ORG, select=selectors.get("sub")),
        TreeNode(node_id=OWN_GROUP, name="g", parent_id="371326", select=selectors.get("group")),
        TreeNode(node_id=OWN_ORG, name="org", parent_id=OWN_GROUP, select=selectors.get("org")),
    )


async def test_our_own_nodes_keep_their_codes_and_come_parents_first() -> None:
    for id_mode in IdMode:
        items = await seen(World(), tree=TreeMode.CUSTOM, nodes=own_tree(), id_mode=id_mode)
        assert list(items) == [COUNTY, "371326", OWN_GROUP, OWN_ORG, OWN_SUB]
        assert items[OWN_GROUP].parent_id == COUNTY
        assert items[OWN_GROUP].civil_code == "371326"
        assert (items[OWN_ORG].parent_id, items[OWN_ORG].business_group_id) == ("", OWN_GROUP)
        assert (items[OWN_SUB].parent_id, items[OWN_SUB].business_group_id) == (OWN_ORG, OWN_GROUP)


async def test_channels_hang_below_every_node_that_selects_them() -> None:
    world = World()
    town(
        world,
        channel(TOWN, RECORDER),
        camera(CAMERA, RECORDER, civil_code="371326"),
        camera(VOICE, CAMERA),
        camera(CAMERA_2, civil_code="44"),
    )
    tree = own_tree(
        org=ChannelSelector(channels=frozenset({CAMERA})),
        sub=ChannelSelector(channels=frozenset({f"{TOWN}/{CAMERA}", CAMERA_2})),
    )
    items = await seen(world, tree=TreeMode.CUSTOM, nodes=tree)
    assert RECORDER not in items
    assert items[CAMERA].parent_id == f"{COUNTY}/{OWN_SUB}/{OWN_ORG}"
    assert items[CAMERA].business_group_id == OWN_GROUP
    assert items[CAMERA_2].parent_id == f"{COUNTY}/{OWN_SUB}"
    assert items[VOICE].parent_id == CAMERA


async def test_what_no_node_selects_is_not_shown() -> None:
    world = World()
    town(world, camera(CAMERA), camera(CAMERA_2))
    tree = own_tree(group=ChannelSelector(channels=frozenset({CAMERA})))
    items = await seen(world, tree=TreeMode.CUSTOM, nodes=tree)
    assert CAMERA_2 not in items
    assert (items[CAMERA].parent_id, items[CAMERA].business_group_id) == (COUNTY, OWN_GROUP)


async def test_recorders_are_shown_in_our_own_tree_where_a_node_names_their_kind() -> None:
    world = World()
    town(world, channel(TOWN, RECORDER), camera(CAMERA, RECORDER))
    tree = own_tree(
        org=ChannelSelector(kinds=frozenset({"device"})),
        sub=ChannelSelector(channels=frozenset({CAMERA})),
    )
    items = await seen(world, tree=TreeMode.CUSTOM, nodes=tree)
    assert items[RECORDER].parent_id == f"{COUNTY}/{OWN_ORG}"
    assert items[CAMERA].parent_id == f"{RECORDER}/{OWN_SUB}"


async def test_a_circle_of_own_nodes_and_a_node_with_a_taken_code_do_no_harm() -> None:
    nodes = (
        TreeNode(node_id=OWN_ORG, name="a", parent_id=OWN_SUB),
        TreeNode(node_id=OWN_SUB, name="b", parent_id=OWN_ORG),
        TreeNode(node_id=CITY, name="city"),
        TreeNode(node_id="x", name="nonsense"),
    )
    items = await seen(World(), tree=TreeMode.CUSTOM, nodes=nodes)
    assert items.keys() == {COUNTY, OWN_ORG, OWN_SUB}


async def test_a_channel_moves_between_own_nodes_as_its_attributes_change() -> None:
    world = World()
    town(world, camera(CAMERA, civil_code="371326"), camera(VOICE, CAMERA, civil_code="51"))
    tree = own_tree(
        org=ChannelSelector(civil_codes=("371326",)), sub=ChannelSelector(civil_codes=("44",))
    )
    view = make_view(world, tree=TreeMode.CUSTOM, nodes=tree)
    await view.load()
    world.change(TOWN, CAMERA, civil_code="4401")
    await view.refresh()
    assert {i.device_id: i.parent_id for i in view.items()}[CAMERA] == f"{COUNTY}/{OWN_SUB}"
    world.change(TOWN, CAMERA, civil_code="50")
    await view.refresh()
    assert view.shared_id(TOWN, CAMERA) is None
    assert view.shared_id(TOWN, VOICE) is None


# Three levels


async def gives(view: CatalogView, world: World) -> None:
    """List a view's items in the world above it, as they come over the wire."""
    items = await query(view)
    found = channels_from_items(view.local_id, items.values(), platform_id=view.config.platform_id)
    world.device(view.local_id, *found, name=items[view.local_id].name)


def shape(items: dict[str, CatalogItem], root: str) -> dict[str, tuple[Any, ...]]:
    """Return what hangs below a platform, by name."""
    names = {code: item.name for code, item in items.items()}
    found = {}
    inside = {root}
    for code, item in items.items():
        parents = [part for part in item.parent_id.split("/") if part]
        if code == root or inside & {*parents, item.business_group_id}:
            inside.add(code)
            above = [names[part] for part in parents] if code != root else []
            group = names.get(item.business_group_id, "")
            found[item.name] = (above, group, item.status, item.civil_code)
    return found


@pytest.mark.parametrize("id_mode", list(IdMode))
async def test_three_levels_show_the_village_tree_unchanged(id_mode: IdMode) -> None:
    village, town_world, county = World(), World(), World()
    village.device(
        RECORDER,
        channel(RECORDER, CAMERA, name="gate", civil_code="37132601"),
        channel(RECORDER, CAMERA_2, name="yard", online=False),
        channel(RECORDER, VOICE, name="voice", parent_ids=(CAMERA,)),
        name="recorder",
    )
    village.device(CAMERA_2, channel(CAMERA_2, CAMERA_2, name="bridge"), name="x")
    nodes = (
        TreeNode(node_id=GROUP, name="group"),
        TreeNode(node_id=ORG, name="org", parent_id=GROUP),
        TreeNode(
            node_id=SUB_ORG,
            name="sub",
            parent_id=ORG,
            select=ChannelSelector(kinds=frozenset({"camera"})),
        ),
    )
    for tree in ({"tree": TreeMode.CUSTOM, "nodes": nodes}, {"tree": TreeMode.KEPT}):
        bottom = make_view(
            village,
            local_id=VILLAGE,
            platform_id=TOWN,
            own=OwnPlatform(name="Village"),
            edition=Edition.V2022,
            id_mode=id_mode,
            **tree,
        )
        await bottom.load()
        below = {item.device_id: item for item in bottom.items()}
        await gives(bottom, town_world)
        town_world.device(CAMERA, channel(CAMERA, CAMERA, name="town camera"), name="x")
        middle = make_view(
            town_world,
            local_id=TOWN,
            platform_id=COUNTY,
            own=OwnPlatform(name="Town"),
            edition=Edition.V2022,
            id_mode=id_mode,
        )
        await middle.load()
        await gives(middle, county)
        top = make_view(county, edition=Edition.V2022, id_mode=id_mode)
        await top.load()
        seen_above = {item.device_id: item for item in top.items()}
        root = next(code for code, item in seen_above.items() if item.name == "Village")
        expected = shape(below, VILLAGE)
        assert len(expected) >= 6
        assert shape(seen_above, root) == expected
        assert seen_above[seen_above[root].parent_id].name == "Town"
        assert "town camera" in {item.name for item in seen_above.values()}
