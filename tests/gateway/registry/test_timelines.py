"""Timelines of devices and of strangers, in memory and in the store."""

from gateway.domain.device import TimelineKind
from gateway.registry.registry import DeviceRegistry
from tests.support.registry import DEVICE, OTHER, ManualClock, MemoryStore, register, restart


async def test_failed_digests_of_an_id_never_registered_leave_a_reason(
    registry: DeviceRegistry,
) -> None:
    for _ in range(3):
        registry.note(OTHER, TimelineKind.AUTH_FAILED, "wrong_response (from 10.0.0.9:5060)")
    (entry,) = registry.timeline(OTHER)
    assert (entry.kind, entry.count) == (TimelineKind.AUTH_FAILED, 3)
    assert registry.strangers() == [(OTHER, entry)]
    await register(registry, OTHER)
    assert [found.kind for found in registry.timeline(OTHER)] == [
        TimelineKind.REGISTERED,
        TimelineKind.AUTH_FAILED,
    ]
    assert registry.strangers() == []


async def test_ids_that_never_registered_cannot_fill_the_memory(registry: DeviceRegistry) -> None:
    for number in range(3000):
        registry.note(f"{number:020d}", TimelineKind.AUTH_FAILED, "wrong_response")
    registry.note("9" * 5000, TimelineKind.AUTH_FAILED, "x" * 5000)
    assert len(registry.strangers(5000)) == 1000
    device_id, entry = registry.strangers(1)[0]
    assert device_id == "9" * 64
    assert len(entry.detail) == 500


async def test_a_timeline_survives_a_restart_and_goes_on(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    for number in range(100):
        registry.note(DEVICE, TimelineKind.SESSION_ENDED, f"session {number}")
        clock.advance(1)
    again = await restart(store, clock)
    assert len(again.timeline(DEVICE, 200)) == 50
    again.note(DEVICE, TimelineKind.SESSION_ENDED, "session 100")
    history = await again.history(DEVICE)
    assert [entry.detail for entry in history[:3]] == ["session 100", "session 99", "session 98"]
    assert len(history) == 102
    assert history[-1].kind is TimelineKind.REGISTERED
    assert await again.history(OTHER) == []
