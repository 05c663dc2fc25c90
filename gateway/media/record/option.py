"""Limits of recording, as plain values."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["RecordOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """Sizes are bytes, durations seconds."""

    directory: Path
    file_seconds: float = 600.0
    """A file ends at the first key frame after this long."""
    sync_interval: float = 5.0
    """What was written is made durable after this long: as much is lost when the power fails."""
    max_waiting: int = 16 * 1024 * 1024
    """Waiting for the disk of one recorder: half a minute at 4 Mbit/s."""
    max_waiting_all: int = 256 * 1024 * 1024
    """The same of all recorders."""
    max_memory: int = 48 * 1024 * 1024
    """Kept by one armed recorder, whatever `pre_seconds` says."""
    lanes: int = 2
    """Threads that write."""
