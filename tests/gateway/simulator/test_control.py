"""A simulated device obeys."""

import pytest

from gateway.simulator.control import DeviceControls
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.pan_tilt import Position
from gateway.simulator.quirk import Quirk
from gateway.simulator.roster import Roster
from gateway.simulator.scene import build_channels, device_id_of
from gb28181.manscdp import (
    DeviceControl,
    HomePosition,
    Response,
    SubCommand,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.ptz import PtzCommand
from tests.support.device_site import device_site

DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"


class Site:
    """A device's controls, and what they reach."""

    def __init__(self, *quirks: Quirk, **changes: object) -> None:
        options = SimulatorOptions(channels=2, quirks=frozenset(quirks), **changes)  # type: ignore[arg-type]
        self.now = 0.0
        self.key_frames: list[str] = []
        self.moved: list[str] = []
        self.reboots = 0
        self.controls = DeviceControls(
            options,
            device_id_of(options, 0),
            Roster(build_channels(options, 0)),
            now=lambda: self.now,
            key_frame=self.key_frames.append,
            moved=self.moved.append,
            reboot=self._reboot,
        )

    def _reboot(self) -> None:
        self.reboots += 1

    def order(self, control: DeviceControl, edition: str = "2016") -> Response | None:
        """Give an order as it comes over the wire."""
        content = parse_message(serialize_message(control, edition=edition)).content
        assert isinstance(content, DeviceControl)
        return self.controls.receive(content, "gw-user")


def test_ptz_moves_the_camera_and_is_noted_with_its_frame() -> None:
    site = Site()
    frame = PtzCommand.move(pan=255).serialize()
    assert site.order(DeviceControl(sn=7, device_id=CHANNEL, ptz_cmd=frame)) is None
    site.now = 2.0
    assert site.controls.position(CHANNEL) == Position(120.0, 0.0, 1.0)
    (entry,) = site.controls.log
    assert (entry.channel_id, entry.frame, entry.identity) == (CHANNEL, frame, "gw-user")
    assert entry.command == PtzCommand.move(pan=255)
    assert (entry.sub_command, entry.at, entry.error) == (SubCommand.PTZ, 0.0, "")
    assert site.moved == [CHANNEL]


def test_a_bad_frame_moves_nothing_and_says_why() -> None:
    site = Site()
    site.order(DeviceControl(sn=7, device_id=CHANNEL, ptz_cmd="A50F010000000000"))
    assert site.moved == []
    assert "sum must be" in site.controls.log[0].error
    assert site.controls.log[0].command is None


@pytest.mark.parametrize(
    "control",
    [
        DeviceControl(sn=3, device_id=CHANNEL, record_cmd="Record"),
        DeviceControl(sn=3, device_id=CHANNEL, guard_cmd="SetGuard"),
        DeviceControl(sn=3, device_id=CHANNEL, alarm_cmd="ResetAlarm"),
        DeviceControl(sn=3, device_id=CHANNEL, home_position=HomePosition(enabled=1)),
    ],
    ids=lambda control: control.sub_command.value,
)
def test_what_is_to_be_answered_is_answered(control: DeviceControl) -> None:
    expected = Response(cmd_type="DeviceControl", sn=3, device_id=CHANNEL, result="OK")
    assert Site().order(control) == expected
    refused = Site(Quirk.CONTROL_REFUSED).order(control)
    assert refused is not None
    assert refused.result == "ERROR"
    silent = Site(Quirk.CONTROL_SILENT)
    assert silent.order(control) is None
    assert len(silent.controls.log) == 1


def test_record_guard_and_home_position_are_kept() -> None:
    site = Site()
    site.order(DeviceControl(sn=1, device_id=CHANNEL, record_cmd="Record"))
    site.order(DeviceControl(sn=2, device_id=DEVICE, guard_cmd="SetGuard"))
    home = HomePosition(enabled=1, reset_time=60, preset_index=3)
    site.order(DeviceControl(sn=3, device_id=CHANNEL, home_position=home))
    assert site.controls.recording == {CHANNEL}
    assert site.controls.guarded == {DEVICE}
    assert site.controls.home == {CHANNEL: home}
    site.order(DeviceControl(sn=4, device_id=CHANNEL, record_cmd="StopRecord"))
    site.order(DeviceControl(sn=5, device_id=DEVICE, guard_cmd="ResetGuard"))
    assert (site.controls.recording, site.controls.guarded) == (set(), set())


def test_resetting_alarms_of_the_device_resets_all() -> None:
    site = Site()
    site.controls.alarms |= {DEVICE, CHANNEL}
    site.order(DeviceControl(sn=1, device_id=CHANNEL, alarm_cmd="ResetAlarm"))
    assert site.controls.alarms == {DEVICE}
    site.controls.alarms.add(CHANNEL)
    site.order(DeviceControl(sn=2, device_id=DEVICE, alarm_cmd="ResetAlarm"))
    assert site.controls.alarms == set()


def test_a_channel_nobody_has_is_refused() -> None:
    site = Site()
    stranger = "34020000001320009999"
    answer = site.order(DeviceControl(sn=1, device_id=stranger, record_cmd="Record"))
    assert answer is not None
    assert answer.result == "ERROR"
    site.order(DeviceControl(sn=2, device_id=stranger, ptz_cmd=PtzCommand.move(pan=1).serialize()))
    assert site.moved == []
    assert site.controls.log[-1].error == "no such channel"


@pytest.mark.parametrize(
    ("version", "edition", "frames"),
    [("2.0", "2016", 1), ("2.0", "2022", 0), ("3.0", "2016", 0), ("3.0", "2022", 1)],
)
def test_a_device_may_know_one_spelling_of_the_key_frame_only(
    version: str, edition: str, frames: int
) -> None:
    control = DeviceControl(sn=1, device_id=CHANNEL, iframe_cmd="Send")
    site = Site(Quirk.IFRAME_ONE_SPELLING, gb_version=version)
    assert site.order(control, edition) is None
    assert len(site.key_frames) == frames
    both = Site(gb_version=version)
    both.order(control, edition)
    assert both.key_frames == [CHANNEL]


def test_teleboot_is_not_answered() -> None:
    site = Site()
    assert site.order(DeviceControl(sn=1, device_id=DEVICE, tele_boot="Boot")) is None
    assert site.reboots == 1


def test_after_a_reboot_motors_stand_still() -> None:
    site = Site()
    frame = PtzCommand.move(pan=255).serialize()
    site.order(DeviceControl(sn=1, device_id=CHANNEL, ptz_cmd=frame))
    site.now = 1.0
    site.controls.restart()
    site.now = 9.0
    assert site.controls.position(CHANNEL).pan == 60.0
    assert len(site.controls.log) == 1


def test_the_log_is_bounded() -> None:
    site = Site()
    for number in range(1_100):
        site.order(DeviceControl(sn=number + 1, device_id=DEVICE, guard_cmd="SetGuard"))
    assert len(site.controls.log) == 1_000
    assert site.controls.log[-1].control.sn == 1_100


@pytest.mark.net
async def test_a_control_is_told_to_whoever_listens() -> None:
    async with device_site() as site:
        camera = site.device.channels[0].channel_id
        frame = PtzCommand.move(pan=-0x30, tilt=0x20).serialize()
        assert await site.send(DeviceControl(sn=1, device_id=camera, ptz_cmd=frame)) == 200
        told = [event.detail for event in site.events if event.what == "controlled"]
        assert told == [f"{camera}: PTZCmd {frame}"]
