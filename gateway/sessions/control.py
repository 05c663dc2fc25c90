"""Controls on their way to a camera, from whoever sends them: API, CLI, upper platforms.

The standard knows no automatic stop (protocol 4.4.1): a camera moves until it is told otherwise. So every motion has
a holder and a deadline here, and is stopped when its holder vanishes or says nothing more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from gateway.domain.device import Device
from gateway.domain.errors import Conflict, GatewayError, Invalid, NotFound, Unavailable
from gateway.domain.signalling import Origin, Signaller
from gateway.sessions.ports import DeviceDirectory
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.manscdp.control import DeviceControl, SubCommand
from gb28181.manscdp.ptz import PtzCommand

__all__ = ["DeviceControls", "only_sub_command"]

log = structlog.get_logger()

MAX_WAITING = 16
"""Commands under way or waiting for one channel; one more is refused, unless it is a stop: that must get through."""
STOP_TRIES = 3
"""A stop that a camera did not take is sent again."""
STOP_PAUSE = 1.0
CLOSE_WAIT = 3.0
"""Seconds at the end for the stops to get through."""

_FIELDS = {
    SubCommand.PTZ: ("ptz_cmd", "ptz_cmd_params", "control_priority"),
    SubCommand.TELE_BOOT: ("tele_boot",),
    SubCommand.RECORD: ("record_cmd", "stream_number"),
    SubCommand.GUARD: ("guard_cmd",),
    SubCommand.ALARM: ("alarm_cmd", "alarm_method", "alarm_type"),
    SubCommand.IFRAME: ("iframe_cmd",),
    SubCommand.DRAG_ZOOM_IN: ("drag_zoom_in",),
    SubCommand.DRAG_ZOOM_OUT: ("drag_zoom_out",),
    SubCommand.HOME_POSITION: ("home_position",),
    SubCommand.PTZ_PRECISE: ("ptz_precise",),
    SubCommand.DEVICE_UPGRADE: ("device_upgrade",),
    SubCommand.FORMAT_SD_CARD: ("format_sd_card",),
    SubCommand.TARGET_TRACK: ("target_track", "device_id2", "target_area"),
}


def only_sub_command(control: DeviceControl) -> DeviceControl:
    """Return a control with its one sub-command alone.

    The schema lets several stand in one message; what was not asked of the policy must not ride along.
    """
    kept = {name: getattr(control, name) for name in _FIELDS[control.sub_command]}
    return DeviceControl(sn=control.sn, device_id=control.device_id, **kept)


Place = tuple[str, str, int]
"""Device, channel, and code of the stop: head and lens move and stop apart."""


@dataclass(slots=True)
class _Motion:
    """A camera that somebody set in motion."""

    holder: str
    until: float
    origin: Origin | None
    ending: PtzCommand


@dataclass(slots=True, eq=False)
class _Turn:
    """A command under way or waiting."""

    command: PtzCommand | None
    stale: bool = False
    """A newer one says otherwise: sent late, it would undo that."""


class _Lane:
    """Commands of one channel, one at a time and in order."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.turns: list[_Turn] = []

    def enter(self, channel_id: str, command: PtzCommand | None) -> _Turn:
        """Queue up, in the place of motions that still wait if it moves or stops the same.

        Raises:
            Unavailable: `device_busy`.
        """
        # The first is under way already.
        older = [turn for turn in self.turns[1:] if command and _overrules(command, turn.command)]
        waiting = sum(not turn.stale and turn not in older for turn in self.turns)
        if waiting >= MAX_WAITING and not (command is not None and command.is_stop):
            raise Unavailable("device_busy", f"{waiting} commands wait for {channel_id} already")
        for turn in older:
            turn.stale = True
        self.turns.append(_Turn(command))
        return self.turns[-1]


def _overrules(newer: PtzCommand, older: PtzCommand | None) -> bool:
    """Whether a command that waits need not be sent any more: a motion before another or a stop, a stop before a stop."""
    if older is None or newer.ending != older.ending:
        return False
    if older.is_stop:
        return newer.is_stop
    return older.is_motion and (newer.is_motion or newer.is_stop)


