"""The durable store as a port: what survives a restart."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.device import Channel, Device, TimelineEntry

__all__ = ["TIMELINE_KEPT", "DeviceSecret", "DeviceStore", "StoreHealth"]

TIMELINE_KEPT = 200
"""Timeline entries kept per device; a new one takes the oldest one's place."""


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A device's own password, in the only form that is kept."""

    realm: str
    """Digest realm the hashes were made for; they are worthless under another."""
    ha1: Mapping[str, str]
    """Hex digest of `device_id:realm:password` by algorithm (`MD5`, `SHA-256`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """Whether what must be kept is kept."""

    ok: bool
    detail: str = ""
    """What is wrong, for people."""
    since: datetime | None = None
    """Since when it is wrong."""
    pending: int = 0
    """Writes not yet committed, batched ones included."""
    dropped: int = 0
    """Batched writes given up since the start."""


class DeviceStore(Protocol):
    """Keeps devices, secrets, channels and timelines.

    Objects handed over are read when they are written, so the newest state wins. The futures are resolved
    once the write would survive a power failure, or fail with `Unavailable` (`store_unavailable`,
    `store_overloaded`); they need not be awaited. Batched writes follow within seconds and never block.
    """

    async def load_devices(self) -> list[Device]:
        """Return all devices, as they were last written; none is `online`."""

    async def load_secrets(self) -> dict[str, DeviceSecret]:
        """Return the devices' own secrets by device id."""

    def load_channels(self) -> AsyncIterator[list[Channel]]:
        """Yield all channels in parts, each device's in the order of its catalogue."""

    def load_timelines(self, limit: int) -> AsyncIterator[list[tuple[str, int, TimelineEntry]]]:
        """Yield (device id, sequence, entry) in parts, oldest first, at most `limit` newest per device."""

    async def timeline(self, device_id: str, limit: int) -> list[TimelineEntry]:
        """Return the newest entries of one device, newest first; without what is still batched."""

    def save_device(self, device: Device) -> asyncio.Future[None]:
        """Write a device durably."""

    def touch_device(self, device: Device) -> None:
        """Write a device with the next batch."""

    def add_timeline(self, device_id: str, sequence: int, entry: TimelineEntry) -> None:
        """Write a timeline entry with the next batch; the same sequence again replaces it."""

    def save_channels(
        self, device: Device, saved: Sequence[tuple[int, Channel]], removed: Sequence[str]
    ) -> asyncio.Future[None]:
        """Write (position, channel) pairs, delete others, and write the device, durably.

        Long lists are committed in parts, deletions last: a crash in between leaves old and new channels
        side by side until the next catalogue.
        """

    def replace_channels(self, device: Device, listed: Sequence[Channel]) -> asyncio.Future[None]:
        """Write all channels of a device anew, durably, as `save_channels` does."""

    def save_secret(self, device: Device, secret: DeviceSecret | None) -> asyncio.Future[None]:
        """Replace or remove a device's own secret and write the device, durably."""

    def forget_device(self, device_id: str) -> asyncio.Future[None]:
        """Delete a device with its secret, channels and timeline, durably."""

    def health(self) -> StoreHealth:
        """Return how it is now."""
