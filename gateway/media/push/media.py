"""Pushes of the streams of this process; implements `gateway.domain.push.PushMedia`."""

from gateway.domain.media import OutputFormat
from gateway.domain.push import Push, PushEvents, PushKind, PushSpec
from gateway.media.plane import EmbeddedMedia
from gateway.media.push.process import PushProcess, ffmpeg_path

__all__ = ["EmbeddedPush"]


class EmbeddedPush:
    """Starts pushes.

    Args:
        plane: Has the streams.
    """

    def __init__(self, plane: EmbeddedMedia) -> None:
        self._plane = plane

    def missing(self, kind: PushKind) -> str | None:
        """Return what this machine lacks for a kind of target, None if nothing."""
        if kind is PushKind.SRT and ffmpeg_path() is None:
            return "SRT targets need the program ffmpeg, which is not installed here"
        return None

    def push(self, stream_id: str, spec: PushSpec, events: PushEvents) -> Push:
        """Begin to send a stream to a target.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        process = PushProcess(spec, events)
        process.viewer = self._plane.live(stream_id).attach(
            OutputFormat.MP4, process, audio=True, kind="push"
        )
        self._plane.spawn(process.run(), f"push:{spec.push_id}")
        return process
