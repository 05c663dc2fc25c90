"""The values the RTSP server is tuned by."""

from dataclasses import dataclass

__all__ = ["RtspOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspOptions:
    """Taken from `[rtsp]`, `[limits]` and `[media]`; sizes are bytes, durations seconds."""

    host: str = "127.0.0.1"
    port: int = 8554
    """0 takes any free one."""
    udp_ports: tuple[int, int] | None = (31_200, 31_999)
    """First and last port for media over UDP; None: TCP only."""
    udp_drain: float = 5.0
    """For which a UDP port rests after use."""
    max_connections: int = 4_000
    max_connections_per_host: int = 500
    output_timeout: float = 60.0
    """For which a player waits for the tracks; sessions give up much sooner, with a reason."""
    viewer_bytes: int = 4 * 1024 * 1024
    """A player with more than this waiting loses frames until the next key frame."""
    viewer_seconds: float = 3.0
    """The same as time: whichever is less, but never under 256 KiB."""
    viewer_patience: float = 20.0
    """A player that stays behind for this long is closed as `too_slow`."""
    report_interval: float = 5.0
    """Between sender reports (RFC 3550 6.2)."""
