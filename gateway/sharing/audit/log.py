"""The audit log: records, searches, exports, verification and retention in one object."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.audit import AuditEntry, AuditFiles, AuditKind
from gateway.domain.document import DocumentStore
from gateway.domain.errors import Unavailable
from gateway.domain.store import StoreHealth
from gateway.sharing.audit.chain import Chain, SegmentLimits, SegmentSpan
from gateway.sharing.audit.checkpoint import PUBLIC_KEY_FILE, Anchor, KeyRing, Signer
from gateway.sharing.audit.export import build_export
from gateway.sharing.audit.journal import Journal
from gateway.sharing.audit.lock import LOCK_TIMEOUT, lock_files, unusable
from gateway.sharing.audit.record import parse_time
from gateway.sharing.audit.recovery import Recovered, recover
from gateway.sharing.audit.report import VerifyReport
from gateway.sharing.audit.retention import is_steady, leave_stub
from gateway.sharing.audit.search import AuditPage, AuditQuery, search_records
from gateway.sharing.audit.source import DirectorySource
from gateway.sharing.audit.status import AuditStatus, status_of
from gateway.sharing.audit.verify import verify_source
from gateway.sharing.audit.writer import AuditWriter
from gb28181.aio.clock import utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["MIN_RETENTION", "AuditLog"]

MIN_RETENTION = timedelta(days=180)
"""Logs of access must be kept for six months."""

_CLOSE_TIMEOUT = 10.0
_RETENTION_DELAY = 60.0
_RETENTION_INTERVAL = 3600.0
_COLLECTION, _SIGNED_KEY = "audit", "signed"
_READERS = 2
"""Searches, exports and verifications at a time; more wait."""

_log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class AuditLog:
    """Implements `gateway.domain.audit.AuditSink` on numbered files.

    Use it as `async with AuditLog(...) as audit:`; entering finds the end of the chain and ends the accesses a crash
    left open, leaving writes what waits and signs it. Only `status`, `health` and what is read-only may be used after.

    Args:
        files: Where to; closed at the end.
        key: Signs the checkpoints.
        limits: Size and age of a segment.
        checkpoint_records: Lines after which a checkpoint is signed.
        checkpoint_interval: Seconds after which one is signed if there was anything new.
        group_commit: Seconds for which records are gathered before they are written together.
        witness: Keeps the newest signed line outside of the files, at best on another machine: files put back to an
            earlier state are found at the next start then.
        retention: Age at which the records of a sealed segment are removed; at least `MIN_RETENTION`.
        wall: The wall clock.
        new_id: Makes ids for its own records.
        on_crash: Told if a task ends by a bug; None only logs it.
        lock_timeout: Seconds to wait at the start for another process that writes here.

    Raises:
        ValueError: a retention that is too short.
    """

    def __init__(
        self,
        files: AuditFiles,
        *,
        key: Ed25519PrivateKey,
        limits: SegmentLimits | None = None,
        checkpoint_records: int = 1000,
        checkpoint_interval: float = 60.0,
        group_commit: float = 0.03,
        retention: timedelta = timedelta(days=200),
        witness: DocumentStore | None = None,
        wall: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
        on_crash: Callable[[str, Exception], None] | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        if retention < MIN_RETENTION:
            raise ValueError(f"retention is {retention.days} days, expected {MIN_RETENTION.days}")
        self._files = files
        self._signer = Signer(key)
        self._keys = KeyRing([self._signer.key_id])
        self._limits = limits or SegmentLimits()
        self._checkpoint_records = checkpoint_records
        self._checkpoint_interval = checkpoint_interval
        self._group_commit = group_commit
        self._retention = retention
        self._witness = witness
        self._noting: asyncio.Future[None] | None = None
        self._wall = wall
        self._new_id = new_id
        self._on_crash = on_crash or _log_crash
        self._lock_timeout = lock_timeout
        self._stack = AsyncExitStack()
        self._spans: list[SegmentSpan] = []
        self._kept: set[int] = set()
        self._readers = asyncio.Semaphore(_READERS)
        self._thinning = asyncio.Lock()
        self._opened: AuditWriter | None = None

    # Life

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._files.close)  # also where the start fails: they are locked
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._record_own("stopped", "ok", "")
        await self._stack.aclose()

    async def _settle(self) -> None:
        await self._writer.close(_CLOSE_TIMEOUT)
        if self._noting is not None:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._noting

    async def _open(self, stack: AsyncExitStack) -> None:
        try:
            # First of all: what another process wrote later than this one looked would be written over.
            await lock_files(self._files, self._lock_timeout)
            noted = None if self._witness is None else await _noted_in(self._witness)
            found, beside = await asyncio.to_thread(self._recover, noted)
        except OSError as exc:
            # E.g. of the right to read; without the end of the chain nothing can be chained.
            raise unusable(self._files, exc) from exc
        journal = Journal(self._files, found.state.segment, found.state.size)
        chain = Chain(found.state, self._signer, limits=self._limits, wall=self._wall)
        self._spans = found.spans
        self._opened = AuditWriter(
            self._files,
            chain,
            journal,
            beside=beside,
            checkpoint_records=self._checkpoint_records,
            checkpoint_interval=self._checkpoint_interval,
            group_commit=self._group_commit,
            wall=self._wall,
            on_signed=self._note_signed,
        )
        self._tell_start(found)
        scope = await stack.enter_async_context(TaskScope(self._on_crash))
        scope.spawn(self._opened.run(), name="audit")
        scope.spawn(self._retain(), name="audit-retention")
        stack.push_async_callback(self._settle)
        with suppress(Unavailable):
            # So that `health` knows from the first moment; a disk that refuses does not stop the start.
            await self.flush()

    def _recover(self, noted: Anchor | None) -> tuple[Recovered, dict[str, bytes]]:
        published = KeyRing.from_pem(self._files.read_beside(PUBLIC_KEY_FILE) or b"").keys
        own = self._signer.key_id
        # The own one last: it is the newest.
        self._keys = KeyRing([*(key for key in published if key != own), own])
        beside = {} if published == self._keys.keys else {PUBLIC_KEY_FILE: self._keys.pem()}
        return recover(self._files, self._keys, noted), beside

    def _tell_start(self, found: Recovered) -> None:
        chain = self._writer.chain
        if found.damage:
            _log.error("audit_damaged", path=str(self._files.directory), detail=found.damage)
            chain.add_break(found.damage)
        last_at = found.last_at or self._wall()
        for access_id, at in list(chain.open.items()):
            self.record(
                AuditEntry(
                    at=self._wall(),
                    kind=AuditKind.END,
                    entry_id=self._new_id(),
                    ref=access_id,
                    result="interrupted",
                    detail="the gateway ended without recording its end",
                    duration_s=max(0.0, (last_at - parse_time(at)).total_seconds()),
                )
            )
        detail = f"cut {found.cut} bytes of a half-written line" if found.cut else ""
        self._record_own("started", "failed" if found.damage else "ok", found.damage or detail)
        # Signed at once: from its first moment the log can be verified.
        self._writer.sign()

    # Taking records; nothing here waits.

    def record(self, entry: AuditEntry) -> None:
        """Put on record. Never blocks; order of calls is the order of the chain."""
        self._writer.record(entry)

    def health(self) -> StoreHealth:
        """Whether records are being kept. While they are not, outside access is refused."""
        if self._opened is None:
            return StoreHealth(ok=False, detail="the audit is not open")
        return self._opened.health()

    def status(self) -> AuditStatus:
        """Return the audit in figures."""
        return status_of(self._writer, self._all_spans(), self._signer.fingerprint)

    def public_keys(self) -> bytes:
        """Return the keys that signed, as a PEM file, the newest last."""
        return self._keys.pem()

    # For people

    async def flush(self) -> None:
        """Wait until what was recorded so far would survive a power failure.

        Raises:
            Unavailable: `audit_unavailable`.
        """
        await self._writer.flush()

    async def search(
        self, query: AuditQuery, *, by: Mapping[str, str] | None = None, source: str = ""
    ) -> AuditPage:
        """Find records, newest first.

        Args:
            query: What is looked for.
            by: Fields of the subject who searches; that search is put on record then.
            source: Host it came from.

        Raises:
            Unavailable: `audit_unavailable` if the files cannot be read.
        """
        with suppress(Unavailable):
            await self.flush()
        still_open = frozenset(self._writer.chain.open)
        spans = [replace(span) for span in self._all_spans()]
        page = await self._read(search_records, self._source, spans, query, still_open)
        if by is not None:
            self._record_own("search", "ok", query.describe(), by=by, source=source)
        return page

    async def export(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        by: Mapping[str, str] | None = None,
        source: str = "",
    ) -> bytes:
        """Return a zip of all files with records of a period, with all that is needed to verify them.

        Args:
            since: Earliest record; None is the first.
            until: Latest record; None is now.
            by: Fields of the subject who exports; the export is put on record then.
            source: Host it came from.

        Raises:
            Unavailable: `audit_unavailable` if the newest records cannot be written.
            NotFound: `no_records`.
            Invalid: `export_too_large`.
        """
        self._writer.sign()
        await self.flush()
        spans = [replace(span) for span in self._all_spans()]
        signer, at = self._signer, self._wall()
        data = await self._read(build_export, self._source, spans, since, until, signer, at)
        if by is not None:
            detail = f"since={since or ''} until={until or ''} bytes={len(data)}"
            self._record_own("export", "ok", detail, by=by, source=source)
        return data

    async def verify(self, *, expect: Anchor | None = None) -> VerifyReport:
        """Verify everything up to now, as `gateway.sharing.audit.verify` does without a running gateway."""
        self._writer.sign()
        with suppress(Unavailable):
            await self.flush()
        return await self._read(verify_source, self._source, expect=expect)

    async def apply_retention(self, now: datetime | None = None) -> list[int]:
        """Remove the records of segments that are too old; return their numbers.

        A segment that does not verify is kept as it is: it may be evidence.

        Raises:
            Unavailable: `audit_unavailable` if the files cannot be written, read or replaced.
        """
        async with self._thinning:
            return await self._apply_retention((now or self._wall()) - self._retention)

    async def _apply_retention(self, before: datetime) -> list[int]:
        await self.flush()
        removed = []
        for span in self._all_spans():
            if span.number in self._kept or not span.is_before(before):
                continue
            fault = await self._read(
                leave_stub, self._files, span.number, self._keys, self._signer, self._wall()
            )
            if fault:
                self._kept.add(span.number)
                _log.error("audit_segment_kept", name=span.number, detail=fault)
            else:
                span.stub = True
                removed.append(span.number)
        if removed:
            detail = f"files {removed[0]} to {removed[-1]}, records before {before:%Y-%m-%d}"
            self._record_own("retention", "ok", detail)
            _log.info("audit_retention_applied", count=len(removed), detail=detail)
        return removed

    # Inside

    def _note_signed(self, anchor: Anchor) -> None:
        if self._witness is not None:
            body = {"seq": anchor.seq, "hash": anchor.hash}
            # Waited for at the end only: it may be a line behind, and the store tells of its own trouble.
            self._noting = self._witness.save_document(_COLLECTION, _SIGNED_KEY, body)

    async def _retain(self) -> None:
        # Not while the gateway starts: there is no hurry.
        await asyncio.sleep(_RETENTION_DELAY)
        while True:
            try:
                if is_steady(self._all_spans(), now := self._wall()):
                    await self.apply_retention(now)
                else:
                    _log.warning("audit_retention_postponed", detail="the clock may be wrong")
            except Unavailable as exc:
                _log.error("audit_retention_failed", detail=exc.detail)
            await asyncio.sleep(_RETENTION_INTERVAL)

    async def _read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._readers:
            try:
                return await asyncio.to_thread(work, *args, **kwargs)
            except OSError as exc:
                raise unusable(self._files, exc) from exc

    def _all_spans(self) -> list[SegmentSpan]:
        chain = self._writer.chain
        self._spans += chain.sealed
        chain.sealed.clear()
        return [*self._spans, chain.span]

    def _record_own(
        self,
        action: str,
        result: str,
        detail: str,
        *,
        by: Mapping[str, str] | None = None,
        source: str = "",
    ) -> None:
        self.record(
            AuditEntry(
                at=self._wall(),
                kind=AuditKind.AUDIT,
                entry_id=self._new_id(),
                subject=by or {},
                action=action,
                result=result,
                detail=detail,
                source=source,
            )
        )

    @property
    def _source(self) -> DirectorySource:
        return DirectorySource(self._files.directory)

    @property
    def _writer(self) -> AuditWriter:
        assert self._opened is not None, "the audit is not open"
        return self._opened


async def _noted_in(witness: DocumentStore) -> Anchor | None:
    noted = (await witness.load_documents(_COLLECTION)).get(_SIGNED_KEY)
    return None if noted is None else Anchor(int(noted["seq"]), str(noted["hash"]))


def _log_crash(name: str, exc: Exception) -> None:
    _log.error("task_crashed", task=name, error=repr(exc), exc_info=exc)
