"""Writing what already holds until it is kept."""

import asyncio
from typing import Any

from gateway.sharing.rewrite import MAX_TRIES, RETRY, Rewriter
from tests.support.platform_book import MemoryDocuments
from tests.support.registry import ManualClock


class Bench:
    """States of documents, and where they are kept."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryDocuments(), ManualClock()
        self.states: dict[str, dict[str, Any]] = {}
        self.rewriter = Rewriter(self.store, "things", self.clock.utc_now, self.states.get)

    @property
    def kept(self) -> dict[str, dict[str, Any]]:
        return self.store.collections.get("things", {})

    async def later(self) -> None:
        self.clock.advance(RETRY.total_seconds())
        self.rewriter.retry()
        await asyncio.sleep(0)


async def test_an_older_state_that_is_written_last_does_not_stay() -> None:
    bench = Bench()
    bench.states["a"] = {"n": 1}
    bench.store.held = []
    bench.rewriter.begin("a")
    bench.states["a"] = {"n": 2}
    bench.store.held.pop().set_result(None)
    await asyncio.sleep(0)
    assert "a" in bench.rewriter
    bench.store.held = None
    await bench.later()
    assert bench.kept == {"a": {"n": 2}}
    assert "a" not in bench.rewriter


async def test_what_is_no_more_is_not_written_again() -> None:
    bench = Bench()
    bench.states["a"] = {"n": 1}
    bench.store.broken = True
    bench.rewriter.begin("a")
    await asyncio.sleep(0)
    del bench.states["a"]
    bench.store.broken = False
    await bench.later()
    assert bench.kept == {}
    assert "a" not in bench.rewriter


async def test_a_clock_set_back_puts_nothing_off_and_many_writes_come_in_turns() -> None:
    bench = Bench()
    bench.states |= {f"k{n}": {"n": n} for n in range(MAX_TRIES + 1)}
    bench.store.broken = True
    for key in bench.states:
        bench.rewriter.begin(key)
    await asyncio.sleep(0)
    bench.store.broken = False
    bench.clock.advance(-3600)
    bench.rewriter.retry()
    assert len(bench.kept) == MAX_TRIES
    await asyncio.sleep(0)
    bench.rewriter.retry()
    assert bench.kept == bench.states
