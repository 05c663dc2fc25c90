"""The supervision heap."""

import math

import pytest

from gateway.domain.device import Device
from gateway.registry.entry import DeviceEntry
from gateway.registry.supervision import Supervisor, clamp_keepalive


@pytest.mark.parametrize(
    ("reported", "used"),
    [
        ((60.0, 3), (60.0, 3)),
        ((0.0, 0), (5.0, 1)),
        ((-1.0, -3), (5.0, 1)),
        ((1e9, 10**9), (3600.0, 100)),
        ((math.nan, 3), (3600.0, 3)),
        ((math.inf, 3), (3600.0, 3)),
    ],
)
def test_values_out_of_reason_are_clamped(
    reported: tuple[float, int], used: tuple[float, int]
) -> None:
    assert clamp_keepalive(*reported) == used


def entry(heard: float, expires: float = 1e9) -> DeviceEntry:
    made = DeviceEntry(Device(device_id="x"))
    made.heard, made.expires = heard, expires
    return made


def test_devices_come_up_in_the_order_of_their_deadlines() -> None:
    supervisor = Supervisor(interval=60, misses=3)
    late, soon = entry(100.0), entry(0.0, expires=20.0)
    supervisor.watch(late)
    supervisor.watch(soon)
    assert supervisor.next_timer() == 30.0
    assert supervisor.pop_due(29.9, 10) == []
    assert supervisor.pop_due(1000.0, 1) == [soon]
    assert supervisor.pop_due(1000.0, 1) == [late]
    assert supervisor.next_timer() is None


def test_a_place_given_up_for_an_earlier_one_does_not_come_up() -> None:
    supervisor = Supervisor(interval=60, misses=3)
    watched = entry(0.0)
    supervisor.watch(watched)
    watched.expires = 5.0
    supervisor.watch(watched)
    assert supervisor.pop_due(1000.0, 10) == [watched]
    assert supervisor.pop_due(1000.0, 10) == []


def test_watching_the_same_device_ever_earlier_does_not_grow_the_heap_without_end() -> None:
    supervisor = Supervisor(interval=60, misses=3)
    watched = entry(0.0, expires=1e6)
    for number in range(50_000):
        watched.expires = 50.0 - number / 1000
        supervisor.watch(watched)
    assert len(supervisor) <= 2100
    assert supervisor.pop_due(1e9, 10) == [watched]
