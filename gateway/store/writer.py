"""The one writer: groups durable writes into commits and lets everything else wait for the next batch."""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.device import Device, TimelineEntry
from gateway.domain.errors import Unavailable
from gateway.domain.store import StoreHealth
from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gateway.store.database import DATABASE_ERRORS, is_bad_value, place_of, reason_of
from gateway.store.operation import Operation, Part, Statements
from gateway.store.row import device_row, entry_row
from gateway.store.schema import devices, timeline
from gb28181.aio.clock import monotonic, utc_now

__all__ = ["StoreWriter"]

MAX_DURABLE = 20_000
"""Durable writes waiting at most; one more is refused with `store_overloaded`."""
MAX_TIMELINE = 50_000
"""Timeline entries waiting at most; then the oldest is dropped and counted."""

_COMMIT_ROWS = 2000
_BULK_ROWS = 1000
_BATCH_ROWS = 500
_COMMIT_TIMEOUT = 30.0
_BACKOFF = (0.5, 5.0)

_log = structlog.get_logger()

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Taken:
    """What is written of an operation in one turn."""

    operation: Operation
    parts: list[Part]
    complete: bool


@dataclass(slots=True)
class _Trouble:
    """The store does not work."""

    since: datetime
    detail: str
    pause: float
    again_at: float


