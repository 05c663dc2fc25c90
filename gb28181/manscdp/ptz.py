"""PTZ frames (GB/T 28181-2022 A.3): pan, tilt, zoom, lens, presets, cruises, scans, switches.

     byte 1  A5
     byte 2  version (0) << 4 | check: (A + 5 + version) mod 16
     byte 3  address, low 8 bits; not used since 2014, where DeviceID selects the device
     byte 4  command
     byte 5  data 1
     byte 6  data 2
     byte 7  data 3 << 4 | address, bits 11-8
     byte 8  sum of bytes 1-7 mod 256

A frame is kept byte for byte, so that one that is passed on leaves as it came; what it means is read
from its bytes. Directions are those of the picture on the monitor.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from gb28181.errors import LocalProtocolError, RemoteProtocolError
from gb28181.manscdp.ptz_action import LENS_STOP, PtzAction, action_of

__all__ = ["PtzAction", "PtzCommand"]

_FRAME: Final = re.compile(r"[0-9A-Fa-f]{16}")
_START: Final = 0xA5
_VERSION: Final = 0x0F
_MAX_SPEED: Final = 0xFF
_MAX_ZOOM: Final = 0xF
_MAX_VALUE: Final = 0xFFF
_MAX_ADDRESS: Final = 0xFFF
# Pairs of bits that contradict each other, by what they are.
_MOVES: Final = ((0x01, 0x02, "right", "left"), (0x08, 0x04, "up", "down"))
_ZOOMS: Final = (0x10, 0x20, "zoom in", "zoom out")
_LENSES: Final = (
    (0x01, 0x02, "focus far", "focus near"),
    (0x04, 0x08, "iris open", "iris close"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzCommand:
    """One frame; the constructors below make them, `parse` reads them.

    Raises:
        LocalProtocolError: A value does not fit its place.
    """

    code: int
    """Byte 4."""
    data1: int = 0
    data2: int = 0
    data3: int = 0
    """0-15."""
    address: int = 1
    """0-4095, 0 is broadcast; nobody uses it since 2014, and practice is 1."""

    def __post_init__(self) -> None:
        for name, value, limit in (
            ("command", self.code, 0xFF),
            ("data 1", self.data1, 0xFF),
            ("data 2", self.data2, 0xFF),
            ("data 3", self.data3, 0xF),
            ("address", self.address, _MAX_ADDRESS),
        ):
            _check(name, value, limit)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a PTZCmd element.

        Raises:
            RemoteProtocolError: It is no frame, its check or sum is wrong, or it contradicts itself.
        """
        digits = text.strip()
        if not _FRAME.fullmatch(digits):
            raise RemoteProtocolError(f"PTZCmd must be 16 hexadecimal digits, got {digits[:40]!r}")
        frame = bytes.fromhex(digits)
        if frame[0] != _START:
            raise RemoteProtocolError(f"PTZCmd must start with A5, got {frame[0]:02X}", position=0)
        if frame[1] != _VERSION:
            raise RemoteProtocolError(
                f"PTZCmd byte 2 must be 0F (version 0 and its check), got {frame[1]:02X}",
                position=2,
            )
        total = sum(frame[:7]) & 0xFF
        if frame[7] != total:
            raise RemoteProtocolError(
                f"PTZCmd sum must be {total:02X}, got {frame[7]:02X}", position=14
            )
        command = cls(
            code=frame[3],
            data1=frame[4],
            data2=frame[5],
            data3=frame[6] >> 4,
            address=(frame[6] & 0xF) << 8 | frame[2],
        )
        trouble = command._contradiction()
        if trouble:
            raise RemoteProtocolError(f"PTZCmd {trouble}", position=6)
        return command

    def serialize(self) -> str:
        """Return the frame as 16 upper-case hexadecimal digits."""
        head = bytes(
            (
                _START,
                _VERSION,
                self.address & 0xFF,
                self.code,
                self.data1,
                self.data2,
                self.data3 << 4 | self.address >> 8,
            )
        )
        return (head + bytes((sum(head) & 0xFF,))).hex().upper()

    @classmethod
    def move(cls, *, pan: int = 0, tilt: int = 0, zoom: int = 0) -> Self:
        """Start moving; whatever is 0 stops.

        Args:
            pan: Speed -255 (left) to 255 (right).
            tilt: Speed -255 (down) to 255 (up).
            zoom: Speed -15 (out) to 15 (in).
        """
        code = (0x01 if pan > 0 else 0x02 if pan < 0 else 0) | (
            0x08 if tilt > 0 else 0x04 if tilt < 0 else 0
        )
        code |= 0x10 if zoom > 0 else 0x20 if zoom < 0 else 0
        _check("pan speed", abs(pan), _MAX_SPEED)
        _check("tilt speed", abs(tilt), _MAX_SPEED)
        _check("zoom speed", abs(zoom), _MAX_ZOOM)
        return cls(code=code, data1=abs(pan), data2=abs(tilt), data3=abs(zoom))

    @classmethod
    def stop(cls) -> Self:
        """Stop pan, tilt and zoom, and a running cruise or scan."""
        return cls(code=0)

    @classmethod
    def lens(cls, *, focus: int = 0, iris: int = 0) -> Self:
        """Start moving the lens; whatever is 0 stops.

        Args:
            focus: Speed -255 (near) to 255 (far).
            iris: Speed -255 (close) to 255 (open).
        """
        code = LENS_STOP | (0x01 if focus > 0 else 0x02 if focus < 0 else 0)
        code |= 0x04 if iris > 0 else 0x08 if iris < 0 else 0
        _check("focus speed", abs(focus), _MAX_SPEED)
        _check("iris speed", abs(iris), _MAX_SPEED)
        return cls(code=code, data1=abs(focus), data2=abs(iris))

    @classmethod
    def focus(cls, speed: int) -> Self:
        """Start focusing: -255 (near) to 255 (far)."""
        return cls.lens(focus=speed)

    @classmethod
    def iris(cls, speed: int) -> Self:
        """Start moving the iris: -255 (close) to 255 (open)."""
        return cls.lens(iris=speed)

    @classmethod
    def lens_stop(cls) -> Self:
        """Stop focus and iris."""
        return cls(code=LENS_STOP)

    @classmethod
    def preset_set(cls, preset: int) -> Self:
        """Store the current position as preset 1-255."""
        return cls(code=0x81, data2=_checked("preset", preset, 1))

    @classmethod
    def preset_call(cls, preset: int) -> Self:
        """Go to preset 1-255."""
        return cls(code=0x82, data2=_checked("preset", preset, 1))

    @classmethod
    def preset_delete(cls, preset: int) -> Self:
        """Forget preset 1-255."""
        return cls(code=0x83, data2=_checked("preset", preset, 1))

    @classmethod
    def cruise_add(cls, group: int, preset: int) -> Self:
        """Append preset 1-255 to the cruise of a group 0-255."""
        return cls(code=0x84, data1=group, data2=_checked("preset", preset, 1))

    @classmethod
    def cruise_remove(cls, group: int, preset: int) -> Self:
        """Remove preset 1-255 from the cruise of a group; 0 removes the whole cruise."""
        return cls(code=0x85, data1=group, data2=preset)

    @classmethod
    def cruise_speed(cls, group: int, speed: int) -> Self:
        """Set the speed of a cruise, 0-4095."""
        return cls._wide(0x86, group, "cruise speed", speed)

    @classmethod
    def cruise_dwell(cls, group: int, seconds: int) -> Self:
        """Set how long a cruise stays at each point, 0-4095 seconds."""
        return cls._wide(0x87, group, "dwell time", seconds)

    @classmethod
    def cruise_start(cls, group: int) -> Self:
        """Start the cruise of a group; `stop` ends it."""
        return cls(code=0x88, data1=group)

    @classmethod
    def scan_start(cls, group: int) -> Self:
        """Start the automatic scan of a group; `stop` ends it."""
        return cls(code=0x89, data1=group)

    @classmethod
    def scan_left_edge(cls, group: int) -> Self:
        """Make the current position the left edge of a scan."""
        return cls(code=0x89, data1=group, data2=1)

    @classmethod
    def scan_right_edge(cls, group: int) -> Self:
        """Make the current position the right edge of a scan."""
        return cls(code=0x89, data1=group, data2=2)

    @classmethod
    def scan_speed(cls, group: int, speed: int) -> Self:
        """Set the speed of a scan, 0-4095."""
        return cls._wide(0x8A, group, "scan speed", speed)

    @classmethod
    def aux(cls, switch: int, *, on: bool) -> Self:
        """Turn a switch 0-255 on or off, or step an analogue value; switch 1 is the wiper."""
        return cls(code=0x8C if on else 0x8D, data1=switch)

    @property
    def action(self) -> PtzAction:
        """What the frame asks for."""
        return action_of(self.code, self.data2)

    @property
    def is_motion(self) -> bool:
        """Whether it starts a motion that goes on until a stop: a lost stop leaves it running."""
        return self.action in {PtzAction.MOVE, PtzAction.LENS}

    @property
    def is_stop(self) -> bool:
        """Whether it only ends motion."""
        return self.action in {PtzAction.STOP, PtzAction.LENS_STOP}

    @property
    def ending(self) -> "PtzCommand":
        """The stop that ends what this frame starts."""
        lens = self.action in {PtzAction.LENS, PtzAction.LENS_STOP}
        return PtzCommand(code=LENS_STOP if lens else 0, address=self.address)

    @property
    def pan(self) -> int:
        """Speed of a move to the right, negative to the left; 0 if it does not pan."""
        return self._signed(PtzAction.MOVE, 0x01, 0x02, self.data1)

    @property
    def tilt(self) -> int:
        """Speed of a move up, negative down; 0 if it does not tilt."""
        return self._signed(PtzAction.MOVE, 0x08, 0x04, self.data2)

    @property
    def zoom(self) -> int:
        """Speed of zooming in, negative out; 0 if it does not zoom."""
        return self._signed(PtzAction.MOVE, 0x10, 0x20, self.data3)

    @property
    def value(self) -> int:
        """The 12-bit value of a cruise or scan speed, or of a dwell time."""
        return self.data3 << 8 | self.data2

    def describe(self) -> str:
        """Say it in words for a person."""
        match self.action:
            case PtzAction.STOP:
                return "stop"
            case PtzAction.LENS_STOP:
                return "stop focus and iris"
            case PtzAction.MOVE | PtzAction.LENS:
                return self._describe_motion()
            case PtzAction.UNKNOWN:
                return f"command {self.code:02X} ({self.data1}, {self.data2}, {self.data3})"
            case PtzAction.CRUISE_REMOVE if not self.data2:
                return f"delete cruise {self.data1}"
            case action:
                return _WORDS[action].format(one=self.data1, two=self.data2, value=self.value)

    def _describe_motion(self) -> str:
        pairs = (*_MOVES, _ZOOMS) if self.action is PtzAction.MOVE else _LENSES
        speeds = (self.data1, self.data2, self.data3)
        parts = [_part(self.code, pair, speed) for pair, speed in zip(pairs, speeds, strict=False)]
        return ", ".join(filter(None, parts))

    def _signed(self, action: PtzAction, plus: int, minus: int, speed: int) -> int:
        if self.action is not action:
            return 0
        return speed if self.code & plus else -speed if self.code & minus else 0

    def _contradiction(self) -> str:
        """Say what is wrong with the meaning of the bytes; "" if nothing is."""
        pairs: tuple[tuple[int, int, str, str], ...] = ()
        if self.action is PtzAction.MOVE:
            pairs = (*_MOVES, _ZOOMS)
        elif self.action is PtzAction.LENS:
            pairs = _LENSES
        for first, second, one, other in pairs:
            if self.code & first and self.code & second:
                return f"command {self.code:02X} says {one} and {other} at once"
        if self.action in _WITH_PRESET and not self.data2:
            return f"{self.action.value} needs a preset from 1 to 255, got the reserved 0"
        return ""

    @classmethod
    def _wide(cls, code: int, group: int, name: str, value: int) -> Self:
        _check(name, value, _MAX_VALUE)
        return cls(code=code, data1=group, data2=value & 0xFF, data3=value >> 8)


