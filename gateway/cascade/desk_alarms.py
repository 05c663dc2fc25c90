"""Alarms from below, passed on to a platform that subscribed and may have them (protocol 7.4)."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.cascade.desk_ports import PlatformView
from gateway.cascade.desk_scrub import scrubbed
from gateway.cascade.desk_subscriptions import Subscription, SubscriptionBook
from gateway.cascade.ports import UpperLink
from gateway.cascade.queries import context_of
from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import AccessControl, AccessRequest, Action, Obligations
from gb28181.manscdp import AlarmNotify

__all__ = ["AlarmOffice"]

MAX_QUEUED: Final = 1_000
"""Alarms waiting for one platform to take them; the oldest is given up for a new one."""
MAX_REMEMBERED: Final = 4_096
"""Alarms remembered so that one that comes on two paths is passed on once."""


class AlarmOffice:
    """Chooses, maps and sends alarms of one platform, one after the other.

    Args:
        link: The platform.
        view: Its catalogue.
        own_id: Our code there; a subscription to it means all alarms.
        book: Its subscriptions.
        access: The sharing policy.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        link: UpperLink,
        view: PlatformView,
        *,
        own_id: str,
        book: SubscriptionBook,
        access: AccessControl,
        wall: Callable[[], datetime],
    ) -> None:
        self.dropped = 0
        """Alarms given up because the platform was too slow."""
        self._link = link
        self._view = view
        self._own_id = own_id
        self._book = book
        self._access = access
        self._wall = wall
        self._sn = 0
        self._queue: deque[tuple[Subscription, AlarmNotify]] = deque()
        self._seen: OrderedDict[object, None] = OrderedDict()
        self._below: dict[str, tuple[int, frozenset[str]]] = {}
        """Codes below what is subscribed, and the version of the catalogue they are of."""
        self._wake = asyncio.Event()

    def alarm(self, device_id: str, channel_id: str, content: AlarmNotify) -> None:
        """Take an alarm of a channel, as the device sent it; of a device that is an item, both codes are its own."""
        subscriptions = [
            item
            for item in self._book.of("Alarm")
            if item.alarms is None or item.alarms.covers(content)
        ]
        if not subscriptions:
            return
        code = self._view.shared_id(device_id, channel_id)
        channel = None if code is None else self._view.resolve(code)
        if code is None or channel is None or self._is_known(replace(content, device_id=code)):
            return
        for item in subscriptions:
            if self._is_below(code, item.root):
                self._pass_on(item, channel, replace(content, device_id=code))

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            item, content = self._queue.popleft()
            if self._book.find(item.dialog) is not item:
                self._below.pop(item.root, None)
                continue
            shared = self._still(item, content)
            if shared is None:
                continue
            if not await item.dialog.notify(shared, expires=self._book.remaining(item)):
                self._book.gone(item, "an alarm was not taken")

    def _pass_on(self, item: Subscription, channel: Channel, content: AlarmNotify) -> None:
        link, requester = self._link, item.requester
        context = context_of(link, requester, self._wall())
        decision = self._access.decide(requester.subject, Action.ALARM, channel, context)
        if not decision.allowed:
            # Nobody asked for this one: there is nothing to put on record.
            return
        request = AccessRequest(
            subject=requester.subject,
            action=Action.ALARM,
            channel=channel,
            object_id=content.device_id,
            context=context,
            via="sip",
            detail=f"method {content.alarm_method}, type {content.alarm_type}",
        )
        try:
            self._access.check(request)
        except Forbidden:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self.dropped += 1
            link.note(PlatformEvent.MESSAGE_FAILED, f"{self.dropped} alarms given up: too slow")
        self._queue.append((item, content))
        self._wake.set()

    def _still(self, item: Subscription, content: AlarmNotify) -> AlarmNotify | None:
        """Return what may be said of an alarm whose turn has come; None if the platform may not have it any more."""
        channel = self._view.resolve(content.device_id)
        if channel is None:
            return None
        context = context_of(self._link, item.requester, self._wall())
        decision = self._access.decide(item.requester.subject, Action.ALARM, channel, context)
        if not decision.allowed:
            return None
        return self._as_shared(content, channel, decision.obligations)

    def _as_shared(
        self, content: AlarmNotify, channel: Channel, obligations: Obligations
    ) -> AlarmNotify:
        """Return the alarm as the platform may see it; vendors' own fields stay below."""
        self._sn = self._sn % 0x7FFFFFFF + 1
        masked = obligations.mask_position
        named = obligations.mask_name is None
        shared = replace(
            content,
            sn=self._sn,
            alarm_description=content.alarm_description if named else "",
            extra_info=content.extra_info if named else "",
            longitude=None if masked else content.longitude,
            latitude=None if masked else content.latitude,
            # Required of whoever sends (A.2.5.3), left out by some devices: the lowest class, "other", now.
            alarm_priority=content.alarm_priority or 4,
            alarm_method=content.alarm_method or 7,
            alarm_time=content.alarm_time or self._wall(),
            raw={},
        )
        return scrubbed(shared, channel, self._link.config)

    def _is_known(self, content: AlarmNotify) -> bool:
        """Whether the same alarm was passed on before; without a time they cannot be told apart."""
        if content.alarm_time is None:
            return False
        if content.key in self._seen:
            return True
        self._seen[content.key] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def _is_below(self, code: str, root: str) -> bool:
        if root in {self._own_id, code}:
            return True
        version, codes = self._below.get(root, (-1, frozenset[str]()))
        if version != self._view.version:
            # Alarms come in bursts, changes of the catalogue do not.
            codes = frozenset(self._view.codes_of(root))
            self._below[root] = (self._view.version, codes)
        return code in codes
