"""What devices tell unasked or by subscription: changes of their catalogue, and alarms (protocol 7.3, 4.8.2)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from gateway.domain.device import Channel, Device
from gateway.domain.errors import GatewayError
from gateway.observe.log import RateLimitedCounter
from gateway.registry.channel import merged_channel
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.convert import channel_from_item
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.ids import parse_device_id
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.message import Content, ManscdpMessage
from gb28181.manscdp.notify import CatalogEvent, CatalogNotify
from gb28181.manscdp.response import CatalogResponse, Response

__all__ = ["DeviceNotices"]

log = structlog.get_logger()

MAX_WAITING = 10_000
"""Changed items of one device that may wait to be taken over; above that its whole catalogue is asked for."""
ALARMS_REMEMBERED = 10_000
"""Alarms known lately, so that one that comes by MESSAGE and by NOTIFY is passed on once (protocol 7.4)."""

_STATUS = {
    CatalogEvent.ON: True,
    CatalogEvent.OFF: False,
    # No picture: for whoever wants to watch it is as good as off.
    CatalogEvent.VLOST: False,
    CatalogEvent.DEFECT: False,
}


class AlarmAnswers(Protocol):
    """Sends messages to devices."""

    async def send(self, device: Device, message: Content) -> None:
        """Send by MESSAGE and wait for the 200; raises Unavailable."""


class DeviceNotices:
    """Takes notices over into the registry and passes alarms on.

    Args:
        registry: The devices and their channels.
        signaller: Answers alarms.
        platform_id: Our own code.
        scope: Owner of the tasks that wait for the store and for devices.
        resync: Asks a device for its whole catalogue.
        on_alarm: Called with (device id, alarm) once for each.
    """

    def __init__(
        self,
        *,
        registry: DeviceRegistry,
        signaller: AlarmAnswers,
        platform_id: str,
        scope: TaskScope,
        resync: Callable[[Device], None],
        on_alarm: Callable[[str, AlarmNotify], None],
    ) -> None:
        self._registry = registry
        self._signaller = signaller
        self._platform_id = platform_id
        self._scope = scope
        self._resync = resync
        self._on_alarm = on_alarm
        self._waiting: dict[str, list[CatalogItem]] = {}
        self._alarms: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._odd = RateLimitedCounter(log.info, "catalog_notice_not_understood")

    def notified(self, device_id: str, message: ManscdpMessage) -> bool:
        """Take the body of a NOTIFY of a known device; False if it is none of ours."""
        match message.content:
            case CatalogNotify():
                self.catalog(device_id, message)
            case CatalogResponse() as content:
                # 2011 knew no events: full items, which are there now.
                self._changed(device_id, content.items)
            case AlarmNotify() as content:
                self._alarm(device_id, content)
            case _:
                return False
        return True

    def catalog(self, device_id: str, message: ManscdpMessage) -> None:
        """Take a change of the catalogue, by NOTIFY or by MESSAGE."""
        assert isinstance(message.content, CatalogNotify)
        self._changed(device_id, message.content.items)

    def alarm(self, device_id: str, message: ManscdpMessage) -> None:
        """Take an alarm that came by MESSAGE: it is answered with a MESSAGE of our own."""
        content = message.content
        assert isinstance(content, AlarmNotify)
        self._alarm(device_id, content)
        self._scope.spawn(self._acknowledge(device_id, content), name=f"alarm:{device_id}")

    # Inside

    def _alarm(self, device_id: str, alarm: AlarmNotify) -> None:
        key = (device_id, alarm.device_id, alarm.alarm_time, alarm.alarm_method, alarm.alarm_type)
        if alarm.alarm_time is not None and key in self._alarms:
            return
        self._alarms[key] = None
        if len(self._alarms) > ALARMS_REMEMBERED:
            self._alarms.popitem(last=False)
        log.info(
            "alarm_received",
            device_id=device_id,
            channel_id=alarm.device_id,
            method=alarm.alarm_method,
            type=alarm.alarm_type,
            priority=alarm.alarm_priority,
            detail=alarm.alarm_description[:200],
        )
        self._on_alarm(device_id, alarm)

    async def _acknowledge(self, device_id: str, alarm: AlarmNotify) -> None:
        device = self._registry.get(device_id)
        if device is None:
            return
        answer = Response(cmd_type="Alarm", sn=alarm.sn, device_id=alarm.device_id, result="OK")
        try:
            await self._signaller.send(device, answer)
        except GatewayError as exc:
            log.info("alarm_answer_not_sent", device_id=device_id, detail=exc.detail)

    def _changed(self, device_id: str, items: Sequence[CatalogItem]) -> None:
        waiting = self._waiting.get(device_id)
        if waiting is not None:
            # Its former changes are still being written: these follow in the same task, in order. Beyond the
            # limit its whole catalogue will be asked for, so what is left out here is not lost.
            if len(waiting) <= MAX_WAITING:
                waiting.extend(items)
            return
        self._waiting[device_id] = list(items)
        self._scope.spawn(self._take_over(device_id), name=f"notices:{device_id}")

    async def _take_over(self, device_id: str) -> None:
        try:
            while items := self._waiting[device_id]:
                self._waiting[device_id] = []
                device = self._registry.get(device_id)
                if device is None:
                    return
                if len(items) > MAX_WAITING:
                    self._resync(device)
                    continue
                await self._apply(device_id, items)
        except GatewayError as exc:
            log.info("catalog_notice_lost", device_id=device_id, detail=exc.detail)
        finally:
            del self._waiting[device_id]

    async def _apply(self, device_id: str, items: list[CatalogItem]) -> None:
        """Bring items into the registry; the order of several about one code counts."""
        listed: dict[str, Channel] = {}
        removed: dict[str, None] = {}
        statuses: dict[str, bool] = {}
        for item in items:
            event = CatalogEvent.of(item)
            try:
                code = parse_device_id(item.device_id).value
            except RemoteProtocolError:
                self._odd.add(device_id=device_id, detail=f"code {item.device_id[:40]!r}")
                continue
            if event is CatalogEvent.DEL:
                removed[code] = None
                listed.pop(code, None)
                statuses.pop(code, None)
            elif event in _STATUS:
                statuses[code] = _STATUS[event]
            else:
                channel = channel_from_item(device_id, item, platform_id=self._platform_id)
                if channel is not None:
                    listed[code] = self._completed(channel, item, listed.get(code))
                    removed.pop(code, None)
                    statuses.pop(code, None)
        unknown = [
            code
            for code in statuses
            if code not in listed and self._registry.channel(device_id, code) is None
        ]
        if any(code != device_id for code in unknown):
            # Something we were never told of: a change was missed.
            self._odd.add(device_id=device_id, detail=f"status of unknown {unknown[0]}")
        await self._registry.patch_catalog(
            device_id, listed=list(listed.values()), removed=list(removed), statuses=statuses
        )

    def _completed(self, channel: Channel, item: CatalogItem, earlier: Channel | None) -> Channel:
        """Fill in what an update leaves out from what was said before: absent is not zero, nor no secret."""
        known = earlier or self._registry.channel(channel.device_id, channel.channel_id)
        if known is None:
            return channel
        secrecy = known.secrecy if item.secrecy is None else channel.secrecy
        return replace(merged_channel(known, channel), secrecy=secrecy)
