"""What a simulated device says by MESSAGE: keepalives and answers to queries (GB/T 28181-2016 annex A)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import SimulatedChannel
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.message import Content, Unknown, parse_message, serialize_message
from gb28181.manscdp.notify import Keepalive
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.manscdp.response import (
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)

__all__ = ["DeviceAnswers"]

_MANUFACTURER = "Simulator"
_SUM_NUM = re.compile(rb"\s*<SumNum>[^<]*</SumNum>")
_UTF8_DECLARATION = re.compile(rb'encoding=(["\'])UTF-8\1', re.IGNORECASE)


class DeviceAnswers:
    """Writes the bodies a device sends.

    Args:
        options: Charset and quirks.
        device_id: Own id.
        name: Own name.
        channels: What the catalogue lists.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        name: str,
        channels: Sequence[SimulatedChannel],
    ) -> None:
        self._options = options
        self._device_id = device_id
        self._name = name
        self._channels = channels

    def keepalive(self, sn: int) -> bytes:
        """Return a Keepalive notification."""
        return self._body(Keepalive(sn=sn, device_id=self._device_id, status="OK"))

    def answer(self, body: bytes) -> tuple[str, list[bytes]]:
        """Return the CmdType of a request and the bodies that answer it, in the order to send.

        Raises:
            XmlError: the request is no usable XML.
        """
        message = parse_message(body)
        match message.content:
            case CatalogQuery(sn=sn):
                bodies = self._catalog(sn)
            case DeviceInfoQuery(sn=sn):
                bodies = [self._body(self._info(sn))]
            case DeviceStatusQuery(sn=sn):
                bodies = [self._body(self._status(sn))]
            case Unknown() if message.root == "Query":
                bodies = [self._body(self._unsupported(message.cmd_type, message.sn or 1))]
            case _:
                bodies = []
        return message.cmd_type, bodies

    def _info(self, sn: int) -> DeviceInfoResponse:
        return DeviceInfoResponse(
            sn=sn,
            device_id=self._device_id,
            device_name=self._name,
            result="OK",
            manufacturer=_MANUFACTURER,
            model="SIM-NVR" if self._options.recorder else "SIM-IPC",
            firmware="V1.0",
            channel=len(self._channels),
        )

    def _status(self, sn: int) -> DeviceStatusResponse:
        return DeviceStatusResponse(
            sn=sn,
            device_id=self._device_id,
            result="OK",
            online="ONLINE",
            status="OK",
            encode="ON",
            record="OFF",
            device_time=datetime.now(UTC),
        )

    def _unsupported(self, cmd_type: str, sn: int) -> Response:
        return Response(
            cmd_type=cmd_type or "Unknown",
            sn=sn,
            device_id=self._device_id,
            result="ERROR",
            reason="not supported by the simulator",
        )

    def _catalog(self, sn: int) -> list[bytes]:
        options = self._options
        if options.has(Quirk.CATALOG_SILENT):
            return []
        total = len(self._channels)
        if options.has(Quirk.CATALOG_SUMNUM_HIGH):
            total += 5
        elif options.has(Quirk.CATALOG_SUMNUM_LOW):
            total = 1
        size = options.catalog_items
        # An empty catalogue is one message without a list.
        parts = [self._channels[i : i + size] for i in range(0, len(self._channels), size)] or [()]
        bodies = [self._catalog_part(sn, total, part) for part in parts]
        if options.has(Quirk.CATALOG_DUPLICATES):
            bodies = [body for body in bodies for _ in range(2)]
        if options.has(Quirk.CATALOG_OUT_OF_ORDER):
            bodies.reverse()
        return bodies

    def _catalog_part(self, sn: int, total: int, part: Sequence[SimulatedChannel]) -> bytes:
        items = tuple(self._item(channel) for channel in part)
        body = self._body(
            CatalogResponse(sn=sn, device_id=self._device_id, sum_num=total, items=items)
        )
        if self._options.has(Quirk.CATALOG_SUMNUM_MISSING):
            body = _SUM_NUM.sub(b"", body)
        if self._options.has(Quirk.RAW_AMPERSAND_IN_NAME):
            body = body.replace(b"&amp;", b"&")
        return body

    def _item(self, channel: SimulatedChannel) -> CatalogItem:
        options = self._options
        ampersand = " A&B" if options.has(Quirk.RAW_AMPERSAND_IN_NAME) else ""
        return CatalogItem(
            device_id=channel.channel_id,
            name=channel.name + ampersand,
            manufacturer=_MANUFACTURER,
            model="SIM-CAM",
            owner="示例单位",
            civil_code=channel.channel_id[:6],
            address=channel.address,
            parental=0,
            parent_id=self._device_id,
            safety_way=0,
            register_way=1,
            secrecy=0,
            status="OK" if options.has(Quirk.STATUS_OK_WORD) else "ON",
            longitude=channel.longitude,
            latitude=channel.latitude,
            ptz_type=3,
        )

    def _body(self, content: Content) -> bytes:
        if not self._options.has(Quirk.GB2312_DECLARED_UTF8):
            return serialize_message(content, self._options.charset)
        return _UTF8_DECLARATION.sub(b'encoding="GB2312"', serialize_message(content, "UTF-8"))
