"""What all recorders share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.media.record.option import RecordOptions
from gateway.media.record.progress import Backlog
from gateway.media.stream import LiveStream

__all__ = ["RecorderParts", "Streams"]


class Streams(Protocol):
    """Where streams are found."""

    def live(self, stream_id: str) -> LiveStream:
        """Return a running stream that one more viewer may join; raises NotFound, Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderParts:
    """What all recorders share."""

    plane: Streams
    options: RecordOptions
    backlog: Backlog
    wall: Callable[[], datetime]
    clock: Callable[[], float]
    new_id: Callable[[], str]
