"""A registry on a store in memory and a clock set by hand."""

import pytest

from gateway.registry.registry import DeviceRegistry
from tests.support.registry import DEVICE, ManualClock, MemoryStore, build, register


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    """A registry with one device."""
    registry = build(store, clock)
    await register(registry, DEVICE)
    return registry
