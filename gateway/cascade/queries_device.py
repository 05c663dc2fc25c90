"""DeviceInfo and DeviceStatus for an upper platform: of ourselves, and of what it was given (protocol 8.2)."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from gateway.cascade.desk_ports import PlatformView, StatusSource
from gateway.cascade.desk_scrub import scrub, scrubbed
from gateway.cascade.ports import ChannelDirectory, UpperLink
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import Unavailable
from gateway.domain.policy import Obligations
from gb28181.manscdp import (
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
)
from gb28181.manscdp.fields import parse_time
from gb28181.manscdp.message import Content

__all__ = ["DeviceAnswers", "OwnInfo"]

STATUS_WAIT: Final = 5.0
"""Seconds a channel may take to say how it is; after that its catalogue speaks for it."""


class OwnInfo:
    """What we say of ourselves.

    Args:
        name: Our name.
        manufacturer: Who made the gateway.
        model: Its name.
        firmware: Its version.
    """

    def __init__(
        self, *, name: str, manufacturer: str = "", model: str = "", firmware: str = ""
    ) -> None:
        self.name = name
        self.manufacturer = manufacturer
        self.model = model
        self.firmware = firmware


class DeviceAnswers:
    """Makes the answers; who may ask has been settled before.

    Args:
        link: The platform.
        view: Its catalogue.
        directory: The registry.
        own: What we say of ourselves.
        ask_status: Asks a channel itself; None: the catalogue speaks for it.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        link: UpperLink,
        view: PlatformView,
        *,
        directory: ChannelDirectory,
        own: Callable[[], OwnInfo],
        ask_status: StatusSource | None,
        wall: Callable[[], datetime],
    ) -> None:
        self._link = link
        self._view = view
        self._directory = directory
        self._own = own
        self._ask_status = ask_status
        self._wall = wall

    async def answer(
        self,
        query: DeviceInfoQuery | DeviceStatusQuery,
        channel: Channel | None,
        obligations: Obligations,
    ) -> Content:
        """Make the answer about a channel, or about ourselves if there is none."""
        if isinstance(query, DeviceInfoQuery):
            if channel is None:
                return self.own_info(query)
            return self.info(query, channel, obligations)
        return self.own_status(query) if channel is None else await self.status(query, channel)

    def own_info(self, query: DeviceInfoQuery) -> DeviceInfoResponse:
        """Say what we are; Channel is the number of cameras the platform sees."""
        own = self._own()
        return DeviceInfoResponse(
            sn=query.sn,
            device_id=query.device_id,
            device_name=own.name,
            result="OK",
            manufacturer=own.manufacturer,
            model=own.model,
            firmware=own.firmware,
            channel=self._view.cameras(),
        )

    def own_status(self, query: DeviceStatusQuery) -> DeviceStatusResponse:
        """Say how we are: whoever answers is on-line."""
        return DeviceStatusResponse(
            sn=query.sn,
            device_id=query.device_id,
            result="OK",
            online="ONLINE",
            status="OK",
            device_time=self._wall(),
        )

    def info(
        self, query: DeviceInfoQuery, channel: Channel, obligations: Obligations
    ) -> DeviceInfoResponse:
        """Say what a channel is, by its catalogue entry; a device's own firmware if it is one."""
        device = self._directory.get(channel.channel_id)
        name = channel.name if obligations.mask_name is None else obligations.mask_name
        is_camera = channel.kind is ChannelKind.CAMERA
        answer = DeviceInfoResponse(
            sn=query.sn,
            device_id=query.device_id,
            device_name=name,
            result="OK",
            manufacturer=channel.manufacturer,
            model=channel.model,
            firmware=device.firmware if device is not None else "",
            channel=1 if is_camera else None,
        )
        return scrubbed(answer, channel, self._link.config)

    async def status(self, query: DeviceStatusQuery, channel: Channel) -> DeviceStatusResponse:
        """Say how a channel is: what it answers itself, else what its catalogue and its device's link say."""
        device = self._directory.get(channel.device_id)
        reachable = device is not None and device.online
        fields: Mapping[str, str] = {}
        if reachable and self._ask_status is not None:
            try:
                async with asyncio.timeout(STATUS_WAIT):
                    fields = await self._ask_status(channel.device_id, channel.channel_id)
            except (Unavailable, TimeoutError):
                fields = {}
        online = reachable and channel.online
        config = self._link.config
        said = {
            name.lower(): scrub(text, query.device_id, channel, config)
            for name, text in fields.items()
        }
        return DeviceStatusResponse(
            sn=query.sn,
            device_id=query.device_id,
            result="OK",
            online=said.get("online") or ("ONLINE" if online else "OFFLINE"),
            status=said.get("status") or ("OK" if online else "ERROR"),
            reason=said.get("reason", ""),
            encode=said.get("encode", ""),
            record=said.get("record", ""),
            device_time=parse_time(said.get("devicetime", "")),
        )