class DeviceControls:
    """Sends DeviceControl to devices and keeps watch over what moves.

    Args:
        devices: The registry.
        signaller: Sends.
        scope: Owner of the stops.
        now: Monotonic seconds.
        hold: Seconds after which a motion is stopped unless it is commanded anew.
    """

    def __init__(
        self,
        *,
        devices: DeviceDirectory,
        signaller: Signaller,
        scope: TaskScope,
        now: Callable[[], float],
        hold: float = 60.0,
    ) -> None:
        self._devices = devices
        self._signaller = signaller
        self._scope = scope
        self._now = now
        self._hold = hold
        self._motions: dict[Place, _Motion] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._changed = asyncio.Event()
        self._stops = 0
        """Stops of our own that are under way."""
        self._quiet = asyncio.Event()
        """Set while there are none."""
        self._quiet.set()

    @property
    def moving(self) -> dict[tuple[str, str], str]:
        """Holder of each camera in motion, by (device, channel)."""
        return {place[:2]: motion.holder for place, motion in self._motions.items()}

    async def ptz(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        command: PtzCommand,
        *,
        hold: float | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Send a PTZ command.

        Args:
            holder: Who moves it; `holder_gone` stops what it moves.
            device_id: The device.
            channel_id: Its channel.
            command: The command.
            hold: Seconds after which a motion is stopped by itself; None: the default.
            origin: Who stands behind it, for a lower platform.

        Raises:
            NotFound: `device_unknown`, `channel_unknown`.
            Conflict: `not_controllable`: a foreign source.
            Unavailable: `device_offline`, `device_unreachable`, `device_refused`, `device_busy`.
        """
        control = DeviceControl(ptz_cmd=command.serialize())
        await self._send(
            holder, device_id, channel_id, control, command=command, hold=hold, origin=origin
        )

    async def control(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        control: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        """Send any control on; a PTZ frame goes byte for byte as it came.

        Returns:
            The device's Result; empty if the command has no answer.

        Raises:
            Invalid: `ptz_invalid`: the frame is none; `control_unknown`: no sub-command that is known.
            NotFound: as `ptz`.
            Unavailable: as `ptz`, and `device_silent` when an answer was due.
        """
        command = None
        if control.sub_command is SubCommand.UNKNOWN:
            raise Invalid("control_unknown", "The control has no sub-command that is known here")
        if control.sub_command is SubCommand.PTZ:
            try:
                command = PtzCommand.parse(control.ptz_cmd)
            except RemoteProtocolError as exc:
                raise Invalid("ptz_invalid", f"PTZCmd cannot be used: {exc}") from exc
        control = only_sub_command(control)
        return await self._send(
            holder, device_id, channel_id, control, command=command, hold=None, origin=origin
        )

    async def key_frame(self, device_id: str, channel_id: str) -> None:
        """Ask a camera for a key frame, for the gateway's own sake.

        Raises:
            NotFound, Conflict, Unavailable: as `ptz`.
        """
        await self.control("gateway", device_id, channel_id, DeviceControl(iframe_cmd="Send"))

    def holder_gone(self, holder: str) -> None:
        """Stop everything a holder set in motion: its link or its connection is gone."""
        for place, motion in list(self._motions.items()):
            if motion.holder == holder:
                self._stop(place, motion, "its sender is gone")

    async def close(self) -> None:
        """Stop everything that moves, for nobody would do it later; bounded by `CLOSE_WAIT`."""
        for place, motion in list(self._motions.items()):
            self._stop(place, motion, "the gateway is stopping")
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._quiet.wait()
        except TimeoutError:
            log.warning("ptz_stops_late", count=self._stops, waited_s=CLOSE_WAIT)

    async def run(self) -> None:
        """Stop motions whose time is up, until cancelled."""
        while True:
            due = min((motion.until for motion in self._motions.values()), default=None)
            wait = None if due is None else max(due - self._now(), 0.0)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                now = self._now()
                for place, motion in list(self._motions.items()):
                    if motion.until <= now:
                        self._stop(place, motion, "nobody stopped it in time")
            self._changed.clear()

    # Inside

    async def _send(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        control: DeviceControl,
        *,
        command: PtzCommand | None,
        hold: float | None,
        origin: Origin | None,
    ) -> str:
        device = self._checked(device_id, channel_id)
        lane = self._lanes.setdefault((device_id, channel_id), _Lane())
        turn = lane.enter(channel_id, command)
        place = (device_id, channel_id, command.ending.code if command is not None else 0)
        moving = self._motions.get(place)
        if command is not None and command.is_motion:
            # Noted before it is sent: one that may have arrived must be stopped, too.
            until = self._now() + min(hold or self._hold, self._hold)
            self._motions[place] = _Motion(holder, until, origin, command.ending)
            self._changed.set()
        try:
            async with lane.lock:
                if turn.stale:
                    return ""
                result = await self._signaller.control(
                    device, channel_id, replace(control, device_id=channel_id), origin=origin
                )
        finally:
            lane.turns.remove(turn)
            if not lane.turns:
                self._lanes.pop((device_id, channel_id), None)
        if command is not None and command.is_stop and self._motions.get(place) is moving:
            # Only now: a stop that did not get through is tried again when the time is up.
            self._motions.pop(place, None)
        return result

    def _checked(self, device_id: str, channel_id: str) -> Device:
        device = self._devices.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id} has ever registered here")
        if channel_id != device_id and self._devices.channel(device_id, channel_id) is None:
            raise NotFound("channel_unknown", f"Device {device_id} has no channel {channel_id}")
        if device.local:
            raise Conflict(
                "not_controllable",
                f"{channel_id} is a foreign source: it cannot be moved or controlled through this gateway",
            )
        return device

    def _stop(self, place: Place, motion: _Motion, why: str) -> None:
        if self._motions.get(place) is motion:
            del self._motions[place]
        log.info(
            "ptz_stopped_by_itself",
            device_id=place[0],
            channel_id=place[1],
            detail=why,
            holder=motion.holder,
        )
        self._stops += 1
        self._quiet.clear()
        self._scope.spawn(self._stop_for_sure(place, motion), name=f"ptz-stop:{place[1]}")

    async def _stop_for_sure(self, place: Place, motion: _Motion) -> None:
        try:
            await self._send_stop(place, motion)
        finally:
            self._stops -= 1
            if not self._stops:
                self._quiet.set()

    async def _send_stop(self, place: Place, motion: _Motion) -> None:
        device_id, channel_id, _ = place
        stop = DeviceControl(ptz_cmd=motion.ending.serialize())
        for attempt in range(STOP_TRIES):
            if place in self._motions:
                # Somebody else moves it now.
                return
            device = self._devices.get(device_id)
            if device is None or not device.online:
                return
            try:
                await self._send(
                    motion.holder,
                    device_id,
                    channel_id,
                    stop,
                    command=motion.ending,
                    hold=None,
                    origin=motion.origin,
                )
            except GatewayError as exc:
                log.warning(
                    "ptz_stop_failed", device_id=device_id, channel_id=channel_id, detail=exc.detail
                )
            else:
                return
            if attempt + 1 < STOP_TRIES:
                await asyncio.sleep(STOP_PAUSE)
