"""Whether pictures come in the order in which they are shown: WebRTC has no B-frames (RFC 7742 says nothing of them).

Browsers show what comes, drop what is older than what they showed, and ask for key frames without an end: of a drone's
stream with three B-frames Chromium shows four pictures a second.
"""

from collections.abc import Sequence

from gateway.domain.rtp_out import RtpFrame

__all__ = ["REORDERED", "PictureOrder"]

REORDERED = (
    "The camera sends pictures in another order than they are shown (B-frames), which WebRTC does not play; "
    "use the fMP4 or HLS address instead, or switch B-frames off in the camera"
)
VIDEO = 0
"""Position of the picture among the tracks."""


class PictureOrder:
    """Watches the time stamps of one stream's pictures."""

    def __init__(self) -> None:
        self.broken = False
        """Whether one was to be shown before another that came earlier."""
        self._last: int | None = None

    def look(self, frames: Sequence[RtpFrame]) -> bool:
        """Look at frames as they come; returns whether the order is broken."""
        for frame in frames:
            if frame.track == VIDEO:
                if self._last is not None and frame.timestamp < self._last:
                    self.broken = True
                self._last = frame.timestamp
        return self.broken
