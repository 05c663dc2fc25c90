"""What rules look at, worked out once per channel: facts with the groups above, and the rules that match them."""

from collections.abc import Callable, Iterable

from gateway.domain.device import Channel
from gateway.domain.selector import ChannelFacts, facts_of
from gateway.sharing.policy.engine import Engine, Profile

__all__ = ["MAX_PROFILES", "ProfileCache", "TreeFacts"]

MAX_PROFILES = 250_000
"""Channels whose matching rules are remembered, about 400 bytes each. Cleared when full."""
MAX_GROUPS = 64
"""Groups and organisations above one channel; a tree of the standard has two or three levels of them."""


class TreeFacts:
    """Works out the facts of a channel, with all groups and organisations above it in its device's tree.

    Args:
        find: Returns a channel by device and channel id.
        has_network: Whether digit 14 of this device's codes is the network; in codes of 2016 and before it is
            part of the serial number.
    """

    def __init__(
        self,
        find: Callable[[str, str], Channel | None],
        has_network: Callable[[str], bool],
    ) -> None:
        self._find = find
        self._has_network = has_network

    def __call__(self, channel: Channel) -> ChannelFacts:
        """Return the facts."""
        return facts_of(
            channel,
            groups=self._above(channel),
            has_network=self._has_network(channel.device_id),
        )

    def _above(self, channel: Channel) -> set[str]:
        above: set[str] = set()
        waiting = [*channel.parent_ids, channel.business_group_id]
        while waiting and len(above) < MAX_GROUPS:
            code = waiting.pop()
            # Devices above lead to nothing that the channel does not name itself.
            if code in above or len(code) != 20 or code[10:13] not in {"215", "216"}:
                continue
            above.add(code)
            group = self._find(channel.device_id, code)
            if group is not None:
                waiting += [*group.parent_ids, group.business_group_id]
        return above


class ProfileCache:
    """Remembers which rules match each channel.

    Args:
        facts: Works out what rules look at.
    """

    def __init__(self, facts: Callable[[Channel], ChannelFacts]) -> None:
        self._facts = facts
        self._catalogs: dict[str, dict[str, tuple[Channel, Profile]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, channel: Channel, engine: Engine) -> Profile:
        """Return the profile of a channel, made anew if the channel or the policy is another one."""
        catalog = self._catalogs.get(channel.device_id)
        known = catalog.get(channel.channel_id) if catalog is not None else None
        if known is not None:
            same, profile = known
            # Facts may be stricter than the channel says, never laxer.
            strict = bool(profile.facts.secrecy) or not channel.secrecy
            if same is channel and strict and engine.renew(profile):
                return profile
        else:
            if self._count >= MAX_PROFILES:
                self._catalogs.clear()
                self._count = 0
            self._count += 1
        profile = engine.profile(self._facts(channel))
        catalog = self._catalogs.setdefault(channel.device_id, {})
        catalog[channel.channel_id] = (channel, profile)
        return profile

    def forget(self, device_id: str, channel_ids: Iterable[str] | None = None) -> None:
        """Forget a device's channels, or some of them."""
        catalog = self._catalogs.get(device_id)
        if catalog is None:
            return
        for channel_id in list(catalog) if channel_ids is None else channel_ids:
            if catalog.pop(channel_id, None) is not None:
                self._count -= 1
        if not catalog:
            del self._catalogs[device_id]
