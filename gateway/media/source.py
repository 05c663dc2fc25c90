"""What every running stream has behind it, whether packets come from a device or units from elsewhere."""

from typing import Protocol

from gateway.domain.media import StreamInfo
from gateway.media.fan import RelayFan
from gateway.media.stream import LiveStream

__all__ = ["StreamSource"]


class StreamSource(Protocol):
    """A receiver or an ingest, as the media plane and relays see it."""

    @property
    def stream_id(self) -> str:
        """Under which name it is found."""

    @property
    def stream(self) -> LiveStream:
        """What viewers join."""

    @property
    def fan(self) -> RelayFan:
        """Where relays get its packets."""

    def tick(self, now: float) -> None:
        """Do what time asks for; called about twice a second."""

    def fail(self, exc: Exception) -> None:
        """End this stream for a fault of the gateway's own; never raises."""

    def info(self) -> StreamInfo:
        """Facts and counters."""

    async def close(self, code: str = ..., detail: str = ...) -> None:
        """End all viewers with this reason and give everything back; idempotent."""
