"""Device controls (GB/T 28181-2022 A.2.3.1)."""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Final

from gb28181.manscdp.schema import Element, Leaf, Raw

__all__ = [
    "DeviceControl",
    "DeviceUpgrade",
    "DragZoom",
    "HomePosition",
    "PtzCommandParams",
    "PtzPrecise",
    "SubCommand",
]


class SubCommand(enum.StrEnum):
    """What a device control asks for, by the name of its element in 2022."""

    PTZ = "PTZCmd"
    TELE_BOOT = "TeleBoot"
    RECORD = "RecordCmd"
    GUARD = "GuardCmd"
    ALARM = "AlarmCmd"
    IFRAME = "IFrameCmd"
    DRAG_ZOOM_IN = "DragZoomIn"
    DRAG_ZOOM_OUT = "DragZoomOut"
    HOME_POSITION = "HomePosition"
    PTZ_PRECISE = "PTZPreciseCtrl"
    DEVICE_UPGRADE = "DeviceUpgrade"
    FORMAT_SD_CARD = "FormatSDCard"
    TARGET_TRACK = "TargetTrack"
    UNKNOWN = ""
    """None of these: a vendor's own, kept in `raw`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzCommandParams:
    """Names that go with a PTZ command (2022)."""

    preset_name: Annotated[str, Leaf("PresetName")] = ""
    """With "set preset" only."""
    cruise_track_name: Annotated[str, Leaf("CruiseTrackName")] = ""
    """At most 32 bytes, with cruise commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DragZoom:
    """A box in the playing window; pixels, origin at the top left."""

    length: Annotated[int | None, Leaf("Length", required=True)] = None
    """Width of the window (长度)."""
    width: Annotated[int | None, Leaf("Width", required=True)] = None
    """Height of the window (宽度)."""
    mid_point_x: Annotated[int | None, Leaf("MidPointX", required=True)] = None
    """Centre of the box."""
    mid_point_y: Annotated[int | None, Leaf("MidPointY", required=True)] = None
    length_x: Annotated[int | None, Leaf("LengthX", required=True)] = None
    """Width of the box."""
    length_y: Annotated[int | None, Leaf("LengthY", required=True)] = None
    """Height of the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePosition:
    """Where a camera returns to when nobody moves it (看守位)."""

    enabled: Annotated[int | None, Leaf("Enabled", required=True)] = None
    """1 or 0."""
    reset_time: Annotated[int | None, Leaf("ResetTime")] = None
    """Seconds without a command; used when enabled."""
    preset_index: Annotated[int | None, Leaf("PresetIndex")] = None
    """Preset 0-255 to return to; used when enabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzPrecise:
    """A position to move to (2022)."""

    pan: Annotated[float | None, Leaf("Pan")] = None
    """Degrees, 0-360 clockwise from the set zero seen from above."""
    tilt: Annotated[float | None, Leaf("Tilt")] = None
    """Degrees, usually -30 to 90; 0 is horizontal, upwards is negative."""
    zoom: Annotated[float | None, Leaf("Zoom")] = None
    """Factor, usually above 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpgrade:
    """Which firmware to fetch (2022)."""

    firmware: Annotated[str, Leaf("Firmware", required=True)] = ""
    file_url: Annotated[str, Leaf("FileURL", required=True)] = ""
    manufacturer: Annotated[str, Leaf("Manufacturer", required=True)] = ""
    session_id: Annotated[str, Leaf("SessionID", required=True)] = ""
    """32-128 characters of `[A-Za-z0-9-]`, made by the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceControl:
    """One control of a device or channel; one sub-command each, though the schema allows several."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    ptz_cmd: Annotated[str, Leaf("PTZCmd")] = ""
    """Frame of 8 bytes as 16 hexadecimal digits (`gb28181.manscdp.ptz`)."""
    ptz_cmd_params: Annotated[PtzCommandParams | None, Element("PTZCmdParams", since=2022)] = None
    tele_boot: Annotated[str, Leaf("TeleBoot")] = ""
    """`Boot`."""
    record_cmd: Annotated[str, Leaf("RecordCmd")] = ""
    """`Record` or `StopRecord`."""
    stream_number: Annotated[int | None, Leaf("StreamNumber", since=2022)] = None
    """Stream to record; 0 is the main one."""
    guard_cmd: Annotated[str, Leaf("GuardCmd")] = ""
    """`SetGuard` or `ResetGuard`."""
    alarm_cmd: Annotated[str, Leaf("AlarmCmd")] = ""
    """`ResetAlarm`."""
    # GB A.2.3.1.7: 2016 prints IFameCmd, 2022 IFrameCmd; both are read, each peer gets its own.
    iframe_cmd: Annotated[str, Leaf("IFrameCmd", old_name="IFameCmd")] = ""
    """`Send`."""
    drag_zoom_in: Annotated[DragZoom | None, Element("DragZoomIn")] = None
    """The box is enlarged to the window."""
    drag_zoom_out: Annotated[DragZoom | None, Element("DragZoomOut")] = None
    """The window shrinks into the box."""
    home_position: Annotated[HomePosition | None, Element("HomePosition")] = None
    ptz_precise: Annotated[PtzPrecise | None, Element("PTZPreciseCtrl")] = None
    device_upgrade: Annotated[DeviceUpgrade | None, Element("DeviceUpgrade")] = None
    format_sd_card: Annotated[int | None, Leaf("FormatSDCard")] = None
    """Number of the card from 1; 0 is all."""
    target_track: Annotated[str, Leaf("TargetTrack")] = ""
    """`Auto`, `Manual` or `Stop`."""
    device_id2: Annotated[str, Leaf("DeviceID2")] = ""
    """The panorama channel of a target track."""
    target_area: Annotated[DragZoom | None, Element("TargetArea")] = None
    """The target of a manual track."""
    alarm_method: Annotated[str, Leaf("AlarmMethod", within="Info")] = ""
    """With `alarm_cmd`: which alarms; `12` up to 2016, `1/2` in 2022; `0` is all."""
    alarm_type: Annotated[str, Leaf("AlarmType", within="Info")] = ""
    control_priority: Annotated[
        int | None, Leaf("ControlPriority", within="ExtraInfo", old_within="Info")
    ] = None
    """Who may move a camera that another moves; the larger number wins in practice."""
    raw: Annotated[dict[str, str], Raw()] = field(default_factory=dict, compare=False, repr=False)
    """Every leaf as sent; vendors' own are passed on."""

    @property
    def sub_command(self) -> SubCommand:
        """Which sub-command it is; the first one of several."""
        return next((name for name, used in self._present() if used), SubCommand.UNKNOWN)

    @property
    def wants_answer(self) -> bool:
        """Whether the standard has the device answer with a Response (9.3.1)."""
        return self.sub_command in _ANSWERED

    def _present(self) -> tuple[tuple[SubCommand, object], ...]:
        return (
            (SubCommand.PTZ, self.ptz_cmd),
            (SubCommand.TELE_BOOT, self.tele_boot),
            (SubCommand.RECORD, self.record_cmd),
            (SubCommand.GUARD, self.guard_cmd),
            (SubCommand.ALARM, self.alarm_cmd),
            (SubCommand.IFRAME, self.iframe_cmd),
            (SubCommand.DRAG_ZOOM_IN, self.drag_zoom_in),
            (SubCommand.DRAG_ZOOM_OUT, self.drag_zoom_out),
            (SubCommand.HOME_POSITION, self.home_position),
            (SubCommand.PTZ_PRECISE, self.ptz_precise),
            (SubCommand.DEVICE_UPGRADE, self.device_upgrade),
            (SubCommand.FORMAT_SD_CARD, self.format_sd_card is not None),
            (SubCommand.TARGET_TRACK, self.target_track),
        )


_ANSWERED: Final = frozenset(
    {
        SubCommand.RECORD,
        SubCommand.GUARD,
        SubCommand.ALARM,
        SubCommand.HOME_POSITION,
        SubCommand.DEVICE_UPGRADE,
    }
)
