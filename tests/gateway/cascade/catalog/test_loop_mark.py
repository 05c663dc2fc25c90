"""A gateway finds itself again below itself, under whatever code, and stops there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.cascade.catalog.arrangement import MAX_PLATFORMS
from gateway.cascade.catalog.codes import PROBES, new_code
from gateway.cascade.catalog.loop_mark import (
    ROUTE_MARKS,
    carries,
    load_mark,
    marked,
    marks_in,
    new_mark,
)
from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.view import CatalogView
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import Unavailable
from gateway.domain.platform import Edition, IdMode, TreeMode, TreeNode
from gateway.domain.selector import ChannelSelector
from gateway.observe.metrics import Metrics
from gateway.signalling.convert import channel_from_item
from gateway.store.sql import SqlStore
from gb28181.manscdp import CatalogItem, CatalogResponse, parse_message, serialize_message
from tests.support.catalog_world import CITY, COUNTY, World, channel, make_view

BELOW = "37132601002000000001"
OTHER = "37132601002000000009"
RECORDER = "37132601001180000001"
CAMERA = "37132601001320000001"
MARK = "abcdefghijklmn"


async def _codes(world: World, mark: str = MARK) -> set[str]:
    view = make_view(world, own=OwnPlatform(name="County", model="GW-1", mark=mark))
    await view.load()
    return {item.device_id for item in view.items()}


async def test_the_mark_is_made_once_and_kept(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with SqlStore(url, Metrics(process=False)) as store:
        first = await load_mark(store)
    async with SqlStore(url, Metrics(process=False)) as store:
        assert await load_mark(store) == first
    assert first.isalpha()
    assert first != new_mark()


def test_a_mark_stands_behind_the_model_and_is_found_there() -> None:
    assert marked("GW-1", "") == "GW-1"
    assert carries(marked("GW-1", MARK), MARK)
    assert not carries(marked("GW-1", MARK), new_mark())
    assert not carries("GW-1", "")


@pytest.mark.parametrize("edition", list(Edition))
async def test_our_own_platform_is_sent_with_its_mark_in_every_edition(edition: Edition) -> None:
    own = OwnPlatform(name="County", model="GW-1", mark=MARK)
    view = make_view(World(), own=own, edition=edition, id_mode=IdMode.RENAME)
    await view.load()
    assert view.items()[0].model == f"GW-1 ~{MARK}"


async def test_a_lower_platforms_mark_goes_on_to_the_upper_where_codes_are_renamed() -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, OTHER, parent_ids=(BELOW,), model=marked("GW-2", "theirs")),
        channel(BELOW, CAMERA, parent_ids=(OTHER,)),
    )
    view = make_view(world, id_mode=IdMode.RENAME)
    await view.load()
    assert "GW-2 ~theirs" in {item.model for item in view.items()}


async def test_what_comes_back_with_our_mark_is_left_out_with_all_below_it() -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, OTHER, parent_ids=(BELOW,), model=marked("GW-1", MARK)),
        channel(BELOW, RECORDER, parent_ids=(OTHER,)),
        channel(BELOW, CAMERA, parent_ids=(RECORDER,)),
    )
    assert await _codes(world) == {COUNTY, BELOW}
    assert await _codes(world, "another") >= {OTHER, RECORDER, CAMERA}


async def test_a_mark_that_is_learned_later_takes_the_branch_away() -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, OTHER, parent_ids=(BELOW,)),
        channel(BELOW, CAMERA, parent_ids=(OTHER,)),
    )
    view = make_view(world, own=OwnPlatform(name="County", mark=MARK))
    await view.load()
    assert view.shared_id(BELOW, CAMERA) == CAMERA
    world.change(BELOW, OTHER, model=marked("", MARK))
    await view.refresh()
    assert {item.device_id for item in view.items()} == {COUNTY, BELOW}
    world.change(BELOW, OTHER, model="GW-2")
    await view.refresh()
    assert view.shared_id(BELOW, CAMERA) == CAMERA


THEIRS = "zyxwvutsrqponm"
NODES = (
    TreeNode(node_id="37132600002150000001", name="Group"),
    TreeNode(
        node_id="37132600002160000001",
        name="All",
        parent_id="37132600002150000001",
        select=ChannelSelector(kinds=frozenset({"camera"})),
    ),
)


def _route(world: World, **config: Any) -> CatalogView:
    own = OwnPlatform(name="County", mark=MARK)
    return make_view(
        world, own=own, nodes=NODES if config["tree"] is TreeMode.CUSTOM else (), **config
    )


def _again(item: CatalogItem, edition: str) -> Channel:
    """Return an item as the next gateway keeps it, over the wire."""
    content = CatalogResponse(sn=1, device_id=COUNTY, sum_num=1, items=(item,))
    body = serialize_message(content, "GB18030", edition=edition)
    read = parse_message(body).content
    assert isinstance(read, CatalogResponse)
    kept = channel_from_item(COUNTY, read.items[0], platform_id=CITY)
    assert kept is not None
    return kept


@pytest.mark.parametrize("edition", [Edition.V2016, Edition.V2022])
@pytest.mark.parametrize("tree", [TreeMode.DIVISION, TreeMode.CUSTOM])
async def test_a_camera_carries_the_marks_of_platforms_that_the_catalogue_leaves_out(
    tree: TreeMode, edition: Edition
) -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, OTHER, parent_ids=(BELOW,), model=marked("GW-2", THEIRS)),
        channel(BELOW, RECORDER, parent_ids=(OTHER,)),
        channel(BELOW, CAMERA, parent_ids=(RECORDER,), extra={ROUTE_MARKS: f"~{'o' * 14}"}),
    )
    view = _route(world, tree=tree, edition=edition)
    await view.load()
    (camera,) = [item for item in view.items() if item.device_id == CAMERA]
    assert marks_in(camera.route_marks) == [f"~{'o' * 14}", f"~{THEIRS}"]
    kept = _again(camera, edition.value)
    assert kept.extra[ROUTE_MARKS] == camera.route_marks
    # A mark learned later is handed down as well.
    world.change(BELOW, OTHER, model=marked("GW-2", "k" * 14))
    await view.refresh()
    (camera,) = [item for item in view.items() if item.device_id == CAMERA]
    assert marks_in(camera.route_marks) == [f"~{'o' * 14}", f"~{'k' * 14}"]


@pytest.mark.parametrize("tree", list(TreeMode))
async def test_a_camera_that_came_through_us_before_is_left_out(tree: TreeMode) -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, RECORDER, parent_ids=(BELOW,)),
        channel(BELOW, CAMERA, parent_ids=(RECORDER,), extra={ROUTE_MARKS: f"~{THEIRS}~{MARK}"}),
    )
    view = _route(world, tree=tree)
    await view.load()
    assert view.shared_id(BELOW, CAMERA) is None
    assert view.resolve(CAMERA) is None
    world.change(BELOW, CAMERA, extra={ROUTE_MARKS: f"~{THEIRS}"})
    await view.refresh()
    assert view.shared_id(BELOW, CAMERA) == CAMERA
    world.change(BELOW, CAMERA, extra={ROUTE_MARKS: "".join(f"~{c * 14}" for c in "abcdefgh")})
    await view.refresh()
    assert view.shared_id(BELOW, CAMERA) is None, "no real item comes through so many platforms"


async def test_where_the_platforms_are_items_themselves_nothing_is_added() -> None:
    world = World()
    world.device(
        BELOW,
        channel(BELOW, OTHER, parent_ids=(BELOW,), model=marked("GW-2", THEIRS)),
        channel(BELOW, CAMERA, parent_ids=(OTHER,)),
    )
    view = _route(world, tree=TreeMode.KEPT)
    await view.load()
    assert {item.route_marks for item in view.items()} == {""}


def _nested(number: int) -> list[Channel]:
    codes: Sequence[str] = [f"3713260100200{serial:07d}" for serial in range(10, 10 + number)]
    found = [
        channel(BELOW, code, parent_ids=(codes[place - 1] if place else BELOW,))
        for place, code in enumerate(codes)
    ]
    return [*found, channel(BELOW, CAMERA, parent_ids=(codes[-1],))]


@pytest.mark.parametrize("deeper", [1, 2, 40])
async def test_what_lies_below_too_many_platforms_is_dropped_and_not_hung_higher(
    deeper: int,
) -> None:
    world = World()
    world.device(BELOW, *_nested(MAX_PLATFORMS))
    assert CAMERA in await _codes(world)
    world.device(BELOW, *_nested(MAX_PLATFORMS + deeper))
    codes = await _codes(world)
    assert CAMERA not in codes
    assert len(codes) == 2 + MAX_PLATFORMS


def test_a_new_code_is_given_up_after_a_bounded_number_of_attempts() -> None:
    asked: list[str] = []

    def is_taken(code: str) -> bool:
        asked.append(code)
        return True

    item = Channel(device_id=BELOW, channel_id=CAMERA, kind=ChannelKind.CAMERA)
    with pytest.raises(Unavailable) as caught:
        new_code(COUNTY, item, is_taken=is_taken)
    assert caught.value.code == "codes_exhausted"
    assert len(set(asked)) == len(asked) == PROBES


def test_a_new_code_is_found_where_nearly_all_serials_are_taken() -> None:
    item = Channel(device_id=BELOW, channel_id=CAMERA, kind=ChannelKind.CAMERA)
    free = new_code(COUNTY, item, is_taken=lambda code: not code.endswith("07"))
    assert free.endswith("07")
