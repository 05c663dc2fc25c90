"""Registration, refresh, logout, identity and connections, on a clock set by hand."""

import asyncio

import pytest

from gateway.domain.device import (
    DeviceAddress,
    DeviceSettings,
    Identity,
    OfflineReason,
    TimelineKind,
)
from gateway.domain.errors import Unavailable
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from tests.support.presence import SETTINGS, Listened, kinds, known, register
from tests.support.registry import DEVICE, ManualClock, MemoryStore, address, registration


@pytest.fixture
def registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    return DeviceRegistry(store, SETTINGS, clock=clock)


@pytest.fixture
def listened(registry: DeviceRegistry) -> Listened:
    return Listened(registry)


# Registering


async def test_a_first_registration_must_be_durable_and_then_the_device_is_online(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened, store: MemoryStore
) -> None:
    store.held = []
    durable = registry.registered(registration(), clock.now)
    assert durable is not None
    assert not known(registry).online
    store.release()
    await durable
    device = known(registry)
    assert device.online
    assert device.offline_reason is None
    assert device.address == address()
    assert device.registered_at == device.status_since == clock.utc_now()
    assert device.expires_at is not None
    assert (device.expires_at - clock.utc_now()).total_seconds() == 3600
    assert (device.gb_version, device.user_agent, device.call_id) == ("3.0", "IP Camera", "a")
    assert listened.names() == ["online"]
    assert registry.counts() == (1, 1, 0)


async def test_listeners_hear_of_a_device_only_once_its_registration_is_durable(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened, store: MemoryStore
) -> None:
    store.held = []
    first = registry.registered(registration(), clock.now)
    again = registry.registered(registration(), clock.now)
    assert first is not None
    assert again is not None
    await asyncio.sleep(0)
    assert listened.names() == []
    store.release()
    await first
    await again
    assert listened.names() == ["online"]


async def test_a_registration_that_the_store_lost_is_not_online_and_is_tried_again(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened, store: MemoryStore
) -> None:
    store.broken = True
    with pytest.raises(Unavailable):
        await register(registry, clock)
    await asyncio.sleep(0)
    assert not known(registry).online
    assert known(registry).offline_reason is OfflineReason.NEVER_REGISTERED
    store.broken = False
    assert await register(registry, clock)
    assert listened.names() == ["online"]


async def test_of_two_registrations_at_once_the_second_counts_if_only_the_first_is_lost(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock, listened: Listened
) -> None:
    store.held = []
    waits = [registry.registered(registration(), clock.now) for _ in range(2)]
    lost, kept = store.held
    lost.set_exception(Unavailable("store_unavailable", "broken by the test"))
    await asyncio.sleep(0.001)
    assert not known(registry).online
    kept.set_result(None)
    for wait, fails in zip(waits, (True, False), strict=True):
        assert wait is not None
        await asyncio.wait([wait], timeout=2)
        assert isinstance(wait.exception(), Unavailable) is fails
    assert known(registry).online
    assert listened.names() == ["online"]


