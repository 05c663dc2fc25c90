"""Registration, refresh, logout, identity and supervision, on a clock set by hand."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

import pytest

from gateway.domain.device import (
    Device,
    DeviceAddress,
    DeviceSettings,
    Identity,
    OfflineReason,
    TimelineKind,
)
from gateway.domain.errors import Unavailable
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from tests.support.registry import DEVICE, ManualClock, MemoryStore, address, registration

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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    return DeviceRegistry(store, SETTINGS, clock=clock)


@pytest.fixture
def listened(registry: DeviceRegistry) -> Listened:
    return Listened(registry)


def known(registry: DeviceRegistry, device_id: str = DEVICE) -> Device:
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
    durable = registry.unregistered(DEVICE, clock.now)
    assert durable is not None
    await durable
    assert known(registry).offline_reason is OfflineReason.LOGGED_OUT
    assert known(registry).expires_at is None
    assert listened.names() == ["online", "logged_out"]
    assert registry.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED
    assert registry.unregistered(DEVICE, clock.now) is None
    assert registry.unregistered("unknown", clock.now) is None
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
    registry.connection_lost(1, clock.now)
    assert known(registry).offline_reason is OfflineReason.CONNECTION_LOST
    assert listened.names() == ["online", "online", "connection_lost", "connection_lost"]
    second = address(transport="TCP", port=40002, connection=2)
    elsewhere = address("10.9.9.9", transport="TCP", port=40002, connection=3)
    assert registry.identify(DEVICE, elsewhere, clock.now) is Identity.ADDRESS_REFUSED
    assert registry.identify(DEVICE, second, clock.now) is Identity.RECONNECTED
    assert known(registry).online
    assert known(registry).address == second
    assert registry.identify(DEVICE, second, clock.now) is Identity.KNOWN
    registry.connection_lost(1, clock.now)
    assert known(registry).online


async def test_the_end_of_an_older_connection_means_nothing_after_registering_on_a_new_one(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, at=address(transport="TCP", port=40001, connection=1))
    await register(registry, clock, at=address(transport="TCP", port=40002, connection=2))
    registry.connection_lost(1, clock.now)
    assert known(registry).online


async def test_a_connection_lost_before_the_registration_was_durable_leaves_no_ghost(
    registry: DeviceRegistry, clock: ManualClock, store: MemoryStore, listened: Listened
) -> None:
    store.held = []
    durable = registry.registered(
        registration(at=address(transport="TCP", connection=1)), clock.now
    )
    registry.connection_lost(1, clock.now)
    store.release()
    assert durable is not None
    await durable
    assert not known(registry).online
    assert known(registry).offline_reason is OfflineReason.CONNECTION_LOST
    assert listened.names() == []


# Supervision


async def test_missed_keepalives_are_noted_and_the_third_takes_the_device_offline(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    await register(registry, clock)
    run_timers(registry, clock, 189)
    assert known(registry).online
    assert [entry.detail[:6] for entry in reversed(registry.timeline(DEVICE))][1:] == [
        "1 of 3",
        "2 of 3",
    ]
    run_timers(registry, clock, 1)
    assert known(registry).offline_reason is OfflineReason.KEEPALIVE_MISSED
    assert listened.names() == ["online", "keepalive_missed"]
    assert kinds(registry)[-2:] == [TimelineKind.KEEPALIVE_MISSED, TimelineKind.OFFLINE]


async def test_keepalives_keep_a_device_online_and_cost_no_timer_each(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, expires=86400)
    for _ in range(500):
        run_timers(registry, clock, 60)
        registry.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    assert known(registry).online
    assert known(registry).last_keepalive_at == clock.utc_now()
    assert kinds(registry) == [TimelineKind.REGISTERED]
    assert len(registry._presence.supervisor) == 1


async def test_a_keepalive_from_a_device_thought_gone_brings_it_back(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    await register(registry, clock)
    run_timers(registry, clock, 300)
    assert registry.identify(DEVICE, address(), clock.now) is Identity.KNOWN
    registry.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    assert known(registry).online
    run_timers(registry, clock, 300)
    assert listened.names() == ["online", "keepalive_missed", "online", "keepalive_missed"]


async def test_a_registration_not_refreshed_ends(
    registry: DeviceRegistry, clock: ManualClock, listened: Listened
) -> None:
    await register(registry, clock, expires=120)
    for _ in range(5):
        run_timers(registry, clock, 30)
        registry.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    assert known(registry).offline_reason is OfflineReason.EXPIRED
    registry.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    assert not known(registry).online
    assert listened.names() == ["online", "registration_expired"]


async def test_a_shorter_registration_than_before_is_supervised_in_time(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, expires=86400)
    await register(registry, clock, expires=20)
    run_timers(registry, clock, 31)
    assert known(registry).offline_reason is OfflineReason.EXPIRED


async def test_a_devices_own_interval_and_misses_count(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    await registry.set_settings(DEVICE, DeviceSettings(keepalive_interval=5, keepalive_misses=2))
    run_timers(registry, clock, 19)
    assert known(registry).online
    run_timers(registry, clock, 2)
    assert not known(registry).online


async def test_faults_in_a_keepalive_are_noted_once(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    for _ in range(3):
        registry.keepalive(DEVICE, ok=False, faults=("34020000001310000001",), now=clock.now)
    registry.keepalive("unknown", ok=True, faults=(), now=clock.now)
    newest = registry.timeline(DEVICE, 1)[0]
    assert (newest.kind, newest.count) == (TimelineKind.KEEPALIVE_FAULT, 3)
    assert "34020000001310000001" in newest.detail


async def test_a_thousand_devices_that_fall_silent_at_once_are_taken_in_portions(
    store: MemoryStore, clock: ManualClock
) -> None:
    registry = DeviceRegistry(store, RegistrySettings(realm="r"), clock=clock)
    for number in range(1200):
        await register(registry, clock, device_id=f"dev{number}")
    clock.advance(1000)
    registry.handle_timer(clock.now)
    assert registry.counts() == (1200, 700, 0)
    registry.handle_timer(clock.now)
    registry.handle_timer(clock.now)
    assert registry.counts() == (1200, 0, 0)
    assert registry.next_timer() is None


# Restart


async def test_after_a_restart_an_unexpired_udp_registration_is_valid_at_once(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock)
    since = known(registry).status_since
    clock.advance(600)
    again = await restart(store, clock)
    assert known(again).online
    assert known(again).status_since == since
    assert again.identify(DEVICE, address(), clock.now) is Identity.KNOWN
    assert again.counts() == (1, 1, 0)
    run_timers(again, clock, 190)
    assert known(again).offline_reason is OfflineReason.KEEPALIVE_MISSED


async def test_after_a_restart_a_registration_ends_when_it_would_have(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock, expires=600)
    clock.advance(500)
    again = await restart(store, clock)
    run_timers(again, clock, 111)
    assert known(again).offline_reason is OfflineReason.EXPIRED
    later = await restart(store, clock)
    assert known(later).offline_reason is OfflineReason.EXPIRED
    assert later.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED


async def test_a_registration_that_ended_while_the_gateway_was_down_is_expired(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock, expires=600)
    clock.advance(10_000)
    again = await restart(store, clock)
    assert not known(again).online
    assert known(again).offline_reason is OfflineReason.EXPIRED


async def test_after_a_restart_a_tcp_device_is_known_and_usable_once_it_connects(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock, at=address(transport="TCP", port=40001, connection=1))
    again = await restart(store, clock)
    listened = Listened(again)
    assert known(again).offline_reason is OfflineReason.NOT_CONNECTED
    back = address(transport="TCP", port=40007, connection=1)
    assert again.identify(DEVICE, back, clock.now) is Identity.RECONNECTED
    assert known(again).online
    assert listened.names() == ["online"]
    assert kinds(again)[-1] is TimelineKind.ADDRESS_CHANGED


@pytest.mark.parametrize("reason", ["logged_out", "keepalive_missed"])
async def test_a_device_that_was_offline_stays_so_after_a_restart(
    reason: str, registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock)
    leave: dict[str, Callable[[], object]] = {
        "logged_out": lambda: registry.unregistered(DEVICE, clock.now),
        "keepalive_missed": lambda: run_timers(registry, clock, 200),
    }
    leave[reason]()
    again = await restart(store, clock)
    assert known(again).offline_reason == reason
    assert again.next_timer() is None


async def test_a_silent_device_that_speaks_up_after_a_restart_is_back(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await register(registry, clock)
    run_timers(registry, clock, 200)
    again = await restart(store, clock)
    assert again.identify(DEVICE, address(), clock.now) is Identity.KNOWN
    again.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    assert known(again).online


async def test_a_clock_that_was_ahead_gives_no_endless_registration(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    clock.start += timedelta(days=3650)
    await register(registry, clock, expires=600)
    clock.start -= timedelta(days=3650)
    again = await restart(store, clock)
    assert known(again).online
    run_timers(again, clock, 120)
    again.keepalive(DEVICE, ok=True, faults=(), now=clock.now)
    clock.advance(500)
    assert again.identify(DEVICE, address(), clock.now) is Identity.UNREGISTERED


async def test_when_the_gateway_itself_stood_still_no_device_goes_offline(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock)
    clock.advance(69.99)
    asyncio.get_running_loop().call_later(0.002, clock.advance, 300)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await registry.supervise()
    assert known(registry).online
    assert kinds(registry) == [TimelineKind.REGISTERED]
    run_timers(registry, clock, 200)
    assert not known(registry).online


async def test_supervision_runs_by_itself(clock: ManualClock, store: MemoryStore) -> None:
    registry = DeviceRegistry(store, RegistrySettings(realm="r"), clock=clock)
    await register(registry, clock, expires=1)
    clock.advance(12)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await registry.supervise()
    assert known(registry).offline_reason is OfflineReason.EXPIRED
