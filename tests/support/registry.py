"""Doubles for the registry: a clock set by hand and a store in memory."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from gateway.domain.device import (
    Channel,
    ChannelKind,
    Device,
    DeviceAddress,
    Registration,
    TimelineEntry,
)
from gateway.domain.errors import Unavailable
from gateway.domain.store import TIMELINE_KEPT, DeviceSecret, DeviceStore, StoreHealth
from gateway.registry.registry import DeviceRegistry, RegistrySettings

__all__ = [
    "DEVICE",
    "OTHER",
    "REALM",
    "ManualClock",
    "MemoryStore",
    "address",
    "build",
    "camera",
    "register",
    "registration",
    "restart",
]

DEVICE = "34020000001320000001"
OTHER = "34020000001320000002"
REALM = "3402000000"


class ManualClock:
    """A clock that goes on only when told; both of its faces together."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.start = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.now

    def utc_now(self) -> datetime:
        return self.start + timedelta(seconds=self.now - 1000.0)

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


class MemoryStore:
    """A `DeviceStore` without a disk: durable at once, or when the test says so, or failing."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.secrets: dict[str, DeviceSecret] = {}
        self.channels: dict[str, dict[str, tuple[int, Channel]]] = {}
        self.timelines: dict[str, dict[int, TimelineEntry]] = {}
        self.durable_writes = 0
        self.touched: set[str] = set()
        self.broken = False
        self.held: list[asyncio.Future[None]] | None = None
        """A list here holds back the futures of durable writes."""

    async def load_devices(self) -> list[Device]:
        loaded = [copy.deepcopy(device) for device in self.devices.values()]
        for device in loaded:
            device.online = False
            if device.address is not None:
                device.address = DeviceAddress(
                    transport=device.address.transport,
                    host=device.address.host,
                    port=device.address.port,
                    local_host=device.address.local_host,
                    local_port=device.address.local_port,
                )
        return loaded

    async def load_secrets(self) -> dict[str, DeviceSecret]:
        return dict(self.secrets)

    async def load_channels(self) -> AsyncIterator[list[Channel]]:
        for listed in self.channels.values():
            yield [
                copy.deepcopy(channel) for _, channel in sorted(listed.values(), key=lambda i: i[0])
            ]

    async def load_timelines(
        self, limit: int
    ) -> AsyncIterator[list[tuple[str, int, TimelineEntry]]]:
        for device_id, entries in self.timelines.items():
            numbered = sorted(entries.items())[-limit:]
            yield [(device_id, sequence, entry) for sequence, entry in numbered]

    async def timeline(self, device_id: str, limit: int) -> list[TimelineEntry]:
        entries = self.timelines.get(device_id, {})
        return [entry for _, entry in sorted(entries.items(), reverse=True)][:limit]

    def save_device(self, device: Device) -> asyncio.Future[None]:
        return self._durable(lambda: self._keep(device))

    def touch_device(self, device: Device) -> None:
        self.touched.add(device.device_id)
        self._keep(device)

    def add_timeline(self, device_id: str, sequence: int, entry: TimelineEntry) -> None:
        entries = self.timelines.setdefault(device_id, {})
        entries[sequence] = entry
        entries.pop(sequence - TIMELINE_KEPT, None)

    def save_channels(
        self, device: Device, saved: Sequence[tuple[int, Channel]], removed: Sequence[str]
    ) -> asyncio.Future[None]:
        def write() -> None:
            listed = self.channels.setdefault(device.device_id, {})
            for channel_id in removed:
                listed.pop(channel_id, None)
            listed.update({channel.channel_id: (n, copy.deepcopy(channel)) for n, channel in saved})
            self._keep(device)

        return self._durable(write)

    def replace_channels(self, device: Device, listed: Sequence[Channel]) -> asyncio.Future[None]:
        def write() -> None:
            self.channels[device.device_id] = {
                channel.channel_id: (n, copy.deepcopy(channel)) for n, channel in enumerate(listed)
            }

        return self._durable(write)

    def save_secret(self, device: Device, secret: DeviceSecret | None) -> asyncio.Future[None]:
        def write() -> None:
            self._keep(device)
            self.secrets.pop(device.device_id, None)
            if secret is not None:
                self.secrets[device.device_id] = secret

        return self._durable(write)

    def forget_device(self, device_id: str) -> asyncio.Future[None]:
        def write() -> None:
            self.devices.pop(device_id, None)
            self.secrets.pop(device_id, None)
            self.channels.pop(device_id, None)
            self.timelines.pop(device_id, None)

        return self._durable(write)

    def health(self) -> StoreHealth:
        return StoreHealth(ok=not self.broken)

    def release(self) -> None:
        """Let the held futures succeed, or fail if the store is broken by now."""
        held, self.held = self.held or [], None
        for future in held:
            if self.broken:
                future.set_exception(Unavailable("store_unavailable", "broken by the test"))
            else:
                future.set_result(None)

    def _keep(self, device: Device) -> None:
        self.devices[device.device_id] = device

    def _durable(self, write: Callable[[], None]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.durable_writes += 1
        if self.held is not None:
            self.held.append(future)
        elif self.broken:
            future.set_exception(Unavailable("store_unavailable", "broken by the test"))
            future.exception()
            return future
        else:
            future.set_result(None)
        write()
        return future


def address(
    host: str = "10.0.0.7",
    port: int = 5060,
    *,
    transport: str = "UDP",
    connection: int | None = None,
) -> DeviceAddress:
    """Return where a device's packet came from."""
    return DeviceAddress(
        transport=transport,
        host=host,
        port=port,
        local_host="10.0.0.1",
        local_port=5060,
        connection=connection,
    )


def registration(
    device_id: str = DEVICE,
    *,
    at: DeviceAddress | None = None,
    expires: int = 3600,
    call_id: str = "a",
) -> Registration:
    """Return an authenticated REGISTER."""
    return Registration(
        device_id=device_id,
        address=at or address(),
        expires=expires,
        contact=f"sip:{device_id}@192.168.1.64:5060",
        call_id=call_id,
        gb_version="3.0",
        user_agent="IP Camera",
    )


def camera(
    number: int, device_id: str = DEVICE, *, name: str | None = None, online: bool = True
) -> Channel:
    """Return a catalogue item."""
    return Channel(
        device_id=device_id,
        channel_id=f"3402000000131{number:07d}",
        kind=ChannelKind.CAMERA,
        name=f"Camera {number}" if name is None else name,
        manufacturer="Acme",
        model="M1",
        online=online,
        parent_ids=(device_id,),
        extra={"Owner": "o"},
    )


def build(store: MemoryStore, clock: ManualClock, password: str = "common") -> DeviceRegistry:
    """Return an empty registry."""
    return DeviceRegistry(store, RegistrySettings(realm=REALM, password=password), clock=clock)


async def register(registry: DeviceRegistry, device_id: str) -> None:
    """Register a device for the first time."""
    durable = registry.registered(registration(device_id), 1000.0)
    assert durable is not None
    await durable


async def restart(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    """Return a registry that has taken over what the store has."""
    again = build(store, clock)
    await again.load()
    return again


_checked: type[DeviceStore] = MemoryStore
