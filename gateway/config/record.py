"""Section about recording."""

from pydantic import Field

from gateway.config.base import Section

__all__ = ["RecordSettings"]


class RecordSettings(Section):
    """`[record]`: recording to files."""

    enabled: bool = True
    """Record what the plans say; nothing is recorded without a plan or a command."""
    dir: str = ""
    """Directory of the recordings, best on a disk of its own; empty: `data_dir/recordings`."""
    file_minutes: float = Field(default=10.0, ge=0.05, le=60)
    """Minutes after which a file ends, at the next key frame."""
    keep_days: int = Field(default=30, ge=0, le=36_500)
    """Days for which recordings are kept whose plan says nothing; 0: until the space is needed. Locked ones stay."""
    max_bytes: int = Field(default=0, ge=0)
    """Bytes of all recordings; above that the oldest go. 0: as much as the disk holds."""
    min_free_bytes: int = Field(default=2_147_483_648, ge=0)
    """Bytes that stay free on the disk; below that the oldest recordings go, and if none may go nothing is recorded."""
    pre_seconds: float = Field(default=0.0, ge=0, le=60)
    """Seconds before an event that are recorded too, for plans that say nothing. Above 0 the camera sends all the time; 0 takes what somebody is watching, back to the last key frame."""
    post_seconds: float = Field(default=30.0, ge=1, le=3600)
    """Seconds recorded after the last alarm of an event."""
    sync_interval: float = Field(default=5.0, ge=0, le=600)
    """Seconds after which what was written is made durable: as much is lost when the power fails (a crash loses a second)."""
