"""Where a simulated camera looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.pan_tilt import PanTilt, Position
from gateway.simulator.picture import POSITION_LENGTH
from gb28181.manscdp.ptz import PtzCommand


def test_a_motion_goes_on_until_its_stop() -> None:
    motor = PanTilt()
    motor.apply(PtzCommand.move(pan=255, tilt=-255), 10.0)
    assert (motor.moving, motor.position(11.0)) == (True, Position(60.0, -30.0, 1.0))
    motor.apply(PtzCommand.stop(), 11.5)
    assert (motor.moving, motor.position(99.0)) == (False, Position(90.0, -45.0, 1.0))


def test_a_new_motion_begins_where_the_old_one_was() -> None:
    motor = PanTilt()
    motor.apply(PtzCommand.move(pan=-255), 0.0)
    motor.apply(PtzCommand.move(zoom=15), 1.0)
    assert motor.position(2.0) == Position(300.0, 0.0, 3.0)


def test_motors_stop_at_their_limits_and_pan_goes_round() -> None:
    motor = PanTilt()
    motor.apply(PtzCommand.move(pan=255, tilt=255, zoom=15), 0.0)
    assert motor.position(100.0) == Position(6000.0 % 360, 90.0, 20.0)
    motor.apply(PtzCommand.move(tilt=-255, zoom=-15), 100.0)
    assert motor.position(200.0) == Position(6000.0 % 360, -90.0, 1.0)


def test_presets_are_stored_called_and_deleted() -> None:
    motor = PanTilt()
    motor.apply(PtzCommand.move(pan=255), 0.0)
    motor.apply(PtzCommand.preset_set(3), 1.0)
    motor.apply(PtzCommand.stop(), 5.0)
    motor.apply(PtzCommand.preset_call(3), 6.0)
    assert motor.position(7.0).pan == 60.0
    motor.apply(PtzCommand.preset_call(9), 8.0)
    assert motor.position(9.0).pan == 60.0
    motor.apply(PtzCommand.preset_delete(3), 10.0)
    assert motor.presets == {}


def test_the_lens_moves_and_stops() -> None:
    motor = PanTilt()
    motor.apply(PtzCommand.lens(focus=-32, iris=64), 0.0)
    assert (motor.focus, motor.iris) == (-32, 64)
    motor.apply(PtzCommand.lens_stop(), 1.0)
    assert (motor.focus, motor.iris) == (0, 0)
    assert not motor.moving


@pytest.mark.parametrize(
    "command", [PtzCommand.cruise_start(1), PtzCommand.scan_start(0), PtzCommand.aux(1, on=True)]
)
def test_what_the_camera_cannot_do_is_ignored(command: PtzCommand) -> None:
    motor = PanTilt()
    motor.apply(command, 0.0)
    assert motor.position(5.0) == Position()


@given(st.floats(0, 359.9), st.floats(-90, 90), st.floats(1, 20))
def test_the_text_in_the_picture_has_always_the_same_length(
    pan: float, tilt: float, zoom: float
) -> None:
    assert len(Position(pan, tilt, zoom).text) == POSITION_LENGTH
