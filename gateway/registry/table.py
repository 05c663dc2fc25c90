"""Which devices are known, and writing them durably."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from gateway.domain.device import Device
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.domain.store import DeviceStore
from gateway.registry.entry import DeviceEntry
from gateway.registry.words import matches

__all__ = ["DeviceTable"]


class DeviceTable:
    """The entries of all devices by id, in the order of their first registrations.

    Args:
        store: Where they are kept.
        max_devices: How many may be known.
        adopt: Called with a device that was not known before.
    """

    def __init__(
        self, store: DeviceStore, *, max_devices: int, adopt: Callable[[DeviceEntry], None]
    ) -> None:
        self._store = store
        self._max_devices = max_devices
        self._adopt = adopt
        self._entries: dict[str, DeviceEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[DeviceEntry]:
        return iter(self._entries.values())

    def restore(self, devices: Iterable[Device]) -> None:
        """Take over stored devices."""
        for device in devices:
            entry = self._entries[device.device_id] = DeviceEntry(device)
            entry.saved = True

    def get(self, device_id: str) -> DeviceEntry | None:
        """Return a device's entry."""
        return self._entries.get(device_id)

    def holds(self, entry: DeviceEntry) -> bool:
        """Whether this is still the device's entry: it was not deleted, nor deleted and known anew."""
        return self._entries.get(entry.device.device_id) is entry

    def require(self, device_id: str) -> DeviceEntry:
        """Return a device's entry.

        Raises:
            NotFound: `device_unknown`.
        """
        entry = self._entries.get(device_id)
        if entry is None:
            raise NotFound("device_unknown", f"no device {device_id[:64]} is known")
        return entry

    def require_remote(self, device_id: str) -> DeviceEntry:
        """Return the entry of a device that is no part of this gateway.

        Raises:
            NotFound: `device_unknown`.
            Conflict: `device_is_local`.
        """
        entry = self.require(device_id)
        if entry.device.local:
            raise Conflict(
                "device_is_local",
                f"{device_id} holds foreign sources of this gateway; change the sources instead",
            )
        return entry

    def search(
        self, q: str, limit: int, offset: int, *, online: bool | None
    ) -> tuple[list[Device], int]:
        """Return a page of the devices that match, and how many there are in all.

        Args:
            q: Part of the id, name, manufacturer, model or IP address, in any case.
            limit: Length of the page.
            offset: Matches before the page.
            online: Only online or only offline ones.
        """
        words = q.strip().lower()
        found = [
            device
            for entry in self
            if ((device := entry.device).online is online or online is None)
            and (not words or matches(device, words))
        ]
        offset = max(offset, 0)
        return found[offset : offset + max(limit, 0)], len(found)

    def admit(self, device_id: str) -> DeviceEntry:
        """Make room for a device not yet known.

        Raises:
            Unavailable: `too_many_devices`.
        """
        if len(self) >= self._max_devices:
            raise Unavailable(
                "too_many_devices",
                f"{len(self)} devices are known and [limits] max_devices allows no more",
            )
        entry = self._entries[device_id] = DeviceEntry(Device(device_id=device_id))
        self._adopt(entry)
        return entry

    def remove(self, device_id: str) -> DeviceEntry:
        """Take a device out."""
        return self._entries.pop(device_id)

    def save(self, entry: DeviceEntry) -> asyncio.Future[None]:
        """Write a device durably and remember whether that worked."""
        entry.saved = False
        future = self._store.save_device(entry.device)

        def done(future: asyncio.Future[None]) -> None:
            entry.saved = not future.cancelled() and future.exception() is None

        future.add_done_callback(done)
        return future
