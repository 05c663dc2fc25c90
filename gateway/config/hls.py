"""Section about HTTP Live Streaming."""

from pydantic import Field

from gateway.config.base import Section

__all__ = ["HlsSettings"]


class HlsSettings(Section):
    """`[hls]`: streams as segments, for phones, televisions and browsers."""

    enabled: bool = True
    """Serve streams as HLS too."""
    segment: float = Field(default=2.0, ge=1, le=10)
    """Seconds that a segment lasts at least; it begins at a key frame, so the camera's interval counts too."""
    part: float = Field(default=0.5, ge=0.2, le=1)
    """Seconds of the parts of low-latency play; a player is three of them behind."""
    window: int = Field(default=6, ge=4, le=60)
    """Segments in a playlist; a player that was away for a moment goes on within them."""
    idle: float = Field(default=10.0, ge=0, le=600)
    """Seconds for which a stream is still cut into segments after its last viewing ended."""
