"""What an answer to REGISTER says about time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.link_times import Registered
from gb28181.sip.header.date import serialize_gb_date
from gb28181.sip.message import Headers, Response

WALL = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)


def read(*headers: tuple[str, str], round_trip: float = 0.0) -> Registered:
    return Registered.read(Response(200, "OK", Headers(headers)), wall=WALL, round_trip=round_trip)


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("2026-11-21T10:15:00.000", 0.0),
        ("2026-11-21T10:15:02.500", 2.5),
        ("2026-11-21T02:15:00", -28_800.0),
        ("Sat, 21 Nov 2026 02:14:00 GMT", -60.0),
        ("2026-11-21T10:15:00Z", 28_800.0),
        ("tomorrow", None),
        ("9999-99-99T99:99:99", None),
    ],
)
def test_the_difference_of_the_clocks(date: str, offset: float | None) -> None:
    assert read(("Date", date)).clock_offset == offset


def test_a_difference_within_what_the_way_took_is_none() -> None:
    date = serialize_gb_date(WALL - timedelta(seconds=2))
    slow = read(("Date", date), round_trip=4.0)
    assert slow.clock_offset == 0.0
    late = read(("Date", serialize_gb_date(WALL + timedelta(seconds=0.9))), round_trip=4.0)
    assert late.remarks(0.0, before=None) == []


def test_a_difference_is_remarked_on_once() -> None:
    ahead = read(("Date", serialize_gb_date(WALL + timedelta(seconds=90))))
    assert ahead.remarks(0.0, before=None) == ["Its clock is 90.0 s ahead of ours"]
    assert ahead.remarks(0.0, before=89.5) == []
    assert ahead.remarks(0.0, before=80.0) == ["Its clock is 90.0 s ahead of ours"]


def test_what_was_granted_is_remarked_on_if_it_cannot_be_taken() -> None:
    assert read(("Expires", "1")).remarks(60.0, before=None) == ["It grants 1 s, taken as 60 s"]
    assert read(("Expires", "3600")).remarks(3600.0, before=None) == []
    assert read().remarks(86_400.0, before=None) == []
    assert read().said is None


@given(st.text(max_size=60))
def test_no_date_breaks_anything(text: str) -> None:
    registered = read(("Date", text))
    assert registered.clock_offset is None or isinstance(registered.clock_offset, float)
