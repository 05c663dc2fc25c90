"""Catalogues in many messages."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.flow import catalog
from gb28181.flow.catalog import CatalogCollector, CatalogEnd, CatalogResult, CatalogTimes, Fed
from gb28181.manscdp import CatalogItem, CatalogResponse, parse_message

NVR = "37132600001180000001"
SN = 17
VECTORS = Path(__file__).parents[2] / "vectors" / "devices"


def vector(name: str) -> CatalogResponse:
    content = parse_message((VECTORS / f"{name}.xml").read_bytes()).content
    assert isinstance(content, CatalogResponse)
    return content


def response(*ids: str, total: int | None = None, sn: int = SN, name: str = "") -> CatalogResponse:
    items = tuple(CatalogItem(device_id=device_id, name=name) for device_id in ids)
    return CatalogResponse(sn=sn, device_id=NVR, sum_num=total, items=items)


def started() -> CatalogCollector:
    collector = CatalogCollector()
    assert collector.start(NVR, SN, 0.0) is None
    return collector


def finish(collector: CatalogCollector) -> tuple[float, CatalogResult]:
    """Run the timer once and return when it was due and what came of it."""
    due = collector.next_timer()
    assert due is not None
    assert collector.handle_timer(due - 0.001) == []
    (result,) = collector.handle_timer(due)
    assert collector.next_timer() is None
    return due, result


def ids(result: CatalogResult) -> list[str]:
    return [item.device_id for item in result.items]


def test_a_catalogue_is_whole_when_all_announced_items_came_and_a_grace_passed() -> None:
    collector = started()
    assert collector.feed(vector("q063-second-of-two"), 1.0) is Fed.COLLECTED
    assert collector.next_timer() == 6.0
    progress = collector.progress(NVR)
    assert progress is not None
    assert (progress.sn, progress.received, progress.expected, progress.messages) == (17, 1, 2, 1)
    assert collector.feed(vector("q063-first-of-two"), 2.0) is Fed.COLLECTED
    due, result = finish(collector)
    assert due == 3.0
    assert (result.complete, result.reason) == (True, CatalogEnd.ALL_RECEIVED)
    assert (result.expected, result.received, result.messages) == (2, 2, 2)
    assert ids(result) == ["37132600001320000002", "37132600001320000001"]
    assert collector.progress(NVR) is None


def test_a_device_that_does_not_answer_is_given_two_minutes() -> None:
    due, result = finish(started())
    assert due == 120.0
    assert (result.complete, result.reason, result.items) == (False, CatalogEnd.NO_ANSWER, ())
    assert "sent no catalogue" in result.detail


def test_a_sumnum_too_large_ends_in_silence_and_is_short() -> None:
    collector = started()
    collector.feed(vector("q060-sumnum-too-large"), 10.0)
    due, result = finish(collector)
    assert due == 15.0
    assert (result.complete, result.reason) == (False, CatalogEnd.SHORT)
    assert (result.received, result.expected, len(result.items)) == (2, 5, 2)
    assert result.detail == "received only 2 of 5 items, then the device fell silent"


def test_a_sumnum_too_small_waits_for_silence_and_keeps_all() -> None:
    collector = started()
    collector.feed(vector("q060-sumnum-too-small"), 10.0)
    due, result = finish(collector)
    assert due == 15.0
    assert (result.complete, result.reason) == (True, CatalogEnd.ALL_RECEIVED)
    assert len(result.items) == 2


def test_a_sumnum_that_counts_one_message_only_loses_nothing() -> None:
    collector = started()
    for index in range(7):
        collector.feed(response(f"c{index}", total=1), 1.0 + index * 0.9)
        assert collector.handle_timer(1.0 + index * 0.9) == []
    _, result = finish(collector)
    assert len(result.items) == 7
    assert result.complete


def test_a_changing_sumnum_is_not_trusted() -> None:
    collector = started()
    collector.feed(response("a", total=3), 1.0)
    collector.feed(response("b", total=2), 2.0)
    assert collector.next_timer() == 7.0
    collector.feed(response("c", total=1), 3.0)
    due, result = finish(collector)
    assert due == 8.0
    assert (result.expected, result.complete) == (3, True)


def test_without_sumnum_silence_is_the_end_and_the_catalogue_counts_as_whole() -> None:
    collector = started()
    collector.feed(vector("q061-sumnum-missing"), 1.0)
    due, result = finish(collector)
    assert due == 6.0
    assert (result.complete, result.reason, result.expected) == (True, CatalogEnd.SILENCE, None)
    assert result.detail == "received 2 items in 1 messages, none announced"


def test_sumnum_zero_is_an_empty_catalogue() -> None:
    collector = started()
    collector.feed(vector("q062-sumnum-zero"), 1.0)
    due, result = finish(collector)
    assert due == 2.0
    assert (result.complete, result.reason, result.items) == (True, CatalogEnd.EMPTY, ())


def test_sumnum_zero_beside_items_is_no_sumnum() -> None:
    collector = started()
    collector.feed(response("a", total=0), 1.0)
    _, result = finish(collector)
    assert (result.expected, result.reason) == (None, CatalogEnd.SILENCE)


def test_messages_of_an_older_query_are_ignored_and_counted() -> None:
    collector = CatalogCollector()
    collector.start(NVR, 16, 0.0)
    collector.feed(response("old", total=2, sn=16), 1.0)
    superseded = collector.start(NVR, 17, 2.0)
    assert superseded is not None
    assert (superseded.reason, superseded.complete, superseded.sn) == (
        CatalogEnd.SUPERSEDED,
        False,
        16,
    )
    assert collector.feed(vector("q063-of-an-older-query"), 3.0) is Fed.LATE
    assert collector.late == 1
    collector.feed(vector("q063-first-of-two"), 4.0)
    collector.feed(vector("q063-second-of-two"), 4.0)
    _, result = finish(collector)
    assert len(result.items) == 2
    assert collector.feed(vector("q063-second-of-two"), 20.0) is Fed.LATE
    assert collector.late == 2


def test_what_nobody_asked_for_is_ignored_and_counted() -> None:
    collector = started()
    assert collector.feed(response("x", sn=99), 1.0) is Fed.UNSOLICITED
    assert collector.feed(response("x"), 1.0, device_id="another") is Fed.UNSOLICITED
    assert collector.unsolicited == 2
    assert collector.next_timer() == 120.0


def test_an_answer_without_sn_belongs_to_the_running_query() -> None:
    collector = started()
    assert collector.feed(response("a", total=1, sn=0), 1.0) is Fed.COLLECTED


def test_repeated_messages_do_not_count_and_the_last_of_an_identifier_wins() -> None:
    collector = started()
    collector.feed(response("a", "b", total=4), 1.0)
    collector.feed(response("a", "b", total=4), 1.1)
    progress = collector.progress(NVR)
    assert progress is not None
    assert progress.received == 2
    collector.feed(response("a", "c", total=4, name="new"), 1.2)
    due, result = finish(collector)
    assert due == pytest.approx(2.2)
    assert [(item.device_id, item.name) for item in result.items] == [
        ("a", "new"),
        ("b", ""),
        ("c", "new"),
    ]
    assert (result.received, result.expected, result.complete) == (4, 4, True)
    assert result.duplicates == 3


def test_items_without_identifier_are_left_out_but_counted() -> None:
    collector = started()
    collector.feed(vector("q064-item-without-deviceid"), 1.0)
    _, result = finish(collector)
    assert ids(result) == ["37132600001320000001"]
    assert (result.nameless, result.complete) == (2, True)


def test_a_device_that_trickles_is_cut_off() -> None:
    collector = CatalogCollector(CatalogTimes(total=20.0))
    collector.start(NVR, SN, 0.0)
    for second in range(0, 20, 2):
        collector.feed(response(f"c{second}", total=1000), float(second))
    due, result = finish(collector)
    assert due == 20.0
    assert (result.reason, result.complete, len(result.items)) == (CatalogEnd.TOO_SLOW, False, 10)


def test_items_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MAX_CATALOG_ITEMS", 3)
    collector = started()
    collector.feed(response("a", "b", "c", "d", "e", total=5), 1.0)
    (result,) = collector.handle_timer(1.0)
    assert (result.reason, result.complete, ids(result)) == (
        CatalogEnd.TOO_MANY,
        False,
        ["a", "b", "c"],
    )


def test_collections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MAX_CATALOG_COLLECTIONS", 1)
    collector = started()
    collector.start(NVR, SN + 1, 0.0)
    with pytest.raises(LocalProtocolError):
        collector.start("another", 1, 0.0)


def test_a_device_that_goes_away_ends_its_collection() -> None:
    collector = started()
    collector.feed(response("a", total=3), 1.0)
    result = collector.cancel(NVR)
    assert result is not None
    assert (result.reason, result.complete, ids(result)) == (CatalogEnd.CANCELLED, False, ["a"])
    assert collector.cancel(NVR) is None
    assert collector.next_timer() is None
    collector.forget(NVR)
    assert collector.feed(response("a"), 2.0) is Fed.UNSOLICITED


def test_devices_are_collected_side_by_side() -> None:
    collector = started()
    collector.start("other", SN, 0.0)
    collector.feed(response("a", total=1), 1.0, device_id="other")
    collector.feed(response("b", total=2), 1.5)
    (first,) = collector.handle_timer(3.0)
    assert (first.device_id, ids(first)) == ("other", ["a"])
    (second,) = collector.handle_timer(6.5)
    assert (second.device_id, ids(second), second.complete) == (NVR, ["b"], False)


PACKETS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 12), max_size=4),
        st.none() | st.integers(0, 15),
        st.floats(0.0, 4.9),
    ),
    min_size=1,
    max_size=15,
)


@given(PACKETS)
def test_every_collection_ends_once_with_each_identifier_once(
    packets: list[tuple[list[int], int | None, float]],
) -> None:
    collector = started()
    now = 0.0
    results: list[CatalogResult] = []
    fed: set[str] = set()
    for numbers, total, gap in packets:
        now += gap
        results += collector.handle_timer(now)
        packet = response(*(f"c{number}" for number in numbers), total=total)
        if collector.feed(packet, now) is Fed.COLLECTED:
            fed.update(f"c{number}" for number in numbers)
    while (due := collector.next_timer()) is not None:
        assert due <= now + 5.0
        results += collector.handle_timer(due)
    (result,) = results
    assert sorted(ids(result)) == sorted(fed)
    assert result.complete or result.received < (result.expected or 0)
