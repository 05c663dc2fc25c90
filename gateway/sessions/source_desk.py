"""Lets publishers in: one per channel, with its stream key; refusals are counted, throttled and put on record."""

from collections.abc import Callable
from datetime import datetime

import structlog

from gateway.domain.audit import AuditEntry, AuditKind, AuditSink
from gateway.domain.errors import Conflict, GatewayError, Unavailable
from gateway.domain.session import EndReason
from gateway.domain.source import Inlet, Publication, PublishStop, TagKind
from gateway.observe.log import RateLimitedCounter
from gateway.sessions.source_book import SourceBook
from gateway.sessions.source_live import ActivePublisher, LiveSource
from gateway.sharing.failures import FailureLimit

__all__ = ["PublishDesk", "PublishRefused"]

log = structlog.get_logger()

TAKEOVER = 3.0
"""Seconds of silence after which another publisher may take a channel over: a drone that has lost its link comes back
from a new address long before the old connection is known to be dead."""
FAILURES_PER_MINUTE = 10
"""Refusals of one address that get their full answer and a record each."""
_WORDS = (
    "Unknown channel, wrong stream key, or nothing is published there; "
    "expected rtmp://HOST/live/CHANNEL?key=KEY"
)


class PublishRefused(GatewayError):
    """A publisher without a usable key."""

    status = 401


class PublishThrottled(GatewayError):
    """One of too many of them from one address."""

    status = 429


class PublishDesk:
    """Implements `PublishDoor`.

    Args:
        book: Knows the keys.
        find: Returns a source at run time.
        changed: Called with a source whose publisher came or went, and a sentence about it.
        audit: Takes a record of every refusal.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self,
        book: SourceBook,
        find: Callable[[str], LiveSource | None],
        changed: Callable[[LiveSource, str], None],
        *,
        audit: AuditSink,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._book = book
        self._find = find
        self._changed = changed
        self._audit = audit
        self._wall = wall
        self._now = now
        self._new_id = new_id
        self._failures = FailureLimit(FAILURES_PER_MINUTE)
        self._limited = RateLimitedCounter(log.warning, "publishers_limited")

    def admit(
        self, source_id: str, key: str, source: str, *, encoder: str, stop: PublishStop
    ) -> Publication:
        """Let a publisher in; see `PublishDoor.admit`.

        A good key is never refused because of failures from the same address: keys cannot be guessed, what needs
        protection is the record.
        """
        accepted = self._book.accepts(source_id, key)
        target = self._find(source_id)
        if not accepted or target is None or target.inlet is None:
            raise self._refusal(source_id, source)
        if not target.config.enabled:
            raise Unavailable("source_disabled", f"Source {source_id} is switched off")
        inlet, present = target.inlet, target.publisher
        if present is not None:
            if inlet.silent_for < TAKEOVER:
                raise Conflict(
                    "publish_taken", f"Somebody publishes to {source_id} already; end that first"
                )
            target.publisher = None
            present.stop("publish_taken", "Another publisher has taken this channel over")
        publication = _Publication(self, target, inlet)
        target.publisher = ActivePublisher(publication, source, encoder, stop)
        inlet.begin(source)
        self._changed(target, f"{source_id}: a publisher came from {source}")
        return publication

    def expel(self, source: LiveSource, detail: str) -> None:
        """End a source's publisher, if there is one."""
        present = source.publisher
        if present is not None:
            present.publication.end(EndReason.PUBLISHER_LEFT.value, detail)
            present.stop("publish_refused", detail)

    def left(self, source: LiveSource, publication: Publication, code: str, detail: str) -> None:
        """Note that a publisher is gone."""
        present = source.publisher
        if present is None or present.publication is not publication or source.inlet is None:
            return
        source.publisher = None
        source.inlet.end(code, detail)
        self._changed(source, f"{source.config.source_id}: {detail}")

    def _refusal(self, source_id: str, source: str) -> GatewayError:
        host = source.rpartition(":")[0].strip("[]")
        if self._failures.note(host, self._now()) > 0:
            self._limited.add(source=host)
            return PublishThrottled("publish_throttled", "Too many publishers were refused")
        claimed = source_id[:20]
        log.warning("publisher_refused", channel_id=claimed, source=host)
        self._audit.record(
            AuditEntry(
                at=self._wall(),
                kind=AuditKind.KEY,
                entry_id=self._new_id(),
                action="authenticate",
                object_id=f"source:{claimed}",
                result="deny",
                reason="publish_refused",
                detail="publish",
                source=host,
                via="rtmp",
            )
        )
        return PublishRefused("publish_refused", _WORDS)


class _Publication:
    """One publisher; implements `Publication`."""

    def __init__(self, desk: PublishDesk, source: LiveSource, inlet: Inlet) -> None:
        self._desk = desk
        self._source = source
        self._inlet: Inlet | None = inlet

    @property
    def source_id(self) -> str:
        """Which source it is."""
        return self._source.config.source_id

    def tag(self, kind: TagKind, timestamp: int, body: bytes) -> None:
        """Hand a tag on."""
        if self._inlet is not None:
            self._inlet.tag(kind, timestamp, body)

    def end(self, code: str, detail: str) -> None:
        """The publisher is gone."""
        if self._inlet is not None:
            self._inlet = None
            self._desk.left(self._source, self, code, detail)
