"""Time stamps as devices send them, repaired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.timeline import Timeline
from gb28181.es.unit import Codec, MediaUnit

FRAME = 3_600


def video(dts: int, pts: int | None = None) -> MediaUnit:
    return MediaUnit(Codec.H264, dts if pts is None else pts, dts, False, b"")


def sound(dts: int) -> MediaUnit:
    return MediaUnit(Codec.PCM_ALAW, dts, dts, True, b"")


def test_a_stream_begins_at_zero_and_keeps_its_steps() -> None:
    timeline = Timeline()
    stamps = [timeline.feed(video(1_000_000 + i * FRAME), i * 0.04).dts for i in range(5)]
    assert stamps == [0, 3600, 7200, 10800, 14400]
    assert timeline.repairs == 0


def test_sound_keeps_its_distance_to_the_picture() -> None:
    timeline = Timeline()
    timeline.feed(video(1_000_000), 0.0)
    assert timeline.feed(sound(1_001_800), 0.01).dts == 1_800
    assert timeline.feed(video(1_003_600), 0.04).dts == 3_600


def test_sound_with_a_clock_of_its_own_is_put_at_the_present() -> None:
    timeline = Timeline()
    timeline.feed(video(1_000_000), 0.0)
    timeline.feed(video(1_003_600), 0.04)
    assert timeline.feed(sound(77), 0.04).dts == 3_600
    assert timeline.feed(sound(77 + 1_800), 0.06).dts == 5_400


def test_a_decoding_time_that_is_moved_for_the_sake_of_order_moves_no_picture() -> None:
    timeline = Timeline()
    # As FFmpeg tells of a stream with B-frames: the decoding times of the first pictures are guesses, too late.
    stamps = [
        (0, 0),
        (4 * FRAME, 4 * FRAME),
        (FRAME, 2 * FRAME),
        (2 * FRAME, FRAME),
        (3 * FRAME, 3 * FRAME),
    ]
    fed = [timeline.feed(video(dts, pts), 0.0) for dts, pts in stamps]
    assert [unit.pts for unit in fed][:2] == [0, 4 * FRAME]
    assert [unit.dts for unit in fed] == [0, 4 * FRAME, 4 * FRAME + 1, 4 * FRAME + 2, 4 * FRAME + 3]
    late = timeline.feed(video(4 * FRAME, 8 * FRAME), 0.0)
    assert (late.dts, late.pts) == (4 * FRAME + 4, 8 * FRAME)


def test_a_clock_that_goes_to_and_fro_does_not_make_the_stream_run_away() -> None:
    timeline = Timeline()
    # Nine tenths of a second ahead in two steps, and back again.
    stamps = [number * FRAME + number % 3 * 40_000 for number in range(500)]
    fed = [timeline.feed(video(at), number * 0.04).dts for number, at in enumerate(stamps)]
    assert fed == sorted(set(fed))
    assert abs(fed[-1] - 499 * FRAME) < 12 * 90_000
    # After some seconds it goes with the clock on the wall.
    assert fed[-1] - fed[250] == pytest.approx(249 * FRAME, abs=100)


@pytest.mark.parametrize("jump", [-(2**32), -(2**33), 2**33, 90_000 * 3_600, -90_000 * 60])
def test_a_jump_of_both_tracks_is_bridged_by_arrival_time_and_sync_is_kept(jump: int) -> None:
    timeline = Timeline()
    base = 2**34
    timeline.feed(video(base), 0.0)
    timeline.feed(sound(base + 900), 0.0)
    timeline.feed(video(base + FRAME), 0.04)
    assert timeline.feed(video(base + jump + 2 * FRAME), 0.08).dts == 2 * FRAME
    # Sound sent before the jump arrives after it, then the sound jumps too.
    assert timeline.feed(sound(base + 900 + FRAME), 0.08).dts == 900 + FRAME
    assert timeline.feed(sound(base + jump + 900 + 2 * FRAME), 0.12).dts == 900 + 2 * FRAME
    assert timeline.feed(video(base + jump + 3 * FRAME), 0.12).dts == 3 * FRAME


def test_a_gap_that_the_arrival_explains_is_kept() -> None:
    timeline = Timeline()
    timeline.feed(video(0), 0.0)
    assert timeline.feed(video(900_000), 10.0).dts == 900_000
    assert timeline.repairs == 0


def test_constant_stamps_are_replaced_by_arrival_time() -> None:
    timeline = Timeline()
    stamps = [timeline.feed(video(5), i * 0.04).dts for i in range(100)]
    assert stamps[0] == 0
    assert stamps[-1] == pytest.approx(99 * FRAME, abs=100)


def test_stamps_in_milliseconds_are_replaced_by_arrival_time() -> None:
    timeline = Timeline()
    stamps = [timeline.feed(video(i * 40), i * 0.04).dts for i in range(400)]
    assert stamps[399] - stamps[300] == pytest.approx(99 * FRAME, abs=100)


def test_a_stall_and_the_burst_after_it_change_nothing() -> None:
    timeline = Timeline()
    for i in range(250):
        arrival = 9.0 if 50 < i < 225 else i * 0.04
        assert timeline.feed(video(i * FRAME), arrival).dts == i * FRAME


def test_reordering_of_b_frames_is_kept() -> None:
    timeline = Timeline()
    timeline.feed(video(0), 0.0)
    unit = timeline.feed(video(FRAME, 3 * FRAME), 0.04)
    assert (unit.dts, unit.pts) == (FRAME, 3 * FRAME)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-(2**34), 2**34), st.floats(0, 3)), max_size=60)
)
def test_whatever_comes_each_track_rises_and_no_picture_is_shown_before_it_is_decoded(
    steps: list[tuple[bool, int, float]],
) -> None:
    timeline = Timeline()
    now = 0.0
    last: dict[bool, int] = {}
    for is_video, stamp, pause in steps:
        now += pause
        unit = timeline.feed(video(stamp) if is_video else sound(stamp), now)
        assert unit.dts > last.get(is_video, -1)
        assert unit.pts >= unit.dts
        last[is_video] = unit.dts
