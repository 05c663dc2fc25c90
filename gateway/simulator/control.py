"""A simulated device obeys: every control is noted, carried out as far as it goes, and answered."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.pan_tilt import PanTilt, Position
from gateway.simulator.quirk import Quirk
from gateway.simulator.roster import Roster
from gb28181.errors import RemoteProtocolError
from gb28181.manscdp.control import DeviceControl, HomePosition, SubCommand
from gb28181.manscdp.ptz import PtzCommand
from gb28181.manscdp.response import Response

__all__ = ["DeviceControls", "ReceivedControl"]

_KEPT: Final = 1_000
"""Controls remembered for whoever looks; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedControl:
    """A control that came."""

    at: float
    """Monotonic seconds."""
    channel_id: str
    """DeviceID in the body: a channel, or the device itself."""
    sub_command: SubCommand
    control: DeviceControl
    frame: str = ""
    """Text of PTZCmd as it came."""
    command: PtzCommand | None = None
    """The frame decoded; None when there is none or it is none."""
    error: str = ""
    """Why the frame was not obeyed."""
    identity: str = ""
    """Monitor-User-Identity of the MESSAGE."""


class DeviceControls:
    """What one device was told to do, and what came of it.

    Args:
        options: Edition and quirks.
        device_id: Own id.
        roster: The channels.
        now: Monotonic seconds.
        key_frame: Makes a channel's streams begin anew with a key frame.
        moved: Tells that a channel's camera begins to look elsewhere.
        reboot: Makes the device vanish and come back.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        roster: Roster,
        *,
        now: Callable[[], float],
        key_frame: Callable[[str], None],
        moved: Callable[[str], None],
        reboot: Callable[[], None],
    ) -> None:
        self._options = options
        self._device_id = device_id
        self._roster = roster
        self._now = now
        self._key_frame = key_frame
        self._moved = moved
        self._reboot = reboot
        self.log: deque[ReceivedControl] = deque(maxlen=_KEPT)
        """Everything that came, the latest last."""
        self.motors: dict[str, PanTilt] = {}
        """Motors of the channels that were ever moved."""
        self.recording: set[str] = set()
        self.guarded: set[str] = set()
        self.alarms: set[str] = set()
        """Who raised a device alarm that was not reset; further ones are held back (9.4)."""
        self.home: dict[str, HomePosition] = {}

    def motor(self, channel_id: str) -> PanTilt:
        """Return a channel's motor."""
        return self.motors.setdefault(channel_id, PanTilt())

    def position(self, channel_id: str) -> Position:
        """Return where a channel's camera looks now."""
        motor = self.motors.get(channel_id)
        return Position() if motor is None else motor.position(self._now())

    def receive(self, control: DeviceControl, identity: str = "") -> Response | None:
        """Obey a control; returns the answer, if the standard wants one."""
        target = control.device_id
        known = target == self._device_id or self._roster.find(target) is not None
        command, error = _decoded(control)
        self.log.append(
            ReceivedControl(
                at=self._now(),
                channel_id=target,
                sub_command=control.sub_command,
                control=control,
                frame=control.ptz_cmd,
                command=command,
                error=error if known else "no such channel",
                identity=identity,
            )
        )
        refused = not known or self._options.has(Quirk.CONTROL_REFUSED)
        if not refused:
            self._obey(target, control, command)
        if not control.wants_answer or self._options.has(Quirk.CONTROL_SILENT):
            return None
        return Response(
            cmd_type="DeviceControl",
            sn=control.sn,
            device_id=target,
            result="ERROR" if refused else "OK",
        )

    def restart(self) -> None:
        """Forget what a reboot makes a device forget: motors stand still, the log stays."""
        for motor in self.motors.values():
            motor.apply(PtzCommand.stop(), self._now())
        self.alarms.clear()

    def _obey(self, target: str, control: DeviceControl, command: PtzCommand | None) -> None:
        match control.sub_command:
            case SubCommand.PTZ if command is not None:
                self.motor(target).apply(command, self._now())
                self._moved(target)
            case SubCommand.IFRAME:
                if not self._options.has(Quirk.IFRAME_ONE_SPELLING) or _own_spelling(
                    self._options, control
                ):
                    self._key_frame(target)
            case SubCommand.TELE_BOOT:
                self._reboot()
            case SubCommand.RECORD:
                _switch(self.recording, target, on=control.record_cmd == "Record")
            case SubCommand.GUARD:
                _switch(self.guarded, target, on=control.guard_cmd == "SetGuard")
            case SubCommand.ALARM:
                self._reset_alarms(target)
            case SubCommand.HOME_POSITION if control.home_position is not None:
                self.home[target] = control.home_position
            case _:
                pass

    def _reset_alarms(self, target: str) -> None:
        if target == self._device_id:
            self.alarms.clear()
        else:
            self.alarms.discard(target)


def _decoded(control: DeviceControl) -> tuple[PtzCommand | None, str]:
    if not control.ptz_cmd:
        return None, ""
    try:
        return PtzCommand.parse(control.ptz_cmd), ""
    except RemoteProtocolError as error:
        return None, str(error)


def _own_spelling(options: SimulatorOptions, control: DeviceControl) -> bool:
    name = "IFrameCmd" if options.edition == "3.0" else "IFameCmd"
    return name in control.raw


def _switch(group: set[str], target: str, *, on: bool) -> None:
    if on:
        group.add(target)
    else:
        group.discard(target)
