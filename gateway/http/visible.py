"""What somebody outside sees of the channels: filtered and masked, worked out in slices."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from gateway.domain.device import Channel, Device
from gateway.domain.policy import AccessContext, AccessControl, Action, Obligations, Subject
from gateway.http.deps import DeviceBook

__all__ = ["SeenChannel", "VisibleChannels", "masked", "sliced"]

LIFETIME = 5.0
"""Seconds for which decisions are kept; a change of policy, grant or stop forgets them at once."""
KEPT = 16
"""Askers whose decisions are kept; each costs some bytes per channel."""
SLICE = 200
"""Channels looked at before the loop gets its turn."""

_Item = TypeVar("_Item")
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_NETWORK = frozenset({"IPAddress", "Port"})
_PLACE = frozenset({"Block", "Info.PointCommonName", "Info.GrassrootsCode"})


@dataclass(frozen=True, slots=True)
class SeenChannel:
    """A channel that somebody may see."""

    device: Device
    channel: Channel
    """As it is; show only what `VisibleChannels.shown` gives."""
    obligations: Obligations

    def matches(self, words: str) -> bool:
        """Whether lower-case words are in what may be shown: a search must not find out what is masked."""
        channel, hidden = self.channel, self.obligations
        name = channel.name if hidden.mask_name is None else hidden.mask_name
        address = "" if hidden.mask_position else channel.address
        return any(words in text.lower() for text in (channel.channel_id, name, address))


@dataclass(slots=True)
class _Decisions:
    until: float
    allowed: dict[tuple[str, str], tuple[Channel, Obligations | None]] = field(default_factory=dict)
    """What was looked at, and what to obey if it is visible."""
    everything: list[SeenChannel] | None = None
    """All that is visible, once it was asked for."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class VisibleChannels:
    """Decides for each asker on all channels, not more often than every few seconds.

    Args:
        access: The sharing policy.
        devices: The registry.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        access: AccessControl,
        devices: DeviceBook,
        wall: Callable[[], datetime],
        now: Callable[[], float],
    ) -> None:
        self._access = access
        self._devices = devices
        self._wall = wall
        self._now = now
        self._kept: OrderedDict[tuple[Subject, AccessContext], _Decisions] = OrderedDict()
        access.on_changed.append(self._kept.clear)

    async def channels(
        self, subject: Subject, context: AccessContext, device_id: str | None = None
    ) -> list[SeenChannel]:
        """Return what is visible, of all devices or of one, in the order of the registry."""
        decisions = self._decisions(subject, context)
        context = replace(context, at=self._wall())
        # Several requests of one asker at once decide only once.
        async with decisions.lock:
            if device_id is None and decisions.everything is not None:
                return decisions.everything
            seen = await self._walk(decisions, subject, context, device_id)
            if device_id is None:
                decisions.everything = seen
        return seen

    def shown(self, subject: Subject, context: AccessContext, item: SeenChannel) -> Channel | None:
        """Return a channel of a list as it may be shown now; None if it is gone or hidden in the meantime."""
        channel = item.channel
        now = self._devices.channel(channel.device_id, channel.channel_id)
        if now is channel and not now.secrecy:
            return masked(now, item.obligations)
        return None if now is None else self.one(subject, context, now)

    def one(self, subject: Subject, context: AccessContext, channel: Channel) -> Channel | None:
        """Return one channel as it is visible, None if it is not."""
        decision = self._access.decide(subject, Action.CATALOG, channel, context)
        return masked(channel, decision.obligations) if decision.allowed else None

    async def _walk(
        self,
        decisions: _Decisions,
        subject: Subject,
        context: AccessContext,
        device_id: str | None,
    ) -> list[SeenChannel]:
        seen: list[SeenChannel] = []
        count = 0
        for device in self._scope(device_id):
            for channel in list(self._devices.channels(device.device_id)):
                obligations = self._look(decisions, subject, context, channel)
                if obligations is not None:
                    seen.append(SeenChannel(device, channel, obligations))
                count += 1
                if count % SLICE == 0:
                    await asyncio.sleep(0)
        return seen

    def _scope(self, device_id: str | None) -> Iterable[Device]:
        if device_id is None:
            return list(self._devices.devices())
        device = self._devices.get(device_id)
        return () if device is None else (device,)

    def _decisions(self, subject: Subject, context: AccessContext) -> _Decisions:
        # The time is left out of what is looked up; the rest of the circumstances may change decisions.
        key = (subject, replace(context, at=_NO_TIME, source=""))
        found = self._kept.get(key)
        if found is None or self._now() >= found.until:
            found = self._kept[key] = _Decisions(self._now() + LIFETIME)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _look(
        self, decisions: _Decisions, subject: Subject, context: AccessContext, channel: Channel
    ) -> Obligations | None:
        name = (channel.device_id, channel.channel_id)
        known = decisions.allowed.get(name)
        # A channel that changes is another object.
        if known is not None and known[0] is channel:
            return known[1]
        decision = self._access.decide(subject, Action.CATALOG, channel, context)
        found = decision.obligations if decision.allowed else None
        decisions.allowed[name] = (channel, found)
        return found


async def sliced(items: Iterable[_Item], keep: Callable[[_Item], bool]) -> list[_Item]:
    """Return the items to keep, giving the loop its turn in between."""
    kept = []
    for count, item in enumerate(items, 1):
        if keep(item):
            kept.append(item)
        if count % SLICE == 0:
            await asyncio.sleep(0)
    return kept


def masked(channel: Channel, obligations: Obligations) -> Channel:
    """Return a channel as somebody outside may see it: never with its address in the network."""
    hidden = _NETWORK | (_PLACE if obligations.mask_position else frozenset())
    extra = {name: value for name, value in channel.extra.items() if name not in hidden}
    if obligations.mask_name is not None:
        extra.pop("Info.PointCommonName", None)
    seen = replace(channel, extra=extra)
    if obligations.mask_name is not None:
        seen.name = obligations.mask_name
    if obligations.mask_position:
        seen.longitude = seen.latitude = None
        seen.address = ""
    return seen
