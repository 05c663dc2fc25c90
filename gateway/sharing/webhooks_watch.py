"""What each department sees of the channels, and what changed in it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.device import Channel, Device
from gateway.domain.policy import AccessContext, AccessControl, Action, Subject
from gateway.sharing.departments import Department
from gateway.sharing.webhooks import WebhookEvent

__all__ = ["ChannelDirectory", "ChannelEvent", "ChannelWatch"]

SLICE_S = 0.004
"""Seconds of work after which the loop gets its turn."""
MAX_NAMED = 1_000
"""Channels of one device marked one by one; more mark the whole device."""

Report = Callable[[str, "ChannelEvent"], None]


class ChannelDirectory(Protocol):
    """The registry, to look at."""

    def devices(self) -> Iterable[Device]:
        """All devices."""

    def get(self, device_id: str) -> Device | None:
        """The device, if known."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """One channel."""

    def channels(self, device_id: str) -> Iterable[Channel]:
        """A device's channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent:
    """One change that a department is told of."""

    at: datetime
    event: WebhookEvent
    device_id: str
    channel_id: str
    name: str
    """As the department may see it."""
    online: bool


class ChannelWatch:
    """Remembers what departments see; compares what was touched with it.

    Args:
        access: Says what a department sees.
        directory: The channels.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        report: Takes (department, event); must not block.
    """

    def __init__(
        self,
        *,
        access: AccessControl,
        directory: ChannelDirectory,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        report: Report,
    ) -> None:
        self._access = access
        self._directory = directory
        self._wall = wall
        self._now = now
        self._report = report
        self._seen: dict[str, dict[str, dict[str, bool]]] = {}
        """Visible channels by department and device, each with whether it is online."""
        self._zones: dict[str, str] = {}
        self._dirty: dict[str, set[str] | None] = {}
        self._fresh: dict[str, None] = {}
        """Departments whose first look is still to be taken: it is compared with nothing."""
        self.touched = asyncio.Event()
        """Set while there is something to look at."""

    def watch(self, departments: Iterable[Department]) -> None:
        """Say which departments are looked after from now on."""
        wanted = {item.code: item.zone for item in departments}
        for code in self._seen.keys() - wanted.keys():
            del self._seen[code]
            self._fresh.pop(code, None)
        for code in wanted.keys() - self._seen.keys():
            self._seen[code] = {}
            self._fresh[code] = None
            self.touched.set()
        if any(self._zones.get(code, zone) != zone for code, zone in wanted.items()):
            self.touch_all()
        self._zones = wanted

    def touch(self, device_id: str, channel_ids: Iterable[str] | None = None) -> None:
        """Note that a device (its presence, its list) or some of its channels may have changed; cheap."""
        if not self._seen:
            return
        named = self._dirty.get(device_id, set())
        if channel_ids is None or named is None:
            self._dirty[device_id] = None
        else:
            named.update(channel_ids)
            self._dirty[device_id] = named if len(named) <= MAX_NAMED else None
        self.touched.set()

    def touch_all(self) -> None:
        """Note that any channel's visibility may have changed; cheap for up to some ten thousand devices."""
        if not self._seen:
            return
        known = {device_id for seen in self._seen.values() for device_id in seen}
        known.update(device.device_id for device in self._directory.devices())
        self._dirty.update(dict.fromkeys(known))
        self.touched.set()

    async def look(self) -> None:
        """Compare everything that was touched, in slices; events go to `report`."""
        until = self._now() + SLICE_S
        while self._fresh or self._dirty:
            while self._fresh:
                code = next(iter(self._fresh))
                for device in list(self._directory.devices()):
                    until = await self._compare(code, device.device_id, None, until, silent=True)
                # Unwatched in the meantime, it is not there any more.
                self._fresh.pop(code, None)
            if self._dirty:
                device_id = next(iter(self._dirty))
                named = self._dirty.pop(device_id)
                for code in list(self._seen):
                    until = await self._compare(code, device_id, named, until, silent=False)
        self.touched.clear()

    async def _compare(
        self, code: str, device_id: str, named: set[str] | None, until: float, *, silent: bool
    ) -> float:
        """Compare channels of one device for one department; return when the slice is over."""
        device = self._directory.get(device_id)
        seen = self._seen.get(code, {}).get(device_id, {})
        channels: Iterable[str] = (
            named
            if named is not None
            else dict.fromkeys(
                [*(c.channel_id for c in self._directory.channels(device_id)), *seen]
            )
        )
        for channel_id in list(channels):
            if code not in self._seen or (code in self._fresh and not silent):
                break
            self._compare_one(code, device, device_id, channel_id, silent=silent)
            if self._now() >= until:
                await asyncio.sleep(0)
                until = self._now() + SLICE_S
        return until

    def _compare_one(
        self, code: str, device: Device | None, device_id: str, channel_id: str, *, silent: bool
    ) -> None:
        at = self._wall()
        seen = self._seen[code].setdefault(device_id, {})
        before = seen.get(channel_id)
        channel = self._directory.channel(device_id, channel_id) if device is not None else None
        after: bool | None = None
        name = ""
        if channel is not None:
            context = AccessContext(at=at, zone=self._zones.get(code, ""))
            subject = Subject(department=code)
            decision = self._access.decide(subject, Action.CATALOG, channel, context)
            if decision.allowed:
                after = bool(device and device.online and channel.online)
                masked = decision.obligations.mask_name
                name = channel.name if masked is None else masked
        if after is None:
            seen.pop(channel_id, None)
            if not seen:
                del self._seen[code][device_id]
        else:
            seen[channel_id] = after
        kind = _kind(before, after)
        if kind is None or silent:
            return
        self._report(
            code,
            ChannelEvent(
                at=at,
                event=kind,
                device_id=device_id,
                channel_id=channel_id,
                name=name,
                online=bool(after),
            ),
        )


def _kind(before: bool | None, after: bool | None) -> WebhookEvent | None:  # noqa: FBT001 - three states
    if before is after:
        return None
    if before is None:
        return WebhookEvent.ADDED
    if after is None:
        return WebhookEvent.REMOVED
    return WebhookEvent.ON if after else WebhookEvent.OFF
