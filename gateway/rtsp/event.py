"""What an RTSP connection asks of whoever carries the streams."""

from dataclasses import dataclass, field

from gateway.rtsp.address import StreamAddress
from gateway.rtsp.transport import TransportChoice

__all__ = [
    "Event",
    "Feedback",
    "OpenStream",
    "PausePlaying",
    "Release",
    "SetUpTrack",
    "StartPlaying",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStream:
    """Let somebody in and start the stream; answer with `opened` or `refuse`."""

    address: StreamAddress
    method: str
    url: str = field(repr=False)
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpTrack:
    """Prepare the way of one track; answer with `set_up` or `refuse`."""

    track: int
    choice: TransportChoice
    """With channels chosen, if it is TCP."""


@dataclass(frozen=True, slots=True)
class StartPlaying:
    """Answer with `playing`, then send from the last key frame on."""


@dataclass(frozen=True, slots=True)
class PausePlaying:
    """Send nothing until the next StartPlaying."""


@dataclass(frozen=True, slots=True)
class Release:
    """The stream is not wanted any more."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """RTCP from the player, of one track."""

    track: int
    data: bytes


Event = OpenStream | SetUpTrack | StartPlaying | PausePlaying | Release | Feedback
