"""What operators decide: secrets, settings, deleting, and what a failing store means for each."""

import asyncio

import pytest

from gateway.domain.device import DeviceSettings, OfflineReason
from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.store import DeviceSecret
from gateway.registry.registry import DeviceRegistry
from gb28181.sip.digest import Credential
from tests.support.registry import (
    DEVICE,
    OTHER,
    REALM,
    ManualClock,
    MemoryStore,
    build,
    camera,
    register,
    restart,
)


def test_without_an_own_secret_the_common_password_counts(
    store: MemoryStore, clock: ManualClock
) -> None:
    assert build(store, clock).credential(DEVICE) == Credential.from_password(
        DEVICE, REALM, "common"
    )


def test_without_any_password_nobody_can_register(store: MemoryStore, clock: ManualClock) -> None:
    assert build(store, clock, password="").credential(DEVICE) is None


async def test_an_own_secret_wins_survives_a_restart_and_is_kept_as_hashes_only(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await registry.set_secret(DEVICE, "own")
    again = await restart(store, clock)
    for each in (registry, again):
        assert each.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "own")
        device = each.get(DEVICE)
        assert device is not None
        assert device.settings.has_secret
    assert set(store.secrets[DEVICE].ha1) >= {"MD5", "SHA-256"}
    assert "own" not in repr(store.secrets)
    assert registry.timeline(DEVICE, 1)[0].detail == "secret set"


async def test_removing_an_own_secret_brings_the_common_password_back(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    await registry.set_secret(DEVICE, "own")
    await registry.set_secret(DEVICE, None)
    assert registry.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "common")
    assert store.secrets == {}


async def test_a_secret_can_be_set_before_the_device_registers(registry: DeviceRegistry) -> None:
    await registry.set_secret(OTHER, "own")
    device = registry.get(OTHER)
    assert device is not None
    assert device.offline_reason is OfflineReason.NEVER_REGISTERED
    assert registry.credential(OTHER) == Credential.from_password(OTHER, REALM, "own")


@pytest.mark.parametrize("device_id", ["", "a b", "x" * 65, "3402\r\nVia:", "设备"])
async def test_an_impossible_id_gets_no_secret(device_id: str, registry: DeviceRegistry) -> None:
    with pytest.raises(Invalid) as caught:
        await registry.set_secret(device_id, "own")
    assert caught.value.code == "invalid_device_id"


async def test_an_empty_secret_is_refused(registry: DeviceRegistry) -> None:
    with pytest.raises(Invalid, match="remove the secret"):
        await registry.set_secret(DEVICE, "")


async def test_a_secret_the_store_could_not_keep_is_not_used(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.broken = True
    with pytest.raises(Unavailable):
        await registry.set_secret(DEVICE, "own")
    assert registry.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "common")


async def test_a_secret_made_for_another_realm_fails_instead_of_falling_back(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    foreign = {"MD5": "0" * 32}
    store.secrets[DEVICE] = DeviceSecret("4401000000", foreign)
    again = await restart(store, clock)
    assert again.credential(DEVICE) == Credential(foreign)


async def test_settings_survive_a_restart(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await registry.set_settings(DEVICE, DeviceSettings(charset="UTF-8", keepalive_interval=30))
    device = (await restart(store, clock)).get(DEVICE)
    assert device is not None
    assert device.settings == DeviceSettings(charset="UTF-8", keepalive_interval=30)
    assert (
        registry.timeline(DEVICE, 1)[0].detail == "settings: charset=UTF-8, keepalive_interval=30"
    )


@pytest.mark.parametrize(
    "settings",
    [
        DeviceSettings(charset="EBCDIC"),
        DeviceSettings(keepalive_interval=0),
        DeviceSettings(keepalive_interval=float("nan")),
        DeviceSettings(keepalive_misses=-1),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    settings: DeviceSettings, registry: DeviceRegistry
) -> None:
    with pytest.raises(Invalid):
        await registry.set_settings(DEVICE, settings)
    device = registry.get(DEVICE)
    assert device is not None
    assert device.settings == DeviceSettings()


async def test_settings_the_store_could_not_keep_are_not_used(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.broken = True
    with pytest.raises(Unavailable):
        await registry.set_settings(DEVICE, DeviceSettings(charset="UTF-8"))
    device = registry.get(DEVICE)
    assert device is not None
    assert device.settings.charset is None


async def test_a_forgotten_device_is_gone_with_everything_and_may_register_again(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    offline: list[str] = []
    registry.on_offline.append(lambda device: offline.append(device.device_id))
    await registry.set_secret(DEVICE, "own")
    await registry.replace_catalog(DEVICE, [camera(1)], complete=True)
    await registry.forget(DEVICE)
    assert offline == [DEVICE]
    assert registry.counts() == (0, 0, 0)
    assert registry.timeline(DEVICE) == []
    assert registry.find_channel(camera(1).channel_id) == []
    assert (store.devices, store.secrets, store.channels) == ({}, {}, {})
    await register(registry, DEVICE)
    assert registry.counts() == (1, 1, 0)


async def test_a_secret_for_a_device_deleted_meanwhile_is_not_taken_over(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.held = []
    async with asyncio.TaskGroup() as group:
        setting = group.create_task(expect_not_found(registry))
        forgetting = group.create_task(registry.forget(DEVICE))
        await asyncio.sleep(0.001)
        store.release()
    assert setting.done()
    assert forgetting.done()
    assert registry.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "common")


async def expect_not_found(registry: DeviceRegistry) -> None:
    with pytest.raises(NotFound):
        await registry.set_secret(DEVICE, "own")


async def test_settings_that_failed_do_not_undo_what_somebody_else_set_meanwhile(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(expect_unavailable(registry))
        await asyncio.sleep(0.001)
        held, store.held = store.held, None
        await registry.set_settings(DEVICE, DeviceSettings(charset="GBK"))
        store.held, store.broken = held, True
        store.release()
    device = registry.get(DEVICE)
    assert device is not None
    assert device.settings.charset == "GBK"


async def expect_unavailable(registry: DeviceRegistry) -> None:
    with pytest.raises(Unavailable):
        await registry.set_settings(DEVICE, DeviceSettings(charset="UTF-8"))


async def test_a_device_made_known_in_vain_is_written_when_somebody_tries_again(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(expect_not_added(registry))
        await asyncio.sleep(0.001)
        store.broken = True
        store.release()
    store.broken = False
    store.devices.clear()
    await registry.add(OTHER)
    assert OTHER in store.devices


async def expect_not_added(registry: DeviceRegistry) -> None:
    with pytest.raises(Unavailable):
        await registry.add(OTHER)
