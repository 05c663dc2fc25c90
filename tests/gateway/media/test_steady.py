"""Damaged headers and real changes of AAC."""

from gateway.media.steady import SteadyAac
from tests.support.samples import adts

FIRST, SECOND, THIRD = adts(16_000), adts(44_100), adts(8_000)


def admitted(*payloads: bytes) -> list[bool]:
    steady = SteadyAac()
    return [steady.admits(payload) for payload in payloads]


def test_one_other_header_is_damage() -> None:
    assert admitted(FIRST, SECOND, FIRST, FIRST) == [True, False, True, True]


def test_damage_that_differs_each_time_is_no_change() -> None:
    assert admitted(FIRST, SECOND, THIRD, SECOND, FIRST) == [True, False, False, False, True]


def test_two_in_a_row_are_a_change_that_costs_one_unit() -> None:
    assert admitted(FIRST, SECOND, SECOND, SECOND) == [True, False, True, True]
    assert admitted(FIRST, SECOND, SECOND, FIRST, FIRST) == [True, False, True, False, True]


def test_what_is_no_header_is_left_to_others() -> None:
    assert admitted(FIRST, b"", b"\xff", b"\x00" * 20, FIRST) == [True] * 5