async def test_of_two_registrations_at_once_that_are_both_lost_none_counts(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    store.held = []
    for _ in range(2):
        registry.registered(registration(), clock.now)
    store.broken = True
    store.release()
    await asyncio.sleep(0.001)
    assert known(registry).offline_reason is OfflineReason.NEVER_REGISTERED
    assert not known(registry).online


async def test_a_refresh_needs_no_waiting_and_is_merged_in_the_timeline(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened, store: MemoryStore
) -> None:
    await register(registry, clock)
    for _ in range(5):
        clock.advance(1800)
        assert not await register(registry, clock)
    assert kinds(registry) == [TimelineKind.REGISTERED, TimelineKind.REFRESHED]
    newest = registry.timeline(DEVICE, 1)[0]
    assert newest.count == 5
    assert newest.at == clock.utc_now()
    assert listened.names() == ["online"]
    assert store.durable_writes == 1
    assert store.touched == {DEVICE}


async def test_a_refresh_after_a_failed_write_must_be_durable(
    registry: DeviceRegistry, clock: ManualClock, store: MemoryStore
) -> None:
    await register(registry, clock)
    store.broken = True
    with pytest.raises(Unavailable):
        await register(registry, clock, at=address("10.0.0.8"))
    await asyncio.sleep(0)
    assert known(registry).online
    store.broken = False
    assert await register(registry, clock, at=address("10.0.0.8"))
    assert not await register(registry, clock, at=address("10.0.0.8"))


@pytest.mark.parametrize(
    "moved",
    [address("10.0.0.8"), address(port=6060), address(transport="TCP", connection=1)],
    ids=["host", "port", "transport"],
)
async def test_a_register_from_another_place_moves_the_device_durably(
    moved: DeviceAddress, registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    assert await register(registry, clock, at=moved)
    assert known(registry).address == moved
    assert TimelineKind.ADDRESS_CHANGED in kinds(registry)


async def test_a_new_tcp_connection_from_the_same_host_is_not_a_new_place(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, at=address(transport="TCP", port=40001, connection=1))
    assert not await register(
        registry, clock, at=address(transport="TCP", port=40002, connection=2)
    )
    current = known(registry).address
    assert current is not None
    assert current.connection == 2


async def test_a_new_call_id_while_online_is_a_reboot(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    await register(registry, clock)
    clock.advance(60)
    assert not await register(registry, clock, call_id="b")
    assert listened.names() == ["online", "rebooted"]
    assert kinds(registry)[-1] is TimelineKind.REBOOTED


async def test_a_new_call_id_seconds_after_registering_is_no_reboot(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    await register(registry, clock)
    clock.advance(5)
    await register(registry, clock, call_id="b")
    assert listened.names() == ["online"]


async def test_logging_out_is_durable_and_takes_the_device_offline(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened, store: MemoryStore
) -> None:
    await register(registry, clock)
    durable = registry.unregistered(DEVICE)
    assert durable is not None
    await durable
    assert known(registry).offline_reason is OfflineReason.LOGGED_OUT
    assert known(registry).expires_at is None
    assert listened.names() == ["online", "logged_out"]
    assert registry.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED
    assert registry.unregistered(DEVICE) is None
    assert registry.unregistered("unknown") is None
    assert await register(registry, clock)
    assert listened.names() == ["online", "logged_out", "online"]


async def test_no_more_devices_than_allowed_are_let_in(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    for number in range(5):
        await register(registry, clock, device_id=f"dev{number}")
    with pytest.raises(Unavailable) as caught:
        await register(registry, clock, device_id="dev5")
    assert caught.value.code == "too_many_devices"
    assert not await register(registry, clock, device_id="dev0")
    assert registry.get("dev5") is None


# Identity


async def test_a_message_from_the_registered_address_is_known(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    assert registry.identify(DEVICE, address(), clock.now) is Identity.KNOWN


async def test_a_spoofed_message_moves_nothing(
    registry: DeviceRegistry, clock: ManualClock, store: MemoryStore
) -> None:
    await register(registry, clock)
    for number in range(100):
        identity = registry.identify(DEVICE, address("203.0.113.9", port=number + 1), clock.now)
        assert identity is Identity.ADDRESS_REFUSED
        assert not identity.accepted
        clock.advance(0.1)
    assert known(registry).address == address()
    assert kinds(registry) == [TimelineKind.REGISTERED, TimelineKind.ADDRESS_REFUSED]
    assert registry.timeline(DEVICE, 1)[0].count == 100
    assert "203.0.113.9" in registry.timeline(DEVICE, 1)[0].detail
    assert store.devices[DEVICE].address == address()


async def test_a_new_port_at_the_registered_address_is_taken_over(
    registry: DeviceRegistry, clock: ManualClock, store: MemoryStore
) -> None:
    await register(registry, clock)
    assert registry.identify(DEVICE, address(port=6061), clock.now) is Identity.PORT_UPDATED
    assert known(registry).address == address(port=6061)
    assert registry.identify(DEVICE, address(port=6061), clock.now) is Identity.KNOWN
    assert store.touched == {DEVICE}


async def test_a_port_that_changes_with_every_keepalive_does_not_fill_the_timeline(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, expires=86400)
    for number in range(60):
        clock.advance(60)
        registry.identify(DEVICE, address(port=7000 + number), clock.now)
    assert len(registry.timeline(DEVICE)) == 2


async def test_a_device_may_be_allowed_to_move_without_registering(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    await registry.set_settings(DEVICE, DeviceSettings(follow_address=True))
    assert registry.identify(DEVICE, address("10.9.9.9"), clock.now) is Identity.MOVED
    assert known(registry).address == address("10.9.9.9")


async def test_all_devices_may_be_allowed_to_move(store: MemoryStore, clock: ManualClock) -> None:
    registry = DeviceRegistry(store, RegistrySettings(realm="r", follow_any=True), clock=clock)
    await register(registry, clock)
    assert registry.identify(DEVICE, address("10.9.9.9"), clock.now) is Identity.MOVED


async def test_an_unknown_or_expired_device_must_register(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    assert registry.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED
    await register(registry, clock, expires=60)
    clock.advance(71)
    assert registry.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED


async def test_on_tcp_the_connection_is_the_identity(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    mine = address(transport="TCP", port=40001, connection=1)
    await register(registry, clock, at=mine)
    assert registry.identify(DEVICE, mine, clock.now) is Identity.KNOWN
    for foreign in (
        address(transport="TCP", port=40001, connection=2),
        address("10.9.9.9", transport="TCP", connection=3),
        address(transport="UDP"),
    ):
        assert registry.identify(DEVICE, foreign, clock.now) is Identity.ADDRESS_REFUSED
    assert known(registry).address == mine


async def test_a_device_registered_over_udp_may_send_its_messages_over_tcp(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    by_tcp = address(transport="TCP", port=40001, connection=4)
    assert registry.identify(DEVICE, by_tcp, clock.now) is Identity.KNOWN
    assert known(registry).address == address()
    by_tcp = address("10.9.9.9", transport="TCP", port=40001, connection=4)
    assert registry.identify(DEVICE, by_tcp, clock.now) is Identity.ADDRESS_REFUSED


# Connections


async def test_a_lost_connection_takes_its_devices_offline_and_a_new_one_brings_them_back(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    first = address(transport="TCP", port=40001, connection=1)
    await register(registry, clock, at=first)
    await register(registry, clock, at=first, device_id="dev2")
    registry.connection_lost(1)
    assert known(registry).offline_reason is OfflineReason.CONNECTION_LOST
    assert listened.names() == ["online", "online", "connection_lost", "connection_lost"]
    second = address(transport="TCP", port=40002, connection=2)
    elsewhere = address("10.9.9.9", transport="TCP", port=40002, connection=3)
    assert registry.identify(DEVICE, elsewhere, clock.now) is Identity.ADDRESS_REFUSED
    assert registry.identify(DEVICE, second, clock.now) is Identity.RECONNECTED
    assert known(registry).online
    assert known(registry).address == second
    assert registry.identify(DEVICE, second, clock.now) is Identity.KNOWN
    registry.connection_lost(1)
    assert known(registry).online


async def test_the_end_of_an_older_connection_means_nothing_after_registering_on_a_new_one(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, at=address(transport="TCP", port=40001, connection=1))
    await register(registry, clock, at=address(transport="TCP", port=40002, connection=2))
    registry.connection_lost(1)
    assert known(registry).online


async def test_a_connection_lost_before_the_registration_was_durable_leaves_no_ghost(
    registry: DeviceRegistry, clock: ManualClock, store: MemoryStore, listened: Listened
) -> None:
    store.held = []
    durable = registry.registered(
        registration(at=address(transport="TCP", connection=1)), clock.now
    )
    registry.connection_lost(1)
    store.release()
    assert durable is not None
    await durable
    assert not known(registry).online
    assert known(registry).offline_reason is OfflineReason.CONNECTION_LOST
    assert listened.names() == []
