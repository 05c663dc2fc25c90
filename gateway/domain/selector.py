"""Choosing channels by what they are: the objects of policy rules, the branches of virtual trees."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.domain.device import Channel, ChannelKind
from gb28181.ids import DeviceId

__all__ = ["ChannelFacts", "ChannelSelector", "facts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFacts:
    """What rules look at, worked out once per channel."""

    device_id: str
    channel_id: str
    kind: ChannelKind
    civil_code: str = ""
    """2, 4, 6 or 8 digits; from CivilCode, else from the code's own first digits."""
    grassroots_code: str = ""
    """`Info/GrassrootsCode`: 3 digits of township, 3 of village."""
    groups: frozenset[str] = frozenset()
    """Business group and virtual organisations it hangs under, by code."""
    point_type: str = ""
    """`1`, `2`, `3`, `9`; empty if unknown."""
    industry: str = ""
    """Digits 9-10 of the code."""
    network: str = ""
    """Digit 14 of the code; empty if that means something else there."""
    tags: frozenset[str] = frozenset()
    secrecy: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSelector:
    """Which channels are meant: every field that is not empty must match, one of its values each."""

    channels: frozenset[str] = frozenset()
    """Codes, or `device_id/channel_id` where a code alone is not unique."""
    devices: frozenset[str] = frozenset()
    civil_codes: tuple[str, ...] = ()
    """Prefixes."""
    grassroots: tuple[str, ...] = ()
    """Prefixes of the 6-digit code."""
    groups: frozenset[str] = frozenset()
    point_types: frozenset[str] = frozenset()
    industries: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def matches(self, facts: ChannelFacts) -> bool:
        """Whether a channel is meant; the empty selector means every channel."""
        full = f"{facts.device_id}/{facts.channel_id}"
        return (
            (not self.channels or facts.channel_id in self.channels or full in self.channels)
            and (not self.devices or facts.device_id in self.devices)
            and (not self.civil_codes or facts.civil_code.startswith(self.civil_codes))
            and (not self.grassroots or facts.grassroots_code.startswith(self.grassroots))
            and (not self.groups or not self.groups.isdisjoint(facts.groups))
            and (not self.point_types or facts.point_type in self.point_types)
            and (not self.industries or facts.industry in self.industries)
            and (not self.networks or facts.network in self.networks)
            and (not self.tags or not self.tags.isdisjoint(facts.tags))
            and (not self.kinds or facts.kind.value in self.kinds)
        )


def facts_of(
    channel: Channel,
    *,
    groups: Iterable[str] = (),
    tags: Iterable[str] = (),
    has_network: bool = True,
) -> ChannelFacts:
    """Work out what rules look at.

    Args:
        channel: The channel.
        groups: Codes of the groups and organisations above its direct ones.
        tags: Tags the policy file gives it.
        has_network: Whether digit 14 is the network; until 2016 it belongs to the serial number.
    """
    code = channel.channel_id
    full = len(code) == 20 and code.isdigit()
    own = {channel.business_group_id, *groups}
    own.update(parent for parent in channel.parent_ids if DeviceId(parent).type_code in {215, 216})
    own.discard("")
    return ChannelFacts(
        device_id=channel.device_id,
        channel_id=code,
        kind=channel.kind,
        civil_code=channel.civil_code or (_division_of(code) if full else ""),
        grassroots_code=channel.extra.get("Info.GrassrootsCode", ""),
        groups=frozenset(own),
        point_type=channel.extra.get("Info.PointType", ""),
        industry=code[8:10] if full else "",
        network=code[13] if full and has_network else "",
        tags=frozenset(tags),
        secrecy=channel.secrecy,
    )


def _division_of(code: str) -> str:
    division = code[:8]
    return division[:6] if division.endswith("00") else division
