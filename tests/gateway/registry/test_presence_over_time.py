"""Supervision and restarts: what time alone does to devices, on a clock set by hand."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.domain.device import DeviceSettings, Identity, OfflineReason, TimelineKind
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from tests.support.presence import SETTINGS, Listened, kinds, known, register, restart, run_timers
from tests.support.registry import DEVICE, ManualClock, MemoryStore, address


@pytest.fixture
def registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    return DeviceRegistry(store, SETTINGS, clock=clock)


@pytest.fixture
def listened(registry: DeviceRegistry) -> Listened:
    return Listened(registry)


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
        "logged_out": lambda: registry.unregistered(DEVICE),
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


async def test_a_registration_that_ended_while_the_gateway_stood_still_may_yet_be_refreshed(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    await register(registry, clock, expires=100)
    clock.advance(69.99)
    asyncio.get_running_loop().call_later(0.002, clock.advance, 300)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await registry.supervise()
    assert known(registry).online
    assert not await register(registry, clock, expires=100)
    run_timers(registry, clock, 60)
    assert known(registry).online


async def test_supervision_runs_by_itself(clock: ManualClock, store: MemoryStore) -> None:
    registry = DeviceRegistry(store, RegistrySettings(realm="r"), clock=clock)
    await register(registry, clock, expires=1)
    clock.advance(12)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await registry.supervise()
    assert known(registry).offline_reason is OfflineReason.EXPIRED
