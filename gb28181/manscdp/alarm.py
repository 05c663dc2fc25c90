"""Alarms: subscribing to them, being told of them (GB/T 28181-2022 A.2.4.6, A.2.5.3)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

from gb28181.manscdp.schema import Element, Leaf, Raw

__all__ = ["AlarmNotify", "AlarmQuery", "AlarmTypeParam", "join_methods", "split_methods"]

_FIRST_WITH_SLASHES: Final = 2022
_ALL_METHODS: Final = frozenset(range(1, 8))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuery:
    """Body of a SUBSCRIBE to alarms (报警查询)."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    start_priority: Annotated[int | None, Leaf("StartAlarmPriority")] = None
    """0 is all, 1 the highest class, 4 the lowest."""
    end_priority: Annotated[int | None, Leaf("EndAlarmPriority")] = None
    alarm_method: Annotated[str, Leaf("AlarmMethod")] = ""
    """`0` is all; several are `25` up to 2016 and `2/5` in 2022."""
    alarm_type: Annotated[str, Leaf("AlarmType")] = ""
    # The samples J.18 of 2011 and 2016 write StartTime and EndTime.
    start_time: Annotated[datetime | None, Leaf("StartAlarmTime", aliases=("StartTime",))] = None
    end_time: Annotated[datetime | None, Leaf("EndAlarmTime", aliases=("EndTime",))] = None

    @property
    def methods(self) -> frozenset[int]:
        """The methods asked for, all seven when none is named."""
        return split_methods(self.alarm_method)

    def covers(self, alarm: "AlarmNotify") -> bool:
        """Whether an alarm is one of those asked for; what the alarm does not say, counts as asked."""
        if alarm.alarm_method is not None and alarm.alarm_method not in self.methods:
            return False
        if alarm.alarm_priority is not None:
            first, last = self.start_priority or 1, self.end_priority or 4
            if not min(first, last) <= alarm.alarm_priority <= max(first, last):
                return False
        types = {part.strip() for part in self.alarm_type.split("/")} - {"", "0"}
        if types and alarm.alarm_type is not None and str(alarm.alarm_type) not in types:
            return False
        if alarm.alarm_time is None:
            return True
        late = self.start_time is None or alarm.alarm_time >= self.start_time
        return late and (self.end_time is None or alarm.alarm_time <= self.end_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTypeParam:
    """What an alarm type needs besides its number."""

    event_type: Annotated[int | None, Leaf("EventType")] = None
    """Of an intrusion: 1 enters the area, 2 leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotify:
    """An alarm, by NOTIFY or by MESSAGE (报警通知)."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    """The alarm device, camera, or 10-digit alarm centre."""
    alarm_priority: Annotated[int | None, Leaf("AlarmPriority", required=True)] = None
    """1-4, 1 is the highest class."""
    alarm_method: Annotated[int | None, Leaf("AlarmMethod", required=True)] = None
    """1 telephone, 2 device, 3 SMS, 4 GPS, 5 video, 6 device fault, 7 other."""
    alarm_time: Annotated[datetime | None, Leaf("AlarmTime", required=True)] = None
    alarm_description: Annotated[str, Leaf("AlarmDescription")] = ""
    longitude: Annotated[float | None, Leaf("Longitude")] = None
    latitude: Annotated[float | None, Leaf("Latitude")] = None
    alarm_type: Annotated[int | None, Leaf("AlarmType", within="Info", since=2016)] = None
    """What the method found (protocol 4.10)."""
    alarm_type_param: Annotated[
        AlarmTypeParam | None, Element("AlarmTypeParam", within="Info", since=2016)
    ] = None
    extra_info: Annotated[str, Leaf("ExtraInfo", since=2022)] = ""
    raw: Annotated[dict[str, str], Raw()] = field(default_factory=dict, compare=False, repr=False)
    """Every leaf as sent; vendors' own are passed on."""

    @property
    def event_type(self) -> int | None:
        """Of an intrusion: 1 enters the area, 2 leaves it."""
        return self.alarm_type_param.event_type if self.alarm_type_param else None

    @property
    def key(self) -> tuple[str, datetime | None, int | None, int | None]:
        """What two reports of the same alarm have in common (protocol 7.4)."""
        return (self.device_id, self.alarm_time, self.alarm_method, self.alarm_type)


def split_methods(text: str) -> frozenset[int]:
    """Return the alarm methods of a text, however they are joined; all for `0` and for none."""
    found = frozenset(int(digit) for digit in re.findall(r"[0-9]", text[:64], re.ASCII))
    return _ALL_METHODS if not found or 0 in found else found & _ALL_METHODS


def join_methods(methods: Iterable[int], year: int) -> str:
    """Write alarm methods as an edition (a year) joins them; `0` for all seven."""
    wanted = sorted(set(methods))
    if set(wanted) >= _ALL_METHODS:
        return "0"
    return ("/" if year >= _FIRST_WITH_SLASHES else "").join(str(method) for method in wanted)
