"""Bodies about WHEP sessions."""

from gateway.domain.webrtc import PeerState
from gateway.http.schemas.base import OutModel, Text

__all__ = ["WhepOut"]


class WhepOut(OutModel):
    """A viewer's WebRTC connection."""

    state: PeerState
    code: Text
    """Why it ended; empty while it runs."""
    detail: Text
    """The same as a sentence."""
    remark: Text
    """What the viewer does not get, and why; empty if it gets all."""
    sent: int
    """Bytes of media."""
    packets: int
    resent: int
    """Packets sent again because the viewer missed them."""
    dropped: int
    """Packets left out because the viewer's way was too slow."""
    fraction_lost: float
    """Of the pictures' packets, as the viewer last reported; 0 to 1."""
