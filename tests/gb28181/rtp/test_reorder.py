"""RTP packets back into order."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.reorder import RtpReorderer


def packet(sequence: int, ssrc: int = 1) -> Any:
    return RtpPacket(96, False, sequence & 0xFFFF, 0, ssrc, b"")


def run(
    sequences: Iterable[int], *, window: int = 64, max_delay: float = 1.0, step: float = 0.001
) -> Any:
    reorderer = RtpReorderer(window, max_delay)
    found = []
    for index, sequence in enumerate(sequences):
        found += [p.sequence for p in reorderer.feed(packet(sequence), index * step)]
    return found + [p.sequence for p in reorderer.flush()], reorderer.counters


def test_packets_in_order_pass_at_once() -> None:
    reorderer = RtpReorderer()
    for sequence in range(65_500, 65_600):
        assert [p.sequence for p in reorderer.feed(packet(sequence), 0.0)] == [sequence & 0xFFFF]
    assert reorderer.next_timer() is None
    assert reorderer.counters.received == 100


@given(st.integers(0, 65_535), st.integers(0, 1000))
def test_shuffled_packets_come_out_in_order(first: int, seed: int) -> None:
    numbers = list(range(first + 1, first + 101))
    shuffled = [numbers[i] for i in sorted(range(100), key=lambda i: i + random.Random(seed + i).random() * 9)]  # fmt: skip
    found, counters = run([first, *shuffled])
    assert found == [number & 0xFFFF for number in [first, *numbers]]
    assert (counters.lost, counters.duplicates, counters.late) == (0, 0, 0)


def test_a_lost_packet_is_given_up_when_the_window_is_full() -> None:
    found, counters = run([0, *range(2, 12)], window=5)
    assert found == [0, *range(2, 12)]
    assert (counters.lost, counters.reordered) == (1, 0)


def test_a_lost_packet_is_given_up_after_the_delay() -> None:
    reorderer = RtpReorderer(64, 0.2)
    reorderer.feed(packet(0), 0.0)
    assert reorderer.feed(packet(2), 1.0) == []
    assert reorderer.next_timer() == pytest.approx(1.2)
    assert reorderer.handle_timer(1.1) == []
    assert [p.sequence for p in reorderer.handle_timer(1.2)] == [2]
    assert reorderer.next_timer() is None


def test_a_late_packet_is_dropped_and_counts_as_late_not_lost() -> None:
    found, counters = run([0, 2, 3, 4, 1, 5], window=3)
    assert found == [0, 2, 3, 4, 5]
    assert (counters.lost, counters.late, counters.duplicates) == (0, 1, 0)


def test_duplicates_are_dropped_held_or_passed_on() -> None:
    found, counters = run([0, 1, 1, 3, 3, 2, 0])
    assert found == [0, 1, 2, 3]
    assert counters.duplicates == 3


def test_a_single_packet_far_off_is_ignored_and_two_in_a_row_are_a_restart() -> None:
    found, counters = run([100, 101, 30_000, 102, 40_000, 40_001, 40_002])
    assert found == [100, 101, 102, 40_001, 40_002]
    assert counters.restarts == 1


def test_a_restart_backwards_is_followed() -> None:
    found, counters = run([5000, 5001, 3, 4, 5])
    assert found == [5000, 5001, 4, 5]
    assert counters.restarts == 1


def test_another_ssrc_is_followed_after_what_was_held() -> None:
    reorderer = RtpReorderer()
    reorderer.feed(packet(10), 0.0)
    reorderer.feed(packet(12), 0.0)
    assert [(p.ssrc, p.sequence) for p in reorderer.feed(packet(500, ssrc=2), 0.0)] == [
        (1, 12),
        (2, 500),
    ]
    assert reorderer.counters.restarts == 1


@given(st.lists(st.integers(0, 65_535), max_size=300), st.integers(1, 20))
def test_whatever_comes_what_is_held_is_bounded_and_every_packet_is_accounted_for(
    numbers: list[int], window: int
) -> None:
    reorderer = RtpReorderer(window, 10.0)
    passed = 0
    for index, number in enumerate(numbers):
        passed += len(reorderer.feed(packet(number), index * 0.001))
        assert len(reorderer._held) < window
    passed += len(reorderer.flush())
    counters = reorderer.counters
    assert passed + counters.duplicates + counters.late <= len(numbers)
