"""Pushes of the streams of this process; implements `gateway.domain.push.PushMedia`."""

from gateway.domain.media import OutputFormat
from gateway.domain.push import Push, PushEvents, PushKind, PushSpec
from gateway.media.plane import EmbeddedMedia
from gateway.media.push.process import PushProcess
from gateway.media.push.program import PROGRAM_KINDS

__all__ = ["EmbeddedPush"]


class EmbeddedPush:
    """Starts pushes.

    Args:
        plane: Has the streams.
        ffmpeg: Path of the program; None if it is not installed.
    """

    def __init__(self, plane: EmbeddedMedia, *, ffmpeg: str | None) -> None:
        self._plane = plane
        self._ffmpeg = ffmpeg

    def missing(self, kind: PushKind) -> str | None:
        """Return what this machine lacks for a kind of target, None if nothing."""
        if kind in PROGRAM_KINDS and self._ffmpeg is None:
            return f"{kind.upper()} targets need the program ffmpeg, which is not installed here"
        return None

    def push(self, stream_id: str, spec: PushSpec, events: PushEvents) -> Push:
        """Begin to send a stream to a target.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        process = PushProcess(spec, events, ffmpeg=self._ffmpeg or "")
        process.viewer = self._plane.live(stream_id).attach(
            OutputFormat.MP4, process, audio=True, kind="push"
        )
        self._plane.spawn(process.run(), f"push:{spec.push_id}")
        return process
