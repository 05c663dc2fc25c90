"""Where a simulated camera looks: moved by PTZ frames, shown in its picture."""

from dataclasses import dataclass
from typing import Final

from gb28181.manscdp.ptz import PtzCommand
from gb28181.manscdp.ptz_action import PtzAction

__all__ = ["PanTilt", "Position"]

_PAN_SPEED: Final = 60.0 / 255
"""Degrees a second for each step of the pan speed."""
_TILT_SPEED: Final = 30.0 / 255
_ZOOM_SPEED: Final = 2.0 / 15
"""Factors a second for each step of the zoom speed."""
_TILT: Final = (-90.0, 90.0)
_ZOOM: Final = (1.0, 20.0)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a camera looks."""

    pan: float = 0.0
    """Degrees to the right, 0 to 360."""
    tilt: float = 0.0
    """Degrees up, -90 to 90."""
    zoom: float = 1.0
    """Factor, 1 to 20."""

    @property
    def text(self) -> str:
        """The 16 characters shown in the picture."""
        return f"{self.pan:05.1f} {self.tilt: 05.1f} {self.zoom:04.1f}"


@dataclass(frozen=True, slots=True)
class _Motion:
    since: float
    start: Position
    speeds: tuple[float, float, float]


class PanTilt:
    """The motor of one camera; `position` may be read from any thread."""

    def __init__(self) -> None:
        # Replaced as a whole, so that a reader in another thread never sees half a motion.
        self._motion = _Motion(0.0, Position(), (0.0, 0.0, 0.0))
        self.presets: dict[int, Position] = {}
        """Stored positions by number."""
        self.focus = 0
        """Speed of the focus motor now; negative is near."""
        self.iris = 0

    @property
    def moving(self) -> bool:
        """Whether it pans, tilts or zooms."""
        return any(self._motion.speeds)

    def position(self, now: float) -> Position:
        """Return where it looks at a time."""
        motion = self._motion
        if not any(motion.speeds):
            return motion.start
        elapsed = max(0.0, now - motion.since)
        pan, tilt, zoom = (speed * elapsed for speed in motion.speeds)
        start = motion.start
        return Position(
            (start.pan + pan) % 360,
            min(max(start.tilt + tilt, _TILT[0]), _TILT[1]),
            min(max(start.zoom + zoom, _ZOOM[0]), _ZOOM[1]),
        )

    def apply(self, command: PtzCommand, now: float) -> None:
        """Obey a command; what this camera cannot do is ignored."""
        here = self.position(now)
        match command.action:
            case PtzAction.MOVE | PtzAction.STOP:
                speeds = (
                    command.pan * _PAN_SPEED,
                    command.tilt * _TILT_SPEED,
                    command.zoom * _ZOOM_SPEED,
                )
                self._motion = _Motion(now, here, speeds)
            case PtzAction.LENS | PtzAction.LENS_STOP:
                self.focus = command.data1 * _sign(command.code, 0x01, 0x02)
                self.iris = command.data2 * _sign(command.code, 0x04, 0x08)
            case PtzAction.PRESET_SET:
                self.presets[command.data2] = here
            case PtzAction.PRESET_DELETE:
                self.presets.pop(command.data2, None)
            case PtzAction.PRESET_CALL:
                self.go_to(self.presets.get(command.data2, here), now)
            case _:
                pass

    def go_to(self, position: Position, now: float) -> None:
        """Look elsewhere at once."""
        self._motion = _Motion(now, position, (0.0, 0.0, 0.0))


def _sign(code: int, plus: int, minus: int) -> int:
    return 1 if code & plus else -1 if code & minus else 0
