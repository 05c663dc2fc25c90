"""Opening a source by FFmpeg: what it may reach, which tracks are used, and why it failed in words; for a thread."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from gateway.domain.session import EndReason
from gateway.domain.source import PullSpec
from gateway.media.ingest.shape import AudioShaper, VideoShaper
from gateway.media.tls import tls_options
from gb28181.aio.clock import monotonic
from gb28181.es import g711
from gb28181.es.unit import Codec, MediaUnit

__all__ = [
    "PullError",
    "SourceTrack",
    "SourceTracks",
    "address_of",
    "lost_words",
    "opened",
    "tracks_of",
]

ANALYSE = 0.7
"""Seconds in which FFmpeg finds out which tracks there are; their packets are not lost."""
ANALYSE_BYTES = 2_000_000
LATE = 0.95
"""Part of the time to connect after which a failure is one of time."""
MAX_UNDATED = 16
"""Pictures at the beginning of a stream with B-frames for which FFmpeg knows no decoding time: H.264 reorders up to 16."""
MAX_DELAY = 0.3
"""Seconds that FFmpeg waits for a reordered RTP packet."""
TICKS = 90_000
_FORMATS = {
    # Nothing but these can be reached through a URL, whatever it redirects to or names.
    "rtsp": ("rtsp", "rtsp,rtp,rtcp,udp,tcp", 554),
    "rtsps": ("rtsp", "rtsp,rtp,rtcp,tls,tcp", 322),
    "rtmp": ("flv", "rtmp,tcp", 1935),
    "rtmps": ("flv", "rtmps,tls,tcp", 443),
}
_TLS = frozenset({"rtsps", "rtmps"})
_VIDEO = {"h264": Codec.H264, "hevc": Codec.HEVC}
_AUDIO = {"aac": Codec.AAC, "pcm_alaw": Codec.PCM_ALAW, "pcm_mulaw": Codec.PCM_MULAW}


@dataclass(slots=True)
class SourceTrack:
    """One track of an open source."""

    index: int
    base: Fraction
    shaper: VideoShaper | AudioShaper
    last: int | None = None
    undated: int = 0
    """Packets since the last one with a decoding time."""

    def unit(self, packet: "Packet[Stream]") -> MediaUnit | None:
        """Return the unit of a packet; None if it is none.

        Raises:
            ValueError: it is damaged.
        """
        pts = None if packet.pts is None else int(packet.pts * self.base)
        at = self._decoded_at(pts, None if packet.dts is None else int(packet.dts * self.base))
        data = bytes(packet)
        if isinstance(self.shaper, AudioShaper):
            return self.shaper.shape(data, at)
        if packet.has_sidedata("new_extradata"):
            self.shaper.configure(bytes(packet.get_sidedata("new_extradata")))
        return self.shaper.shape(data, at if pts is None else pts, at)

    def _decoded_at(self, pts: int | None, dts: int | None) -> int:
        last = self.last
        if dts is not None:
            at, self.undated = dts, 0
        elif last is None or pts is None:
            at = pts if pts is not None else last or 0
        else:
            # FFmpeg learns from the first pictures how they are reordered: until then they follow each other closely.
            self.undated += 1
            at = min(pts, last + TICKS // 1000) if self.undated <= MAX_UNDATED else pts
        self.last = at
        return at


@dataclass(slots=True)
class SourceTracks:
    """Those that are used, and what is said about them."""

    by_index: dict[int, SourceTrack] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class PullError(Exception):
    """A source that cannot be fetched.

    Args:
        code: An `EndReason`.
        detail: A sentence without the URL's secrets.
    """

    def __init__(self, code: EndReason, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@contextlib.contextmanager
def opened(spec: PullSpec) -> Iterator[InputContainer]:
    """Open a source, with its tracks known; close it at the end.

    Raises:
        PullError: it cannot be had.
    """
    parts = urlsplit(spec.url)
    known = _FORMATS.get(parts.scheme)
    if known is None:
        raise PullError(EndReason.SOURCE_REFUSED, f"Nothing is fetched by {parts.scheme}")
    container_format, protocols, port = known
    host = parts.hostname or ""
    try:
        # FFmpeg tells a name that cannot be resolved no different from a server that hangs up.
        socket.getaddrinfo(host, parts.port or port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise PullError(
            EndReason.SOURCE_UNREACHABLE, f"{host} cannot be resolved: {exc.strerror}"
        ) from None
    options = {
        "protocol_whitelist": protocols,
        "analyzeduration": str(int(ANALYSE * 1e6)),
        "probesize": str(ANALYSE_BYTES),
    }
    if parts.scheme in _TLS:
        options |= tls_options(verify=spec.tls_verify)
    if parts.scheme.startswith("rtsp"):
        options |= {
            # By TLS the media is to be encrypted as well.
            "rtsp_transport": "tcp" if parts.scheme in _TLS else spec.rtsp_transport,
            "allowed_media_types": "video+audio",
            "max_delay": str(int(MAX_DELAY * 1e6)),
            "timeout": str(int(spec.connect_timeout * 1e6)),
        }
    else:
        options["rtmp_live"] = "live"
    began = monotonic()
    try:
        container = av.open(
            spec.url,
            format=container_format,
            options=options,
            timeout=(spec.connect_timeout, spec.read_timeout),
        )
    except av.error.FFmpegError as exc:
        # FFmpeg has several words for an answer that did not come in time, one of them for bad data.
        late = monotonic() - began >= LATE * spec.connect_timeout
        raise _refusal(exc, spec, late=late) from None
    with container:
        yield container


_REFUSALS: tuple[tuple[tuple[type[Exception], ...], EndReason, str], ...] = (
    (
        (av.error.HTTPUnauthorizedError, av.error.PermissionError),
        EndReason.SOURCE_REFUSED,
        "{where} does not accept user and password",
    ),
    ((av.error.HTTPForbiddenError,), EndReason.SOURCE_REFUSED, "{where} forbids this stream (403)"),
    ((av.error.HTTPNotFoundError,), EndReason.SOURCE_REFUSED, "{where} has no such stream (404)"),
    ((av.error.HTTPError,), EndReason.SOURCE_REFUSED, "{where} refused: {error}"),
    (
        (av.error.InvalidDataError,),
        EndReason.ANSWER_UNUSABLE,
        "What {where} answers is not {scheme} with a picture",
    ),
    (
        (av.error.ConnectionRefusedError,),
        EndReason.SOURCE_UNREACHABLE,
        "{where} refuses connections: nothing listens there",
    ),
    (
        (av.error.TimeoutError, av.error.ExitError),
        EndReason.SOURCE_UNREACHABLE,
        "{where} did not answer within {seconds:g} s",
    ),
    (
        (av.error.UnknownError, av.error.EOFError, av.error.BrokenPipeError),
        EndReason.SOURCE_REFUSED,
        "{where} ended the connection",
    ),
)


def _refusal(exc: av.error.FFmpegError, spec: PullSpec, *, late: bool) -> PullError:
    """Return why a source cannot be opened; never with FFmpeg's own text, which has the whole URL."""
    if late and not isinstance(exc, av.error.HTTPError):
        exc = av.error.TimeoutError(errno.ETIMEDOUT, "timed out")
    code, words = EndReason.SOURCE_UNREACHABLE, "{where} cannot be fetched from: {error}"
    for kinds, reason, sentence in _REFUSALS:
        if isinstance(exc, kinds):
            code, words = reason, sentence
            break
    else:
        if isinstance(exc, OSError) and exc.errno == errno.EIO:
            # How FFmpeg's RTMP tells of a refused stream and of a connection that was closed.
            code, words = EndReason.SOURCE_REFUSED, "{where} ended the connection"
            if urlsplit(spec.url).scheme in _TLS and spec.tls_verify:
                words += ", or it has no certificate that is trusted here"
    return PullError(
        code,
        words.format(
            where=address_of(spec.url),
            scheme=urlsplit(spec.url).scheme.upper(),
            error=exc.strerror,
            seconds=spec.connect_timeout,
        ),
    )


