"""What foreign sources need from the rest of the gateway, and the values they are tuned by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.device import CatalogDiff, Channel, Device, TimelineKind
from gateway.domain.session import SessionRecord

__all__ = ["LocalDevices", "SourceSessions", "SourceSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Waits, in seconds, and names."""

    domain: str
    """First ten digits of codes made here."""
    name: str = "外部视频源"
    """Name of the local device."""
    connect_timeout: float = 10.0
    read_timeout: float = 10.0
    probe_interval: float = 300.0
    """Between looks at a source that nobody watches; 0: never."""


class LocalDevices(Protocol):
    """The registry as sources see it."""

    def get(self, device_id: str) -> Device | None:
        """Return a device."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""

    def find_channel(self, channel_id: str) -> list[Channel]:
        """Return every channel with this id."""

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        """Add to a device's timeline."""

    async def add_local(self, device_id: str, *, name: str, model: str = "") -> Device:
        """Make a part of this gateway known as a device."""

    async def remove_local(self, device_id: str) -> None:
        """Delete it."""

    async def replace_catalog(
        self,
        device_id: str,
        channels: Sequence[Channel],
        *,
        complete: bool,
        since: datetime | None = None,
    ) -> CatalogDiff:
        """Replace its channels."""

    async def patch_catalog(
        self, device_id: str, *, statuses: Mapping[str, bool] | None = None
    ) -> CatalogDiff:
        """Take channels on- or off-line."""


class SourceSessions(Protocol):
    """Live sessions as sources see them."""

    async def play(self, device_id: str, channel_id: str) -> SessionRecord:
        """Start a channel's stream."""

    async def stop(self, session_id: str) -> SessionRecord:
        """End a session."""

    def running(self, device_id: str, channel_id: str) -> SessionRecord | None:
        """The running session of a channel."""
