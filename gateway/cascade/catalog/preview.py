"""What a platform would be sent, before its configuration is saved; and figures about any catalogue."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.cascade.catalog.item import Placed, Rank
from gateway.cascade.catalog.node import Node, Verdict
from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.pace import Pace
from gateway.cascade.catalog.snapshot import Snapshot
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import ChannelDirectory
from gateway.domain.device import Channel
from gateway.domain.document import SharedId, SharedIdStore
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import AccessControl, Subject
from gateway.domain.selector import ChannelFacts, facts_of
from gb28181.aio import clock

__all__ = ["CatalogPreview", "CatalogStatistics", "preview", "statistics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStatistics:
    """A catalogue in figures."""

    items: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Items by `ChannelKind`; our own platform is one of the platforms."""
    offline: int = 0
    """Items with Status OFF."""
    renamed: int = 0
    """Items under another code than their own."""
    masked: int = 0
    """Items whose name or position policy hides."""
    without_position: int = 0
    """Cameras that say no coordinates, or (0, 0)."""
    without_division: int = 0
    """Cameras without CivilCode."""
    without_name: int = 0
    refused: int = 0
    """Items below that policy does not show."""
    secret: int = 0
    """Items below with Secrecy=1; never shown."""
    unplaced: int = 0
    """Items that policy would show but the tree has no place for."""
    looped: int = 0
    """Items below that came from us, or from the platform itself; never sent back."""
    waiting: int = 0
    """Items not shown yet because their codes could not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPreview:
    """What would be sent."""

    items: Snapshot
    statistics: CatalogStatistics


async def preview(
    config: PlatformConfig,
    root: str | None = None,
    *,
    local_id: str,
    directory: ChannelDirectory,
    access: AccessControl,
    ids: SharedIdStore,
    subject: Subject,
    wall: Callable[[], datetime],
    own_item: Callable[[], OwnPlatform],
    facts: Callable[[Channel], ChannelFacts] = facts_of,
) -> CatalogPreview:
    """Work out the catalogue a platform would get, without keeping the codes of what it has not been given yet.

    Args:
        config: The platform, saved or not.
        root: The part of the catalogue asked for; None for all of it. The figures are of all of it.
        local_id: Our code there.
        directory: Devices and channels.
        access: The sharing policy.
        ids: Codes given so far; only read.
        subject: The platform, as the policy knows it.
        wall: Wall clock, timezone-aware.
        own_item: Says what we are.
        facts: Works out what the selectors of a tree of our own look at.

    Raises:
        Unavailable: the codes cannot be read.
    """
    view = CatalogView(
        config,
        local_id=local_id,
        directory=directory,
        access=access,
        ids=_ReadOnlyIds(ids),
        subject=subject,
        wall=wall,
        own_item=own_item,
        facts=facts,
    )
    await view.load()
    items = Snapshot(await view.select(root), rename=view.rename)
    return CatalogPreview(items=items, statistics=await statistics(view))


async def statistics(view: CatalogView) -> CatalogStatistics:
    """Count what is in a catalogue, and what is not and why; in short stretches of the loop."""
    pace = Pace(clock.monotonic)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for placed in view.items().placed:
        await pace.breathe()
        kinds[placed.channel.kind.value] += 1
        counts.update(_remarks(placed))
    for branch in tuple(view.forest.branches.values()):
        for node in tuple(branch.nodes.values()):
            await pace.breathe()
            if node.placed is None and (node is not branch.head or branch.head_listed):
                counts.update(_reasons(node))
    return CatalogStatistics(items=sum(kinds.values()), kinds=dict(kinds), **counts)


def _remarks(placed: Placed) -> list[str]:
    channel, rules = placed.channel, placed.obligations
    camera = placed.rank is Rank.CHANNEL and channel.kind.value == "camera"
    nowhere = not (channel.longitude or channel.latitude)
    remarks = {
        "offline": placed.online is False,
        "renamed": bool(channel.device_id) and placed.code != channel.channel_id,
        "masked": rules.mask_name is not None or rules.mask_position,
        "without_position": camera and nowhere,
        "without_division": camera and not channel.civil_code,
        "without_name": not channel.name,
    }
    return [name for name, holds in remarks.items() if holds]


def _reasons(node: Node) -> list[str]:
    if node.looped:
        return ["looped"]
    if node.channel.secrecy:
        return ["secret"]
    if node.shown:
        return ["waiting"]
    if node.verdict is not Verdict.SHOWN:
        return ["refused"]
    return [] if node.rank is Rank.DIVISION else ["unplaced"]


class _ReadOnlyIds:
    """Codes as they are kept; what is written here is forgotten with the preview."""

    def __init__(self, ids: SharedIdStore) -> None:
        self._ids = ids

    def load_shared_ids(self, platform_id: str) -> AsyncIterator[Sequence[SharedId]]:
        """Yield the codes kept."""
        return self._ids.load_shared_ids(platform_id)

    def save_shared_ids(self, ids: Sequence[SharedId]) -> asyncio.Future[None]:
        """Keep nothing."""
        return _done()

    def forget_shared_ids(self, platform_id: str) -> asyncio.Future[None]:
        """Forget nothing."""
        return _done()


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
