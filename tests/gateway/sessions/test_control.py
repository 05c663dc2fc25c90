"""Controls: in order, one sub-command each, and no camera that moves for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.signalling import Origin
from gateway.sessions.control import MAX_WAITING, DeviceControls
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.ptz import PtzCommand
from tests.support.sessions import ScriptedDirectory, ScriptedSignaller, device

DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
LEFT = PtzCommand.move(pan=-0x20)
STOP = PtzCommand.stop()


class House:
    def __init__(self, scope: TaskScope, hold: float) -> None:
        self.signaller = ScriptedSignaller()
        self.directory = ScriptedDirectory([device()], [CHANNEL])
        self.controls = DeviceControls(
            devices=self.directory,
            signaller=self.signaller,
            scope=scope,
            now=monotonic,
            hold=hold,
        )

    async def ptz(self, command: PtzCommand, holder: str = "key:k1", **more: float) -> None:
        await self.controls.ptz(holder, DEVICE, CHANNEL, command, **more)  # type: ignore[arg-type]

    @property
    def frames(self) -> list[str]:
        return [control.ptz_cmd for _, _, control in self.signaller.controls]


@asynccontextmanager
async def house(hold: float = 60.0) -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        made = House(scope, hold)
        scope.spawn(made.controls.run(), name="controls")
        yield made
    assert crashes == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Let what was begun come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_motion_goes_out_as_its_frame_and_is_remembered_with_its_holder() -> None:
    async with house() as made:
        await made.ptz(LEFT)
        assert made.frames == [LEFT.serialize()]
        assert made.controls.moving == {(DEVICE, CHANNEL): "key:k1"}
        await made.ptz(STOP)
        assert made.controls.moving == {}


async def test_a_motion_nobody_stops_is_stopped_when_its_time_is_up() -> None:
    async with house() as made:
        await made.ptz(LEFT, hold=0.02)
        await until(lambda: made.frames == [LEFT.serialize(), STOP.serialize()])
        assert made.controls.moving == {}


async def test_a_motion_that_is_commanded_anew_goes_on() -> None:
    async with house() as made:
        await made.ptz(LEFT, hold=0.05)
        for _ in range(6):
            await asyncio.sleep(0.02)
            await made.ptz(LEFT, hold=0.05)
        assert STOP.serialize() not in made.frames
        await until(lambda: made.frames[-1] == STOP.serialize())


async def test_when_its_holder_vanishes_the_camera_stops_and_others_go_on() -> None:
    async with house() as made:
        await made.ptz(LEFT, "platform:A")
        made.controls.holder_gone("platform:B")
        await asyncio.sleep(0.01)
        assert made.frames == [LEFT.serialize()]
        made.controls.holder_gone("platform:A")
        await until(lambda: made.frames == [LEFT.serialize(), STOP.serialize()])


async def test_a_stop_the_camera_does_not_take_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.sessions.control.STOP_PAUSE", 0.01)
    async with house() as made:
        await made.ptz(LEFT, "platform:A")
        made.signaller.error = Unavailable("device_unreachable", "silent")
        made.controls.holder_gone("platform:A")
        await asyncio.sleep(0.005)
        made.signaller.error = None
        await until(lambda: made.frames[-1] == STOP.serialize())


async def test_a_stop_of_its_own_is_not_sent_when_somebody_else_moves_the_camera_meanwhile() -> (
    None
):
    async with house() as made:
        await made.ptz(LEFT, "platform:A")
        made.controls.holder_gone("platform:A")
        right = PtzCommand.move(pan=0x20)
        await made.ptz(right, "platform:B")
        await asyncio.sleep(0.02)
        assert made.frames[-1] == right.serialize()


async def test_a_frame_from_above_goes_on_byte_for_byte() -> None:
    async with house() as made:
        frame = "A50F4D1000001021"
        result = await made.controls.control(
            "platform:A", DEVICE, CHANNEL, DeviceControl(sn=7, device_id="x", ptz_cmd=frame)
        )
        assert result == "OK"
        assert made.frames == [frame]
        assert made.signaller.controls[0][2].device_id == CHANNEL


async def test_a_frame_with_a_wrong_checksum_is_refused_and_not_sent() -> None:
    async with house() as made:
        control = DeviceControl(ptz_cmd="A50F4D1000001022")
        with pytest.raises(Invalid, match="PTZCmd"):
            await made.controls.control("platform:A", DEVICE, CHANNEL, control)
        assert made.frames == []
        assert made.controls.moving == {}


async def test_a_second_sub_command_does_not_ride_along_with_the_one_that_was_allowed() -> None:
    async with house() as made:
        control = DeviceControl(ptz_cmd=LEFT.serialize(), tele_boot="Boot", record_cmd="StopRecord")
        await made.controls.control("platform:A", DEVICE, CHANNEL, control)
        sent = made.signaller.controls[0][2]
        assert sent.ptz_cmd == LEFT.serialize()
        assert (sent.tele_boot, sent.record_cmd) == ("", "")


async def test_unknown_channels_devices_and_controls_have_their_own_errors() -> None:
    async with house() as made:
        with pytest.raises(NotFound, match="channel"):
            await made.controls.ptz("k", DEVICE, "34020000001320000009", LEFT)
        with pytest.raises(NotFound, match="device"):
            await made.controls.ptz("k", "34020000001180000009", CHANNEL, LEFT)
        with pytest.raises(Invalid, match="sub-command"):
            await made.controls.control("k", DEVICE, CHANNEL, DeviceControl())


async def test_commands_of_one_channel_wait_in_order_and_not_without_end() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        commands = [PtzCommand.preset_call(number + 1) for number in range(MAX_WAITING)]
        async with asyncio.TaskGroup() as group:
            for command in commands:
                group.create_task(made.ptz(command))
            await settled()
            for refused in (PtzCommand.preset_call(99), LEFT):
                with pytest.raises(Unavailable, match="wait for"):
                    await made.ptz(refused)
            assert made.controls.moving == {}
            # A camera that moves can always be stopped.
            group.create_task(made.ptz(STOP))
            await settled()
            made.signaller.hold.set()
        assert made.frames == [command.serialize() for command in [*commands, STOP]]


async def test_a_joystick_faster_than_its_camera_is_not_followed_late_but_stopped_in_time() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        moves = [PtzCommand.move(pan=number) for number in range(1, 3 * MAX_WAITING)]
        preset, focus = PtzCommand.preset_set(1), PtzCommand.lens(focus=1)
        async with asyncio.TaskGroup() as group:
            for command in (*moves[:5], preset, focus, *moves[5:], STOP):
                group.create_task(made.ptz(command))
                await settled()
            made.signaller.hold.set()
        # The first was under way; what neither moves nor stops the head keeps its place.
        sent = [moves[0], preset, focus, STOP]
        assert made.frames == [command.serialize() for command in sent]
        assert set(made.controls.moving) == {(DEVICE, CHANNEL)}
        await made.ptz(PtzCommand.lens_stop())
        assert made.controls.moving == {}


async def test_a_stop_is_sent_before_the_motion_that_follows_it() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        commands = [PtzCommand.cruise_start(1), STOP, LEFT]
        async with asyncio.TaskGroup() as group:
            for command in commands:
                group.create_task(made.ptz(command))
            await settled()
            made.signaller.hold.set()
        assert made.frames == [command.serialize() for command in commands]


async def test_a_motion_whose_stop_did_not_get_through_is_stopped_when_its_time_is_up() -> None:
    async with house() as made:
        await made.ptz(LEFT, hold=0.05)
        made.signaller.error = Unavailable("device_unreachable", "silent")
        with pytest.raises(Unavailable, match="silent"):
            await made.ptz(STOP)
        made.signaller.error = None
        await until(lambda: made.frames == [LEFT.serialize(), STOP.serialize()])
        assert made.controls.moving == {}


async def test_a_stop_of_its_own_does_not_overtake_the_motion_it_ends() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(made.ptz(LEFT, "platform:A"))
            await settled()
            made.controls.holder_gone("platform:A")
            await settled()
            made.signaller.hold.set()
        await until(lambda: made.frames == [LEFT.serialize(), STOP.serialize()])


async def test_stopping_the_lens_leaves_the_head_under_watch() -> None:
    async with house() as made:
        await made.ptz(LEFT, "platform:A")
        await made.ptz(PtzCommand.lens(focus=1), "platform:A")
        await made.ptz(PtzCommand.lens_stop(), "platform:A")
        made.controls.holder_gone("platform:A")
        await until(lambda: made.frames[-1] == STOP.serialize())


async def test_who_stands_behind_a_control_is_told_to_the_signaller() -> None:
    async with house() as made:
        origin = Origin(identity="1-2-user")
        await made.controls.ptz("k", DEVICE, CHANNEL, LEFT, origin=origin)
        assert made.signaller.origins == [origin]


async def test_at_the_end_every_camera_that_moves_is_stopped_before_the_gateway_goes() -> None:
    async with house() as made:
        await made.ptz(LEFT)
        await made.controls.close()
        assert made.frames == [LEFT.serialize(), STOP.serialize()]
        assert made.controls.moving == {}


async def test_the_end_waits_for_stops_that_are_under_way_already() -> None:
    async with house() as made:
        await made.ptz(LEFT, "platform:A")
        made.signaller.hold = asyncio.Event()
        made.controls.holder_gone("platform:A")
        asyncio.get_running_loop().call_later(0.02, made.signaller.hold.set)
        await made.controls.close()
        assert made.frames == [LEFT.serialize(), STOP.serialize()]


async def test_a_camera_that_does_not_answer_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.sessions.control.CLOSE_WAIT", 0.02)
    async with house() as made:
        await made.ptz(LEFT)
        made.signaller.hold = asyncio.Event()
        async with asyncio.timeout(2):
            await made.controls.close()
        assert made.frames == [LEFT.serialize()]


async def test_a_key_frame_is_asked_for_in_the_gateway_s_own_name() -> None:
    async with house() as made:
        await made.controls.key_frame(DEVICE, CHANNEL)
        [(device_id, channel_id, control)] = made.signaller.controls
        assert (device_id, channel_id, control.iframe_cmd) == (DEVICE, CHANNEL, "Send")
        assert made.controls.moving == {}
