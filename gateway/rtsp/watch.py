"""One player and the stream it watches: from the entrance to the last packet."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from gateway.domain.errors import Forbidden, Unavailable
from gateway.domain.rtp_out import RtpFrame, RtpTrack, RtpViewer
from gateway.domain.viewing import StreamEntry
from gateway.rtsp.carrier import Carrier

__all__ = ["Watch"]

log = structlog.get_logger()


class Watch:
    """Takes a stream's frames for one player; implements `gateway.domain.rtp_out.RtpSink`.

    Args:
        is_local: Whether the player may be told what is behind an end.
        on_end: Called once with (code, words) when it is over and the player has not asked for that.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        is_local: bool,
        on_end: Callable[[str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self.is_local = is_local
        self.tracks: Sequence[RtpTrack] = ()
        self.entry: StreamEntry | None = None
        self.viewer: RtpViewer | None = None
        self._on_end = on_end
        self._clock = clock
        self._ended: tuple[str, str] | None = None
        self._forbidden = False
        self._ready = asyncio.Event()
        self._carrier: Carrier | None = None
        self._playing = False
        self._collected: Sequence[RtpFrame] | None = None
        self._released = False

    async def ready(self, timeout: float) -> None:
        """Wait for the tracks.

        Raises:
            GatewayError: there are none; says why.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(
                "no_output", f"The stream gave no output within {timeout:g} s"
            ) from None
        if self._ended is not None:
            code, detail = self._ended
            if self._forbidden:
                raise Forbidden(code, detail)
            raise _over(code, detail)

    def first_frames(self) -> Sequence[RtpFrame]:
        """Return what the player begins with: the frames since the last key frame, which may be none."""
        self._collected = ()
        try:
            if self.viewer is not None:
                self.viewer.replay()
            return self._collected
        finally:
            self._collected = None

    def play(self, carrier: Carrier, frames: Sequence[RtpFrame]) -> None:
        """Send these frames and all that follow."""
        self._carrier = carrier
        self._playing = True
        carrier.start(frames, self._clock())

    def pause(self) -> None:
        """Send nothing until the next `play`."""
        self._playing = False
        if self._carrier is not None:
            self._carrier.stop()

    @property
    def playing(self) -> bool:
        """Whether frames are sent."""
        return self._playing

    def release(self, code: str, detail: str) -> None:
        """Stop watching; `code` and `detail` go on record. Idempotent."""
        if self._released:
            return
        self._released = True
        if self._ended is None:
            self._ended = (code, detail)
        self._playing = False
        if self.viewer is not None:
            self.viewer.detach()
        if self.entry is not None:
            code, detail = self._ended
            sent = 0 if self._carrier is None else self._carrier.sent
            self.entry.end(code, detail, sent=sent)

    def forbid(self, code: str, words: str) -> None:
        """The player may not watch any more, or the gateway stops."""
        self._forbidden = self._forbidden or (self._ended is None and code != "shutdown")
        self.close(code, words)

    # What the stream tells

    def start(self, tracks: Sequence[RtpTrack]) -> None:
        """The tracks are known."""
        self.tracks = tracks
        self._ready.set()

    def frames(self, frames: Sequence[RtpFrame]) -> None:
        """Take frames."""
        if self._collected is not None:
            self._collected = frames
        elif self._playing and self._carrier is not None:
            self._carrier.send(frames, self._clock())

    def close(self, code: str, detail: str) -> None:
        """The stream is over."""
        if self._ended is None:
            self._ended = (code, detail)
            self._ready.set()
            self._on_end(code, detail)

    # What the carrier tells

    def skipped(self, frames: int) -> None:
        """The player was too slow for so many frames."""
        if self.viewer is not None:
            self.viewer.skipped(frames)

    def lost(self, code: str, detail: str) -> None:
        """The player is gone, or too slow for good."""
        if self._ended is None:
            log.info("rtsp_player_lost", reason=code, detail=detail)
        self.close(code, detail)


def _over(code: str, detail: str) -> Unavailable:
    error = Unavailable(code, detail)
    error.status = 502
    return error
