"""The tree of civil codes, devices and channels over HTTP, and who stands below whom."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from gateway.domain.device import Channel, ChannelKind
from gateway.http.tree import LIFETIME
from gateway.http.tree_index import TOP, build_tree
from tests.support.http import DEVICE, OTHER_DEVICE, HttpBench, http_bench
from tests.support.policy import rule
from tests.support.registry import registration

pytestmark = pytest.mark.net

PLATFORM = "37132600002000000001"


def item(code: str, kind: ChannelKind = ChannelKind.CAMERA, *parents: str, **more: Any) -> Channel:
    return Channel(
        device_id=PLATFORM,
        channel_id=code,
        kind=kind,
        name=f"name {code}",
        parent_ids=parents,
        **more,
    )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


async def with_platform(bench: HttpBench, *channels: Channel) -> None:
    bench.registry.registered(registration(PLATFORM), bench.clock.now)
    await bench.registry.replace_catalog(PLATFORM, channels, complete=True)


async def children(bench: HttpBench, parent: str = "", **options: Any) -> dict[str, Any]:
    query = {"parent": parent, **options.pop("query", {})}
    status, body, _ = await bench.call("GET", "/api/v1/tree", params=query, **options)
    assert status == 200, body
    return dict(body)


async def names(bench: HttpBench, parent: str = "", **options: Any) -> list[str]:
    return [node["code"] for node in (await children(bench, parent, **options))["items"]]


async def test_devices_of_one_county_stand_at_the_top(bench: HttpBench) -> None:
    found = await children(bench)
    assert [node["id"] for node in found["items"]] == sorted(
        [f"device:{DEVICE}", f"device:{OTHER_DEVICE}"]
    )
    assert all(node["kind"] == "registered" and node["online"] for node in found["items"])
    assert {node["code"]: node["channels"] for node in found["items"]} == {
        DEVICE: 3,
        OTHER_DEVICE: 1,
    }


async def test_several_counties_are_named_by_the_catalogues_that_know_them(
    bench: HttpBench,
) -> None:
    await with_platform(
        bench, item("371326", ChannelKind.REGION), item("c1", ChannelKind.CAMERA, "371326")
    )
    found = (await children(bench))["items"]
    assert [
        (node["id"], node["name"], node["devices"], node["devices_online"], node["channels"])
        for node in found
    ] == [
        ("civil:340200", "", 2, 2, 4),
        ("civil:371326", "name 371326", 1, 1, 2),
    ]
    assert await names(bench, "civil:371326") == [PLATFORM]
    assert await names(bench, f"device:{PLATFORM}") == ["371326"]
    assert await names(bench, f"device:{PLATFORM}/371326") == ["c1"]


async def test_pages_of_children(bench: HttpBench) -> None:
    await with_platform(bench, *(item(f"c{number:03d}") for number in range(250)))
    first = await children(bench, f"device:{PLATFORM}", query={"limit": "100"})
    last = await children(bench, f"device:{PLATFORM}", query={"limit": "100", "offset": "200"})
    assert (first["total"], len(first["items"]), len(last["items"])) == (250, 100, 50)
    assert last["items"][-1]["code"] == "c249"


@pytest.mark.parametrize(
    ("parent", "status", "code"),
    [
        ("nonsense", 404, "node_unknown"),
        ("device:9", 404, "device_unknown"),
        ("civil:999999", 200, ""),
        (f"device:{DEVICE}/none", 200, ""),
        ("x" * 161, 400, "invalid_parameter"),
    ],
)
async def test_unknown_nodes(bench: HttpBench, parent: str, status: int, code: str) -> None:
    got, body, _ = await bench.call("GET", "/api/v1/tree", params={"parent": parent})
    assert got == status
    assert body.get("code", "") == code
    assert status != 200 or body["items"] == []


async def test_a_change_of_state_shows_at_once_and_a_new_channel_soon(bench: HttpBench) -> None:
    await with_platform(bench, item("c1"))
    assert (await children(bench, f"device:{PLATFORM}"))["items"][0]["online"]
    await bench.registry.patch_catalog(PLATFORM, statuses={"c1": False})
    assert not (await children(bench, f"device:{PLATFORM}"))["items"][0]["online"]
    await bench.registry.patch_catalog(PLATFORM, listed=[item("c2")])
    bench.clock.advance(LIFETIME + 1)
    assert await names(bench, f"device:{PLATFORM}") == ["c1", "c2"]
    await bench.registry.patch_catalog(PLATFORM, removed=["c1"])
    # Never one that is gone, however old the tree.
    assert "c1" not in await names(bench, f"device:{PLATFORM}")


async def test_people_of_a_department_see_only_what_they_were_given(bench: HttpBench) -> None:
    await with_platform(
        bench,
        item("371326", ChannelKind.REGION),
        item("37132601001320000001", ChannelKind.CAMERA, "371326"),
        item("37132601001320000002", ChannelKind.CAMERA, "371326"),
    )
    await bench.sharing.apply(
        rule(
            "urban",
            subjects='{ departments = ["urban"] }',
            objects='{ channels = ["37132601001320000002"] }',
        )
    )
    token = (await bench.sharing.key()).bearer
    bench.sharing.audit.entries.clear()
    top = (await children(bench, token=token))["items"]
    assert [(node["id"], node["channels"]) for node in top] == [(f"device:{PLATFORM}", 1)]
    # The region is not theirs: its camera stands at the top.
    assert await names(bench, f"device:{PLATFORM}", token=token) == ["37132601001320000002"]
    assert await names(bench, f"device:{DEVICE}", token=token) == []
    assert len(bench.sharing.audit.entries) == 3


async def test_a_hundred_thousand_channels_do_not_hold_up_the_loop() -> None:
    channels = [item("371326", ChannelKind.REGION)]
    channels += [item(f"371326{town:02d}", ChannelKind.REGION) for town in range(20)]
    channels += [
        item(f"c{number:06d}", ChannelKind.CAMERA, f"371326{number % 20:02d}")
        for number in range(100_000)
    ]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        rest = group.create_task(others())
        tree = await build_tree(channels)
        rest.cancel()
    assert turns > 500
    assert tree.below[TOP] == 100_000
    assert len(tree.children["37132607"]) == 5_000
    assert tree.children["371326"] == [f"371326{town:02d}" for town in range(20)]


async def test_places_without_a_listed_parent() -> None:
    tree = await build_tree(
        [
            item("3713", ChannelKind.REGION),
            item("371326", ChannelKind.REGION),
            item("g1", ChannelKind.GROUP),
            item("o1", ChannelKind.ORGANISATION, business_group_id="g1"),
            item("by civil code", civil_code="371326"),
            item("unknown parent", ChannelKind.CAMERA, "nobody"),
            item("own parent", ChannelKind.CAMERA, "own parent"),
            item("second parent", ChannelKind.CAMERA, "nobody", "o1"),
        ]
    )
    assert tree.children == {
        TOP: ["3713", "g1", "unknown parent", "own parent"],
        "3713": ["371326"],
        "371326": ["by civil code"],
        "g1": ["o1"],
        "o1": ["second parent"],
    }
    assert tree.below == {TOP: 4, "3713": 1, "371326": 1, "g1": 1, "o1": 1}


@given_any(st.lists(st.integers(-1, 11), min_size=1, max_size=12))
async def test_whatever_devices_say_everything_stands_in_exactly_one_place(
    parents: list[int],
) -> None:
    channels = [
        item(f"c{number}", ChannelKind.DEVICE, f"c{parent}")
        for number, parent in enumerate(parents)
    ]
    tree = await build_tree(channels)
    reached: list[str] = []
    waiting = list(tree.children.get(TOP, []))
    while waiting:
        code = waiting.pop()
        reached.append(code)
        assert len(reached) <= len(channels), "a circle"
        waiting += tree.children.get(code, [])
    assert sorted(reached) == sorted(channel.channel_id for channel in channels)


async def test_a_chain_of_ten_thousand_is_no_trouble() -> None:
    chain = [item(f"c{number}", ChannelKind.DEVICE, f"c{number - 1}") for number in range(10_000)]
    tree = await build_tree([*reversed(chain), item("leaf", ChannelKind.CAMERA, "c9999")])
    assert tree.below[TOP] == 1
    assert len(tree.children) == 10_001
