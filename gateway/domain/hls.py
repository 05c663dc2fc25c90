"""HTTP Live Streaming as a port: a stream as playlists, segments and parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["HlsPlane", "HlsStream", "HlsVariant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsVariant:
    """What a multivariant playlist says about a stream."""

    codecs: Sequence[str]
    """RFC 6381 strings, video first."""
    bandwidth: int
    """Peak, in bits a second."""
    average_bandwidth: int
    width: int | None = None
    height: int | None = None
    fps: float | None = None


class HlsStream(Protocol):
    """One viewing's share in the segments of a stream; they are made until some time after the last one left.

    What can wait raises `Unavailable` (`hls_late`) when its time is over, and `Gone` once the stream has ended.
    """

    @property
    def target(self) -> int:
        """Target duration in seconds; 0 while it is not known."""

    async def variant(self) -> HlsVariant:
        """Wait a moment until facts are known.

        Raises:
            Unavailable: `hls_late`: no picture came in time.
        """

    async def master(self, uri: str) -> bytes:
        """Return the multivariant playlist, as :meth:`variant`.

        Args:
            uri: Of the media playlist.
        """

    async def playlist(self, number: int | None = None, part: int | None = None) -> bytes:
        """Return the media playlist, once it holds what is asked for (blocking reload).

        Args:
            number: `_HLS_msn`.
            part: `_HLS_part`.

        Raises:
            Invalid: `hls_too_far`: nobody may wait for that.
            Unavailable: `hls_late`.
        """

    async def part(self, number: int, part: int) -> bytes | memoryview | None:
        """Return a part, once it is there if the playlist announces it; None if there is none."""

    def segment(self, number: int) -> bytes | None:
        """Return a complete segment, None if there is none (any more)."""

    def init(self, number: int) -> bytes | None:
        """Return an initialization segment, None if there is none (any more)."""

    def leave(self) -> None:
        """Give the share up; whoever waits in it gets `Gone`. Idempotent."""


class HlsPlane(Protocol):
    """Makes segments of running streams."""

    def join(self, stream_id: str, on_end: Callable[[str, str], None]) -> HlsStream:
        """Share in the segments of a stream, which are made from now on if they are not yet.

        Args:
            stream_id: A running stream.
            on_end: Called once with (code, detail) when the stream is over; not after `leave`. Must not block.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
