"""Values of recording."""

from dataclasses import dataclass

__all__ = ["RecordingOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """Sizes are bytes, durations seconds."""

    keep_days: int = 30
    """Days for which files are kept whose plan says nothing; 0: until the space is needed."""
    max_bytes: int = 0
    """Of all recordings; above that the oldest go. 0: no limit."""
    min_free: int = 2 * 1024**3
    """Kept free on the disk: below that the oldest go, and if none may go nothing is recorded."""
    pre_seconds: float = 0.0
    post_seconds: float = 30.0
    first_retry: float = 2.0
    last_retry: float = 60.0
    first_rest: float = 5.0
    last_rest: float = 60.0
    """For which nothing is written after the disk refused, though it says that there is room."""
    check_interval: float = 10.0
    """Between looks at the disk."""
    expire_interval: float = 300.0
    """Between looks at the age of files."""
    max_starts: int = 16
    """Cameras asked at once."""
