"""PTZ frames."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, RemoteProtocolError
from gb28181.manscdp.ptz import PtzAction, PtzCommand

VECTORS = Path(__file__).parents[2] / "vectors" / "ptz_vectors.csv"
ROWS = list(csv.DictReader(VECTORS.read_text(encoding="utf-8").splitlines()))
GOOD = [row for row in ROWS if row["category"] != "bad"]
BAD = [row for row in ROWS if row["category"] == "bad"]

BYTES = st.integers(0, 255)


def test_the_vectors_are_all_there() -> None:
    assert (len(GOOD), len(BAD)) == (98, 10)


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row["id"])
def test_every_vector_is_read_and_written_back(row: dict[str, str]) -> None:
    command = PtzCommand.parse(row["hex"])
    assert command.code == int(row["byte4_cmd_hex"], 16)
    assert command.data1 == int(row["byte5_data1"])
    assert command.data2 == int(row["byte6_data2"])
    assert command.data3 == int(row["byte7_data3_nibble"])
    assert command.address == int(row["address"])
    assert command.serialize() == row["hex"]
    built = PtzCommand(
        code=int(row["byte4_cmd_hex"], 16),
        data1=int(row["byte5_data1"]),
        data2=int(row["byte6_data2"]),
        data3=int(row["byte7_data3_nibble"]),
        address=int(row["address"]),
    )
    assert built == command
    assert command.action is not PtzAction.UNKNOWN


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0, "sum must be E9"),
        (1, "16 hexadecimal digits"),
        (2, "byte 2 must be 0F"),
        (3, "start with A5"),
        (4, "right and left at once"),
        (5, "up and down at once"),
        (6, "zoom in and zoom out at once"),
        (7, "focus far and focus near at once"),
        (8, "needs a preset from 1 to 255"),
        (9, "16 hexadecimal digits"),
    ],
)
def test_every_invalid_vector_is_refused_with_its_reason(number: int, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        PtzCommand.parse(BAD[number]["hex"])


MADE: dict[str, Callable[[], PtzCommand]] = {
    "stop": PtzCommand.stop,
    "pan right, horizontal speed 31": lambda: PtzCommand.move(pan=31),
    "pan left, horizontal speed 255": lambda: PtzCommand.move(pan=-255),
    "tilt down, vertical speed 128": lambda: PtzCommand.move(tilt=-128),
    "tilt up, vertical speed 1": lambda: PtzCommand.move(tilt=1),
    "down left, full speed": lambda: PtzCommand.move(pan=-255, tilt=-255),
    "up right, horizontal 64, vertical 32": lambda: PtzCommand.move(pan=64, tilt=32),
    "zoom in, speed nibble 8": lambda: PtzCommand.move(zoom=8),
    "zoom out, speed nibble 15": lambda: PtzCommand.move(zoom=-15),
    "right 32 + up 16 + zoom out 4 together": lambda: PtzCommand.move(pan=32, tilt=16, zoom=-4),
    "left 32 + down 16 + zoom in 15 together": lambda: PtzCommand.move(pan=-32, tilt=-16, zoom=15),
    "iris and focus stop": PtzCommand.lens_stop,
    "focus far, speed 128": lambda: PtzCommand.focus(128),
    "focus near, speed 1": lambda: PtzCommand.focus(-1),
    "iris open (放大), speed 255": lambda: PtzCommand.iris(255),
    "iris close (缩小), speed 128": lambda: PtzCommand.iris(-128),
    "iris close 64 + focus far 32": lambda: PtzCommand.lens(focus=32, iris=-64),
    "iris open 64 + focus near 32": lambda: PtzCommand.lens(focus=-32, iris=64),
    "set preset 128": lambda: PtzCommand.preset_set(128),
    "call preset 255": lambda: PtzCommand.preset_call(255),
    "delete preset 1": lambda: PtzCommand.preset_delete(1),
    "group 1: append preset 3": lambda: PtzCommand.cruise_add(1, 3),
    "group 1: remove preset 3": lambda: PtzCommand.cruise_remove(1, 3),
    "group 1: preset byte 0 removes the whole cruise": lambda: PtzCommand.cruise_remove(1, 0),
    "group 1: speed 4095 (12-bit maximum)": lambda: PtzCommand.cruise_speed(1, 4095),
    "group 1: dwell 300 s (012CH: low byte 2C, high nibble 1)": lambda: PtzCommand.cruise_dwell(
        1, 300
    ),
    "group 255: start": lambda: PtzCommand.cruise_start(255),
    "group 1: start automatic scan": lambda: PtzCommand.scan_start(1),
    "group 1: set left edge here": lambda: PtzCommand.scan_left_edge(1),
    "group 0: set right edge here": lambda: PtzCommand.scan_right_edge(0),
    "group 1: scan speed 1000 (3E8H: low byte E8, high nibble 3)": lambda: PtzCommand.scan_speed(
        1, 1000
    ),
    "wiper on / analogue value +1 step": lambda: PtzCommand.aux(1, on=True),
    "switch 255 off / analogue value -1 step": lambda: PtzCommand.aux(255, on=False),
}


@pytest.mark.parametrize("meaning", MADE)
def test_the_constructors_make_the_frames_of_the_vectors(meaning: str) -> None:
    (row,) = [row for row in GOOD if row["meaning"].split(";")[0] in {meaning, _first(meaning)}]
    assert MADE[meaning]().serialize() == row["hex"]


def _first(meaning: str) -> str:
    return "all PTZ motion stops" if meaning == "stop" else meaning


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("A50F0100000000B5", "stop"),
        ("A50F01292010404E", "right 32, up 16, zoom out 4"),
        ("A50F0140000000F5", "stop focus and iris"),
        ("A50F01492040005E", "focus far 32, iris close 64"),
        ("A50F018100010037", "set preset 1"),
        ("A50F01850100003B", "delete cruise 1"),
        ("A50F01850103003E", "remove preset 3 from cruise 1"),
        ("A50F0187012C1079", "set dwell time of cruise 1 to 300 s"),
        ("A50F018901020041", "set right edge of scan 1"),
        ("A50F018C01000042", "switch 1 on"),
        ("A50F01C001020078", "command C0 (1, 2, 0)"),
    ],
)
def test_a_frame_is_said_in_words(frame: str, words: str) -> None:
    assert PtzCommand.parse(frame).describe() == words


def test_every_action_of_the_vectors_has_words() -> None:
    assert all(PtzCommand.parse(row["hex"]).describe() for row in GOOD)


def test_speeds_carry_their_direction() -> None:
    command = PtzCommand.move(pan=-7, tilt=9, zoom=-3)
    assert (command.pan, command.tilt, command.zoom) == (-7, 9, -3)
    preset = PtzCommand.preset_call(9)
    assert (preset.pan, preset.tilt, preset.zoom) == (0, 0, 0)
    assert PtzCommand.cruise_dwell(2, 300).value == 300


@pytest.mark.parametrize(
    ("command", "motion", "stop"),
    [
        (PtzCommand.move(pan=1), True, False),
        (PtzCommand.lens(focus=-1), True, False),
        (PtzCommand.stop(), False, True),
        (PtzCommand.lens_stop(), False, True),
        (PtzCommand.move(), False, True),
        (PtzCommand.preset_call(1), False, False),
        (PtzCommand.cruise_start(1), False, False),
    ],
)
def test_only_what_would_go_on_for_ever_is_a_motion(
    command: PtzCommand, motion: bool, stop: bool
) -> None:
    assert (command.is_motion, command.is_stop) == (motion, stop)


def test_each_motion_has_the_stop_that_ends_it() -> None:
    assert PtzCommand.move(zoom=1).ending == PtzCommand.stop()
    assert PtzCommand.iris(1).ending == PtzCommand.lens_stop()
    assert PtzCommand(code=0x02, data1=1, address=0x123).ending.address == 0x123


def test_lower_case_and_blanks_are_read() -> None:
    assert PtzCommand.parse(" a50f01094020001e\n") == PtzCommand.move(pan=64, tilt=32)


def test_bytes_without_a_meaning_are_kept_for_whoever_knows_them() -> None:
    # A pan that also carries a tilt speed, as senders with one speed for both write it.
    frame = "A50F01021F1F00F5"
    command = PtzCommand.parse(frame)
    assert (command.pan, command.tilt) == (-31, 0)
    assert command.serialize() == frame


@pytest.mark.parametrize(
    "make",
    [
        lambda: PtzCommand.move(pan=256),
        lambda: PtzCommand.move(tilt=-256),
        lambda: PtzCommand.move(zoom=16),
        lambda: PtzCommand.focus(300),
        lambda: PtzCommand.preset_set(0),
        lambda: PtzCommand.preset_call(256),
        lambda: PtzCommand.cruise_add(256, 1),
        lambda: PtzCommand.cruise_speed(1, 4096),
        lambda: PtzCommand.scan_speed(1, -1),
        lambda: PtzCommand(code=1, address=4096),
        lambda: PtzCommand(code=256),
    ],
)
def test_values_that_do_not_fit_are_refused(make: Callable[[], PtzCommand]) -> None:
    with pytest.raises(LocalProtocolError, match="must be from"):
        make()


@given(BYTES, BYTES, BYTES, st.integers(0, 15), st.integers(0, 4095))
def test_any_frame_that_is_accepted_is_written_back_as_it_came(
    code: int, data1: int, data2: int, data3: int, address: int
) -> None:
    command = PtzCommand(code=code, data1=data1, data2=data2, data3=data3, address=address)
    text = command.serialize()
    try:
        again = PtzCommand.parse(text)
    except RemoteProtocolError:
        return
    assert again == command
    assert again.describe()
    assert not (again.is_motion and again.is_stop)


@given(st.text(max_size=20) | st.binary(min_size=8, max_size=8).map(bytes.hex))
def test_any_text_is_a_frame_or_refused(text: str) -> None:
    try:
        command = PtzCommand.parse(text)
    except RemoteProtocolError:
        return
    assert command.serialize() == text.strip().upper()


@given(st.sampled_from(GOOD), st.integers(0, 63))
def test_a_flipped_bit_is_noticed(row: dict[str, str], bit: int) -> None:
    frame = int(row["hex"], 16) ^ (1 << bit)
    with pytest.raises(RemoteProtocolError):
        PtzCommand.parse(f"{frame:016X}")
