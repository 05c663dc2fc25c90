"""Pushes of the streams of this process; implements `gateway.domain.push.PushMedia`."""

from gateway.domain.errors import GatewayError
from gateway.domain.media import OutputFormat
from gateway.domain.push import Push, PushEvents, PushKind, PushSpec
from gateway.media.plane import EmbeddedMedia
from gateway.media.push.process import SOUND_CAME, PushProcess
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
        sender = _Sender(self._plane, stream_id, spec, events, ffmpeg=self._ffmpeg or "")
        sender.begin()
        return sender


class _Sender:
    """A push that begins anew once if sound comes late; implements `Push`, and `PushEvents` for its process."""

    def __init__(
        self,
        plane: EmbeddedMedia,
        stream_id: str,
        spec: PushSpec,
        events: PushEvents,
        *,
        ffmpeg: str,
    ) -> None:
        self._plane = plane
        self._stream_id = stream_id
        self._spec = spec
        self._events = events
        self._ffmpeg = ffmpeg
        self._process: PushProcess | None = None
        self._sent_before = 0
        self._again = False
        self._stopped: tuple[str, str] | None = None
        """Why its owner ended it."""

    @property
    def sent(self) -> int:
        """Bytes handed to the target."""
        return self._sent_before + (0 if self._process is None else self._process.sent)

    def begin(self) -> None:
        """Start a process on the stream.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        live = self._plane.live(self._stream_id)
        # Once: a stream whose sound cannot be had would begin anew for ever.
        sound = None if self._again else lambda: live.audio is not None
        process = PushProcess(self._spec, self, ffmpeg=self._ffmpeg, has_sound=sound)
        process.viewer = live.attach(OutputFormat.MP4, process, audio=True, kind="push")
        self._process = process
        self._plane.spawn(process.run(), f"push:{self._spec.push_id}")

    def close(self, code: str, detail: str) -> None:
        """End it in good order; also while it ends in order to begin anew."""
        if self._stopped is None:
            self._stopped = code, detail
        if self._process is not None:
            self._process.close(code, detail)

    def push_connected(self) -> None:
        """The target takes the stream."""
        self._events.push_connected()

    def push_ended(self, code: str, detail: str) -> None:
        """The process is over."""
        if code == SOUND_CAME and self._stopped is not None:
            code, detail = self._stopped
        elif code == SOUND_CAME:
            self._sent_before, self._process, self._again = self.sent, None, True
            try:
                self.begin()
            except GatewayError as exc:
                code, detail = exc.code, exc.detail
            else:
                return
        self._events.push_ended(code, detail)
