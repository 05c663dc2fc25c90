"""Time stamps without wraps and jumps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es.timeline import Timeline, TrackClock, Unwrapper

FRAME = 3600


def run(values: list[int], *, bits: int = 33, pictures: bool = True) -> Any:
    clock = TrackClock(Timeline(bits), "video", pictures=pictures)
    return [clock.stamp(value) for value in values]


@pytest.mark.parametrize("bits", [32, 33])
def test_a_wrap_is_counted_on(bits: int) -> None:
    start = 2**bits - 2 * FRAME
    stamps = run([(start + i * FRAME) % 2**bits for i in range(5)], bits=bits)
    assert [pts - stamps[0][0] for pts, _ in stamps] == [i * FRAME for i in range(5)]


def test_a_restart_of_the_clock_is_closed_up_by_one_frame() -> None:
    timeline = Timeline(33)
    clock = TrackClock(timeline, "video")
    before = [clock.stamp(10_000_000 + i * FRAME)[1] for i in range(3)]
    after = [clock.stamp(i * FRAME)[1] for i in range(3)]
    assert after == [before[-1] + (i + 1) * FRAME for i in range(3)]
    assert timeline.jumps == 1


def test_tracks_that_restart_together_stay_in_step() -> None:
    timeline = Timeline(33)
    video, audio = TrackClock(timeline, "video"), TrackClock(timeline, "audio")
    video.stamp(10_000_000)
    audio.stamp(10_000_900)
    assert audio.stamp(10_003_600)[0] - video.stamp(10_003_600)[0] == 0
    shown = video.stamp(500_000)[0]
    assert audio.stamp(10_007_200)[0] < shown + FRAME, "the old clock's last sound is still placed"
    assert audio.stamp(500_900)[0] == shown + 900


def test_a_track_with_a_clock_of_its_own_begins_beside_the_other() -> None:
    timeline = Timeline(33)
    video, audio = TrackClock(timeline, "video"), TrackClock(timeline, "audio")
    shown = video.stamp(90_000_000)[0]
    assert abs(audio.stamp(123)[0] - shown) <= 2 * FRAME


def test_dts_is_kept_and_pts_stays_ahead_of_it() -> None:
    clock = TrackClock(Timeline(33), "video", pictures=True)
    assert clock.stamp(3 * FRAME, 0) == (3 * FRAME, 0)
    assert clock.stamp(FRAME) == (FRAME, FRAME)
    assert clock.stamp(2 * FRAME) == (2 * FRAME, 2 * FRAME)


def test_reordered_pictures_without_dts_get_one_after_a_short_while() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
    stamps = run([value * FRAME for value in shown])
    decoded = [dts for _, dts in stamps]
    assert decoded == sorted(set(decoded))
    assert all(pts >= dts for pts, dts in stamps)
    assert [pts for pts, _ in stamps[6:]] == [value * FRAME for value in shown[6:]]


@given(st.lists(st.integers(0, 2**33 - 1), max_size=40))
def test_whatever_comes_dts_grows_and_pts_is_not_before_it(values: list[int]) -> None:
    stamps = run(values)
    decoded = [dts for _, dts in stamps]
    assert decoded == sorted(set(decoded))
    assert all(0 <= pts - dts <= 21 * 90_000 for pts, dts in stamps)


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=20), st.integers(0, 2**32 - 1))
def test_unwrapping_follows_every_step_shorter_than_half_the_range(
    steps: list[int], first: int
) -> None:
    unwrapper, true = Unwrapper(32), first
    assert unwrapper.unwrap(first) == first
    for step in steps:
        true += step
        assert unwrapper.unwrap(true % 2**32) == true
