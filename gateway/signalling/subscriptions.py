"""Our subscriptions to what devices and lower platforms offer: catalogue changes and alarms (protocol 7)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from gateway.domain.device import Device, TimelineKind
from gateway.domain.errors import Unavailable
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.outbound import SipSignaller
from gb28181.aio.errors import SipTimeout, SipTransportError, SubscribeRefused
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.subscription import SubscribedDialog
from gb28181.aio.tasks import TaskScope
from gb28181.flow.subscribe import (
    NotOffered,
    SendSubscribe,
    Stopped,
    SubscribeClient,
    SubscribeClientConfig,
    Subscribed,
    SubscribeFailed,
    Unsubscribed,
)
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp.alarm import AlarmQuery
from gb28181.manscdp.message import Content
from gb28181.manscdp.query import CatalogQuery
from gb28181.sip.message import Response

__all__ = ["DeviceSubscriptions", "SubscriptionSettings"]

log = structlog.get_logger()

STOP_WAIT = 2.0
"""Seconds for all cancellations at the end; devices that do not answer let the subscription run out."""

Whose = Literal["platforms", "all", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """Who is asked for what."""

    catalog: Whose = "platforms"
    alarm: Whose = "platforms"
    expires: int = 600
    timeout: float = 10.0
    """Seconds to wait for the answer to a SUBSCRIBE."""


class DeviceSubscriptions:
    """Keeps the subscriptions of all online devices; one task each.

    Args:
        registry: Notes what became of them in the devices' timelines.
        signaller: Sends.
        settings: Who is asked for what.
        scope: Owner of the tasks.
        notified: Called with (device id, NOTIFY) for each; answers it.
        now: Monotonic seconds.
        new_fraction: Makes numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        registry: DeviceRegistry,
        signaller: SipSignaller,
        settings: SubscriptionSettings,
        scope: TaskScope,
        notified: Callable[[str, IncomingRequest], None],
        now: Callable[[], float],
        new_fraction: Callable[[], float],
    ) -> None:
        self.registry = registry
        self.signaller = signaller
        self.settings = settings
        self.notified = notified
        self.now = now
        self.new_fraction = new_fraction
        self._scope = scope
        self._kept: dict[tuple[str, str], _Subscription] = {}
        self._closed = False

    @property
    def count(self) -> int:
        """Subscriptions that stand."""
        return sum(item.stands for item in self._kept.values())

    def kinds_of(self, device_id: str) -> list[str]:
        """What is subscribed with a device now: `Catalog`, `Alarm`."""
        return [
            kind
            for (code, kind), item in sorted(self._kept.items())
            if code == device_id and item.stands
        ]

    def device_online(self, device: Device) -> None:
        """A device registered: subscribe anew, whatever was before."""
        for kind, whose in (("Catalog", self.settings.catalog), ("Alarm", self.settings.alarm)):
            if self._closed or not _is_meant(device, whose):
                continue
            key = (device.device_id, kind)
            item = self._kept.get(key)
            if item is None or item.over:
                item = self._kept[key] = _Subscription(self, device.device_id, kind)
                self._scope.spawn(
                    self._keep(key, item), name=f"subscription:{device.device_id}:{kind}"
                )
            else:
                item.restart()

    def device_offline(self, device: Device) -> None:
        """A device is gone, and its subscriptions with it."""
        for (device_id, _), item in list(self._kept.items()):
            if device_id == device.device_id:
                item.drop()

    async def close(self) -> None:
        """Cancel all, as far as devices answer in time."""
        self._closed = True
        items = list(self._kept.values())
        for item in items:
            item.stop()
        try:
            async with asyncio.timeout(STOP_WAIT):
                for item in items:
                    await item.finished.wait()
        except TimeoutError:
            for item in items:
                item.drop()

    async def _keep(self, key: tuple[str, str], item: "_Subscription") -> None:
        try:
            await item.run()
        finally:
            item.forget()
            item.finished.set()
            if self._kept.get(key) is item:
                del self._kept[key]


