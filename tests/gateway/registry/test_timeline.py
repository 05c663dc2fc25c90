"""Timelines stay short however much happens."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.device import TimelineEntry, TimelineKind
from gateway.domain.store import TIMELINE_KEPT
from gateway.registry.timeline import StrangerTable, Timeline

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def test_the_newest_entries_are_kept() -> None:
    timeline = Timeline()
    for number in range(1000):
        timeline.add(TimelineKind.SESSION_ENDED, f"{number}", AT + timedelta(seconds=number))
    assert len(timeline) == TIMELINE_KEPT
    assert [entry.detail for entry in timeline.newest(2)] == ["999", "998"]
    assert [number for number, _ in timeline.numbered()] == list(range(800, 1000))
    assert len(timeline.newest(10_000)) == TIMELINE_KEPT
    assert timeline.newest(-1) == []


def test_the_same_thing_again_is_counted_instead_of_repeated() -> None:
    timeline = Timeline()
    timeline.add(TimelineKind.OFFLINE, "x", AT)
    later = AT + timedelta(hours=1)
    assert timeline.add(TimelineKind.OFFLINE, "x", later) == (
        0,
        TimelineEntry(later, TimelineKind.OFFLINE, "x", 2, AT),
    )
    assert timeline.add(TimelineKind.OFFLINE, "y", later)[0] == 1


def test_a_flood_of_alternating_refusals_takes_two_entries_a_minute() -> None:
    timeline = Timeline()
    for number in range(6000):
        kind = (TimelineKind.AUTH_FAILED, TimelineKind.ADDRESS_REFUSED)[number % 2]
        timeline.add(kind, f"from port {number}", AT + timedelta(milliseconds=10 * number))
    assert len(timeline) == 2
    assert [entry.count for entry in timeline.newest(2)] == [3000, 3000]
    assert timeline.newest(1)[0].detail == "from port 5999"


def test_a_later_refusal_is_an_entry_of_its_own() -> None:
    timeline = Timeline()
    timeline.add(TimelineKind.AUTH_FAILED, "a", AT)
    timeline.add(TimelineKind.AUTH_FAILED, "b", AT + timedelta(minutes=2))
    assert [entry.detail for entry in timeline.newest(5)] == ["b", "a"]


def test_a_restored_timeline_goes_on_counting() -> None:
    timeline = Timeline()
    timeline.restore([TimelineEntry(AT, TimelineKind.REFRESHED, "for 60 s")], 17)
    assert timeline.add(TimelineKind.REFRESHED, "for 60 s", AT + timedelta(days=1))[0] == 17
    assert timeline.add(TimelineKind.OFFLINE, "x", AT + timedelta(days=1))[0] == 18


@given(
    st.lists(
        st.tuples(st.sampled_from(TimelineKind), st.text(max_size=3), st.integers(0, 5)),
        max_size=400,
    )
)
def test_numbers_are_unique_and_name_the_same_entries_as_the_list(
    events: list[tuple[TimelineKind, str, int]],
) -> None:
    timeline, kept, at = Timeline(kept=20), dict[int, TimelineEntry](), AT
    for kind, detail, minutes in events:
        at += timedelta(minutes=minutes)
        sequence, entry = timeline.add(kind, detail, at)
        kept[sequence] = entry
    assert timeline.numbered() == sorted(kept.items())[-20:]


def test_the_least_recent_stranger_falls_out() -> None:
    table = StrangerTable(ids=2)
    for device_id in ("a", "b", "a", "c"):
        table.add(device_id, TimelineKind.AUTH_FAILED, "x", AT)
    assert [device_id for device_id, _ in table.recent(10)] == ["c", "a"]
    assert table.get("b") is None
    assert len(table) == 2
    assert [device_id for device_id, _ in table.recent(1)] == ["c"]