def lost_words(exc: av.error.FFmpegError, spec: PullSpec) -> str:
    """Return how a source that was open broke off."""
    if isinstance(exc, av.error.ExitError | av.error.TimeoutError):
        return f"The source sent nothing for {spec.read_timeout:g} s"
    return f"The source broke off: {exc.strerror}"


def tracks_of(container: InputContainer) -> SourceTracks:
    """Choose the tracks.

    Raises:
        PullError: none is a picture that can be used.
    """
    found, unusable = SourceTracks(), ""
    for stream in container.streams:
        kind = stream.type
        if kind not in {"video", "audio"}:
            continue
        name = stream.codec_context.name
        try:
            track, words = _track_of(stream)
        except ValueError as exc:
            if kind == "video":
                unusable = unusable or f"Video of the source cannot be used: {exc}"
            else:
                found.remarks.append(f"sound of the source ({name}) is left out: {exc}")
            continue
        taken = {type(other.shaper) for other in found.by_index.values()}
        if type(track.shaper) in taken:
            found.remarks.append(f"a second {kind} track is left out")
            continue
        found.by_index[stream.index] = track
        found.streams.append(stream)
        found.words.append(words)
    if not any(isinstance(track.shaper, VideoShaper) for track in found.by_index.values()):
        raise PullError(EndReason.CODEC_UNSUPPORTED, unusable or "The source has no picture")
    return found


def _track_of(stream: Stream) -> tuple[SourceTrack, str]:
    context, name = stream.codec_context, stream.codec_context.name
    config = bytes(context.extradata or b"")
    base = Fraction(stream.time_base or Fraction(1, TICKS)) * TICKS
    shaper: VideoShaper | AudioShaper
    if stream.type == "video":
        codec = _VIDEO.get(name)
        if codec is None:
            raise ValueError(f"{name} is not supported")
        shaper = VideoShaper(codec, config)
        words = f"{name} {getattr(context, 'width', 0)}x{getattr(context, 'height', 0)}"
    else:
        codec, rate = _AUDIO.get(name), getattr(context, "sample_rate", 0)
        if codec is None:
            raise ValueError(f"{name} is not supported")
        channels = getattr(context, "channels", 1)
        if codec is not Codec.AAC and (rate, channels) != (g711.SAMPLE_RATE, 1):
            raise ValueError(f"{rate} Hz with {channels} channels instead of 8000 Hz with one")
        shaper = AudioShaper(codec, config)
        words = f"{name} {rate} Hz"
    return SourceTrack(stream.index, base, shaper), words


def address_of(url: str) -> str:
    """Return `host:port` of a URL."""
    parts = urlsplit(url)
    default = _FORMATS.get(parts.scheme, ("", "", 0))[2]
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or default}"
