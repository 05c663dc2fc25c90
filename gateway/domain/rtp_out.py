"""A stream as RTP payloads, packetized once for all its RTSP and WebRTC viewers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["MAX_RTP_PAYLOAD", "RtpFrame", "RtpPublisher", "RtpSink", "RtpTrack", "RtpViewer"]

MAX_RTP_PAYLOAD = 1_180
"""Bytes of one payload: with RTP, SRTP, UDP and IP headers it stays below what tunnels and WebRTC let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpTrack:
    """One track as SDP describes it."""

    kind: Literal["video", "audio"]
    codec: str
    """FFmpeg's name: `h264`, `hevc`, `aac`, `pcm_alaw`, `pcm_mulaw`."""
    encoding: str
    """Name in rtpmap: `H264`, `H265`, `mpeg4-generic`, `PCMA`, `PCMU`."""
    clock_rate: int
    """Ticks a second of `RtpFrame.timestamp`."""
    payload_type: int
    """As proposed; a face may use another."""
    channels: int = 1
    fmtp: str = ""
    """Format parameters: parameter sets, profile, AudioSpecificConfig; without `a=fmtp:N`."""
    reordered: bool = False
    """Whether its pictures are known to come in another order than they are shown (B-frames)."""


@dataclass(slots=True)
class RtpFrame:
    """One access unit of one track, ready for any number of viewers; treated as frozen."""

    track: int
    """Position in the tracks the sink was started with."""
    timestamp: int
    """Ticks of the track's clock, on one timeline for all tracks and viewers of the stream; not wrapped to 32 bits."""
    payloads: Sequence[bytes]
    """In order; of video the last one carries the marker bit, of audio the first of a talk spurt need not."""
    keyframe: bool
    """Whether a viewer can start here."""
    size: int
    """Bytes of all payloads."""
    sequence: int = 0
    """Payloads of the track before this frame, since the output began; not wrapped to 16 bits."""


class RtpSink(Protocol):
    """A viewer that takes RTP; called on the loop, must not block or raise."""

    def start(self, tracks: Sequence[RtpTrack]) -> None:
        """The tracks are known; once, before the first frame."""

    def frames(self, frames: Sequence[RtpFrame]) -> None:
        """Take what goes out together: first the frames since the last key frame, later usually one picture with the sound before it."""

    def close(self, code: str, detail: str) -> None:
        """The stream is over for this viewer; `code` is an EndReason value or `codec_changed`. Not called after detach."""


class RtpViewer(Protocol):
    """An attached sink."""

    def detach(self) -> None:
        """Stop; idempotent."""

    def replay(self) -> None:
        """Hand over the frames since the last key frame, again; without any, go on with the next key frame."""

    def skipped(self, frames: int) -> None:
        """Count frames that this viewer was too slow for."""


class RtpPublisher(Protocol):
    """Gives streams as RTP payloads."""

    def attach(
        self, stream_id: str, sink: RtpSink, kind: str, *, from_gop: bool = True
    ) -> RtpViewer:
        """Send a running stream to a sink.

        The sink may be started, and get its first frames, before this returns.

        Args:
            stream_id: As of its session.
            sink: Where the frames go.
            kind: Under which name it counts as a viewer.
            from_gop: Begin with the last key frame; otherwise with the next one.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
