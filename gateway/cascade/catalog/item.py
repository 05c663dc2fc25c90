"""One item as one platform sees it, and the catalogue item written from it (GB/T 28181-2022 A.2.1.9, Annex J)."""

import enum
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.cascade.catalog.scrub import without_codes
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.policy import Obligations
from gb28181.manscdp.item import CatalogItem, item_from_texts, sent_fields

__all__ = [
    "PLAIN",
    "Placed",
    "Rank",
    "SecrecyError",
    "differs",
    "is_camera",
    "rank_of",
    "render",
]

PLAIN: Final = Obligations()
"""Nothing to obey."""


class Rank(enum.IntEnum):
    """The order in which a catalogue is sent (2022 Annex H): parents always have a lower or the same rank."""

    OWN = 0
    """Our own platform."""
    PLATFORM = 1
    DIVISION = 2
    GROUP = 3
    ORGANISATION = 4
    DEVICE = 5
    """Recorders and other main devices."""
    CHANNEL = 6
    """Cameras, sound, alarm contacts and other things that are used themselves."""


_RANKS: Final = {
    ChannelKind.PLATFORM: Rank.PLATFORM,
    ChannelKind.REGION: Rank.DIVISION,
    ChannelKind.GROUP: Rank.GROUP,
    ChannelKind.ORGANISATION: Rank.ORGANISATION,
    ChannelKind.DEVICE: Rank.DEVICE,
}


def rank_of(kind: ChannelKind) -> Rank:
    """Return the rank of a kind of item."""
    return _RANKS.get(kind, Rank.CHANNEL)


class SecrecyError(RuntimeError):
    """Something with Secrecy=1 was about to be written into a catalogue; a fault of this program."""


@dataclass(slots=True, eq=False, kw_only=True)
class Placed:
    """An item in its place; never changed once made, so that a list of them is a snapshot."""

    channel: Channel
    """What it is here; one of our own items is a channel without a device."""
    code: str
    """Its code for the platform."""
    rank: Rank
    depth: int = 0
    """Items of the same rank above it."""
    parents: tuple[str, ...] = ()
    """Codes for ParentID; all of them are in the same catalogue."""
    group: str = ""
    """Code for BusinessGroupID, in the same catalogue too."""
    online: bool | None = None
    """Effective status; None for what has none (divisions, groups, organisations)."""
    obligations: Obligations = PLAIN
    route_marks: str = ""
    """Marks of the lower platforms it came through that are not in the catalogue."""

    def equals(self, other: "Placed") -> bool:
        """Whether both look the same to the platform, as far as that can be told without writing them."""
        return (
            self.online is other.online
            and self.depth == other.depth
            and self.code == other.code
            and self.parents == other.parents
            and self.group == other.group
            and self.rank is other.rank
            and self.obligations == other.obligations
            and self.route_marks == other.route_marks
            and self.channel == other.channel
        )


def render(placed: Placed, *, rename: bool) -> CatalogItem:
    """Write an item with the fields of all editions; the edition of the message leaves out what it has not.

    What the item never said stays absent. RegisterWay and Secrecy, which every edition demands and gives a
    default, are the exceptions.

    Args:
        placed: The item.
        rename: Whether no lower-level code may get out, in texts either.

    Raises:
        SecrecyError: The item has Secrecy=1.
    """
    channel = placed.channel
    if channel.secrecy and channel.device_id:
        raise SecrecyError(
            f"{channel.device_id}/{channel.channel_id} has Secrecy={channel.secrecy}"
        )
    mask = placed.obligations.mask_name
    item = CatalogItem(
        device_id=placed.code,
        name=channel.name if mask is None else mask,
        civil_code=channel.civil_code,
        parent_id="/".join(placed.parents),
        business_group_id=placed.group,
    )
    if placed.rank is Rank.DIVISION:
        item = CatalogItem(device_id=placed.code, name=item.name)
    elif placed.rank not in {Rank.GROUP, Rank.ORGANISATION}:
        item = _render_device(placed, item)
    return _without_codes(item, channel) if rename and channel.device_id else item


def differs(old: Placed, new: Placed, *, rename: bool, edition: str) -> bool:
    """Whether anything but the status of an item changed for a platform of an edition."""
    before, after = (render(_without_status(each), rename=rename) for each in (old, new))
    if before == after:
        return False
    names = sent_fields(before, edition) | sent_fields(after, edition)
    return any(getattr(before, name) != getattr(after, name) for name in names)


def _without_status(placed: Placed) -> Placed:
    return placed if placed.online is None else replace(placed, online=None)


def _render_device(placed: Placed, item: CatalogItem) -> CatalogItem:
    channel = placed.channel
    # Fields a Channel has of its own are put over whatever `extra` kept of them because it could not be read.
    base = item_from_texts(channel.extra) if channel.extra else _EMPTY
    masked = placed.obligations.mask_position
    named = placed.obligations.mask_name is None
    return replace(
        base,
        device_id=item.device_id,
        event="",
        name=item.name,
        manufacturer=channel.manufacturer,
        model=channel.model,
        civil_code=item.civil_code,
        address="" if masked else channel.address,
        parent_id=item.parent_id,
        register_way=base.register_way or 1,
        secrecy=0,
        password="",
        status=_STATUS[placed.online],
        longitude=None if masked else channel.longitude,
        latitude=None if masked else channel.latitude,
        business_group_id=item.business_group_id,
        ptz_type=channel.ptz_type,
        # The common name of the point tells where it is, and what it is called.
        point_common_name=base.point_common_name if named and not masked else "",
        route_marks=placed.route_marks,
        raw={},
    )


_EMPTY: Final = CatalogItem()
_STATUS: Final = {True: "ON", False: "OFF", None: ""}

_TEXTS: Final = tuple(
    name
    for name in CatalogItem.__slots__
    if isinstance(getattr(_EMPTY, name), str)
    and name not in {"device_id", "event", "parent_id", "status", "business_group_id", "civil_code"}
)


def _without_codes(item: CatalogItem, channel: Channel) -> CatalogItem:
    """Return the item without lower-level codes in its texts: names are often made of them."""
    own = (channel.channel_id, channel.device_id, channel.business_group_id, *channel.parent_ids)
    changed: dict[str, Any] = {}
    for name in _TEXTS:
        text = getattr(item, name)
        if not text:
            continue
        # A district is named by its own code, a short one too, or not at all.
        gone = name == "block" and text in own
        clean = "" if gone else without_codes(text, item.device_id, channel)
        if clean != text:
            changed[name] = clean
    return replace(item, **changed) if changed else item


def is_camera(placed: Placed | None) -> bool:
    """Whether there is an item and it is a camera."""
    return placed is not None and placed.channel.kind is ChannelKind.CAMERA
