"""Bodies about moving and controlling cameras."""

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from gateway.http.schemas.base import MAX_PURPOSE, MAX_TICKET, InModel, OutModel, Text
from gb28181.manscdp.control import DeviceControl, DragZoom, HomePosition
from gb28181.manscdp.ptz import PtzCommand

__all__ = [
    "AlarmResetIn",
    "ControlOut",
    "DragZoomIn",
    "GuardIn",
    "HomePositionIn",
    "PlainControlIn",
    "PtzIn",
    "PtzOut",
    "PtzWord",
    "RecordIn",
    "WhyIn",
]


class PtzWord(StrEnum):
    """What a camera is told to do."""

    MOVE = "move"
    """Pan, tilt and zoom at the speeds given, until stopped."""
    STOP = "stop"
    LENS = "lens"
    """Focus and iris at the speeds given, until stopped."""
    LENS_STOP = "lens_stop"
    PRESET_SET = "preset_set"
    PRESET_CALL = "preset_call"
    PRESET_DELETE = "preset_delete"
    CRUISE_ADD = "cruise_add"
    CRUISE_REMOVE = "cruise_remove"
    CRUISE_SPEED = "cruise_speed"
    CRUISE_DWELL = "cruise_dwell"
    CRUISE_START = "cruise_start"
    SCAN_START = "scan_start"
    SCAN_LEFT_EDGE = "scan_left_edge"
    SCAN_RIGHT_EDGE = "scan_right_edge"
    SCAN_SPEED = "scan_speed"
    SWITCH_ON = "switch_on"
    SWITCH_OFF = "switch_off"


class WhyIn(InModel):
    """Why it is done."""

    purpose: str = Field(default="", max_length=MAX_PURPOSE)
    """Why; policy may demand it."""
    ticket: str = Field(default="", max_length=MAX_TICKET)


class PtzIn(WhyIn):
    """One PTZ command (GB/T 28181 A.3)."""

    command: PtzWord
    pan: int = Field(default=0, ge=-255, le=255)
    """Speed, negative is left."""
    tilt: int = Field(default=0, ge=-255, le=255)
    """Speed, negative is down."""
    zoom: int = Field(default=0, ge=-15, le=15)
    """Speed, negative is out."""
    focus: int = Field(default=0, ge=-255, le=255)
    """Speed, negative is near."""
    iris: int = Field(default=0, ge=-255, le=255)
    """Speed, negative is close."""
    number: int = Field(default=0, ge=0, le=255)
    """Preset, group of a cruise or scan, or switch."""
    preset: int = Field(default=0, ge=0, le=255)
    """Preset of a cruise; 0 with `cruise_remove` removes the whole cruise."""
    value: int = Field(default=0, ge=0, le=4095)
    """Speed or dwell time of a cruise, speed of a scan."""
    hold_s: float = Field(default=10.0, ge=0.1, le=600)
    """Seconds after which a motion is stopped if it is not commanded anew."""

    def frame(self) -> PtzCommand:
        """Convert it.

        Raises:
            LocalProtocolError: a value does not fit its place.
        """
        return _FRAMES[self.command](self)


