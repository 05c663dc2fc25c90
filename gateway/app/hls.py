"""HLS and snapshots put together."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.config.model import Settings
from gateway.media.hls.options import HlsOptions
from gateway.media.hls.plane import HlsMedia
from gateway.media.plane import EmbeddedMedia
from gateway.media.snapshot import SnapshotMedia

__all__ = ["hls_media"]


@contextmanager
def hls_media(settings: Settings, media: EmbeddedMedia) -> Iterator[tuple[HlsMedia, SnapshotMedia]]:
    """Make segments and pictures of streams until the end of the context.

    Args:
        settings: `[hls]`.
        media: The streams.
    """
    hls = settings.hls
    plane = HlsMedia(
        media,
        HlsOptions(segment=hls.segment, part=hls.part, window=hls.window, idle=hls.idle),
    )
    try:
        yield plane, SnapshotMedia(media)
    finally:
        plane.close()
