"""A picture of a running stream, now."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Snapshot", "SnapshotPlane"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One picture."""

    jpeg: bytes
    width: int
    height: int
    behind: float
    """Seconds by which it is older than the newest frame that had come: never more than a group of pictures."""


class SnapshotPlane(Protocol):
    """Makes pictures of running streams."""

    def begin(self, stream_id: str) -> "SnapshotTask":
        """Take hold of a stream, which counts as being watched until `picture` returns.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`, `too_many_snapshots`.
        """


class SnapshotTask(Protocol):
    """A picture in the making."""

    async def picture(self, width: int | None = None) -> Snapshot:
        """Wait for a key frame if there is none yet, and make the picture; once.

        Args:
            width: In pixels, never more than the stream has; None: as the stream.

        Raises:
            Unavailable: `no_picture`: none came in time, or nothing of it can be decoded; `snapshot_too_late`:
                the gateway had too many others to make.
            Gone: The stream ended before.
        """

    def leave(self) -> None:
        """Let go of the stream; idempotent."""
