"""Who stands below whom in one device's catalogue."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.domain.device import Channel, ChannelKind

__all__ = ["TOP", "CatalogTree", "build_tree"]

TOP = ""
"""Parent of what stands directly below the device."""
_SLICE = 500
"""Items looked at before the loop gets its turn: about 1 ms."""
_BRANCHES = frozenset(
    {
        ChannelKind.REGION,
        ChannelKind.GROUP,
        ChannelKind.ORGANISATION,
        ChannelKind.DEVICE,
        ChannelKind.PLATFORM,
    }
)


@dataclass(slots=True)
class CatalogTree:
    """Channel ids by parent; each stands in at most one place, and all can be reached from the top."""

    children: dict[str, list[str]] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=dict)
    """How many items of the other kinds (cameras and the like) are below a branch."""


async def build_tree(channels: Sequence[Channel]) -> CatalogTree:
    """Find everybody's place, giving the loop its turn in between.

    A place is the first parent that is listed too; without one the region of the civil code, the business group, or
    the top. Catalogues that go round in a circle are cut open.
    """
    known: dict[str, Channel] = {}
    for number, channel in enumerate(channels, 1):
        known[channel.channel_id] = channel
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    parents: dict[str, str] = {}
    for number, channel in enumerate(channels, 1):
        parents[channel.channel_id] = _parent(channel, known)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    order = await _reach(parents)
    tree = CatalogTree()
    others: dict[str, list[str]] = {}
    for number, code in enumerate(parents, 1):
        # Branches first, each sort as the device listed it.
        place = tree.children if known[code].kind in _BRANCHES else others
        place.setdefault(parents[code], []).append(code)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    for parent, codes in others.items():
        tree.children.setdefault(parent, []).extend(codes)
    # Deepest first, so that each count is final when it is added to the parent's.
    for number, code in enumerate(reversed(order), 1):
        own = 0 if known[code].kind in _BRANCHES else 1
        parent = parents[code]
        tree.below[parent] = tree.below.get(parent, 0) + tree.below.get(code, 0) + own
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return tree


def _parent(channel: Channel, known: Mapping[str, Channel]) -> str:
    own = channel.channel_id
    for candidate in (*channel.parent_ids, channel.business_group_id):
        if candidate != own and candidate in known:
            return candidate
    if channel.kind is ChannelKind.REGION:
        # 3713 is the parent of 371326, two digits a level (GB/T 2260).
        above = (own[:length] for length in (6, 4, 2) if length < len(own))
        return next((code for code in above if code in known), TOP)
    civil = channel.civil_code
    if civil and civil != own and civil in known:
        return civil
    return TOP


async def _reach(parents: dict[str, str]) -> list[str]:
    """Return all codes, parents before children; circles are opened where they are met."""
    placed = {TOP}
    order: list[str] = []
    for number, start in enumerate(list(parents), 1):
        path: dict[str, None] = {}
        code = start
        while code not in placed and code not in path:
            path[code] = None
            code = parents[code]
        climbed = list(path)
        if code in path:
            parents[code] = TOP
            at = climbed.index(code)
            climbed = climbed[:at] + climbed[at + 1 :] + [code]
        order += reversed(climbed)
        placed.update(climbed)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return order