_FRAMES: dict[PtzWord, Callable[[PtzIn], PtzCommand]] = {
    PtzWord.MOVE: lambda said: PtzCommand.move(pan=said.pan, tilt=said.tilt, zoom=said.zoom),
    PtzWord.STOP: lambda _: PtzCommand.stop(),
    PtzWord.LENS: lambda said: PtzCommand.lens(focus=said.focus, iris=said.iris),
    PtzWord.LENS_STOP: lambda _: PtzCommand.lens_stop(),
    PtzWord.PRESET_SET: lambda said: PtzCommand.preset_set(said.number),
    PtzWord.PRESET_CALL: lambda said: PtzCommand.preset_call(said.number),
    PtzWord.PRESET_DELETE: lambda said: PtzCommand.preset_delete(said.number),
    PtzWord.CRUISE_ADD: lambda said: PtzCommand.cruise_add(said.number, said.preset),
    PtzWord.CRUISE_REMOVE: lambda said: PtzCommand.cruise_remove(said.number, said.preset),
    PtzWord.CRUISE_SPEED: lambda said: PtzCommand.cruise_speed(said.number, said.value),
    PtzWord.CRUISE_DWELL: lambda said: PtzCommand.cruise_dwell(said.number, said.value),
    PtzWord.CRUISE_START: lambda said: PtzCommand.cruise_start(said.number),
    PtzWord.SCAN_START: lambda said: PtzCommand.scan_start(said.number),
    PtzWord.SCAN_LEFT_EDGE: lambda said: PtzCommand.scan_left_edge(said.number),
    PtzWord.SCAN_RIGHT_EDGE: lambda said: PtzCommand.scan_right_edge(said.number),
    PtzWord.SCAN_SPEED: lambda said: PtzCommand.scan_speed(said.number, said.value),
    PtzWord.SWITCH_ON: lambda said: PtzCommand.aux(said.number, on=True),
    PtzWord.SWITCH_OFF: lambda said: PtzCommand.aux(said.number, on=False),
}


class PtzOut(OutModel):
    """What was sent."""

    frame: Text
    """The eight bytes, in hexadecimal digits."""
    stops_after_s: float | None
    """When it is stopped by itself; null for what is no motion."""


class ControlOut(OutModel):
    """What became of a control."""

    result: Text
    """The device's `OK` or `ERROR`; empty if the standard has it give no answer."""


class PlainControlIn(WhyIn):
    """Nothing but why."""


class RecordIn(WhyIn):
    """Record, or stop."""

    record: bool
    stream: int | None = Field(default=None, ge=0, le=10)

    def control(self) -> DeviceControl:
        """Convert it."""
        return DeviceControl(
            record_cmd="Record" if self.record else "StopRecord", stream_number=self.stream
        )


class GuardIn(WhyIn):
    """Guard, or end it."""

    guard: bool

    def control(self) -> DeviceControl:
        """Convert it."""
        return DeviceControl(guard_cmd="SetGuard" if self.guard else "ResetGuard")


class AlarmResetIn(WhyIn):
    """Which alarms to reset."""

    method: str = Field(default="", max_length=20, pattern=r"^[0-9/]*$")
    """Digits of alarm methods; empty: all."""
    type: str = Field(default="", max_length=20, pattern=r"^[0-9]*$")

    def control(self) -> DeviceControl:
        """Convert it."""
        return DeviceControl(alarm_cmd="ResetAlarm", alarm_method=self.method, alarm_type=self.type)


class DragZoomIn(WhyIn):
    """A box in the playing window, to be enlarged to it, or into which it shrinks; pixels."""

    direction: Literal["in", "out"]
    window_width: int = Field(ge=1, le=20_000)
    window_height: int = Field(ge=1, le=20_000)
    x: int = Field(ge=0, le=20_000)
    """Centre of the box."""
    y: int = Field(ge=0, le=20_000)
    width: int = Field(ge=1, le=20_000)
    height: int = Field(ge=1, le=20_000)

    def control(self) -> DeviceControl:
        """Convert it."""
        box = DragZoom(
            length=self.window_width,
            width=self.window_height,
            mid_point_x=self.x,
            mid_point_y=self.y,
            length_x=self.width,
            length_y=self.height,
        )
        if self.direction == "in":
            return DeviceControl(drag_zoom_in=box)
        return DeviceControl(drag_zoom_out=box)


class HomePositionIn(WhyIn):
    """Where a camera returns to when nobody moves it (看守位)."""

    enabled: bool
    reset_time: int | None = Field(default=None, ge=1, le=86_400)
    """Seconds without a command."""
    preset: int | None = Field(default=None, ge=0, le=255)

    def control(self) -> DeviceControl:
        """Convert it."""
        return DeviceControl(
            home_position=HomePosition(
                enabled=int(self.enabled), reset_time=self.reset_time, preset_index=self.preset
            )
        )
