"""Controls of upper platforms: mapped, asked of the policy, passed on, answered under their own SN."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.cascade.control import MAX_CONTROLS, MAX_STOPS, ControlDesk, action_of
from gateway.cascade.ports import UpperRequester
from gateway.domain.device import Channel
from gateway.domain.errors import Unavailable
from gateway.domain.policy import Action, Subject
from gateway.sessions.control import DeviceControls
from gateway.sharing.identity import IdentityGate
from gateway.sharing.policy.model import Policy
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.flow.identity import MonitorIdentity
from gb28181.manscdp.control import DeviceControl, DeviceUpgrade, DragZoom, HomePosition
from gb28181.manscdp.ptz import PtzCommand
from gb28181.manscdp.response import Response
from tests.support.cascade import UPPER, FakeLink, OpenPolicy, fixed_now
from tests.support.sessions import ScriptedDirectory, ScriptedSignaller, device

OWN = "37132600002000000001"
DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
SHARED = "37132600001320000009"
FRAME = "A50F4D1000001021"


class House:
    def __init__(self, scope: TaskScope) -> None:
        self.signaller = ScriptedSignaller()
        self.directory = ScriptedDirectory([device()], [CHANNEL])
        self.access = OpenPolicy()
        self.link = FakeLink()
        self.controls = DeviceControls(
            devices=self.directory, signaller=self.signaller, scope=scope, now=monotonic
        )
        self.desk = ControlDesk(
            identities=IdentityGate(OWN, Policy),
            controls=self.controls,
            access=self.access,
            views=lambda platform_id: self if platform_id == UPPER else None,
            scope=scope,
            wall=fixed_now,
        )

    def resolve(self, shared_id: str) -> Channel | None:
        return self.directory.channel(DEVICE, CHANNEL) if shared_id == SHARED else None

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        return "not_shared", "never given"

    def control(self, control: DeviceControl, identity: MonitorIdentity | None = None) -> int:
        requester = UpperRequester(
            platform_id=UPPER,
            subject=Subject(platform=UPPER),
            source="127.0.0.1",
            identity=identity,
        )
        return self.desk.control(self.link, requester, control)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        yield House(scope)
    assert crashes == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_ptz_frame_reaches_the_camera_under_its_own_code_and_has_no_answer() -> None:
    async with house() as made:
        assert made.control(DeviceControl(sn=9, device_id=SHARED, ptz_cmd=FRAME)) == 200
        await until(lambda: bool(made.signaller.controls))
        device_id, channel_id, sent = made.signaller.controls[0]
        assert (device_id, channel_id) == (DEVICE, CHANNEL)
        assert (sent.device_id, sent.ptz_cmd) == (CHANNEL, FRAME)
        assert made.link.sent == []
        assert made.access.checked[0].action is Action.PTZ
        assert made.access.checked[0].object_id == SHARED
        assert FRAME in made.access.checked[0].detail


@pytest.mark.parametrize(("said", "result"), [("OK", "OK"), ("ERROR", "ERROR"), ("", "ERROR")])
async def test_the_cameras_result_goes_up_under_the_original_sn_and_code(
    said: str, result: str
) -> None:
    async with house() as made:
        made.signaller.result = said
        control = DeviceControl(sn=77, device_id=SHARED, guard_cmd="SetGuard")
        assert made.control(control) == 200
        await until(lambda: bool(made.link.sent))
        answer = made.link.sent[0]
        assert isinstance(answer, Response)
        assert (answer.sn, answer.device_id, answer.result) == (77, SHARED, result)
        assert answer.cmd_type == "DeviceControl"


async def test_a_silent_camera_is_an_error_above_and_stands_in_the_timeline() -> None:
    async with house() as made:
        made.signaller.error = Unavailable("device_silent", "no answer in 10 s")
        made.control(DeviceControl(sn=1, device_id=SHARED, record_cmd="Record"))
        await until(lambda: bool(made.link.sent))
        answer = made.link.sent[0]
        assert isinstance(answer, Response)
        assert (answer.result, answer.reason) == ("ERROR", "device_silent")
        assert "no answer" in made.link.notes[0][1]


async def test_a_code_never_given_is_404_and_recorded() -> None:
    async with house() as made:
        assert made.control(DeviceControl(device_id=CHANNEL, ptz_cmd=FRAME)) == 404
        assert made.access.refused[0][1] == "not_shared"
        assert made.signaller.controls == []


async def test_a_denied_control_is_403() -> None:
    async with house() as made:
        made.access.denied.add(Action.PTZ)
        assert made.control(DeviceControl(device_id=SHARED, ptz_cmd=FRAME)) == 403
        assert made.control(DeviceControl(device_id=SHARED, iframe_cmd="Send")) == 200


@pytest.mark.parametrize(
    "control",
    [
        DeviceControl(device_id=SHARED, format_sd_card=0),
        DeviceControl(
            device_id=SHARED,
            device_upgrade=DeviceUpgrade(
                firmware="1", file_url="http://x/f", manufacturer="m", session_id="s" * 32
            ),
        ),
    ],
)
async def test_foreign_firmware_and_formatted_cards_are_never_passed_on(
    control: DeviceControl,
) -> None:
    async with house() as made:
        assert made.control(control) == 403
        assert [reason for _, reason in made.access.refused] == ["never_shared"]
        assert made.signaller.controls == []


async def test_the_second_camera_of_a_target_track_is_mapped_or_refused() -> None:
    async with house() as made:
        track = DeviceControl(device_id=SHARED, target_track="Auto", device_id2=CHANNEL)
        assert made.control(track) == 404
        assert made.control(replace(track, device_id2=SHARED)) == 200
        await until(lambda: bool(made.signaller.controls))
        assert made.signaller.controls[0][2].device_id2 == CHANNEL


async def test_every_refused_control_is_on_record_once() -> None:
    async with house() as made:
        frame = DeviceControl(device_id=SHARED, ptz_cmd=FRAME)
        assert made.control(frame, MonitorIdentity((UPPER, OWN), "user")) == 482
        assert made.control(DeviceControl(device_id=CHANNEL, ptz_cmd=FRAME)) == 404
        assert [reason for _, reason in made.access.refused] == ["identity_loop", "not_shared"]


async def test_a_looped_control_is_482() -> None:
    async with house() as made:
        looped = MonitorIdentity((UPPER, OWN), "user")
        assert made.control(DeviceControl(device_id=SHARED, ptz_cmd=FRAME), looped) == 482


async def test_when_the_platform_goes_offline_its_motion_stops() -> None:
    async with house() as made:
        left = PtzCommand.move(pan=-0x20)
        made.control(DeviceControl(device_id=SHARED, ptz_cmd=left.serialize()))
        await until(lambda: bool(made.signaller.controls))
        made.desk.platform_offline(UPPER)
        await until(lambda: len(made.signaller.controls) == 2)
        assert made.signaller.controls[1][2].ptz_cmd == left.ending.serialize()


async def test_a_flood_of_controls_is_refused_and_harms_nobody_later() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        control = DeviceControl(device_id=SHARED, iframe_cmd="Send")
        statuses = [made.control(control) for _ in range(MAX_CONTROLS + 5)]
        assert statuses.count(200) == MAX_CONTROLS
        assert statuses[-5:] == [486] * 5
        made.signaller.hold.set()
        await until(lambda: made.control(control) == 200)


async def test_a_stop_is_taken_though_too_many_others_are_under_way() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        key_frame = DeviceControl(device_id=SHARED, iframe_cmd="Send")
        stop = DeviceControl(device_id=SHARED, ptz_cmd=PtzCommand.stop().serialize())
        moving = DeviceControl(device_id=SHARED, ptz_cmd=FRAME)
        assert {made.control(key_frame) for _ in range(MAX_CONTROLS)} == {200}
        assert made.control(moving) == 486
        statuses = [made.control(stop) for _ in range(MAX_STOPS)]
        assert statuses.count(200) == MAX_STOPS - MAX_CONTROLS
        assert statuses[-1] == 486
        made.signaller.hold.set()
        await until(lambda: made.control(key_frame) == 200)
        assert any(sent.ptz_cmd == stop.ptz_cmd for _, _, sent in made.signaller.controls)


async def test_the_identity_goes_on_with_our_code_in_front() -> None:
    async with house() as made:
        made.control(
            DeviceControl(device_id=SHARED, ptz_cmd=FRAME), MonitorIdentity((UPPER,), "u|x")
        )
        await until(lambda: bool(made.signaller.origins))
        origin = made.signaller.origins[0]
        assert origin is not None
        assert origin.identity == f"{OWN}-{UPPER}-u|x"


@pytest.mark.parametrize(
    ("control", "action"),
    [
        (DeviceControl(ptz_cmd=FRAME), Action.PTZ),
        (DeviceControl(drag_zoom_in=DragZoom()), Action.PTZ),
        (DeviceControl(iframe_cmd="Send"), Action.LIVE),
        (DeviceControl(tele_boot="Boot"), Action.CONFIG),
        (DeviceControl(record_cmd="Record"), Action.CONFIG),
        (DeviceControl(guard_cmd="SetGuard"), Action.CONFIG),
        (DeviceControl(alarm_cmd="ResetAlarm"), Action.CONFIG),
        (DeviceControl(home_position=HomePosition(enabled=1)), Action.CONFIG),
        (DeviceControl(format_sd_card=1), Action.CONFIG),
        (DeviceControl(), Action.CONFIG),
    ],
)
def test_every_control_needs_a_right(control: DeviceControl, action: Action) -> None:
    assert action_of(control) is action
