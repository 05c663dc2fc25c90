"""How streams are cut, as plain values."""

from dataclasses import dataclass

__all__ = ["HlsOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsOptions:
    """`[hls]`; durations are seconds."""

    segment: float = 2.0
    """A segment begins at a key frame and lasts at least this long."""
    part: float = 0.5
    """About as long as a part, the unit of low-latency play, lasts."""
    window: int = 6
    """Segments in a playlist, at least."""
    idle: float = 10.0
    """For which segments are made after the last viewing ended."""
    start_wait: float = 20.0
    """A viewer waits this long for the first segment, beyond what the session waits for the camera."""
