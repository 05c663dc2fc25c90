"""Random worlds, changes and policies for catalogues."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.domain.device import Channel
from gateway.domain.platform import TreeNode
from gateway.domain.policy import Decision, Obligations
from gateway.domain.selector import ChannelSelector
from tests.support.catalog_world import ALLOW, COUNTY, World, channel, denied

__all__ = ["NODES", "change", "random_policy", "random_world"]

LOWER = "37132601002000000001"
OTHER_LOWER = "37132602002000000001"
RECORDER = "37132601001180000009"
CAMERA = "37132601001320000077"
ODD_CAMERA = "37132601001320000078"
NAMELESS = "camera-7"
DEVICES = (LOWER, OTHER_LOWER, RECORDER, CAMERA, ODD_CAMERA, NAMELESS)
DIVISIONS = ("37", "3713", "371326", "37132601", "37132602", "371327", "44", "")

NODES = (
    TreeNode(
        node_id="371399", name="own division", select=ChannelSelector(civil_codes=("371327", "44"))
    ),
    TreeNode(
        node_id="37132600002150000091",
        name="own group",
        select=ChannelSelector(industries=frozenset({"00"}), point_types=frozenset({"1"})),
    ),
    TreeNode(node_id="37132600002160000091", name="own org", parent_id="37132600002150000091"),
    TreeNode(
        node_id="37132600002160000092",
        name="own sub org",
        parent_id="37132600002160000091",
        select=ChannelSelector(civil_codes=("371326",)),
    ),
    TreeNode(
        node_id="37132600002160000093",
        name="recorders",
        parent_id="37132600002160000091",
        select=ChannelSelector(kinds=frozenset({"device", "platform"})),
    ),
)

Rule = Callable[[Channel], Decision]


def _ids(types: tuple[str, ...], count: int, prefix: str = "3713260100") -> list[str]:
    return [f"{prefix}{kind}0{number:06d}" for kind in types for number in range(1, count + 1)]


PLATFORM_IDS = _ids(("200",), 4, "3713260100") + _ids(("215",), 3) + _ids(("216",), 5)
PLATFORM_IDS += _ids(("118",), 3) + _ids(("132",), 10) + _ids(("137", "134"), 3)
PLATFORM_IDS += [COUNTY, "371326", "37132601", "44", "opaque-1", "371326010013100099"]


def random_item(rng: random.Random, device_id: str, code: str) -> Channel:
    """Return an item with random attributes and parents, some of them nonsense."""
    parents = tuple(
        rng.sample(
            [*PLATFORM_IDS, device_id, "99999999992160000099"], rng.choice((0, 1, 1, 1, 2, 3))
        )
    )
    if rng.random() < 0.3 and code[10:13] in {"132", "137"}:
        parents = (device_id, rng.choice(_ids(("216",), 5)))
    position = rng.random() < 0.6
    return channel(
        device_id,
        code,
        name=rng.choice(("北门", "camera", "", f"cam {code}", "<&>\"x'", "東門"))
        + str(rng.randrange(9)),
        parent_ids=tuple(p for p in dict.fromkeys(parents) if p != code),
        business_group_id=rng.choice(("", "", *_ids(("215",), 3))),
        online=rng.random() < 0.7,
        civil_code=rng.choice(DIVISIONS),
        longitude=117.6402 if position else None,
        latitude=rng.choice((35.5063, 0.0)) if position else None,
        address=rng.choice(("", "平邑县示例路1号")),
        manufacturer=rng.choice(("", "Unknown", "ExampleVision")),
        secrecy=int(rng.random() < 0.08),
        ptz_type=rng.choice((None, 1, 4)),
        extra=dict(
            rng.sample(
                [
                    ("Block", rng.choice(("371326000000", code, device_id))),
                    ("Info.GrassrootsCode", "001203"),
                    ("Info.PointType", rng.choice("123")),
                    ("Info.InstallTime", "2026-05-01T00:00:00"),
                    ("Owner", "Owner"),
                    ("VendorThing", "x"),
                    ("IPAddress", "10.9.20.31"),
                    ("Parental", "1"),
                    ("CivilCode", "Civil"),
                    ("RegisterWay", "2"),
                ],
                rng.randrange(6),
            )
        ),
    )


def random_world(rng: random.Random) -> World:
    """Return a few devices of all kinds; some share codes."""
    world = World()
    for device_id in DEVICES:
        world.device(device_id, online=rng.random() < 0.8)
        for code in codes_for(device_id):
            if rng.random() < 0.5:
                world.put(random_item(rng, device_id, code))
    return world


def codes_for(device_id: str) -> list[str]:
    """Return the codes that items of a device may have."""
    if device_id in {LOWER, OTHER_LOWER}:
        return PLATFORM_IDS
    if device_id == RECORDER:
        return [*_ids(("132",), 6), *_ids(("134",), 2), "37132600002160000092"]
    return [device_id, *_ids(("131",), 1), *_ids(("137",), 1)]


def change(rng: random.Random, world: World) -> None:
    """Make one random change of the kinds that devices and lower platforms make."""
    device_id = rng.choice(DEVICES)
    if device_id not in world.by_id:
        world.device(device_id)
    code = rng.choice(codes_for(device_id))
    known = world.channel(device_id, code)
    kind = rng.randrange(16)
    if kind == 0:
        world.presence(device_id, rng.random() < 0.5)
    elif kind == 1 and rng.random() < 0.3:
        world.forget(device_id)
    elif kind == 2 and rng.random() < 0.3:
        device = world.device(
            device_id, online=rng.random() < 0.7, name=f"renamed {rng.randrange(9)}"
        )
        for each in codes_for(device.device_id):
            if rng.random() < 0.5:
                world.listed[device_id][each] = random_item(rng, device_id, each)
        world.touch(device_id)
    elif known is None:
        world.put(random_item(rng, device_id, code))
    elif kind in {3, 4}:
        world.remove(device_id, code)
    else:
        world.put(_changed(rng, kind, known, device_id))


def _changed(rng: random.Random, kind: int, known: Channel, device_id: str) -> Channel:
    other = random_item(rng, device_id, known.channel_id)
    match kind:
        case 5 | 6 | 7:
            return replace(known, online=not known.online)
        case 8:
            changes: dict[str, Any] = {"name": other.name}
        case 9 | 10:
            changes = {"parent_ids": other.parent_ids, "business_group_id": other.business_group_id}
        case 11:
            changes = {"secrecy": 1 - known.secrecy}
        case 12:
            changes = {"longitude": other.longitude, "latitude": other.latitude}
        case 13:
            changes = {"civil_code": other.civil_code}
        case _:
            return other
    return replace(known, **changes)


def random_policy(rng: random.Random) -> Rule:
    """Return a policy that decides by the item alone, always in the same way."""
    salt, openness = rng.random(), rng.choice((0.1, 0.5, 0.8, 1.0))
    reasons = ("no_rule", "no_rule", "no_rule", "denied", "stopped", "outside_window", "expired")

    def decide(item: Channel) -> Decision:
        chance = random.Random(f"{salt}{item.device_id}{item.channel_id}{item.civil_code}")
        if chance.random() >= openness:
            return denied(chance.choice(reasons))
        if chance.random() < 0.7:
            return ALLOW
        return replace(
            ALLOW,
            obligations=Obligations(
                mask_name=chance.choice((None, "masked")), mask_position=chance.random() < 0.5
            ),
        )

    return decide
