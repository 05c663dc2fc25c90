"""The media plane as a port: receivers in, streams, viewers out."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.device import MediaTransport

__all__ = [
    "MediaEvents",
    "MediaPlane",
    "OutputFormat",
    "Receiver",
    "ReceiverSpec",
    "StreamInfo",
    "TrackInfo",
    "Viewer",
    "ViewerSink",
]


class OutputFormat(enum.StrEnum):
    """Containers a viewer can ask for."""

    FLV = "flv"
    MP4 = "mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSpec:
    """What to receive; one receiver per session."""

    stream_id: str
    session_id: str
    transport: MediaTransport
    ssrc: int
    """SSRC that was offered in y=."""
    device_host: str = ""
    """Where the device is registered from; empty if unknown. Media from there is believed."""


@dataclass(slots=True, kw_only=True)
class TrackInfo:
    """One track as found in the stream."""

    codec: str
    """FFmpeg's name: `h264`, `hevc`, `aac`, `pcm_alaw`, `pcm_mulaw`."""
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    mime_codec: str = ""
    """RFC 6381 string of the fMP4 track (`avc1.64001f`, `hvc1.1.6.L93.B0`, `mp4a.40.2`)."""


@dataclass(slots=True, kw_only=True)
class StreamInfo:
    """A running stream and its counters (since the start unless said otherwise)."""

    stream_id: str
    session_id: str
    video: TrackInfo | None = None
    audio: TrackInfo | None = None
    source: str = ""
    """`host:port` the media comes from."""
    remark: str = ""
    """What is odd about the source, for people; empty if nothing is."""
    payload: str = ""
    """How it is packed: `ps`, `h264`, `hevc`, ..."""
    ssrc: str = ""
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    reordered: int = 0
    discarded: int = 0
    """Packets of another sender or SSRC."""
    bitrate_kbps: float = 0.0
    """Over the last seconds."""
    frames: int = 0
    keyframes: int = 0
    viewers: Mapping[str, int] = field(default_factory=dict)
    """Viewers by output format."""
    skipped: int = 0
    """Frames that viewers lost because they were too slow, all viewers together."""
    started_s: float = 0.0
    """Seconds since the receiver was opened."""


class MediaEvents(Protocol):
    """What the owner of a receiver (a session) is told; called on the loop, must not block or raise."""

    def media_connected(self) -> None:
        """A TCP media connection stands."""

    def media_connect_failed(self, detail: str) -> None:
        """The TCP media connection could not be made after all tries."""

    def media_first_packet(self, ssrc: int, source: str) -> None:
        """The first RTP packet was accepted; told again if a better sender takes the first one's place."""

    def media_decodable(self) -> None:
        """Parameter sets and a key frame are here: a decoder could start."""

    def media_first_output(self) -> None:
        """The first bytes went to a viewer."""

    def media_lost(self, detail: str) -> None:
        """The source went away: connection closed, or no packet for the configured time."""

    def media_unsupported(self, detail: str) -> None:
        """Packets arrive, but with a codec or packing that cannot be used."""

    def media_viewers(self, count: int) -> None:
        """The number of viewers changed."""


class Receiver(Protocol):
    """An open receiver: a leased port and, once packets come, a stream."""

    @property
    def port(self) -> int:
        """Local RTP port to write into the offer (even; RTCP is the next)."""

    def answered(
        self, *, ssrc: int | None, remote: tuple[str, int] | None, payloads: Mapping[int, str]
    ) -> None:
        """Tell what the answer said: its y=, its c=/m= address (dialled if TCP active), rtpmap by payload type (`{96: "PS"}`)."""

    async def close(self, code: str = ..., detail: str = ...) -> None:
        """Stop receiving, end all viewers with this reason and give the port back to be drained; idempotent."""


class ViewerSink(Protocol):
    """Where a viewer's bytes go: an HTTP or WebSocket transport."""

    framing: str
    """`raw`, or `ws` for bytes with a WebSocket binary frame header in front."""

    def write(self, data: bytes) -> None:
        """Send these bytes, unchanged; never blocks."""

    def buffered(self) -> int:
        """Bytes accepted but not yet taken by the network."""

    def close(self, code: str, detail: str) -> None:
        """The stream is over for this viewer; `code` is an EndReason value or `codec_changed`, `too_slow`."""


class Viewer(Protocol):
    """An attached viewer."""

    def detach(self) -> None:
        """Stop; idempotent."""


class MediaPlane(Protocol):
    """Receives, fans out. The embedded default runs in this process."""

    async def open_receiver(self, spec: ReceiverSpec, events: MediaEvents) -> Receiver:
        """Lease a port and listen.

        Raises:
            Unavailable: `rtp_ports_exhausted`.
        """

    def attach(
        self, stream_id: str, output: OutputFormat, sink: ViewerSink, *, audio: bool = True
    ) -> Viewer:
        """Send the stream to a sink from its last key frame on; may be called before the first packet.

        Raises:
            NotFound: no receiver has that stream id.
        """

    def stream(self, stream_id: str) -> StreamInfo | None:
        """Facts of one stream."""

    def streams(self) -> list[StreamInfo]:
        """Facts of all streams."""

    def ports_in_use(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""
