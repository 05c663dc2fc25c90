"""Events kept in the store: what a restart goes on with, and how often they are written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.errors import Conflict, Unavailable
from gateway.recording import events as module
from gateway.recording.events import MAX_EVENT, SLACK, EventBook
from tests.support.platform_book import MemoryDocuments

KEY = ("34020000001180000001", "34020000001320000001")
OTHER = (KEY[0], "34020000001320000002")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clocks:
    """Monotonic and wall clock, which can be set apart."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.wall = NOON

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall += timedelta(seconds=seconds)

    def book(self, documents: MemoryDocuments) -> EventBook:
        return EventBook(documents, now=lambda: self.now, wall=lambda: self.wall)


def stored(documents: MemoryDocuments) -> dict[str, dict[str, Any]]:
    return documents.collections.get("record_events", {})


async def test_what_is_not_over_goes_on_after_a_restart_for_the_rest_of_its_time() -> None:
    clocks, documents = Clocks(), MemoryDocuments()
    book = clocks.book(documents)
    book.begin(KEY, 60.0, "manual")
    book.begin(OTHER, 10.0, "alarm:5")
    await book.keep()
    clocks.pass_by(20.0)
    # Monotonic time begins anywhere after a restart.
    clocks.now = 5.0
    again = clocks.book(documents)
    await again.load()
    assert again.keys() == {KEY}
    assert (again.left(KEY), again.cause(KEY), again.cause(OTHER)) == (40.0, "manual", None)
    await again.keep()
    assert list(stored(documents)) == ["/".join(KEY)]
    clocks.pass_by(40.0)
    assert again.keys() == set()
    await again.keep()
    assert stored(documents) == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"until": "soon", "cause": "manual"},
        {"until": "2026-01-01T13:00:00", "cause": "manual"},
        {"until": (NOON + timedelta(seconds=MAX_EVENT + 1)).isoformat(), "cause": "manual"},
        {"until": NOON.isoformat(), "cause": "manual"},
    ],
    ids=["empty", "no time", "no zone", "too far", "over"],
)
async def test_what_makes_no_sense_is_no_event_and_is_taken_out(body: dict[str, Any]) -> None:
    documents = MemoryDocuments()
    documents.collections["record_events"] = {"/".join(KEY): body}
    book = Clocks().book(documents)
    await book.load()
    assert book.keys() == set()
    await book.keep()
    assert stored(documents) == {}


async def test_an_event_that_grows_a_little_is_not_written_again() -> None:
    clocks, documents = Clocks(), MemoryDocuments()
    book = clocks.book(documents)
    book.begin(KEY, 30.0, "alarm:5")
    await book.keep()
    first = dict(stored(documents))
    clocks.pass_by(SLACK - 1)
    book.begin(KEY, 30.0, "alarm:6")
    await book.keep()
    assert stored(documents) == first
    assert book.left(KEY) == 30.0
    clocks.pass_by(2.0)
    book.begin(KEY, 30.0, "alarm:6")
    await book.keep()
    assert stored(documents) != first
    assert book.cause(KEY) == "alarm:5"
    # Never shorter.
    book.begin(KEY, 1.0, "manual")
    assert book.left(KEY) == 30.0


async def test_what_the_store_did_not_take_is_written_with_the_next_call() -> None:
    clocks, documents = Clocks(), MemoryDocuments()
    book = clocks.book(documents)
    documents.broken = True
    book.begin(KEY, 30.0, "manual")
    with pytest.raises(Unavailable):
        await book.keep()
    documents.broken = False
    await book.keep()
    assert list(stored(documents)) == ["/".join(KEY)]
    documents.broken = True
    assert book.end(KEY)
    assert not book.end(KEY)
    with pytest.raises(Unavailable):
        await book.keep()
    documents.broken = False
    await book.keep()
    assert stored(documents) == {}


async def test_there_are_only_so_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 1)
    book = Clocks().book(MemoryDocuments())
    book.begin(KEY, 30.0, "manual")
    book.begin(KEY, 60.0, "manual")
    with pytest.raises(Conflict):
        book.begin(OTHER, 30.0, "manual")
