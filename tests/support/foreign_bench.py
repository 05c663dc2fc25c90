"""Foreign sources on doubles of their ports: a registry in memory, scripted sessions and media."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.domain.media import StreamInfo
from gateway.domain.policy import Subject
from gateway.domain.session import SessionKind, SessionRecord
from gateway.domain.source import (
    Ingest,
    IngestEvents,
    IngestSpec,
    Inlet,
    ProbeReport,
    PullSpec,
    SourceConfig,
    SourceKind,
)
from gateway.media.ingest.inlet import PushInlet
from gateway.registry.registry import DeviceRegistry
from gateway.registry.settings import RegistrySettings
from gateway.sessions.source_book import SourceBook
from gateway.sessions.source_ports import SourceSettings
from gateway.sessions.sources import ForeignSources
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.tasks import TaskScope
from tests.support.platform_book import AuditList, MemoryDocuments, PlainBox
from tests.support.registry import ManualClock, MemoryStore

__all__ = ["ADMIN", "SourceBench", "pulled", "pushed", "source_bench"]

ADMIN = Subject(role="admin")
DOMAIN = "3402000000"


def pushed(clock: ManualClock, source_id: str = "", **changes: object) -> SourceConfig:
    """A source that somebody publishes."""
    values: dict[str, object] = {"name": "drone", "created_at": clock.utc_now()} | changes
    return SourceConfig(source_id=source_id, kind=SourceKind.PUSH_RTMP, **values)  # type: ignore[arg-type]


def pulled(clock: ManualClock, source_id: str = "", **changes: object) -> SourceConfig:
    """A source that is fetched."""
    values: dict[str, object] = {
        "url": "rtsp://user:sesame@192.0.2.1/cam?token=sesame",
        "created_at": clock.utc_now(),
    } | changes
    return SourceConfig(source_id=source_id, kind=SourceKind.PULL_RTSP, **values)  # type: ignore[arg-type]


class ScriptedIngests:
    """An `IngestPlane` whose probes say what the test says; inlets are real."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.report = ProbeReport(ok=True, tracks=("h264 320x240",))
        self.probed: list[PullSpec] = []

    async def open_ingest(self, spec: IngestSpec, events: IngestEvents) -> Ingest:
        raise AssertionError(f"nothing here fetches media, and {spec.stream_id} was asked for")

    def open_inlet(self, name: str) -> Inlet:
        return PushInlet(name, max_tags=100, max_bytes=100_000, clock=self._clock.monotonic)

    def stream(self, stream_id: str) -> StreamInfo | None:
        return None

    async def probe(self, pull: PullSpec) -> ProbeReport:
        self.probed.append(pull)
        return self.report


class ScriptedPlays:
    """Sessions that only remember who was stopped."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.records: dict[str, SessionRecord] = {}
        self.stopped: list[str] = []

    async def play(self, device_id: str, channel_id: str) -> SessionRecord:
        record = SessionRecord(
            session_id=f"s-{channel_id}",
            kind=SessionKind.LIVE,
            device_id=device_id,
            channel_id=channel_id,
            transport="",
            created_at=self._clock.utc_now(),
            foreign=True,
        )
        self.records[channel_id] = record
        return record

    async def stop(self, session_id: str) -> SessionRecord:
        self.stopped.append(session_id)
        return self.records.pop(session_id.removeprefix("s-"))

    def running(self, device_id: str, channel_id: str) -> SessionRecord | None:
        return self.records.get(channel_id)


@dataclass
class SourceBench:
    """Everything about them."""

    clock: ManualClock = field(default_factory=ManualClock)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    store: MemoryStore = field(default_factory=MemoryStore)
    audit: AuditList = field(default_factory=AuditList)

    def __post_init__(self) -> None:
        self.media = ScriptedIngests(self.clock)
        self.plays = ScriptedPlays(self.clock)
        self.registry = DeviceRegistry(
            self.store, RegistrySettings(realm=DOMAIN, password="x"), clock=self.clock
        )

    def book(self) -> SourceBook:
        changes = ChangeLog(self.audit, wall=self.clock.utc_now, new_id=lambda: "id")
        return SourceBook(self.documents, box=PlainBox(), changes=changes)

    @asynccontextmanager
    async def running(self, **settings: float) -> AsyncIterator[ForeignSources]:
        def crashed(name: str, error: Exception) -> None:
            raise AssertionError(name) from error

        async with TaskScope(crashed) as scope:
            sources = ForeignSources(
                self.book(),
                devices=self.registry,
                sessions=self.plays,
                media=self.media,
                audit=self.audit,
                settings=SourceSettings(domain=DOMAIN, **{"probe_interval": 0.0, **settings}),  # type: ignore[arg-type]
                scope=scope,
                wall=self.clock.utc_now,
                now=self.clock.monotonic,
                new_id=lambda: "id",
            )
            await sources.start()
            try:
                yield sources
            finally:
                sources.close()


@asynccontextmanager
async def source_bench(**settings: float) -> AsyncIterator[tuple[SourceBench, ForeignSources]]:
    """Run the service on a registry of its own."""
    bench = SourceBench()
    await bench.registry.load()
    async with bench.running(**settings) as sources:
        yield bench, sources