class _Subscription:
    """One of them: the sans-IO machine and the dialog it drives."""

    def __init__(self, owner: DeviceSubscriptions, device_id: str, kind: str) -> None:
        self.finished = asyncio.Event()
        self.over = False
        self.stands = False
        self._owner = owner
        self._device_id = device_id
        self._kind = kind
        self._wake = asyncio.Event()
        self._dialog: SubscribedDialog[IncomingRequest] | None = None
        self._client = SubscribeClient(
            SubscribeClientConfig(expires=owner.settings.expires), new_fraction=owner.new_fraction
        )
        self._client.start(owner.now())

    # What others ask of it

    def restart(self) -> None:
        """Subscribe in a new dialog: the device has registered anew."""
        self._client.start(self._owner.now())
        self._wake.set()

    def stop(self) -> None:
        """Cancel."""
        self._client.stop(self._owner.now())
        self._wake.set()

    def drop(self) -> None:
        """Forget it without a word: the device is gone."""
        self.over = True
        self._wake.set()

    def forget(self) -> None:
        """Give the dialog back."""
        self.over, self.stands = True, False
        if self._dialog is not None:
            self._dialog.on_end = None
            self._dialog.close()
            self._dialog = None

    # Its task

    async def run(self) -> None:
        """Subscribe, refresh and try again until it is over."""
        client, now = self._client, self._owner.now
        while not self.over:
            if (event := client.next_event()) is not None:
                match event:
                    case SendSubscribe():
                        await self._send(event)
                    case Stopped():
                        return
                    case NotOffered():
                        self._note(f"not offered: {event.detail}")
                        return
                    case _:
                        self._tell(event)
                continue
            due = client.next_timer()
            try:
                async with asyncio.timeout(None if due is None else max(due - now(), 0.0)):
                    await self._wake.wait()
            except TimeoutError:
                client.handle_timer(now())
            self._wake.clear()

    async def _send(self, event: SendSubscribe) -> None:
        now = self._owner.now
        try:
            if event.inside and self._dialog is not None:
                timeout = self._owner.settings.timeout
                response = await self._dialog.refresh(expires=event.expires, timeout=timeout)
            else:
                response = await self._begin(event.expires)
        except SubscribeRefused as exc:
            self._client.receive_response(event.number, exc.response, now())
        except (SipTimeout, SipTransportError, Unavailable) as exc:
            self._client.subscribe_failed(event.number, now(), str(exc))
        else:
            self._client.receive_response(event.number, response, now())

    async def _begin(self, expires: int) -> Response:
        if self._dialog is not None:
            self._dialog.on_end = None
            self._dialog.close()
            self._dialog = None
        owner = self._owner
        device = owner.registry.get(self._device_id)
        if device is None:
            raise Unavailable("device_unknown", "The device was deleted")
        self._dialog = await owner.signaller.subscribe(
            device,
            self._body(),
            event=self._event(),
            expires=expires,
            timeout=owner.settings.timeout,
            on_notify=self._notified,
            on_end=self._ended,
        )
        return self._dialog.response

    def _body(self) -> Content:
        sn = self._owner.signaller.next_sn(self._device_id)
        if self._kind == "Catalog":
            return CatalogQuery(sn=sn, device_id=self._device_id)
        return AlarmQuery(
            sn=sn, device_id=self._device_id, start_priority=0, end_priority=0, alarm_method="0"
        )

    def _event(self) -> str:
        # Protocol 7.2: with an id between domains, presence for alarms of all editions.
        return (
            f"Catalog;id={self._owner.signaller.next_sn(self._device_id)}"
            if (self._kind == "Catalog")
            else "presence"
        )

    def _notified(self, incoming: IncomingRequest) -> None:
        state = incoming.request.headers.get("Subscription-State")
        self._owner.notified(self._device_id, incoming)
        self._client.notified(state, self._owner.now())
        self._wake.set()

    def _ended(self, why: str) -> None:
        self._client.ended(self._owner.now(), why)
        self._wake.set()

    def _tell(self, event: Subscribed | Unsubscribed | SubscribeFailed) -> None:
        match event:
            case Subscribed():
                self.stands = True
                self._note(f"subscribed for {event.expires:g} s")
            case Unsubscribed():
                self.stands = False
                self._note(f"ended: {event.detail}")
            case SubscribeFailed():
                self._note(f"failed, again in {event.retry_in:.0f} s: {event.detail}")

    def _note(self, detail: str) -> None:
        log.info(
            "device_subscription_changed",
            device_id=self._device_id,
            kind=self._kind,
            detail=detail,
        )
        text = f"{self._kind} {detail}"
        self._owner.registry.note(self._device_id, TimelineKind.SUBSCRIPTION, text)


def _is_meant(device: Device, whose: Whose) -> bool:
    if device.local:
        return False
    if whose == "platforms":
        return DeviceId(device.device_id).kind is IdKind.PLATFORM
    return whose == "all"
