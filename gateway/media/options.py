"""Limits and waits of the media plane, as plain values."""

from dataclasses import dataclass

__all__ = ["MediaOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOptions:
    """What may be held for a stream or a viewer, and how long things may take.

    The defaults suit a 4 Mbit/s camera; sizes are bytes, durations seconds.
    """

    source_timeout: float = 10.0
    """No packet for this long after the first one: the source is lost."""
    rtcp_interval: float = 5.0
    """Some lower platforms hang up after 10 s without a receiver report (quirk 105)."""
    reorder_packets: int = 128
    """Packets that may wait for an earlier one."""
    reorder_delay: float = 0.2
    """How long they may wait."""
    gop_frames: int = 2_000
    """Video and audio units kept since the last key frame; 20 s of 25 + 50 units a second, with room."""
    gop_bytes: int = 24 * 1024 * 1024
    """The same in bytes: 40 s at 4 Mbit/s; 0 keeps nothing."""
    reader_frames: int = 2_500
    """Units that may wait in one reader, among them the whole group of pictures it starts with."""
    reader_bytes: int = 32 * 1024 * 1024
    """The same in bytes."""
    audio_wait: float = 0.5
    """How long an output waits for the first audio after its first key frame."""
    viewer_bytes: int = 2 * 1024 * 1024
    """A viewer with more than this in its send buffer loses frames until the next key frame."""
    viewer_seconds: float = 3.0
    """The same as time: whichever is less, but never under 256 KiB."""
    viewer_patience: float = 20.0
    """A viewer that stays behind for this long is closed as `too_slow`."""
    audio: bool = True
    """Whether sound is carried at all."""
    max_viewers: int = 10_000
    """Viewers at once; one more is refused."""
    max_viewers_per_stream: int = 2_000
    """Viewers of one stream at once."""
    max_pulls: int = 256
    """Foreign sources fetched or tried at once; each takes a thread."""
    workers: int = 2
    """Threads that open, close, decode and encode with PyAV."""
    relay_buffer: int = 1024 * 1024
    """A relay's receiver on TCP with more than this waiting loses frames until the next key frame."""
    relay_connect_wait: float = 10.0
    """Seconds for a receiver to connect to us."""
    relay_unreachable: float = 2.0
    """Seconds of refused packets after which a receiver is gone."""
    relay_stall: float = 30.0
    """Seconds for which a receiver on TCP may take nothing."""
    relay_report_timeout: float = 30.0
    """Seconds without a receiver report after the first."""
