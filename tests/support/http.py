"""A real HTTP server on loopback over the real registry, with scripted sessions, catalogue and media."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from gateway.domain.device import CatalogDiff, Device, MediaTransport
from gateway.domain.errors import NotFound, SessionFailed, Unavailable
from gateway.domain.hls import HlsPlane
from gateway.domain.media import OutputFormat, StreamInfo, TrackInfo, ViewerSink
from gateway.domain.session import (
    Ended,
    EndReason,
    SessionKind,
    SessionRecord,
    SessionState,
    Stage,
    stream_name,
)
from gateway.domain.signalling import Origin
from gateway.domain.snapshot import SnapshotPlane
from gateway.domain.store import StoreHealth
from gateway.domain.webrtc import WebRtcMedia
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.server import HttpServer
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from tests.support.http_sharing import SharingBench, sharing_bench
from tests.support.registry import DEVICE, ManualClock, MemoryStore, camera, registration

__all__ = [
    "ADMIN",
    "CHANNEL",
    "DEVICE",
    "OTHER_DEVICE",
    "SHARED_CHANNEL",
    "HttpBench",
    "ScriptedSessions",
    "failed_session",
    "http_bench",
]

ADMIN = "an-admin-token-of-the-tests"
CHANNEL = camera(1).channel_id
SHARED_CHANNEL = camera(7).channel_id
OTHER_DEVICE = "34020000001180000002"

_T = TypeVar("_T")


@dataclass
class Progress:
    device_id: str
    state: str
    started_at: datetime
    received: int = 0
    expected: int | None = None
    finished_at: datetime | None = None
    detail: str = ""
    diff: CatalogDiff | None = None


class ScriptedCatalog:
    """A catalogue synchronisation that is done at once."""

    def __init__(self, registry: DeviceRegistry, clock: ManualClock) -> None:
        self._registry = registry
        self._clock = clock
        self._progress: dict[str, Progress] = {}

    async def sync(self, device_id: str) -> Progress:
        device = self._registry.get(device_id)
        if device is None or not device.online:
            raise Unavailable("device_offline", f"Device {device_id} is offline")
        now = self._clock.utc_now()
        diff = CatalogDiff(added=(CHANNEL,), total=1)
        progress = Progress(device_id, "done", now, 1, 1, now, "", diff)
        self._progress[device_id] = progress
        return progress

    def progress(self, device_id: str) -> Progress | None:
        return self._progress.get(device_id)


class ScriptedQueries:
    """Devices that all answer the same."""

    def __init__(self) -> None:
        self.crash: Exception | None = None

    async def query_device_status(self, device: Device) -> dict[str, str]:
        if self.crash is not None:
            raise self.crash
        return {"Online": "ONLINE", "Status": "OK", "Record": "\udcff?"}


@dataclass
class Watcher:
    """An attached viewer as the sessions see it."""

    stream_id: str
    output: OutputFormat
    sink: ViewerSink
    detached: asyncio.Event = field(default_factory=asyncio.Event)

    def detach(self) -> None:
        self.detached.set()


class ScriptedSessions:
    """Sessions whose viewers the test feeds."""

    def __init__(self, registry: DeviceRegistry, clock: ManualClock) -> None:
        self._registry = registry
        self._clock = clock
        self.records: list[SessionRecord] = []
        self.watchers: asyncio.Queue[Watcher] = asyncio.Queue(maxsize=100)
        self.refuse: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.abandoned = asyncio.Event()

    def sessions(self) -> list[SessionRecord]:
        return list(self.records)

    def get(self, session_id: str) -> SessionRecord:
        for record in self.records:
            if record.session_id == session_id:
                return record
        raise NotFound("session_unknown", f"No session {session_id}")

    async def play(
        self,
        device_id: str,
        channel_id: str,
        *,
        transport: MediaTransport | None = None,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> SessionRecord:
        await self._held()
        if self.refuse is not None:
            raise self.refuse
        device = self._registry.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id}")
        record = SessionRecord(
            session_id=f"s{len(self.records) + 1}",
            kind=SessionKind.LIVE,
            device_id=device_id,
            channel_id=channel_id,
            transport=(transport or MediaTransport.UDP).value,
            created_at=self._clock.utc_now(),
            stream=stream,
            state=SessionState.RUNNING,
            stages={Stage.REQUESTED: 0.0, Stage.INVITED: 0.01, Stage.ANSWERED: 0.2},
        )
        record.ssrc.offered = "0200000001"
        self.records.append(record)
        return record

    async def watch(
        self,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
        sink: ViewerSink,
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> Watcher:
        await self._held()
        if self.refuse is not None:
            raise self.refuse
        watcher = Watcher(stream_name(device_id, channel_id, stream), output, sink)
        self.watchers.put_nowait(watcher)
        return watcher

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        record = await self.play(device_id, channel_id, stream=stream, origin=origin)
        return record, attach(record)

    async def _held(self) -> None:
        if self.hold is None:
            return
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.abandoned.set()
            raise

    async def stop(self, session_id: str) -> SessionRecord:
        record = self.get(session_id)
        record.state = SessionState.ENDED
        record.ended = Ended(EndReason.STOPPED, "Stopped by request")
        record.ended_at = self._clock.utc_now()
        return record


class ScriptedMedia:
    """Streams as the test lists them."""

    def __init__(self) -> None:
        self.ports = (1, 0, 500)
        self.listed = [
            StreamInfo(
                stream_id=f"{DEVICE}/{CHANNEL}",
                session_id="s1",
                video=TrackInfo(codec="h264", width=1920, height=1080, mime_codec="avc1.64001f"),
                audio=TrackInfo(codec="aac", sample_rate=8000, mime_codec="mp4a.40.2"),
                source="10.0.0.7:62000",
                payload="ps",
                viewers={"flv": 2},
            )
        ]

    def stream(self, stream_id: str) -> StreamInfo | None:
        return next((info for info in self.listed if info.stream_id == stream_id), None)

    def streams(self) -> list[StreamInfo]:
        return self.listed

    def ports_in_use(self) -> tuple[int, int, int]:
        return self.ports


def failed_session(
    reason: EndReason = EndReason.NO_PACKET, *, at: datetime | None = None, number: int = 1
) -> SessionRecord:
    """A session that ended without a picture."""
    at = at or datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    record = SessionRecord(
        session_id=f"failed{number}",
        kind=SessionKind.LIVE,
        device_id=DEVICE,
        channel_id=CHANNEL,
        transport="udp",
        created_at=at,
        state=SessionState.ENDED,
        stages={Stage.REQUESTED: 0.0, Stage.PORT_LEASED: 0.001, Stage.INVITED: 0.002},
        ended=Ended(reason, "The device answered 200 but sent no RTP within 10 s"),
        ended_at=at + timedelta(seconds=10),
    )
    record.ssrc.offered = "0200000001"
    return record


def session_failed(reason: EndReason, detail: str, status: int | None = None) -> SessionFailed:
    """What sessions raise when a stream does not come."""
    return SessionFailed("s1", Ended(reason, detail, status))


@dataclass
class HttpBench:
    """The server and everything behind it."""

    server: HttpServer
    client: aiohttp.ClientSession
    registry: DeviceRegistry
    sessions: ScriptedSessions
    media: ScriptedMedia
    queries: ScriptedQueries
    store: MemoryStore
    clock: ManualClock
    data_dir: Path
    health: list[StoreHealth]
    sharing: SharingBench

    @property
    def url(self) -> str:
        return self.server.url

    async def call(
        self, method: str, path: str, *, token: str | None = ADMIN, **options: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """One request; status, decoded JSON (or text) and the response."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            kind = answer.content_type
            body: Any = await answer.read()
            if kind.endswith("json") and body:
                body = await answer.json(content_type=None)
            return answer.status, body, answer

    def stream_token(self, stream_id: str = f"{DEVICE}/{CHANNEL}", *, ttl: int = 60) -> str:
        expires = int(self.clock.utc_now().timestamp()) + ttl
        return self.server.tokens.streams.sign(stream_id, expires)