_WITH_PRESET: Final = frozenset(
    {
        PtzAction.PRESET_SET,
        PtzAction.PRESET_CALL,
        PtzAction.PRESET_DELETE,
        PtzAction.CRUISE_ADD,
    }
)
_WORDS: Final = {
    PtzAction.PRESET_SET: "set preset {two}",
    PtzAction.PRESET_CALL: "call preset {two}",
    PtzAction.PRESET_DELETE: "delete preset {two}",
    PtzAction.CRUISE_ADD: "add preset {two} to cruise {one}",
    PtzAction.CRUISE_REMOVE: "remove preset {two} from cruise {one}",
    PtzAction.CRUISE_SPEED: "set speed of cruise {one} to {value}",
    PtzAction.CRUISE_DWELL: "set dwell time of cruise {one} to {value} s",
    PtzAction.CRUISE_START: "start cruise {one}",
    PtzAction.SCAN_START: "start scan {one}",
    PtzAction.SCAN_LEFT_EDGE: "set left edge of scan {one}",
    PtzAction.SCAN_RIGHT_EDGE: "set right edge of scan {one}",
    PtzAction.SCAN_SPEED: "set speed of scan {one} to {value}",
    PtzAction.SWITCH_ON: "switch {one} on",
    PtzAction.SWITCH_OFF: "switch {one} off",
}


def _part(code: int, pair: tuple[int, int, str, str], speed: int) -> str:
    first, second, one, other = pair
    word = one if code & first else other if code & second else ""
    return f"{word} {speed}" if word else ""


def _checked(name: str, value: int, least: int) -> int:
    if value < least:
        raise LocalProtocolError(f"{name} must be from {least} to 255, got {value}")
    _check(name, value, 0xFF)
    return value


def _check(name: str, value: int, limit: int) -> None:
    if not 0 <= value <= limit:
        raise LocalProtocolError(f"{name} must be from 0 to {limit}, got {value}")
