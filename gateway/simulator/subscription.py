"""A simulated device as notifier: subscriptions to its catalogue and its alarms (GB/T 28181-2022 9.11)."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Final

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.roster import Roster
from gateway.simulator.scene import SimulatedChannel
from gb28181.aio.clock import monotonic
from gb28181.aio.driver import IncomingRequest
from gb28181.aio.errors import CallCancelled, SipTimeout, SipTransportError
from gb28181.aio.incoming import SubscriptionDialog
from gb28181.errors import RemoteProtocolError
from gb28181.manscdp.alarm import AlarmNotify, AlarmQuery
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.message import Content, parse_message
from gb28181.manscdp.notify import CatalogEvent, CatalogNotify
from gb28181.manscdp.paging import TCP_PAGE_BYTES, pages
from gb28181.manscdp.query import CatalogQuery

__all__ = ["DeviceSubscriptions"]

_DEFAULT_EXPIRES: Final = 3600
_MAX_PENDING: Final = 1_000
"""Notifications waiting for their answers; newer ones are lost then."""

SendOutside = Callable[[bytes], Coroutine[object, object, None]]


@dataclass(slots=True)
class _Subscription:
    dialog: SubscriptionDialog
    query: CatalogQuery | AlarmQuery
    until: float
    """Monotonic seconds."""
    timer: asyncio.TimerHandle | None = None


class DeviceSubscriptions:
    """Accepts SUBSCRIBEs and notifies their senders.

    Args:
        options: Limits and quirks.
        device_id: Own id.
        roster: The channels.
        write: Writes a body in the device's charset and edition.
        spawn: Starts a task of the device.
        tell: Reports what happens.
        send_outside: Sends a NOTIFY outside any dialog.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        roster: Roster,
        *,
        write: Callable[[Content], bytes],
        spawn: Callable[[Coroutine[object, object, None], str], None],
        tell: Callable[[str, str], None],
        send_outside: SendOutside,
    ) -> None:
        self._options = options
        self._device_id = device_id
        self._roster = roster
        self._write = write
        self._spawn = spawn
        self._tell = tell
        self._send_outside = send_outside
        self._running: dict[str, _Subscription] = {}
        self._sn = 0
        self._pending = 0
        self.received = 0
        """SUBSCRIBEs that came, refreshes included."""
        self.lost = 0
        """Notifications nobody answered, or for which there was no room."""
        self.last_headers: tuple[tuple[str, str], ...] = ()
        """Headers of the latest SUBSCRIBE."""

    @property
    def kinds(self) -> list[str]:
        """What is subscribed now: `Catalog`, `Alarm`, once for each subscription."""
        return [_kind(item.query) for item in self._running.values()]

    def receive(self, incoming: IncomingRequest) -> None:
        """Take a SUBSCRIBE outside a dialog."""
        self._note(incoming)
        expires = self._expires(incoming)
        query = _query(incoming.request.body)
        if self._options.has(Quirk.SUBSCRIBE_REFUSED) or query is None:
            incoming.respond(489)
            return
        try:
            dialog = incoming.accept_subscribe(expires=expires)
        except CallCancelled:
            return
        subscription = _Subscription(dialog, query, 0.0)
        self._running[dialog.call_id] = subscription
        dialog.on_refresh = lambda refresh: self._refreshed(subscription, refresh)
        dialog.on_end = lambda reason: self._forget(subscription, reason)
        self._extend(subscription, expires)
        self._tell("subscribed", f"{_kind(query)} for {expires} s")
        if expires == 0:
            self._end(subscription, "deactivated")
        elif isinstance(query, CatalogQuery):
            self._report_what_is_off(subscription, query)

    def changed(self, event: CatalogEvent, channel: SimulatedChannel) -> None:
        """Notify whoever subscribed to the catalogue of a change."""
        item = replace(channel.item(), event=event.value)
        for subscription in list(self._running.values()):
            if isinstance(subscription.query, CatalogQuery) and _covers(
                subscription.query, self._device_id, channel
            ):
                self._notify_items(subscription, subscription.query, [item])

    def raise_alarm(self, alarm: AlarmNotify) -> bool:
        """Notify whoever subscribed to alarms; False if nobody did."""
        covering = [
            subscription
            for subscription in self._running.values()
            if isinstance(subscription.query, AlarmQuery) and subscription.query.covers(alarm)
        ]
        for subscription in covering:
            self._notify(subscription, replace(alarm, sn=self._next_sn()))
        return bool(covering)

    def forget_all(self) -> None:
        """Forget every subscription without a word, as a reboot does."""
        for subscription in list(self._running.values()):
            subscription.dialog.close()
            self._forget(subscription, "")

    def _refreshed(self, subscription: _Subscription, incoming: IncomingRequest) -> None:
        self._note(incoming)
        expires = self._expires(incoming)
        incoming.respond(200, headers=[("Expires", str(expires))])
        subscription.query = _query(incoming.request.body) or subscription.query
        self._extend(subscription, expires)
        if expires == 0:
            self._end(subscription, "deactivated")
        else:
            self._tell("subscription_refreshed", f"{_kind(subscription.query)} for {expires} s")

    def _note(self, incoming: IncomingRequest) -> None:
        self.received += 1
        self.last_headers = tuple(incoming.request.headers.items())

    def _expires(self, incoming: IncomingRequest) -> int:
        asked = incoming.request.expires
        return min(_DEFAULT_EXPIRES if asked is None else asked, self._options.subscription_limit)

    def _extend(self, subscription: _Subscription, expires: int) -> None:
        if subscription.timer is not None:
            subscription.timer.cancel()
        subscription.until = monotonic() + expires
        subscription.timer = asyncio.get_running_loop().call_later(
            expires, self._end, subscription, "timeout"
        )

    def _report_what_is_off(self, subscription: _Subscription, query: CatalogQuery) -> None:
        # 7.3 step 3: the subscriber assumes that everything is on-line until told otherwise.
        off = [
            replace(channel.item(), event=CatalogEvent.OFF.value)
            for channel in self._roster.channels
            if not channel.online and _covers(query, self._device_id, channel)
        ]
        self._notify_items(subscription, query, off)

    def _notify_items(
        self, subscription: _Subscription, query: CatalogQuery, items: list[CatalogItem]
    ) -> None:
        sn = self._next_sn()

        def make(part: Iterable[CatalogItem]) -> CatalogNotify:
            return CatalogNotify(
                sn=sn, device_id=query.device_id, sum_num=len(items), items=tuple(part)
            )

        parts = pages(
            items,
            make=make,
            charset=self._options.charset,
            edition=self._options.edition,
            max_bytes=TCP_PAGE_BYTES,
            max_items=self._options.catalog_items,
        )
        for page in parts if items else [make(())]:
            self._notify(subscription, page)

    def _notify(self, subscription: _Subscription, content: Content) -> None:
        if self._options.has(Quirk.SUBSCRIBE_SILENT):
            return
        if self._pending >= _MAX_PENDING:
            self.lost += 1
            return
        self._pending += 1
        left = max(0, round(subscription.until - monotonic()))
        self._spawn(
            self._send(subscription, self._write(content), f"active;expires={left}"), "notify"
        )

    def _end(self, subscription: _Subscription, reason: str) -> None:
        if self._running.get(subscription.dialog.call_id) is not subscription:
            return
        self._forget(subscription, reason)
        self._pending += 1
        self._spawn(self._send(subscription, b"", f"terminated;reason={reason}"), "notify")

    async def _send(self, subscription: _Subscription, body: bytes, state: str) -> None:
        try:
            if self._options.has(Quirk.NOTIFY_OUTSIDE_DIALOG) and body:
                await self._send_outside(body)
            else:
                await subscription.dialog.notify(body, state=state)
        except (OSError, SipTimeout, SipTransportError) as error:
            self.lost += 1
            self._tell("notify_lost", str(error))
        finally:
            self._pending -= 1

    def _forget(self, subscription: _Subscription, reason: str) -> None:
        if subscription.timer is not None:
            subscription.timer.cancel()
        if self._running.pop(subscription.dialog.call_id, None) is not None:
            self._tell("subscription_ended", f"{_kind(subscription.query)} {reason}".strip())

    def _next_sn(self) -> int:
        self._sn += 1
        return self._sn


def _query(body: bytes) -> CatalogQuery | AlarmQuery | None:
    try:
        content = parse_message(body).content
    except RemoteProtocolError:
        return None
    return content if isinstance(content, (CatalogQuery, AlarmQuery)) else None


def _kind(query: CatalogQuery | AlarmQuery) -> str:
    return "Catalog" if isinstance(query, CatalogQuery) else "Alarm"


def _covers(query: CatalogQuery, device_id: str, channel: SimulatedChannel) -> bool:
    wanted = query.device_id
    return wanted in {"", device_id, channel.channel_id} or (
        len(wanted) <= 8 and channel.details.civil_code.startswith(wanted)
    )
