"""Foreign sources: what is pulled from elsewhere, or pushed to us, and becomes a channel with a GB code."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import SplitResult, urlsplit

from gateway.domain.media import MediaEvents, StreamInfo

__all__ = [
    "Ingest",
    "IngestEvents",
    "IngestPlane",
    "IngestSpec",
    "Inlet",
    "ProbeReport",
    "Publication",
    "PublishDoor",
    "PullSpec",
    "RtspTransport",
    "SourceConfig",
    "SourceKind",
    "SourceState",
    "SourceStatus",
    "TagKind",
    "shown_url",
]

RtspTransport = Literal["tcp", "udp"]


class SourceKind(enum.StrEnum):
    """Where a source's media comes from."""

    PULL_RTSP = "pull_rtsp"
    PULL_RTMP = "pull_rtmp"
    PUSH_RTMP = "push_rtmp"
    """Somebody publishes to our RTMP server."""

    @property
    def is_pulled(self) -> bool:
        """Whether we fetch it."""
        return self is not SourceKind.PUSH_RTMP


class SourceState(enum.StrEnum):
    """How a source is now."""

    DISABLED = "disabled"
    IDLE = "idle"
    """Usable as far as is known, and nobody watches."""
    CONNECTING = "connecting"
    RUNNING = "running"
    FAILED = "failed"
    """The last try to reach it failed."""
    WAITING_PUBLISHER = "waiting_publisher"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One foreign source."""

    source_id: str
    """Its channel's 20-digit code."""
    kind: SourceKind
    name: str = ""
    url: str = field(default="", repr=False)
    """Where it is pulled from; may hold a password, so only `shown_url` of it is ever shown or logged."""
    rtsp_transport: RtspTransport = "tcp"
    tls_verify: bool = True
    """Whether a source by TLS must show a certificate that is trusted here."""
    always: bool = False
    """Fetch it also while nobody watches."""
    enabled: bool = True
    civil_code: str = ""
    address: str = ""
    longitude: float | None = None
    latitude: float | None = None
    secrecy: int = 0
    manufacturer: str = ""
    model: str = ""
    owner: str = ""
    created_at: datetime

    @property
    def fetched_by(self) -> tuple[object, ...]:
        """How it is fetched: what is fetched otherwise must be begun anew."""
        return self.url, self.rtsp_transport, self.tls_verify


@dataclass(slots=True, kw_only=True)
class SourceStatus:
    """How a source is, and since when."""

    state: SourceState
    since: datetime
    reason: str = ""
    """Stable word of the last failure, as `EndReason`; empty once it was reached."""
    detail: str = ""
    """A sentence for people."""
    tries: int = 0
    """Failures in a row."""
    checked_at: datetime | None = None
    """When it was last reached, or tried."""
    publisher: str = ""
    """`host:port` of who publishes now."""
    encoder: str = ""
    """What the publisher says it is."""
    bitrate_kbps: float = 0.0
    """Of what comes in now."""


def shown_url(url: str) -> str:
    """Return a URL that can be shown: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None else f"{host}:{port}"
    return SplitResult(parts.scheme, netloc, parts.path, "", "").geturl()


# The media plane's part


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSpec:
    """What to fetch."""

    url: str = field(repr=False)
    rtsp_transport: RtspTransport = "tcp"
    tls_verify: bool = True
    """Whether a source by TLS must show a certificate that is trusted here."""
    connect_timeout: float = 10.0
    """Seconds until its streams must be known."""
    read_timeout: float = 10.0
    """Seconds that a read may take; also the longest time a given-up thread lives on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSpec:
    """A foreign source that becomes a stream: exactly one of `pull` and `inlet`."""

    stream_id: str
    session_id: str
    pull: PullSpec | None = None
    inlet: "Inlet | None" = None
    """As `IngestPlane.open_inlet` gave it."""


