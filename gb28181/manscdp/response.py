"""Answers (GB/T 28181-2022 A.2.6)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from gb28181.manscdp.item import CatalogItem, item_view
from gb28181.manscdp.schema import Leaf, ListOf, Raw

__all__ = [
    "AlarmStatus",
    "CatalogResponse",
    "DeviceInfoResponse",
    "DeviceStatusResponse",
    "Response",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer that says no more than whether the command was carried out."""

    cmd_type: Annotated[str, Leaf("CmdType", required=True)] = ""
    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    result: Annotated[str, Leaf("Result", required=True)] = ""
    """`OK` or `ERROR`."""
    reason: Annotated[str, Leaf("Reason")] = ""

    @property
    def is_ok(self) -> bool:
        """Whether the command was carried out."""
        return self.result.upper() == "OK"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogResponse:
    """One message of a catalogue; the whole may take many, with the same SN."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    sum_num: Annotated[int | None, Leaf("SumNum", required=True)] = None
    """Items in all messages together, as claimed; often wrong."""
    items: Annotated[tuple[CatalogItem, ...], ListOf("DeviceList", view=item_view)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfoResponse:
    """What a device is."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    device_name: Annotated[str, Leaf("DeviceName", since=2014)] = ""
    result: Annotated[str, Leaf("Result", required=True)] = ""
    device_type: Annotated[str, Leaf("DeviceType", until=2011)] = ""
    """2011 only, as `max_camera` and `max_alarm`; devices still send them."""
    manufacturer: Annotated[str, Leaf("Manufacturer")] = ""
    model: Annotated[str, Leaf("Model")] = ""
    firmware: Annotated[str, Leaf("Firmware")] = ""
    max_camera: Annotated[int | None, Leaf("MaxCamera", until=2011)] = None
    max_alarm: Annotated[int | None, Leaf("MaxAlarm", until=2011)] = None
    channel: Annotated[int | None, Leaf("Channel")] = None
    """Number of video inputs."""
    raw: Annotated[dict[str, str], Raw()] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmStatus:
    """State of one alarm input or output."""

    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    # 2011's schema says Status where its sample, and all later texts, say DutyStatus.
    duty_status: Annotated[str, Leaf("DutyStatus", aliases=("Status",), required=True)] = ""
    """`ONDUTY`, `OFFDUTY` or `ALARM`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusResponse:
    """How a device is."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    result: Annotated[str, Leaf("Result", required=True)] = ""
    online: Annotated[str, Leaf("Online", required=True)] = ""
    """`ONLINE` or `OFFLINE`."""
    status: Annotated[str, Leaf("Status", required=True)] = ""
    """`OK` or `ERROR`."""
    reason: Annotated[str, Leaf("Reason")] = ""
    encode: Annotated[str, Leaf("Encode")] = ""
    record: Annotated[str, Leaf("Record")] = ""
    device_time: Annotated[datetime | None, Leaf("DeviceTime")] = None
    alarm_status: Annotated[tuple[AlarmStatus, ...], ListOf("Alarmstatus")] = ()
    raw: Annotated[dict[str, str], Raw()] = field(default_factory=dict, compare=False, repr=False)
    """Every leaf as sent, by its standard name."""
