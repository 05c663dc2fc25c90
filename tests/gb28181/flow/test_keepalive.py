"""Keepalives."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.keepalive import (
    KeepaliveLost,
    KeepaliveMissed,
    KeepaliveMonitor,
    clamp_interval,
    clamp_misses,
)

A, B = "37132600001180000001", "37132600001180000002"


def test_a_device_is_lost_after_interval_times_misses_plus_ten_seconds() -> None:
    monitor = KeepaliveMonitor(interval=60.0, misses=3)
    monitor.watch(A, 1000.0)
    assert monitor.next_timer() == 1070.0
    assert monitor.handle_timer(1069.9) == []
    assert monitor.handle_timer(1070.0) == [KeepaliveMissed(device_id=A, count=1, silent_for=70.0)]
    assert monitor.missed(A) == 1
    assert monitor.next_timer() == 1130.0
    assert monitor.handle_timer(1130.0) == [KeepaliveMissed(device_id=A, count=2, silent_for=130.0)]
    assert monitor.handle_timer(1190.0) == [KeepaliveLost(device_id=A, count=3, silent_for=190.0)]
    assert monitor.next_timer() is None
    assert len(monitor) == 0
    assert not monitor.receive_keepalive(A, 1191.0)


def test_a_keepalive_starts_the_count_anew() -> None:
    monitor = KeepaliveMonitor(interval=60.0, misses=2)
    monitor.watch(A, 0.0)
    assert len(monitor.handle_timer(70.0)) == 1
    assert monitor.receive_keepalive(A, 75.0)
    assert monitor.missed(A) == 0
    assert monitor.next_timer() == 145.0
    assert monitor.handle_timer(144.0) == []


def test_a_keepalive_that_is_late_by_less_than_the_slack_is_not_missed() -> None:
    monitor = KeepaliveMonitor(interval=60.0, misses=1)
    monitor.watch(A, 0.0)
    for beat in range(1, 20):
        now = beat * 60.0 + (beat % 2) * 9.9
        assert monitor.handle_timer(now) == []
        assert monitor.receive_keepalive(A, now)


def test_each_device_may_have_its_own_interval_and_misses() -> None:
    monitor = KeepaliveMonitor(interval=60.0, misses=3)
    monitor.watch(A, 0.0, interval=20.0, misses=1)
    monitor.watch(B, 0.0)
    assert monitor.handle_timer(30.0) == [KeepaliveLost(device_id=A, count=1, silent_for=30.0)]
    assert monitor.next_timer() == 70.0


def test_a_late_call_tells_of_each_device_once() -> None:
    monitor = KeepaliveMonitor(interval=60.0, misses=3)
    monitor.watch(A, 0.0)
    monitor.watch(B, 0.0, misses=10)
    outputs = monitor.handle_timer(400.0)
    assert KeepaliveLost(device_id=A, count=3, silent_for=400.0) in outputs
    assert KeepaliveMissed(device_id=B, count=6, silent_for=400.0) in outputs
    assert len(outputs) == 2
    assert monitor.next_timer() == 430.0


def test_watching_again_replaces_the_clock_and_forgetting_ends_it() -> None:
    monitor = KeepaliveMonitor()
    monitor.watch(A, 0.0)
    monitor.watch(A, 100.0)
    assert monitor.next_timer() == 170.0
    monitor.forget(A)
    monitor.forget(A)
    assert monitor.next_timer() is None
    assert monitor.missed(A) == 0
    assert monitor.handle_timer(1e9) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 60.0),
        (0.0, 60.0),
        (-5.0, 60.0),
        (math.nan, 60.0),
        (math.inf, 60.0),
        (1.0, 5.0),
        (30.0, 30.0),
        (1e6, 3600.0),
    ],
)
def test_illegal_intervals_are_clamped(value: float | None, expected: float) -> None:
    assert clamp_interval(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(None, 3), (0, 3), (-1, 3), (1, 1), (10**6, 100)])
def test_illegal_misses_are_clamped(value: int | None, expected: int) -> None:
    assert clamp_misses(value) == expected


def test_illegal_parameters_of_a_device_leave_it_on_the_defaults() -> None:
    monitor = KeepaliveMonitor(interval=0.0, misses=-1)
    monitor.watch(A, 0.0, interval=-1.0, misses=0)
    assert monitor.next_timer() == 70.0


@given(st.lists(st.floats(0.1, 500.0), max_size=20), st.integers(1, 5), st.floats(5.0, 100.0))
def test_a_silent_device_is_lost_exactly_once_and_never_early(
    gaps: list[float], misses: int, interval: float
) -> None:
    monitor = KeepaliveMonitor(interval=interval, misses=misses)
    monitor.watch(A, 0.0)
    now = last = 0.0
    lost: list[float] = []
    for gap in gaps:
        until = now + gap
        while (due := monitor.next_timer()) is not None and due <= until:
            lost += [due - last for out in monitor.handle_timer(due) if type(out) is KeepaliveLost]
        now = until
        if monitor.receive_keepalive(A, now):
            last = now
    while (due := monitor.next_timer()) is not None:
        lost += [due - last for out in monitor.handle_timer(due) if type(out) is KeepaliveLost]
    assert lost == [pytest.approx(interval * misses + 10.0)]
