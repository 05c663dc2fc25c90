"""Weekly windows in China's time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.policy.window import CHINA, WeeklyWindows

# 2026-11-23 is a Monday.


def _open(text: str, at: str) -> bool:
    moment = datetime.fromisoformat(at).replace(tzinfo=CHINA)
    return WeeklyWindows.parse([text]).is_open(moment.timestamp())


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Mon-Fri 08:00-18:00", "2026-11-23T08:00:00", "2026-11-23T07:59:59"),
        ("Mon-Fri 08:00-18:00", "2026-11-27T17:59:59", "2026-11-27T18:00:00"),
        ("Mon-Fri 08:00-18:00", "2026-11-25T12:00:00", "2026-11-28T12:00:00"),
        ("Sat,Sun 00:00-24:00", "2026-11-29T23:59:59", "2026-11-30T00:00:00"),
        ("Fri-Mon 10:00-11:00", "2026-11-29T10:30:00", "2026-11-24T10:30:00"),
        ("Sun 22:00-06:00", "2026-11-30T05:59:59", "2026-11-30T06:00:00"),
        ("Sun 22:00-06:00", "2026-11-29T22:00:00", "2026-11-29T05:00:00"),
        ("daily 23:00-00:00", "2026-11-25T23:30:00", "2026-11-26T00:00:00"),
        ("周一-周五 08:00-18:00", "2026-11-23T08:00:00", "2026-11-28T08:00:00"),
        ("每天 08:00 - 09:00", "2026-11-28T08:30:00", "2026-11-28T09:30:00"),
        ("mon , WED 08:00-09:00", "2026-11-25T08:30:00", "2026-11-24T08:30:00"),
    ],
)
def test_a_window_holds_from_its_begin_up_to_but_not_at_its_end(
    text: str, inside: str, outside: str
) -> None:
    assert _open(text, inside)
    assert not _open(text, outside)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mon-Fri", "expected a window such as"),
        ("Mon-Fri 8:00-18:00", "expected a window such as"),
        ("Mon-Fry 08:00-18:00", "expected days such as Mon"),
        ("Mon- 08:00-18:00", "expected days such as Mon"),
        ("Mon-Fri 08:00-08:00", "is empty"),
        ("Mon-Fri 24:00-06:00", "is empty"),
        ("Mon 08:60-18:00", "expected times from 00:00 to 24:00, got 08:60"),
        ("Mon 08:00-24:01", "expected times from 00:00 to 24:00, got 24:01"),
        ("Mon ٠٨:00-18:00", "expected a window such as"),
        ("", "expected a window such as"),
        (",".join("a" * 30) + " x", "expected a window such as"),
    ],
)
def test_what_is_no_window_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WeeklyWindows.parse([text])


def test_the_next_edge_is_the_next_opening_or_closing() -> None:
    windows = WeeklyWindows.parse(["Mon-Fri 08:00-18:00"])
    friday_evening = datetime(2026, 11, 27, 18, tzinfo=CHINA).timestamp()
    monday_morning = datetime(2026, 11, 30, 8, tzinfo=CHINA).timestamp()
    assert windows.next_edge(friday_evening) == monday_morning
    assert windows.next_edge(friday_evening - 1) == friday_evening
    assert windows.next_open(friday_evening) == monday_morning
    assert windows.next_open(monday_morning) == monday_morning


@pytest.mark.parametrize("text", ["daily 00:00-24:00", "daily 06:00-05:59"])
def test_windows_that_meet_have_no_edge_between_them(text: str) -> None:
    windows = WeeklyWindows.parse([text, "daily 05:00-07:00"])
    assert windows.is_open(0)
    assert windows.next_edge(0) is None


_TIMES = st.tuples(st.integers(0, 23), st.integers(0, 59))
_WINDOWS = st.lists(
    st.builds(
        lambda days, a, b: f"{days} {a[0]:02}:{a[1]:02}-{b[0]:02}:{b[1]:02}",
        st.sampled_from(["Mon", "Mon-Fri", "Sat,Sun", "daily", "Sun", "Fri-Mon"]),
        _TIMES,
        _TIMES,
    ).filter(lambda text: text.split()[1].split("-")[0] != text.split()[1].split("-")[1]),
    min_size=1,
    max_size=4,
)


@given(_WINDOWS, st.integers(1_700_000_000, 1_900_000_000))
def test_windows_hold_minute_by_minute_as_a_plain_reading_says_and_change_at_the_edge_told(
    texts: list[str], at: int
) -> None:
    windows = WeeklyWindows.parse(texts)
    assert windows.is_open(at) == any(_plainly_open(text, at) for text in texts)
    edge = windows.next_edge(at)
    if edge is None:
        assert windows.is_open(at)
        return
    assert at < edge <= at + 7 * 86_400
    assert windows.is_open(edge) != windows.is_open(edge - 1)
    for step in range(at, int(edge), 3601):
        assert windows.is_open(step) == windows.is_open(at)


def _plainly_open(text: str, at: int) -> bool:
    """Read a window the long way: on the day itself, or begun the day before."""
    days, times = text.split()
    begin, end = times.split("-")
    local = datetime.fromtimestamp(at, UTC).astimezone(CHINA)
    clock = f"{local:%H:%M}"
    if end > begin:
        return _has_day(days, local.weekday()) and begin <= clock < end
    yesterday = (local - timedelta(days=1)).weekday()
    return (_has_day(days, local.weekday()) and clock >= begin) or (
        _has_day(days, yesterday) and clock < end
    )


def _has_day(days: str, weekday: int) -> bool:
    return (
        weekday
        in {
            "Mon": {0},
            "Mon-Fri": {0, 1, 2, 3, 4},
            "Sat,Sun": {5, 6},
            "daily": set(range(7)),
            "Sun": {6},
            "Fri-Mon": {4, 5, 6, 0},
        }[days]
    )