class IngestEvents(MediaEvents, Protocol):
    """What the owner of an ingest is told; called on the loop, must not block or raise."""

    def ingest_failed(self, code: str, detail: str) -> None:
        """The source could not be had, or ended in a way that has a word: an `EndReason`."""


class Ingest(Protocol):
    """An open ingest: its stream can be watched."""

    async def close(self, code: str = ..., detail: str = ...) -> None:
        """Stop fetching and end all viewers with this reason; idempotent."""


class TagKind(enum.IntEnum):
    """Message types of RTMP that carry media, which are also the tag types of FLV."""

    AUDIO = 8
    VIDEO = 9
    SCRIPT = 18


class Inlet(Protocol):
    """Where what somebody publishes goes in; keeps what came since the last key frame while nobody watches."""

    @property
    def publishing(self) -> bool:
        """Whether somebody publishes now."""

    @property
    def silent_for(self) -> float:
        """Seconds since the last tag."""

    def begin(self, source: str) -> None:
        """A publisher at `host:port` begins, perhaps in the place of another."""

    def tag(self, kind: TagKind, timestamp: int, body: bytes) -> None:
        """Take the body of an audio, video or script tag (FLV E.4.2-E.4.4).

        Args:
            kind: Which.
            timestamp: Milliseconds modulo 2**32.
            body: As published.
        """

    def end(self, code: str, detail: str) -> None:
        """The publisher is gone; an empty `code` if it did not say so and may come back."""

    def info(self) -> StreamInfo:
        """Facts: `source`, `bytes`, `bitrate_kbps`, tracks as far as they were looked at."""

    def close(self) -> None:
        """Forget everything; idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What was found at a URL."""

    ok: bool
    code: str = ""
    """`source_unreachable`, `source_refused`, `codec_unsupported`, ... ; empty if it works."""
    detail: str = ""
    seconds: float = 0.0
    tracks: Sequence[str] = ()
    """`h264 1920x1080`, `aac 48000 Hz`."""


class IngestPlane(Protocol):
    """The media plane as foreign sources see it."""

    async def open_ingest(self, spec: IngestSpec, events: IngestEvents) -> Ingest:
        """Begin to fetch or to take from an inlet; returns at once, the events tell how it goes.

        Raises:
            Conflict: `stream_exists`.
            Unavailable: `too_many_pulls`, `shutdown`.
        """

    def open_inlet(self, name: str) -> Inlet:
        """Make a place where somebody may publish."""

    def stream(self, stream_id: str) -> StreamInfo | None:
        """Facts of one stream."""

    async def probe(self, pull: PullSpec) -> ProbeReport:
        """Connect, look at the streams, disconnect.

        Raises:
            Unavailable: `too_many_pulls`, `shutdown`.
        """


# The RTMP server's part


class Publication(Protocol):
    """An admitted publisher."""

    @property
    def source_id(self) -> str:
        """Which source it is."""

    def tag(self, kind: TagKind, timestamp: int, body: bytes) -> None:
        """Take a tag, as `Inlet.tag`."""

    def end(self, code: str, detail: str) -> None:
        """The publisher left, or was made to; idempotent. An empty `code` if it may come back."""


class PublishDoor(Protocol):
    """Tells who may publish."""

    def admit(
        self, source_id: str, key: str, source: str, *, encoder: str, stop: "PublishStop"
    ) -> Publication:
        """Let a publisher in.

        Args:
            source_id: The channel code it named.
            key: Its stream key.
            source: `host:port`.
            encoder: What it says it is.
            stop: Called once with (code, sentence) when it must end: source deleted, key changed, another took over.

        Raises:
            GatewayError: `publish_refused` (401: unknown code, wrong key, or not allowed to publish), `publish_taken`
                (409: somebody else publishes there), `publish_throttled` (429: too many refusals).
        """


class PublishStop(Protocol):
    """Ends a publisher's connection."""

    def __call__(self, code: str, detail: str) -> None:
        """Close it; must not block."""
