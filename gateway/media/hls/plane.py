"""Which streams are being cut into segments now."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from gateway.media.hls.options import HlsOptions
from gateway.media.hls.stream import HlsShare, HlsSource
from gateway.media.plane import EmbeddedMedia
from gb28181.aio.clock import utc_now

__all__ = ["HlsMedia"]


class HlsMedia:
    """Makes segments on demand; implements `gateway.domain.hls.HlsPlane`.

    Args:
        plane: The streams.
        options: Lengths and waits.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        plane: EmbeddedMedia,
        options: HlsOptions | None = None,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self._plane = plane
        self._options = options or HlsOptions()
        self._wall = wall
        self._sources: dict[str, HlsSource] = {}

    @property
    def segmenters(self) -> int:
        """Streams that are being cut now."""
        return len(self._sources)

    @property
    def viewings(self) -> int:
        """Viewings that share in them."""
        return sum(source.viewings for source in self._sources.values())

    def join(self, stream_id: str, on_end: Callable[[str, str], None]) -> HlsShare:
        """Share in the segments of a stream, which are made from now on if they are not yet.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        source = self._sources.get(stream_id)
        if source is None:
            source = HlsSource(
                stream_id,
                partial(self._plane.live, stream_id),
                options=self._options,
                wall=self._wall,
                on_over=self._over,
            )
            self._sources[stream_id] = source
        return source.join(on_end)

    def close(self) -> None:
        """End all; idempotent."""
        for source in tuple(self._sources.values()):
            source.end("shutdown", "The gateway is stopping")

    def _over(self, source: HlsSource) -> None:
        if self._sources.get(source.name) is source:
            del self._sources[source.name]
