"""What a simulated device says by MESSAGE: keepalives, answers to queries and controls (annex A)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import SimulatedChannel
from gb28181.manscdp.control import DeviceControl
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
        channels: What the catalogue lists; the list may change.
        control: Obeys a control of somebody (Monitor-User-Identity) and returns its answer.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        name: str,
        channels: Sequence[SimulatedChannel],
        control: Callable[[DeviceControl, str], Response | None] = lambda _, __: None,
    ) -> None:
        self._options = options
        self._control = control
        self._device_id = device_id
        self._name = name
        self._channels = channels

    def keepalive(self, sn: int) -> bytes:
        """Return a Keepalive notification."""
        return self.write(Keepalive(sn=sn, device_id=self._device_id, status="OK"))

    def answer(self, body: bytes, identity: str = "") -> tuple[str, list[bytes]]:
        """Return the CmdType of a request and the bodies that answer it, in the order to send.

        Args:
            body: The request.
            identity: Monitor-User-Identity of the MESSAGE it came in.

        Raises:
            XmlError: the request is no usable XML.
        """
        message = parse_message(body)
        match message.content:
            case CatalogQuery(sn=sn):
                bodies = self._catalog(sn)
            case DeviceInfoQuery(sn=sn):
                bodies = [self.write(self._info(sn))]
            case DeviceStatusQuery(sn=sn, device_id=device_id):
                bodies = [self.write(self._status(sn, device_id))]
            case DeviceControl() as control:
                answer = self._control(control, identity)
                bodies = [] if answer is None else [self.write(answer)]
            case Unknown() if message.root == "Query":
                bodies = [self.write(self._unsupported(message.cmd_type, message.sn or 1))]
            case _:
                bodies = []
        return message.cmd_type, bodies

    @property
    def _model(self) -> str:
        if self._options.platform:
            return "SIM-PLATFORM"
        return "SIM-NVR" if self._options.recorder else "SIM-IPC"

    def _info(self, sn: int) -> DeviceInfoResponse:
        return DeviceInfoResponse(
            sn=sn,
            device_id=self._device_id,
            device_name=self._name,
            result="OK",
            manufacturer=_MANUFACTURER,
            model=self._model,
            firmware="V1.0",
            channel=sum(channel.is_camera for channel in self._channels),
        )

    def _status(self, sn: int, target: str) -> DeviceStatusResponse:
        channel = next((item for item in self._channels if item.channel_id == target), None)
        online = channel is None or channel.online
        return DeviceStatusResponse(
            sn=sn,
            device_id=self._device_id if channel is None else target,
            result="OK",
            online="ONLINE" if online else "OFFLINE",
            status="OK" if online else "ERROR",
            encode="ON" if online else "OFF",
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
        body = self.write(
            CatalogResponse(sn=sn, device_id=self._device_id, sum_num=total, items=items)
        )
        if self._options.has(Quirk.CATALOG_SUMNUM_MISSING):
            body = _SUM_NUM.sub(b"", body)
        if self._options.has(Quirk.RAW_AMPERSAND_IN_NAME):
            body = body.replace(b"&amp;", b"&")
        return body

    def _item(self, channel: SimulatedChannel) -> CatalogItem:
        item = channel.item("OK" if self._options.has(Quirk.STATUS_OK_WORD) else "ON")
        if self._options.has(Quirk.RAW_AMPERSAND_IN_NAME):
            return replace(item, name=f"{item.name} A&B")
        return item

    def write(self, content: Content) -> bytes:
        """Return a body in the device's charset, for its edition."""
        edition = self._options.edition
        if not self._options.has(Quirk.GB2312_DECLARED_UTF8):
            return serialize_message(content, self._options.charset, edition=edition)
        utf8 = serialize_message(content, "UTF-8", edition=edition)
        return _UTF8_DECLARATION.sub(b'encoding="GB2312"', utf8)
