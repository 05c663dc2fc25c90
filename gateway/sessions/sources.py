"""Foreign sources: channels of one local device, watched, shared and cascaded like any other."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from gateway.domain.audit import AuditSink
from gateway.domain.errors import GatewayError, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.domain.session import Ended, SessionRecord
from gateway.domain.source import (
    IngestPlane,
    ProbeReport,
    SourceConfig,
    SourceStatus,
)
from gateway.sessions.foreign import ForeignWay, pull_spec, transport_of
from gateway.sessions.source_book import IssuedSource, SourceBook
from gateway.sessions.source_desk import PublishDesk
from gateway.sessions.source_listing import SourceListing
from gateway.sessions.source_live import LiveSource
from gateway.sessions.source_ports import LocalDevices, SourceSessions, SourceSettings
from gateway.sessions.source_watch import SourceWatch
from gb28181.aio.tasks import TaskScope

__all__ = ["ForeignSources"]

log = structlog.get_logger()


class ForeignSources:
    """Implements `ForeignWays` for sessions, and what operators do with sources.

    Args:
        book: Keeps them.
        devices: The registry.
        sessions: Starts and ends sessions.
        media: Fetches, and takes what is published.
        scope: Owner of the tasks.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self,
        book: SourceBook,
        *,
        devices: LocalDevices,
        sessions: SourceSessions,
        media: IngestPlane,
        audit: AuditSink,
        settings: SourceSettings,
        scope: TaskScope,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.book = book
        self._sessions = sessions
        self._media = media
        self._settings = settings
        self._scope = scope
        self._wall = wall
        self._now = now
        self._sources: dict[str, LiveSource] = {}
        self._lock = asyncio.Lock()
        self._listing = SourceListing(
            book, self._sources, devices=devices, settings=settings, changing=self._lock
        )
        self._watch = SourceWatch(
            self._sources,
            device_id=lambda: self.device_id,
            changed=self._listing.settle,
            sessions=sessions,
            media=media,
            settings=settings,
            scope=scope,
            now=now,
        )
        self.desk = PublishDesk(
            book,
            self._sources.get,
            self._listing.settle,
            audit=audit,
            wall=wall,
            now=now,
            new_id=new_id,
        )
        """Where publishers come in."""

    async def start(self) -> None:
        """Read the sources, make them channels and begin to look after them.

        Raises:
            Unavailable: the store failed.
        """
        await self.book.load()
        for config in self.book.all():
            self._sources[config.source_id] = self._live(config)
        if self._sources or self.book.device_id:
            await self._listing.write()
        self._scope.spawn(self._watch.run(), name="sources")
        self._scope.spawn(self._listing.run(), name="sources:catalog")

    def close(self) -> None:
        """End all publishers and forget what they left."""
        for source in self._sources.values():
            self.desk.expel(source, "The gateway is stopping")
            if source.inlet is not None:
                source.inlet.close()

    # Looking

    @property
    def device_id(self) -> str:
        """The local device that holds the channels; empty before the first source."""
        return self.book.device_id

    @property
    def publishers(self) -> int:
        """Publishers connected."""
        return sum(source.publisher is not None for source in self._sources.values())

    def all(self) -> list[tuple[SourceConfig, SourceStatus]]:
        """Return all sources, oldest first."""
        return [(config, self.status(config.source_id)) for config in self.book.all()]

    def status(self, source_id: str) -> SourceStatus:
        """Return how a source is.

        Raises:
            NotFound: `source_unknown`.
        """
        status = self._get(source_id).status()
        record = self._sessions.running(self.device_id, source_id)
        stream = self._media.stream(record.stream_id) if record is not None else None
        if stream is not None:
            status.bitrate_kbps = stream.bitrate_kbps
        return status

    # What operators do

    async def create(self, config: SourceConfig, *, by: Subject) -> IssuedSource:
        """Add a source; without a code it gets one.

        Raises:
            Invalid: `invalid_source`, `invalid_url`.
            Conflict: `source_exists`, `channel_exists`, `too_many_sources`.
            Unavailable: the store cannot keep it; there is no source then, for nobody saw its key.
        """
        async with self._lock:
            if config.source_id:
                self._listing.check_free(config.source_id)
            else:
                config = replace(config, source_id=self._listing.new_source_code())
            self.book.check_new(config)
            # The book shows it before the store has it.
            self._sources[config.source_id] = self._live(config)
            try:
                issued = await self.book.create(config, by=by)
                await self._listing.write()
            except BaseException:
                await self._undo(config.source_id, by=by)
                raise
        return issued

    async def change(self, config: SourceConfig, *, by: Subject) -> SourceConfig:
        """Replace a source's settings; what is fetched from another address now begins anew.

        Raises:
            NotFound: `source_unknown`.
            Invalid: `invalid_source`, `invalid_url`, `kind_fixed`.
            Unavailable: the store cannot keep it.
        """
        async with self._lock:
            old = self.book.get(config.source_id)
            changed = await self.book.change(config, by=by)
            source = self._sources[config.source_id]
            source.configure(changed)
            source.probe_at = self._now()
            if not changed.enabled:
                self.desk.expel(source, "The source was switched off")
            record = self._sessions.running(self.device_id, config.source_id)
            unwanted = old.always and not changed.always and record and not record.viewers
            if _fetched_otherwise(old, changed) or unwanted:
                await self._stop(config.source_id)
            await self._listing.write()
        return changed

    async def rotate(self, source_id: str, *, by: Subject) -> IssuedSource:
        """Give a source a new stream key; who publishes with the old one is ended.

        Raises:
            NotFound: `source_unknown`.
            Invalid: `no_stream_key`.
            Unavailable: the store cannot keep it.
        """
        issued = await self.book.rotate(source_id, by=by)
        self.desk.expel(self._get(source_id), "The stream key was changed")
        return issued

    async def delete(self, source_id: str, *, by: Subject) -> None:
        """Delete a source and its channel; who watches or publishes is ended.

        Raises:
            NotFound: `source_unknown`.
            Unavailable: the store cannot do it.
        """
        async with self._lock:
            await self.book.delete(source_id, by=by)
            await self._drop(source_id)
            await self._listing.write()

    async def test(self, source_id: str) -> ProbeReport:
        """Look at a source now; of one that is pushed say whether somebody publishes.

        Raises:
            NotFound: `source_unknown`.
            Unavailable: `too_many_pulls`.
        """
        source = self._get(source_id)
        if source.inlet is None:
            return await self._watch.look(source)
        info = source.inlet.info()
        if not source.inlet.publishing:
            return ProbeReport(
                ok=False, code="no_publisher", detail="Nobody publishes to this channel now"
            )
        return ProbeReport(ok=True, detail=f"{info.source} publishes {info.bitrate_kbps:g} kbit/s")

    # For sessions

    def way(self, record: SessionRecord) -> ForeignWay:
        """Return the way to a source's media.

        Raises:
            NotFound: `channel_unknown`.
            Unavailable: `source_disabled`.
        """
        source = self._sources.get(record.channel_id)
        if source is None or record.device_id != self.device_id:
            raise NotFound("channel_unknown", f"There is no source {record.channel_id}")
        config = source.config
        if not config.enabled:
            raise Unavailable("source_disabled", f"Source {config.source_id} is switched off")
        record.transport = transport_of(config)
        pull = None
        if config.kind.is_pulled:
            pull = pull_spec(config, self._settings.connect_timeout, self._settings.read_timeout)
        return ForeignWay(
            lambda: self.book.find(record.channel_id),
            record,
            media=self._media,
            owner=self,
            pull=pull,
            inlet=source.inlet,
        )

    def session_began(self, source_id: str) -> None:
        """A session asks for a source's media."""
        source = self._sources.get(source_id)
        if source is not None:
            source.began()
            self._listing.settle(source)

    def session_connected(self, source_id: str) -> None:
        """A source's media can come."""
        source = self._sources.get(source_id)
        if source is not None:
            source.connected()
            self._listing.settle(source)

    def session_over(self, source_id: str, ended: Ended) -> None:
        """A source's session ended."""
        source = self._sources.get(source_id)
        if source is not None:
            source.over(ended)
            source.probe_at = self._now() + source.look_after(self._settings.probe_interval)
            self._listing.settle(source)

    # Inside

    def _get(self, source_id: str) -> LiveSource:
        found = self._sources.get(source_id)
        if found is None:
            raise NotFound("source_unknown", f"There is no source {source_id[:64]}")
        return found

    def _live(self, config: SourceConfig) -> LiveSource:
        inlet = None if config.kind.is_pulled else self._media.open_inlet(config.source_id)
        source = LiveSource(config, inlet, self._wall)
        source.probe_at = self._now()
        return source

    async def _undo(self, source_id: str, *, by: Subject) -> None:
        """Take back a source that could not be made a channel; if the store fails again it stays, with its channel."""
        try:
            if self.book.find(source_id) is not None:
                await self.book.delete(source_id, by=by)
            await self._drop(source_id)
            await self._listing.write()
        except GatewayError as exc:
            log.error("source_undo_failed", channel_id=source_id, reason=exc.code)  # noqa: TRY400 - no trace needed

    async def _drop(self, source_id: str) -> None:
        """Forget a source that the book has no more; who watches or publishes is ended."""
        source = self._sources.pop(source_id)
        self.desk.expel(source, "The source was deleted")
        await self._stop(source_id)
        if source.inlet is not None:
            source.inlet.close()

    async def _stop(self, source_id: str) -> None:
        record = self._sessions.running(self.device_id, source_id)
        if record is not None:
            await self._sessions.stop(record.session_id)


def _fetched_otherwise(old: SourceConfig, new: SourceConfig) -> bool:
    return not new.enabled or old.fetched_by != new.fetched_by
