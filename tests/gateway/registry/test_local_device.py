"""A device that is part of the gateway: there while it runs, out of reach of SIP."""

import pytest

from gateway.domain.device import DeviceSettings, Identity
from gateway.domain.errors import Conflict
from gateway.registry.registry import DeviceRegistry
from gateway.registry.settings import RegistrySettings
from tests.support.registry import ManualClock, MemoryStore, address, camera, registration

LOCAL = "34020000001180900001"


async def _registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    registry = DeviceRegistry(
        store, RegistrySettings(realm="3402000000", password="common"), clock=clock
    )
    await registry.load()
    return registry


async def test_it_stays_online_whatever_time_goes_by() -> None:
    clock = ManualClock()
    registry = await _registry(MemoryStore(), clock)
    told: list[str] = []
    registry.on_online.append(lambda device: told.append(device.device_id))
    device = await registry.add_local(LOCAL, name="外部视频源")
    assert (device.local, device.online, device.offline_reason) == (True, True, None)
    assert told == [LOCAL]
    for _ in range(100):
        registry.handle_timer(clock.advance(86_400))
    assert device.online
    assert registry.counts()[:2] == (1, 1)
    await registry.add_local(LOCAL, name="another name")
    assert (told, device.name) == ([LOCAL], "another name")


async def test_nobody_is_taken_for_it() -> None:
    clock = ManualClock()
    registry = await _registry(MemoryStore(), clock)
    await registry.add_local(LOCAL, name="x")
    at = address()
    assert registry.identify(LOCAL, at, clock.now) is Identity.UNREGISTERED
    for attempt in (
        registry.set_secret(LOCAL, "secret"),
        registry.set_secret(LOCAL, None),
        registry.set_settings(LOCAL, DeviceSettings(follow_address=True)),
        registry.forget(LOCAL),
    ):
        with pytest.raises(Conflict, match="foreign sources"):
            await attempt


async def test_the_common_password_does_not_register_it() -> None:
    registry = await _registry(MemoryStore(), ManualClock())
    assert registry.credential(LOCAL) is not None
    await registry.add_local(LOCAL, name="x")
    assert registry.credential(LOCAL) is None


async def test_a_device_that_has_registered_is_not_made_one() -> None:
    clock = ManualClock()
    registry = await _registry(MemoryStore(), clock)
    written = registry.registered(registration(LOCAL), clock.now)
    assert written is not None
    await written
    with pytest.raises(Conflict):
        await registry.add_local(LOCAL, name="x")


async def test_it_is_back_after_a_restart_with_its_channels_and_goes_with_them() -> None:
    store, clock = MemoryStore(), ManualClock()
    registry = await _registry(store, clock)
    await registry.add_local(LOCAL, name="x")
    await registry.replace_catalog(LOCAL, [camera(1, LOCAL)], complete=True)
    again = await _registry(store, clock)
    assert [device.online for device in again.devices()] == [False]
    await again.add_local(LOCAL, name="x")
    assert [device.online for device in again.devices()] == [True]
    assert len(again.channels(LOCAL)) == 1
    await again.remove_local(LOCAL)
    assert again.get(LOCAL) is None
    assert (await _registry(store, clock)).get(LOCAL) is None
