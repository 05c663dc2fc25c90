"""What PTZ frames ask for, by their command byte (GB/T 28181-2022 A.3.2 to A.3.7)."""

import enum
from typing import Final

__all__ = ["LENS_STOP", "PtzAction", "action_of"]


class PtzAction(enum.Enum):
    """What a frame asks for."""

    STOP = "stop"
    """Ends pan, tilt and zoom, and a running cruise or scan."""
    MOVE = "move"
    LENS_STOP = "lens_stop"
    LENS = "lens"
    """Focus and iris."""
    PRESET_SET = "preset_set"
    PRESET_CALL = "preset_call"
    PRESET_DELETE = "preset_delete"
    CRUISE_ADD = "cruise_add"
    CRUISE_REMOVE = "cruise_remove"
    """Removes a point; preset 0 removes the whole cruise."""
    CRUISE_SPEED = "cruise_speed"
    CRUISE_DWELL = "cruise_dwell"
    CRUISE_START = "cruise_start"
    SCAN_START = "scan_start"
    SCAN_LEFT_EDGE = "scan_left_edge"
    SCAN_RIGHT_EDGE = "scan_right_edge"
    SCAN_SPEED = "scan_speed"
    SWITCH_ON = "switch_on"
    SWITCH_OFF = "switch_off"
    UNKNOWN = "unknown"
    """A command the standard does not have; vendors extend it."""


def action_of(code: int, data2: int) -> PtzAction:
    """Return what a frame with this command (byte 4) and data 2 (byte 6) asks for."""
    if code & 0xC0 == 0:
        return PtzAction.MOVE if code else PtzAction.STOP
    if code & 0xF0 == LENS_STOP:
        return PtzAction.LENS if code & 0x0F else PtzAction.LENS_STOP
    if code == _SCAN:
        return _SCANS.get(data2, PtzAction.UNKNOWN)
    return _ACTIONS.get(code, PtzAction.UNKNOWN)


LENS_STOP: Final = 0x40
"""Command byte of a lens motion with no bit set."""

_SCAN: Final = 0x89
_SCANS: Final = {
    0: PtzAction.SCAN_START,
    1: PtzAction.SCAN_LEFT_EDGE,
    2: PtzAction.SCAN_RIGHT_EDGE,
}
_ACTIONS: Final = {
    0x81: PtzAction.PRESET_SET,
    0x82: PtzAction.PRESET_CALL,
    0x83: PtzAction.PRESET_DELETE,
    0x84: PtzAction.CRUISE_ADD,
    0x85: PtzAction.CRUISE_REMOVE,
    0x86: PtzAction.CRUISE_SPEED,
    0x87: PtzAction.CRUISE_DWELL,
    0x88: PtzAction.CRUISE_START,
    0x8A: PtzAction.SCAN_SPEED,
    0x8C: PtzAction.SWITCH_ON,
    0x8D: PtzAction.SWITCH_OFF,
}
