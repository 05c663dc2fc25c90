"""WebRTC out as a port: an offer in, an answer and then media out."""

import enum
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import GatewayError

__all__ = [
    "CodecNotSupported",
    "OfferInvalid",
    "PeerInfo",
    "PeerState",
    "WebRtcEnded",
    "WebRtcEvents",
    "WebRtcMedia",
    "WebRtcPeer",
]


class OfferInvalid(GatewayError):
    """An SDP offer that cannot be read, or that no WebRTC viewer would make."""

    status = 400


class CodecNotSupported(GatewayError):
    """The offer has no codec in common with the stream."""

    status = 406


class WebRtcEnded(GatewayError):
    """The stream was over before there was an answer; `code` says why."""

    status = 502


class PeerState(enum.StrEnum):
    """Life of a viewer, in order."""

    WAITING = "waiting"
    """For the tracks of the stream."""
    CONNECTING = "connecting"
    """Answered; the viewer's browser has not come through to us."""
    CONNECTED = "connected"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerInfo:
    """A viewer and its counters since its start."""

    state: PeerState
    remote: str = ""
    """`host:port` the media goes to."""
    sent: int = 0
    """Bytes of media."""
    packets: int = 0
    resent: int = 0
    """Packets sent again because the viewer missed them."""
    dropped: int = 0
    """Packets left out because the viewer's way was too slow."""
    fraction_lost: float = 0.0
    """Of the pictures' packets, as the viewer last reported; 0 to 1."""
    remark: str = ""
    """What the viewer does not get, and why; empty if it gets all."""


class WebRtcEvents(Protocol):
    """What the owner of a viewer is told; called on the loop, must not block or raise."""

    def webrtc_connected(self) -> None:
        """Media flows."""

    def webrtc_ended(self, code: str, detail: str) -> None:
        """It is over, once: an end of the stream, `viewer_left`, `viewer_lost`, `webrtc_not_connected`, ..."""


class WebRtcPeer(Protocol):
    """One viewer: a leased port until it ends."""

    def attach(self, stream_id: str) -> None:
        """Begin to watch a running stream; counts as a viewer from here on.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """

    async def answer(self) -> str:
        """Wait for the tracks of the stream, and return the SDP answer.

        Raises:
            CodecNotSupported: `codec_not_supported`.
            WebRtcEnded: the stream ended first, or gave nothing in time (`no_output`).
        """

    def accepts(self, fragment: bytes) -> bool:
        """Whether a trickled fragment (RFC 8840) belongs to this connection and not to an ICE restart.

        Raises:
            OfferInvalid: it cannot be read.
        """

    def info(self) -> PeerInfo:
        """Facts."""

    def close(self, code: str, detail: str) -> None:
        """Stop, give the port back and tell the events; idempotent."""


class WebRtcMedia(Protocol):
    """Makes viewers."""

    def open(self, offer: bytes, events: WebRtcEvents) -> WebRtcPeer:
        """Read an offer and lease a port.

        Raises:
            OfferInvalid: `offer_invalid`.
            CodecNotSupported: it has no codec that any stream could have.
            Unavailable: `webrtc_ports_exhausted`, `shutdown`.
        """

    def count(self) -> int:
        """Return how many viewers hold something."""
