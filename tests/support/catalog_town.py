"""A lower platform with a few items, and the catalogues made of it."""

from typing import Any

from gateway.domain.device import Channel
from gb28181.manscdp import CatalogItem
from tests.support.catalog_world import (
    ALLOW,
    NO_RULE,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)

__all__ = [
    "CAMERA",
    "CAMERA_2",
    "GROUP",
    "ORG",
    "RECORDER",
    "SUB_ORG",
    "TOWN",
    "VILLAGE",
    "VOICE",
    "camera",
    "hide",
    "seen",
    "show",
    "town",
]

TOWN = "37132601002000000001"
VILLAGE = "37132601002000000002"
RECORDER = "37132601001180000001"
CAMERA = "37132601001320000001"
CAMERA_2 = "37132601001320000002"
VOICE = "37132601001370000001"
GROUP = "37132601002150000001"
ORG = "37132601002160000001"
SUB_ORG = "37132601002160000002"


async def seen(world: World, **options: Any) -> dict[str, CatalogItem]:
    """Return a fresh catalogue by code."""
    view = make_view(world, **options)
    await view.load()
    return {item.device_id: item for item in view.items()}


def hide(*ids: str, reason: str = "denied") -> TurnPolicy:
    """Return a policy that shows all but some items."""
    return TurnPolicy(lambda item: denied(reason) if item.channel_id in ids else ALLOW)


def show(*ids: str) -> TurnPolicy:
    """Return a policy with rules for some items only."""
    return TurnPolicy(lambda item: ALLOW if item.channel_id in ids else NO_RULE)


def town(world: World, *items: Channel, **options: Any) -> None:
    """Add a lower platform."""
    world.device(TOWN, *items, name="Town", **options)


def camera(code: str = CAMERA, *parents: str, **fields: Any) -> Channel:
    return channel(TOWN, code, parent_ids=parents, **fields)