class StoreWriter:
    """Queues and commits.

    Durable writes are gathered for `group_commit` seconds and committed together; long ones (catalogues) are
    committed in slices between them. Batched writes are kept by device, the newest wins, and follow every
    `batch_interval` seconds. While the database fails, durable writes fail at once and batched ones are kept.

    Args:
        engine: The database.
        group_commit: Seconds.
        batch_interval: Seconds.
        metrics: Counts commits, rows and drops.
    """

    def __init__(
        self, engine: AsyncEngine, *, group_commit: float, batch_interval: float, metrics: Metrics
    ) -> None:
        self.statements = Statements(engine.dialect.name)
        self._engine = engine
        self._place = place_of(engine.url.render_as_string(hide_password=True))
        self._group_commit = group_commit
        self._batch_interval = batch_interval
        self._metrics = metrics
        self._urgent: deque[Operation] = deque()
        self._bulk: deque[Operation] = deque()
        self._touched: dict[str, Device] = {}
        self._timeline: dict[tuple[str, int], TimelineEntry] = {}
        self._flushing = False
        self._flush_at = monotonic() + batch_interval
        self._discarded: set[str] = set()
        self._turn: list[Operation] = []
        self._drops = RateLimitedCounter(_log.warning, "store_writes_dropped")
        self._wake = asyncio.Event()
        self._trouble: _Trouble | None = None
        self._dropped = 0
        self._in_flight = 0
        """Writes taken from the queues and being committed."""
        self._closing = False

    # What callers do; nothing here waits.

    def submit(
        self, device_id: str, parts: Iterator[Part], *, bulk: bool = False
    ) -> asyncio.Future[None]:
        """Queue a durable write; the future is resolved once it is committed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Not every caller waits; an error nobody fetched is no news, the writer has logged it.
        future.add_done_callback(_fetch)
        queue = self._bulk if bulk else self._urgent
        if self._closing:
            future.set_exception(Unavailable("store_unavailable", "the store is closed"))
        elif self._trouble is not None and monotonic() < self._trouble.again_at:
            future.set_exception(self._error(self._trouble))
        elif len(queue) >= MAX_DURABLE:
            future.set_exception(
                Unavailable("store_overloaded", f"{len(queue)} writes are waiting for the store")
            )
        else:
            queue.append(Operation(device_id, parts, future))
            self._wake.set()
        return future

    def touch(self, device: Device) -> None:
        """Write a device with the next batch."""
        self._touched[device.device_id] = device

    def add_timeline(self, device_id: str, sequence: int, entry: TimelineEntry) -> None:
        """Write a timeline entry with the next batch."""
        self._timeline[device_id, sequence] = entry
        if len(self._timeline) > MAX_TIMELINE:
            del self._timeline[next(iter(self._timeline))]
            self._drop("timeline", 1)

    def discard(self, device_id: str) -> None:
        """Drop what waits for a device that is about to be deleted."""
        self._discarded.add(device_id)
        self._touched.pop(device_id, None)
        for key in [key for key in self._timeline if key[0] == device_id]:
            del self._timeline[key]
        for operation in itertools.chain(self._urgent, self._bulk):
            if operation.device_id == device_id:
                operation.dropped = True
                operation.fail(Unavailable("store_unavailable", f"device {device_id} was deleted"))

    def health(self) -> StoreHealth:
        """Return how it is now."""
        pending = len(self._urgent) + len(self._bulk) + len(self._touched) + len(self._timeline)
        pending += self._in_flight
        if self._trouble is None:
            return StoreHealth(ok=True, pending=pending, dropped=self._dropped)
        return StoreHealth(
            ok=False,
            detail=self._trouble.detail,
            since=self._trouble.since,
            pending=pending,
            dropped=self._dropped,
        )

    # The task

    async def run(self) -> None:
        """Write until closed and everything is written, or given up."""
        try:
            while not (self._closing and self._is_idle()):
                if self._urgent or self._bulk:
                    if self._urgent and not self._closing:
                        await asyncio.sleep(self._group_commit)
                    await self._commit_durable()
                elif self._batch_due():
                    await self._commit_batch()
                else:
                    await self._wait()
        finally:
            self._give_up()

    def close(self) -> None:
        """Let `run` end after writing what waits; a failing database is tried once more, not for ever."""
        self._closing = True
        self._trouble = None
        self._wake.set()

    def _give_up(self) -> None:
        if not self._closing:
            self._trouble = _Trouble(utc_now(), "the writer has stopped", math.inf, math.inf)
        self._closing = True
        for operation in itertools.chain(self._turn, self._urgent, self._bulk):
            operation.fail(Unavailable("store_unavailable", "the store was closed"))
        lost = len(self._touched) + len(self._timeline)
        if lost:
            _log.warning("store_closed_with_writes_pending", count=lost)

    def _is_idle(self) -> bool:
        if self._trouble is not None:
            return True
        return not (self._urgent or self._bulk or self._touched or self._timeline)

    def _batch_due(self) -> bool:
        now = monotonic()
        self._drops.flush()
        if self._trouble is not None and now < self._trouble.again_at and not self._closing:
            return False
        if not (self._touched or self._timeline):
            self._flushing = False
        elif self._closing or now >= self._flush_at:
            self._flushing = True
            self._flush_at = now + self._batch_interval
        return self._flushing

    async def _wait(self) -> None:
        self._wake.clear()
        if self._urgent or self._bulk or self._closing:
            return
        try:
            # The batch is looked for several times an interval: what arrives late waits no longer.
            async with asyncio.timeout(min(self._batch_interval, 1.0) / 4):
                await self._wake.wait()
        except TimeoutError:
            pass

    # Durable

    async def _commit_durable(self) -> None:
        self._turn.clear()
        turn = self._take(self._urgent, _COMMIT_ROWS) + self._take(self._bulk, _BULK_ROWS)
        # Those that are not complete still stand in their queue.
        self._in_flight = sum(taken.complete for taken in turn)
        try:
            await self._commit_turn(turn)
        finally:
            self._in_flight = 0

    async def _commit_turn(self, turn: list[_Taken]) -> None:
        failure = await self._write([part for taken in turn for part in taken.parts], "durable")
        if failure is None:
            self._settle(turn, None)
        elif self._trouble is not None or len(turn) == 1:
            self._settle(turn, failure)
        else:
            # The database works, so one of them is at fault: the others must not suffer.
            for taken in turn:
                self._settle([taken], await self._write(taken.parts, "durable"))

    def _take(self, queue: deque[Operation], rows: int) -> list[_Taken]:
        turn: list[_Taken] = []
        while queue and rows > 0:
            operation = queue[0]
            if operation.dropped:
                queue.popleft()
                continue
            self._turn.append(operation)
            parts, complete = operation.take(rows)
            rows -= sum(len(part.rows) for part in parts)
            turn.append(_Taken(operation, parts, complete=complete))
            if complete:
                queue.popleft()
        return turn

    def _settle(self, turn: list[_Taken], failure: Exception | None) -> None:
        for taken in turn:
            if failure is not None:
                taken.operation.fail(failure)
                # Its later parts would be worthless.
                taken.operation.dropped = True
            elif taken.complete:
                taken.operation.resolve()

    # Batches

    async def _commit_batch(self) -> None:
        touched = _pop_some(self._touched, _BATCH_ROWS)
        entries = _pop_some(self._timeline, _BATCH_ROWS)
        self._discarded.clear()
        self._in_flight = len(touched) + len(entries)
        try:
            await self._commit_taken(touched, entries)
        finally:
            self._in_flight = 0

    async def _commit_taken(
        self, touched: dict[str, Device], entries: dict[tuple[str, int], TimelineEntry]
    ) -> None:
        parts = [
            *self.statements.upsert(devices, map(device_row, touched.values())),
            *self.statements.upsert(
                timeline, (entry_row(*key, entry) for key, entry in entries.items())
            ),
        ]
        failure = await self._write(parts, "batch")
        if failure is None:
            return
        if self._trouble is None:
            await self._write_singly(parts)
            return
        gone = self._discarded
        # What came meanwhile is newer.
        self._touched = {k: v for k, v in touched.items() if k not in gone} | self._touched
        self._timeline = {k: v for k, v in entries.items() if k[0] not in gone} | self._timeline
        self._flushing = False

    async def _write_singly(self, parts: list[Part]) -> None:
        for part in parts:
            for row in part.rows:
                failure = await self._write([Part(part.table, part.statement, [row])], "batch")
                if failure is not None:
                    self._drop(part.table, 1)

    def _drop(self, kind: str, count: int) -> None:
        self._dropped += count
        self._metrics.store_dropped.labels(kind=kind).inc(count)
        self._drops.add(count, kind=kind)

    # Both

    async def _write(self, parts: list[Part], kind: str) -> Exception | None:
        """Commit parts in one transaction; return why that failed."""
        if not parts:
            return None
        start = monotonic()
        try:
            async with asyncio.timeout(_COMMIT_TIMEOUT), self._engine.begin() as connection:
                for part in _join(parts):
                    await connection.execute(part.statement, part.rows)
        except DATABASE_ERRORS as exc:
            self._metrics.store_commits.labels(kind=kind, result="failed").inc()
            return self._judge(exc)
        self._metrics.store_commits.labels(kind=kind, result="ok").inc()
        self._metrics.store_commit_seconds.labels(kind=kind).observe(monotonic() - start)
        for part in parts:
            self._metrics.store_rows.labels(table=part.table).inc(len(part.rows))
        if self._trouble is not None:
            _log.info("store_recovered", duration_s=(utc_now() - self._trouble.since).seconds)
            self._trouble = None
        return None

    def _judge(self, exc: Exception) -> Exception:
        """Find out whether the database or a value is at fault."""
        detail = f"{self._place}: {reason_of(exc)}"
        if is_bad_value(exc):
            _log.error("store_write_refused", detail=detail)
            return Unavailable("store_unavailable", f"the store refused a value: {detail}")
        earlier = self._trouble
        pause = _BACKOFF[0] if earlier is None else min(earlier.pause * 2, _BACKOFF[1])
        since = utc_now() if earlier is None else earlier.since
        self._trouble = _Trouble(since, detail, pause, monotonic() + pause)
        if earlier is None:
            _log.error("store_failed", detail=detail)
        return self._error(self._trouble)

    @staticmethod
    def _error(trouble: _Trouble) -> Unavailable:
        return Unavailable(
            "store_unavailable",
            f"the store does not work since {trouble.since:%Y-%m-%d %H:%M:%S} UTC: {trouble.detail}",
        )


def _fetch(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()


def _pop_some(items: dict[K, V], count: int) -> dict[K, V]:
    keys = list(itertools.islice(items, count))
    return {key: items.pop(key) for key in keys}


def _join(parts: list[Part]) -> Iterator[Part]:
    """Yield neighbours with the same statement as one."""
    for _, same in itertools.groupby(parts, key=lambda part: id(part.statement)):
        first, *others = same
        rows = list(itertools.chain(first.rows, *(part.rows for part in others)))
        yield Part(first.table, first.statement, rows)