@asynccontextmanager
async def http_bench(
    data_dir: Path,
    *,
    audit_files: bool = False,
    hls: HlsPlane | None = None,
    webrtc: WebRtcMedia | None = None,
    snapshots: SnapshotPlane | None = None,
    clock: ManualClock | None = None,
    **options: Any,
) -> AsyncIterator[HttpBench]:
    """Two devices online, one with cameras 1, 2 and 7, one with camera 7."""
    clock, store = clock or ManualClock(), MemoryStore()
    registry = DeviceRegistry(store, RegistrySettings(realm="3402000000"), clock=clock)
    await registry.load()
    for device_id, numbers in ((DEVICE, (1, 2, 7)), (OTHER_DEVICE, (7,))):
        registry.registered(registration(device_id), clock.now)
        listed = [camera(number, device_id) for number in numbers]
        await registry.replace_catalog(device_id, listed, complete=True)
    sessions, media = ScriptedSessions(registry, clock), ScriptedMedia()
    queries, health = ScriptedQueries(), [StoreHealth(ok=True)]
    files = data_dir / "audit" if audit_files else None
    async with sharing_bench(registry, clock, files) as sharing:
        deps = HttpDeps(
            devices=registry,
            catalog=ScriptedCatalog(registry, clock),
            queries=queries,
            sessions=sessions,
            media=media,
            metrics=Metrics(process=False),
            store_health=lambda: health[-1],
            sharing=sharing.deps(),
            hls=hls,
            webrtc=webrtc,
            snapshots=snapshots,
            sip_addresses=lambda: [("UDP", "127.0.0.1", 5060)],
            version="0.1.0",
            wall=clock.utc_now,
            now=clock.monotonic,
            started_at=clock.start,
        )
        values = {
            "port": 0,
            "admin_token": ADMIN,
            "close_timeout": 0.5,
            "auth_failures": 10_000,
            **options,
        }
        server = HttpServer(deps, HttpOptions(data_dir=data_dir, **values))
        async with server, aiohttp.ClientSession() as client:
            yield HttpBench(
                server,
                client,
                registry,
                sessions,
                media,
                queries,
                store,
                clock,
                data_dir,
                health,
                sharing,
            )
