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
    "Sender",
    "SenderEvents",
    "SenderInfo",
    "SenderSpec",
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
    """Viewers by output format; `relay` for senders."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSpec:
    """A stream relayed to a media receiver elsewhere (an upper platform), as PS over RTP."""

    sender_id: str
    """Unique; names the relay in logs."""
    stream_id: str
    transport: MediaTransport
    """Our own role: UDP, TCP passive (we listen) or TCP active (we dial)."""
    ssrc: int
    """SSRC that was answered in y=; every packet carries it."""
    payload_type: int = 96
    remote: tuple[str, int] | None = None
    """Where to send or to dial (c= and m= of the upper); None while unknown (INVITE without SDP): see `Sender.start`."""
    hosts: frozenset[str] = frozenset()
    """Other hosts the receiver may connect from (TCP passive), as that of its signalling. With none
    here and no `remote` whoever connects first gets the media."""
    rtcp: bool = False
    """Send a sender report every 5 s, and call `sender_lost` when no receiver report came for 30 s after the first."""


@dataclass(slots=True, kw_only=True)
class SenderInfo:
    """A relay and its counters since its start."""

    sender_id: str
    stream_id: str
    transport: str
    remote: str = ""
    ssrc: str = ""
    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    """Packets left out because the receiver or the network was too slow; whole frames from TCP."""
    remuxed: bool = False
    """Whether PS is made here because the source sends something else."""
    bitrate_kbps: float = 0.0


class SenderEvents(Protocol):
    """What the owner of a sender (a bridge) is told; called on the loop, must not block or raise."""

    def sender_connected(self) -> None:
        """The TCP connection to the receiver stands."""

    def sender_first_packet(self) -> None:
        """The first packet went out."""

    def sender_lost(self, code: str, detail: str) -> None:
        """The receiver is gone; told at most once, the owner closes the sender.

        Args:
            code: `connect_failed`, `connection_closed`, `unreachable`, `no_receiver_reports`, `source_ended`,
                `relay_failed` (a fault of the gateway's own).
            detail: A sentence for people.
        """


class Sender(Protocol):
    """An open relay: a leased port. It counts as a viewer of its stream from `start` to `close`."""

    @property
    def port(self) -> int:
        """Local RTP port to write into the SDP (even)."""

    def start(
        self, remote: tuple[str, int] | None = None, *, payload_type: int | None = None
    ) -> None:
        """Begin (after the ACK): send, dial, or take the connection the receiver makes. Idempotent.

        Args:
            remote: Where to send, if `SenderSpec.remote` was None or has changed (re-INVITE).
            payload_type: Instead of the spec's, if the answer came in the ACK.
        """

    def info(self) -> SenderInfo:
        """Facts."""

    async def close(self) -> None:
        """Stop sending and give the port back; idempotent."""


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

    async def open_sender(self, spec: SenderSpec, events: SenderEvents) -> Sender:
        """Lease a port for relaying a stream.

        Raises:
            NotFound: `stream_not_found`: no receiver has that stream id.
            Unavailable: `rtp_ports_exhausted`.
        """

    def senders(self) -> list[SenderInfo]:
        """Facts of all relays."""

    def stream(self, stream_id: str) -> StreamInfo | None:
        """Facts of one stream."""

    def streams(self) -> list[StreamInfo]:
        """Facts of all streams."""

    def ports_in_use(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""
