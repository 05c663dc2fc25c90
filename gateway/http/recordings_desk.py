"""What the HTTP face needs for recordings."""

from dataclasses import dataclass

from gateway.recording.library import RecordingLibrary
from gateway.recording.service import RecordingService

__all__ = ["RecordingDesk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDesk:
    """Those who record, and what they recorded."""

    service: RecordingService
    library: RecordingLibrary
