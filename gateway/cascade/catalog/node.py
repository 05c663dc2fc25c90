"""One item of a device with all that its place in a platform's catalogue depends on."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.cascade.catalog.item import PLAIN, Placed, Rank
from gateway.domain.device import Channel, ChannelKind, Device
from gateway.domain.policy import Decision, Obligations
from gb28181.ids import DeviceId, IdKind, is_device_id

__all__ = ["Branch", "Node", "Verdict", "device_channel", "division_of", "verdict_of"]


class Verdict(enum.Enum):
    """What policy says to seeing an item."""

    HIDDEN = enum.auto()
    NEEDED = enum.auto()
    """No rule means it: a platform, recorder, group or organisation is shown where something below it is."""
    SHOWN = enum.auto()


_UNDECIDED: Final = frozenset(
    {
        "no_rule",
        "not_yet_valid",
        "expired",
        "outside_window",
        "identity_required",
        "purpose_required",
        "ticket_required",
    }
)
"""Reasons of a denial that nobody ordered."""


def verdict_of(channel: Channel, decision: Decision) -> Verdict:
    """Return what a decision means for an item; Secrecy=1 is never shown, whatever was decided."""
    if channel.secrecy:
        return Verdict.HIDDEN
    if decision.allowed:
        return Verdict.SHOWN
    return Verdict.NEEDED if decision.reason in _UNDECIDED else Verdict.HIDDEN


@dataclass(slots=True, eq=False)
class Node:
    """An item and its links; `placed` is what the platform sees of it, the rest how that came about."""

    channel: Channel
    rank: Rank
    verdict: Verdict = Verdict.HIDDEN
    obligations: Obligations = PLAIN
    above: tuple["Node", ...] = ()
    """Platforms, recorders or cameras it belongs to, as the lower level says."""
    orgs: tuple["Node", ...] = ()
    """Organisations and groups it is put into: the lower level's, or nodes of our own tree."""
    group: "Node | None" = None
    """Business group it names."""
    below: "dict[Node, None] | None" = None
    """Items of the same device that have it in one of the three."""
    level: int = 0
    """Items of the same rank above it, shown or not."""
    support: int = 0
    """How many of `below` are shown."""
    looped: bool = False
    eligible: bool = False
    """Whether this arrangement has a place for it at all."""
    shown: bool = False
    online: bool = False
    """Effective: its own claim, its device's presence and everything in `above`."""
    code: str = ""
    """Its code for the platform; empty while none is on disk."""
    placed: Placed | None = None
    """What is published."""

    @property
    def visible(self) -> bool:
        """Whether it can stand in the catalogue now."""
        return self.shown and bool(self.code)

    def links(self) -> "Iterator[Node]":
        """Yield the items of the same device that it hangs below, each once."""
        yield from self.above
        for node in self.orgs:
            if node.channel.device_id and node not in self.above:
                yield node
        if self.group is not None and self.group not in self.orgs:
            yield self.group


@dataclass(slots=True, eq=False)
class Branch:
    """All items of one device: a tree of its own, since parents are looked for in the same catalogue only."""

    device_id: str
    online: bool
    head: Node
    """The device itself."""
    head_listed: bool = False
    """Whether it is an item of its own catalogue."""
    nodes: dict[str, Node] = field(default_factory=dict)
    """By channel id, the head included."""
    missing: set[str] = field(default_factory=set)
    """Parents that were named and are not there."""
    tied: set[str] = field(default_factory=set)
    """Items at either end of a link that had to be cut."""
    regions: dict[str, Node] = field(default_factory=dict)
    """Division items."""
    groups: dict[str, Node] = field(default_factory=dict)
    """Business groups and organisations."""
    buckets: dict[tuple[int, int], dict[str, Placed]] = field(default_factory=dict)
    """What is published, by (rank, depth) and code."""
    gone: dict[str, Placed] = field(default_factory=dict)
    """Published items whose node is no more, until the platform is told."""
    epoch: int = 0
    """State of the policy it was judged by."""


def device_channel(device: Device) -> Channel:
    """Return the device itself as an item, for those that do not list themselves."""
    kind = _HEAD_KINDS.get(DeviceId(device.device_id).kind, ChannelKind.OTHER)
    return Channel(
        device_id=device.device_id,
        channel_id=device.device_id,
        kind=kind,
        name=device.name,
        manufacturer=device.manufacturer,
        model=device.model,
        civil_code=division_of(device.device_id),
        extra={"Parental": "1"} if kind is ChannelKind.DEVICE else {},
    )


_HEAD_KINDS: Final = {
    IdKind.MAIN_DEVICE: ChannelKind.DEVICE,
    IdKind.PLATFORM: ChannelKind.PLATFORM,
}


def division_of(code: str) -> str:
    """Return the division in the first eight digits of a code, without the pairs of zeros at its end."""
    if not is_device_id(code):
        return ""
    division = code[:8]
    while division.endswith("00"):
        division = division[:-2]
    return division
