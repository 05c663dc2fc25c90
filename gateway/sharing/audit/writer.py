"""The writer: takes records at once, writes them in groups, and says when it cannot."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway.domain.audit import AuditEntry, AuditFiles
from gateway.domain.errors import Unavailable
from gateway.domain.store import StoreHealth
from gateway.observe.log import RateLimitedCounter
from gateway.sharing.audit.chain import Chain, Chunk
from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, Anchor
from gateway.sharing.audit.journal import Journal
from gb28181.aio.clock import monotonic

__all__ = ["MAX_BACKLOG", "AuditWriter"]

MAX_BACKLOG = 64 * 1024 * 1024
"""Bytes kept while the disk refuses them, some 100,000 records; further ones are counted and the count is recorded."""

_STALLED_AFTER = 5.0
"""Seconds after which a write that does not come back counts as a disk that refuses."""
_FLUSH_TIMEOUT = 10.0
_BACKOFF = (0.25, 5.0)
_TICK = 1.0

_log = structlog.get_logger()


@dataclass(slots=True)
class _Trouble:
    """The disk refuses."""

    since: datetime
    detail: str
    pause: float
    again_at: float


class AuditWriter:
    """Owns the chain and its way to the disk.

    Records are chained when they come and gathered for `group_commit` seconds. While the disk refuses, they are kept
    up to `MAX_BACKLOG` bytes; then the newest are dropped, and a gap with their number is chained once there is room.

    Args:
        files: Where to.
        chain: Its state is what the files hold.
        beside: Files to write with the first records.
        journal: Knows the sizes of the files.
        checkpoint_records: Lines after which a checkpoint is signed.
        checkpoint_interval: Seconds after which one is signed if there was anything new.
        group_commit: Seconds.
        wall: The wall clock.
        on_signed: Told of every signed line once it is durable.
    """

    def __init__(
        self,
        files: AuditFiles,
        chain: Chain,
        journal: Journal,
        *,
        beside: dict[str, bytes],
        checkpoint_records: int,
        checkpoint_interval: float,
        group_commit: float,
        wall: Callable[[], datetime],
        on_signed: Callable[[Anchor], None],
    ) -> None:
        self.chain = chain
        self._directory = files.directory
        self._journal = journal
        self._beside = beside
        self._checkpoint_records = checkpoint_records
        self._checkpoint_interval = checkpoint_interval
        self._group_commit = group_commit
        self._wall = wall
        self._on_signed = on_signed
        self._unwritten: deque[Chunk] = deque()
        self._lost = 0
        self._lost_since: datetime | None = None
        self._losses = RateLimitedCounter(_log.error, "audit_records_lost")
        self._trouble: _Trouble | None = None
        self._writing_since: float | None = None
        self._signed_at = monotonic()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        """Somebody waits: records are not gathered any longer."""
        self._waiters: list[asyncio.Future[None]] = []
        self._closing = False
        self._closed = False
        self._ended = asyncio.Event()
        self.durable_seq = chain.head.seq if not chain.pending else 0
        """The last line that would survive a power failure."""
        self.lost = 0
        """Records lost since the start."""

    # What callers do; nothing here waits but `flush` and `close`.

    def record(self, entry: AuditEntry) -> None:
        """Chain a record, or count it as lost."""
        if self._closed or self.backlog >= MAX_BACKLOG:
            self._lose()
            return
        if self._lost:
            self._tell_gap()
        self.chain.add(entry)
        if self.chain.unsigned >= self._checkpoint_records:
            self.sign()
        self._wake.set()

    def sign(self) -> None:
        """Sign what is not signed yet."""
        self.chain.checkpoint()
        self._signed_at = monotonic()
        self._wake.set()

    @property
    def backlog(self) -> int:
        """Bytes not yet on the disk."""
        return self.chain.pending + sum(chunk.size for chunk in self._unwritten)

    def health(self) -> StoreHealth:
        """Return whether records are being kept."""
        detail, since = "", None
        if self._trouble is not None:
            detail, since = self._trouble.detail, self._trouble.since
        elif self._closed:
            detail = "the audit is closed"
        elif self._ended.is_set() and not self._closing:
            detail = "the audit's writer has ended"
        elif self._writing_since is not None:
            waited = monotonic() - self._writing_since
            if waited >= _STALLED_AFTER:
                since = self._wall() - timedelta(seconds=waited)
                detail = f"{self._directory} does not answer for {waited:.0f} s"
        pending = self.chain.head.seq - self.durable_seq
        return StoreHealth(
            ok=not detail, detail=detail, since=since, pending=pending, dropped=self.lost
        )

    async def flush(self) -> None:
        """Wait until what was recorded so far would survive a power failure.

        Raises:
            Unavailable: `audit_unavailable`.
        """
        target = self.chain.head.seq
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT):
                while self.durable_seq < target or self._lost:
                    health = self.health()
                    if not health.ok or self._ended.is_set():
                        raise Unavailable("audit_unavailable", health.detail or "it is closed")
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.append(waiter)
                    self._wake.set()
                    self._hurry.set()
                    await waiter
        except TimeoutError:
            raise Unavailable(
                "audit_unavailable",
                f"{self._directory} does not answer for {_FLUSH_TIMEOUT:.0f} s",
            ) from None

    async def close(self, timeout: float) -> None:
        """Sign and write what waits; whatever the disk refuses for `timeout` seconds is given up and logged."""
        self._closing = True
        self._wake.set()
        self._hurry.set()
        try:
            async with asyncio.timeout(timeout):
                await self._ended.wait()
        except TimeoutError:
            pass
        unwritten = self.chain.head.seq - self.durable_seq + self._lost
        if unwritten:
            _log.error("audit_not_flushed", count=unwritten, detail=self.health().detail)
        self._closed = True

    # The task

    async def run(self) -> None:
        """Write until closed and everything is written."""
        try:
            while not (self._closing and self._is_idle()):
                await self._wait()
                self._tend()
                await self._write()
        finally:
            self._ended.set()
            self._release()

    async def _wait(self) -> None:
        if self._trouble is not None:
            await asyncio.sleep(max(0.0, self._trouble.again_at - monotonic()))
        elif not self._closing:
            if not await _happens(self._wake, _TICK):
                return
            await _happens(self._hurry, self._group_commit)
        self._wake.clear()
        self._hurry.clear()

    def _tend(self) -> None:
        if self._lost and self.backlog < MAX_BACKLOG // 2:
            self._tell_gap()
        if self.chain.is_old():
            self.chain.rotate()
        if self._closing or monotonic() - self._signed_at >= self._checkpoint_interval:
            self.chain.checkpoint()
            self._signed_at = monotonic()

    async def _write(self) -> None:
        chunks, signed_line = self.chain.take()
        self._unwritten.extend(chunks)
        if signed_line:
            self._beside[CHECKPOINT_FILE] = signed_line
        if self._unwritten or self._beside:
            await self._write_all()
        self._release()

    async def _write_all(self) -> None:
        seq, signed, beside = self.chain.head.seq, self.chain.signed, dict(self._beside)
        self._writing_since = monotonic()
        try:
            done, error = await asyncio.to_thread(
                self._journal.write, list(self._unwritten), beside
            )
        finally:
            self._writing_since = None
        for _ in range(done):
            self._unwritten.popleft()
        if error is not None:
            self._note_trouble(error)
            return
        self.durable_seq = seq
        if CHECKPOINT_FILE in self._beside and signed is not None:
            self._on_signed(signed)
        self._beside.clear()
        if self._trouble is not None:
            duration = (self._wall() - self._trouble.since).total_seconds()
            _log.info("audit_recovered", duration_s=round(duration))
            self._trouble = None

    # Inside

    def _is_idle(self) -> bool:
        busy = self._unwritten or self._beside or self._lost
        return not (busy or self.chain.unsigned or self.chain.pending)

    def _lose(self) -> None:
        self._lost += 1
        self.lost += 1
        self._lost_since = self._lost_since or self._wall()
        self._losses.add(detail=self.health().detail)

    def _tell_gap(self) -> None:
        self.chain.add_gap(self._lost, self._lost_since or self._wall())
        self._lost, self._lost_since = 0, None

    def _note_trouble(self, error: OSError) -> None:
        earlier = self._trouble
        pause = _BACKOFF[0]
        if earlier is not None and not self._closing:
            pause = min(earlier.pause * 2, _BACKOFF[1])
        since = self._wall() if earlier is None else earlier.since
        detail = f"{self._directory}: {error.strerror or error}"
        self._trouble = _Trouble(since, detail, pause, monotonic() + pause)
        if earlier is None:
            _log.error("audit_failed", detail=detail)

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event is set before its time is up."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
