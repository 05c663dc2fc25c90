"""What the HTTP face needs from the rest of the gateway, as small protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from gateway.domain.device import (
    CatalogDiff,
    Channel,
    ChannelKind,
    Device,
    DeviceSettings,
    MediaTransport,
    TimelineEntry,
)
from gateway.domain.hls import HlsPlane
from gateway.domain.media import OutputFormat, StreamInfo, Viewer, ViewerSink
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin
from gateway.domain.snapshot import SnapshotPlane
from gateway.domain.store import StoreHealth
from gateway.domain.webrtc import WebRtcMedia
from gateway.http.recordings_desk import RecordingDesk
from gateway.http.shared import SharingDeps
from gateway.observe.metrics import Metrics
from gateway.sessions.pushes import PushService
from gateway.sessions.sources import ForeignSources
from gb28181.aio.clock import monotonic, utc_now

__all__ = [
    "CatalogPort",
    "DeviceBook",
    "DeviceQueries",
    "HttpDeps",
    "MediaFacts",
    "Progress",
    "SessionBook",
]


_T = TypeVar("_T")


class DeviceBook(Protocol):
    """The registry: devices, their settings, channels and timelines."""

    def get(self, device_id: str) -> Device | None:
        """Return a device."""

    def devices(self) -> Sequence[Device]:
        """Return all devices."""

    def search(
        self, q: str = "", limit: int = 100, offset: int = 0, *, online: bool | None = None
    ) -> tuple[list[Device], int]:
        """Return a page of the matching devices and their number in all."""

    def counts(self) -> tuple[int, int, int]:
        """Return devices known, devices online, channels."""

    async def history(self, device_id: str, limit: int = 200) -> list[TimelineEntry]:
        """Return the newest timeline entries, newest first."""

    def strangers(self, limit: int = 100) -> list[tuple[str, TimelineEntry]]:
        """Return ids that tried and never registered, with the newest entry of each."""

    async def set_settings(self, device_id: str, settings: DeviceSettings) -> None:
        """Replace a device's settings, durably."""

    async def set_secret(self, device_id: str, password: str | None) -> None:
        """Set or remove a device's own password, durably."""

    async def forget(self, device_id: str) -> None:
        """Delete a device and everything known of it, durably."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""

    def channels(self, device_id: str) -> Sequence[Channel]:
        """Return a device's channels in the order of its catalogue."""

    def find_channel(self, channel_id: str) -> list[Channel]:
        """Return every channel with this id."""

    def search_channels(
        self,
        q: str = "",
        *,
        device_id: str | None = None,
        kind: ChannelKind | None = None,
        online: bool | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Channel], int]:
        """Return a page of the matching channels and their number in all."""


class Progress(Protocol):
    """How far a catalogue synchronisation is."""

    @property
    def device_id(self) -> str:
        """Whose catalogue."""

    @property
    def state(self) -> str:
        """`queued`, `asking`, `receiving`, `done` or `failed`."""

    @property
    def started_at(self) -> datetime:
        """When it was requested."""

    @property
    def received(self) -> int:
        """Items so far."""

    @property
    def expected(self) -> int | None:
        """Items as the device announced them."""

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""

    @property
    def detail(self) -> str:
        """What went wrong, or how it ended."""

    @property
    def diff(self) -> CatalogDiff | None:
        """What changed."""


class CatalogPort(Protocol):
    """Catalogue synchronisation."""

    async def sync(self, device_id: str) -> Progress:
        """Ask the device now; return once it has taken the query."""

    def progress(self, device_id: str) -> Progress | None:
        """The latest synchronisation of a device."""


class DeviceQueries(Protocol):
    """Questions that are passed on to a device."""

    async def query_device_status(self, device: Device) -> dict[str, str]:
        """Ask for DeviceStatus and wait for the answer."""


class SessionBook(Protocol):
    """Live sessions."""

    def sessions(self) -> Sequence[SessionRecord]:
        """Running sessions, then ended ones, newest first."""

    def get(self, session_id: str) -> SessionRecord:
        """Return one session; raises NotFound."""

    async def play(
        self,
        device_id: str,
        channel_id: str,
        *,
        transport: MediaTransport | None = None,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> SessionRecord:
        """Start or join a channel's stream (0 main, 1 sub); return once the device has answered."""

    async def watch(
        self,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
        sink: ViewerSink,
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> Viewer:
        """Attach a viewer, starting the stream if need be."""

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        """Attach anything to a channel's stream, starting the stream if need be."""

    async def stop(self, session_id: str) -> SessionRecord:
        """End a session for all its viewers."""


class MediaFacts(Protocol):
    """The media plane, to look at."""

    def stream(self, stream_id: str) -> StreamInfo | None:
        """Facts of one stream."""

    def streams(self) -> Sequence[StreamInfo]:
        """Facts of all streams."""

    def ports_in_use(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""


def _always_ready() -> str | None:
    return None


def _no_addresses() -> Sequence[tuple[str, str, int]]:
    return ()


def _not_late() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDeps:
    """Everything the handlers work with."""

    devices: DeviceBook
    catalog: CatalogPort
    queries: DeviceQueries
    sessions: SessionBook
    media: MediaFacts
    metrics: Metrics
    store_health: Callable[[], StoreHealth]
    sharing: SharingDeps
    ready: Callable[[], str | None] = _always_ready
    """None once the gateway can serve, else what is missing."""
    sip_addresses: Callable[[], Sequence[tuple[str, str, int]]] = _no_addresses
    """(transport, host, port) of every SIP listener."""
    loop_lag: Callable[[], float] = _not_late
    """Seconds by which the event loop was late lately."""
    rtsp_base: Callable[[str], str] | None = None
    """Makes the beginning of an RTSP URL from the host of a request; None: no RTSP."""
    webrtc: WebRtcMedia | None = None
    """None: no WHEP."""
    hls: HlsPlane | None = None
    """None: no HLS."""
    snapshots: SnapshotPlane | None = None
    """None: no pictures."""
    pushes: PushService | None = None
    """None: no push targets."""
    sources: ForeignSources | None = None
    """None: no foreign sources."""
    rtmp_base: Callable[[str], str] | None = None
    """Makes the beginning of a publish URL from the host of a request; None: nobody may publish."""
    recordings: RecordingDesk | None = None
    """None: no recordings."""
    version: str = ""
    wall: Callable[[], datetime] = utc_now
    now: Callable[[], float] = monotonic
    started_at: datetime = field(default_factory=utc_now)
