"""Windows by the clock on the wall: weeks, midnight, summer time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recording.week import RecordWeek

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "Asia/Shanghai") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-02T07:59:59", False),
        ("2026-03-02T08:00:00", True),
        ("2026-03-06T17:59:59", True),
        ("2026-03-06T18:00:00", False),
        ("2026-03-07T12:00:00", False),
    ],
)
def test_a_window_holds_on_its_days_between_its_times(moment: str, is_open: bool) -> None:
    week = RecordWeek.parse(["Mon-Fri 08:00-18:00"], "Asia/Shanghai")
    assert week.is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-01T21:59:59", False),
        ("2026-03-01T22:00:00", True),
        ("2026-03-01T23:59:59", True),
        # Sunday's window goes on into Monday of the next week.
        ("2026-03-02T00:00:00", True),
        ("2026-03-02T05:59:59", True),
        ("2026-03-02T06:00:00", False),
        ("2026-03-02T22:30:00", False),
    ],
)
def test_a_window_that_ends_before_it_begins_goes_past_midnight(moment: str, is_open: bool) -> None:
    week = RecordWeek.parse(["Sun 22:00-06:00"], "Asia/Shanghai")
    assert week.is_open(at(moment)) is is_open


def hours_open(week: RecordWeek, day: str, zone: str) -> float:
    begin = at(f"{day}T00:00:00", zone)
    end = at((datetime.fromisoformat(day) + timedelta(days=1)).isoformat(), zone)
    minutes = range(int((end - begin).total_seconds()) // 60)
    return sum(week.is_open(begin + timedelta(minutes=minute)) for minute in minutes) / 60


def test_summer_time_makes_a_window_shorter_once_and_longer_once() -> None:
    week = RecordWeek.parse(["daily 01:00-04:00"], BERLIN)
    # 02:00 to 03:00 does not exist on the first day and exists twice on the last.
    assert hours_open(week, "2026-03-29", BERLIN) == 2
    assert hours_open(week, "2026-03-30", BERLIN) == 3
    assert hours_open(week, "2026-10-25", BERLIN) == 4


def test_a_window_in_the_hour_that_summer_time_leaves_out_is_not_open_that_day() -> None:
    week = RecordWeek.parse(["daily 02:00-03:00"], BERLIN)
    assert hours_open(week, "2026-03-29", BERLIN) == 0
    assert hours_open(week, "2026-10-25", BERLIN) == 2


@given(st.integers(1_577_836_800, 2_051_222_400))
def test_the_whole_week_is_always_open_in_any_zone(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    for zone in (BERLIN, "America/St_Johns", "Asia/Shanghai"):
        assert RecordWeek.parse(["daily 00:00-24:00"], zone).is_open(moment)
        assert not RecordWeek.parse([], zone).is_open(moment)


@pytest.mark.parametrize(
    ("windows", "zone"),
    [
        (["Mon 08:00-08:00"], BERLIN),
        (["Mo 08:00-09:00"], BERLIN),
        (["daily 25:00-26:00"], BERLIN),
        (["daily 00:00-24:00"], "Europe/Atlantis"),
        (["daily 00:00-24:00"], "../../etc/passwd"),
        (["daily 00:00-24:00"], ""),
        (["daily 00:00-24:00"], "Europe"),
        (["daily 00:00-24:00"] * 33, BERLIN),
    ],
)
def test_what_makes_no_sense_is_refused(windows: list[str], zone: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RecordWeek.parse(windows, zone)
