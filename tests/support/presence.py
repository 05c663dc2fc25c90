"""Watching devices come and go on a clock set by hand."""

import asyncio
from enum import StrEnum

from gateway.domain.device import Device, DeviceAddress
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from tests.support.registry import DEVICE, ManualClock, MemoryStore, registration

__all__ = ["SETTINGS", "Listened", "kinds", "known", "register", "restart", "run_timers"]

SETTINGS = RegistrySettings(realm="3402000000", password="12345678", max_devices=5)


class Listened:
    """What the listeners were told."""

    def __init__(self, registry: DeviceRegistry) -> None:
        self.heard: list[tuple[str, str]] = []
        registry.on_online.append(lambda device: self.heard.append(("online", device.device_id)))
        registry.on_offline.append(
            lambda device: self.heard.append((str(device.offline_reason), device.device_id))
        )
        registry.on_rebooted.append(
            lambda device: self.heard.append(("rebooted", device.device_id))
        )

    def names(self) -> list[str]:
        return [name for name, _ in self.heard]


def known(registry: DeviceRegistry, device_id: str = DEVICE) -> Device:
    """Return a device that is known."""
    device = registry.get(device_id)
    assert device is not None
    return device


def kinds(registry: DeviceRegistry, device_id: str = DEVICE) -> list[StrEnum]:
    """Oldest first."""
    return [entry.kind for entry in reversed(registry.timeline(device_id))]


async def register(
    registry: DeviceRegistry,
    clock: ManualClock,
    *,
    at: DeviceAddress | None = None,
    expires: int = 3600,
    call_id: str = "a",
    device_id: str = DEVICE,
) -> bool:
    """Register and wait; return whether it had to be durable."""
    durable = registry.registered(
        registration(device_id, at=at, expires=expires, call_id=call_id), clock.now
    )
    if durable is not None:
        await durable
        await asyncio.sleep(0)
    return durable is not None


async def restart(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    """Return a registry that has taken over what the store has."""
    again = DeviceRegistry(store, SETTINGS, clock=clock)
    await again.load()
    return again


def run_timers(registry: DeviceRegistry, clock: ManualClock, seconds: float) -> None:
    """Let time pass, firing every timer when it is due."""
    end = clock.now + seconds
    while (due := registry.next_timer()) is not None and due <= end:
        clock.now = max(due, clock.now)
        registry.handle_timer(clock.now)
    clock.now = end
