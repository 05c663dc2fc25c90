"""The core of HLS: chunks in, playlists, segments and parts out."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.hls import segmenter as module
from gateway.media.hls.options import HlsOptions
from gateway.media.hls.segmenter import Segmenter
from gateway.media.viewer import Chunk
from tests.support.hls import Playlist, check_rules, check_successor, chunk, read_playlist

INIT = b"ftypmoov"
FRAME = 3_600


class Camera:
    """Feeds a segmenter at 25 pictures a second, as time goes by."""

    def __init__(self, *, gop: int = 25, options: HlsOptions | None = None, frame: int = FRAME):
        self.segmenter = Segmenter(options or HlsOptions())
        self.now = 1_700_000_000.0
        self.gop = gop
        self.frame = frame
        self.sent: list[Chunk] = []
        self.segmenter.restart(INIT, self.now)
        self._numbers = count()

    def run(self, frames: int, *, size: int = 40, sound: int = 0) -> None:
        for _ in range(frames):
            number = next(self._numbers)
            made = chunk(
                number,
                keyframe=number % self.gop == 0,
                duration=self.frame,
                size=size,
                sound=sound,
            )
            self.sent.append(made)
            self.segmenter.feed(made, self.now)
            self.now += self.frame / 90_000

    def playlist(self) -> Playlist:
        found = read_playlist(self.segmenter.playlist())
        check_rules(found)
        return found


def body(it: Segmenter, number: int) -> bytes:
    found = it.segment(number)
    assert found is not None
    return found


def test_nothing_is_published_before_the_first_group_of_pictures_is_complete() -> None:
    camera = Camera()
    started = []
    for frames in (25, 1):
        camera.run(frames)
        started.append(camera.segmenter.started)
    assert started == [False, True]
    assert [item.duration for item in camera.playlist().items] == [1.0]


def test_segments_begin_at_key_frames_and_last_two_seconds_after_the_first_three() -> None:
    camera = Camera()
    camera.run(25 * 9 + 1)
    assert [item.duration for item in camera.playlist().items] == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert camera.playlist().target == 2
    assert camera.playlist().open.number == 6


def test_parts_have_half_a_second_of_whole_frames_and_together_are_the_segment() -> None:
    camera = Camera()
    camera.run(25 * 9 + 1, sound=12)
    last = camera.playlist().items[-1]
    assert [float(part["DURATION"]) for part in last.parts] == [0.48, 0.48, 0.48, 0.48, 0.08]
    assert [part.get("INDEPENDENT") for part in last.parts] == ["YES", None, None, None, None]
    parts = [camera.segmenter.part(last.number, i) for i in range(5)]
    assert b"".join(bytes(part) for part in parts if part) == body(camera.segmenter, last.number)


def test_all_segments_together_are_all_chunks_with_their_sound() -> None:
    camera = Camera()
    camera.run(25 * 5 + 1, sound=8)
    together = b"".join(body(camera.segmenter, number) for number in range(4))
    assert together == b"".join(sent.form(1) for sent in camera.sent[:-1])


def test_a_part_is_announced_before_it_is_there() -> None:
    camera = Camera()
    camera.run(25 + 6)
    hint = camera.playlist().hint
    assert hint == "part-1.0.m4s"
    assert camera.segmenter.is_hinted(1, 0)
    assert camera.segmenter.part(1, 0) is None
    camera.run(8)
    assert camera.playlist().open.parts[0]["URI"] == hint
    assert camera.segmenter.part(1, 0) is not None
    assert not camera.segmenter.is_hinted(1, 0)


@pytest.mark.parametrize(
    ("gop", "target", "durations"),
    [
        (25, 2, [1.0, 2.0]),
        (24, 2, [0.96, 1.92]),
        (50, 2, [2.0, 2.0]),
        (49, 2, [1.96, 1.96]),
        (30, 2, [1.2, 2.4]),
        (40, 3, [1.6, 3.2]),
        (100, 4, [4.0, 4.0]),
        (250, 10, [10.0, 10.0]),
    ],
)
def test_the_target_duration_is_known_from_the_first_group_of_pictures(
    gop: int, target: int, durations: list[float]
) -> None:
    camera = Camera(gop=gop)
    camera.run(gop + 1)
    assert camera.playlist().target == target
    camera.run(gop * 8)
    shown = camera.playlist()
    assert shown.target == target
    assert [shown.items[0].duration, shown.items[-1].duration] == pytest.approx(durations)


@pytest.mark.parametrize("rate", [1, 2, 3, 5, 6, 8, 10, 12, 15, 20, 25, 30, 50, 60])
def test_parts_have_85_percent_of_their_target_at_any_rate(rate: int) -> None:
    camera = Camera(gop=rate * 2, frame=90_000 // rate)
    camera.run(rate * 2 * 6 + 1)
    shown = camera.playlist()
    for item in shown.items:
        for part in item.parts[:-1]:
            assert float(part["DURATION"]) >= 0.85 * shown.part_target


def test_a_camera_without_key_frames_gets_its_segments_cut_anywhere_after_a_while() -> None:
    camera = Camera(gop=1_000_000)
    camera.run(25 * 95)
    shown = camera.playlist()
    assert [item.duration for item in shown.items] == [30.0, 30.0, 30.0]
    assert "EXT-X-INDEPENDENT-SEGMENTS" not in shown.tags
    assert [part.get("INDEPENDENT") for part in shown.items[-1].parts] == [None] * 63


def test_independence_is_claimed_where_every_segment_begins_with_a_key_frame() -> None:
    camera = Camera()
    camera.run(60)
    assert "EXT-X-INDEPENDENT-SEGMENTS" in camera.playlist().tags


def test_a_stalled_source_makes_the_targets_honest() -> None:
    camera = Camera(gop=50)
    camera.run(101)
    assert camera.playlist().part_target == pytest.approx(0.504)
    camera.segmenter.feed(chunk(1, duration=90_000 * 5), camera.now)
    camera.now += 5
    camera.run(100)
    shown = camera.playlist()
    assert shown.target == 7
    assert shown.part_target == 5.0
    camera.run(2_500)
    assert camera.playlist().part_target == pytest.approx(0.504)


def test_the_playlist_keeps_the_window_and_three_target_durations() -> None:
    camera = Camera(options=HlsOptions(window=4))
    camera.run(25 * 40)
    shown = camera.playlist()
    assert len(shown.items) == 4
    assert sum(item.duration for item in shown.items) >= 3 * shown.target


def test_a_segment_that_left_the_playlist_can_be_had_for_a_while() -> None:
    camera = Camera(options=HlsOptions(window=4))
    camera.run(25 * 40)
    first = camera.playlist().sequence
    assert camera.segmenter.segment(first - 1) is not None
    assert camera.segmenter.part(first - 1, 0) is not None
    camera.run(25 * 15)
    assert camera.segmenter.segment(first - 1) is None
    assert camera.segmenter.part(first - 1, 0) is None
    assert camera.segmenter.segment(0) is None


def test_memory_is_bounded_whatever_the_bit_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 600_000)
    monkeypatch.setattr(module, "MAX_SEGMENT_BYTES", 200_000)
    camera = Camera(gop=200)
    for _ in range(2_000):
        camera.run(1, size=8_000)
        assert camera.segmenter.held <= 600_000 + 200_000
    assert len(camera.playlist().items) >= 1


def test_sound_without_pictures_for_minutes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SOUND_BYTES", 1_000)
    camera = Camera()
    camera.run(30)
    for number in range(100):
        camera.segmenter.feed(Chunk(b"", b"s" * 100, keyframe=False, dts=number), camera.now)
    assert camera.segmenter.held < 30 * 40 + 1_200


def test_a_new_init_is_a_discontinuity_and_the_old_one_goes_with_its_segments() -> None:
    camera = Camera(options=HlsOptions(window=4))
    camera.run(25 * 4 + 10)
    before = camera.playlist()
    camera.segmenter.restart(b"another", camera.now)
    camera.run(100)
    shown = camera.playlist()
    check_successor(before, shown)
    marked = [item for item in (*shown.items, shown.open) if item.discontinuity]
    assert [item.number for item in marked] == [before.open.number + 1]
    assert marked[0].init == "init-1.mp4"
    assert shown.items[0].init == "init-0.mp4"
    assert camera.segmenter.init(1) == b"another"
    camera.run(25 * 40)
    assert camera.segmenter.init(0) is None
    assert camera.segmenter.init(1) == b"another"
    assert camera.playlist().tags["EXT-X-DISCONTINUITY-SEQUENCE"] == "1"
    assert camera.playlist().items[0].init == "init-1.mp4"


def test_a_second_restart_before_any_frame_changes_the_map_alone() -> None:
    camera = Camera()
    camera.run(60)
    camera.segmenter.restart(b"second", camera.now)
    shown = camera.playlist()
    camera.segmenter.restart(b"third", camera.now)
    again = camera.playlist()
    assert again.open.number == shown.open.number
    assert (shown.open.init, again.open.init) == ("init-1.mp4", "init-2.mp4")
    assert camera.segmenter.init(1) is None


def test_what_comes_before_a_key_frame_is_nothing_to_begin_with() -> None:
    it = Segmenter(HlsOptions())
    it.restart(INIT, 0.0)
    for number in range(10):
        it.feed(chunk(number), 0.0)
        it.feed(Chunk(b"", b"sound", keyframe=False, dts=0), 0.0)
    assert it.held == 0


def test_program_date_times_follow_the_media_and_are_set_anew_when_the_clocks_run_apart() -> None:
    camera = Camera(gop=50)
    camera.run(101)
    assert [item.date for item in camera.playlist().items] == [
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:22.000Z",
    ]
    camera.now += 0.3
    camera.run(50)
    assert camera.playlist().items[-1].date == "2023-11-14T22:13:24.000Z"
    camera.now += 10
    camera.run(51)
    assert camera.playlist().open.date == "2023-11-14T22:13:38.300Z"


def test_a_backlog_that_comes_at_once_is_dated_back() -> None:
    it = Segmenter(HlsOptions())
    it.restart(INIT, 1_700_000_000.0)
    for number in range(50):
        it.feed(chunk(number, keyframe=number == 0), 1_700_000_000.0)
    it.feed(chunk(50, keyframe=True), 1_700_000_000.04)
    assert read_playlist(it.playlist()).items[0].date == "2023-11-14T22:13:18.040Z"


def test_what_is_there_and_what_is_waited_for() -> None:
    camera = Camera(gop=50)
    camera.run(50 * 3 + 30)
    it = camera.segmenter
    shown = camera.playlist()
    assert (shown.open.number, len(shown.open.parts)) == (3, 2)
    there = [(0, None), (2, None), (2, 0), (2, 99), (3, 0), (3, 1)]
    assert [it.has(*where) for where in there] == [True] * 6
    missing = [(3, None), (3, 2), (3, 5), (4, 0), (4, None)]
    assert [it.has(*where) for where in missing] == [False] * 5
    assert not any(it.is_beyond(*where) for where in (*there, *missing))
    assert [it.is_beyond(*where) for where in [(5, None), (5, 0), (3, 9), (4, 7), (10**11, 0)]] == [
        True
    ] * 5


def test_a_part_past_the_end_of_its_segment_stands_for_the_first_of_the_next() -> None:
    camera = Camera(gop=50)
    camera.run(50 * 3 + 1)
    assert camera.playlist().open.number == 3
    assert not camera.segmenter.has(2, 7)
    camera.run(15)
    assert camera.segmenter.has(2, 7)


def test_a_playlist_is_rendered_once_until_something_changes() -> None:
    camera = Camera()
    camera.run(60)
    first = camera.segmenter.playlist()
    assert camera.segmenter.playlist() is first
    camera.run(1)
    assert camera.segmenter.playlist() is first
    camera.run(13)
    assert camera.segmenter.playlist() is not first


def test_the_bandwidth_is_that_of_the_fattest_segment() -> None:
    camera = Camera(gop=50)
    camera.run(50 * 2, size=1_000)
    camera.run(50, size=4_000)
    camera.run(51, size=1_000)
    peak, average = camera.segmenter.rates()
    assert peak == 4_000 * 8 * 25
    assert average == (1_000 * 3 + 4_000) * 8 * 25 // 4


def steps() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    duration = st.sampled_from([0, 1, 1_500, 3_000, 3_600, 3_601, 6_000, 45_000, 90_000, 700_000])
    return st.lists(
        st.tuples(
            st.sampled_from(["frame"] * 12 + ["key", "key", "sound", "restart"]),
            duration,
            st.integers(min_value=1, max_value=40),
        ),
        max_size=120,
    )


def playlists(it: Segmenter, script: list[tuple[str, int, int]]) -> Iterator[Playlist]:
    now, version = 1_700_000_000.0, -1
    it.restart(INIT, now)
    for number, (what, duration, repeat) in enumerate(script):
        for again in range(repeat if what == "frame" else 1):
            now += duration / 90_000
            if what == "restart":
                it.restart(INIT, now)
            elif what == "sound":
                it.feed(Chunk(b"", b"sound", keyframe=False, dts=0), now)
            else:
                it.feed(chunk(number + again, keyframe=what == "key", duration=duration), now)
            if it.started and it.version != version:
                version = it.version
                yield read_playlist(it.playlist())


@given(
    steps(),
    st.sampled_from([1.0, 2.0, 6.0]),
    st.sampled_from([0.2, 0.5, 1.0]),
    st.integers(min_value=4, max_value=8),
)
def test_any_chunks_give_playlists_that_obey_the_rules(
    script: list[tuple[str, int, int]], segment: float, part: float, window: int
) -> None:
    it = Segmenter(HlsOptions(segment=segment, part=part, window=window))
    before: Playlist | None = None
    for shown in playlists(it, script):
        check_rules(shown)
        if before is not None:
            check_successor(before, shown)
        before = shown
        for item in (*shown.items, shown.open):
            assert it.init(int(item.init.removeprefix("init-").removesuffix(".mp4"))) == INIT
            parts = [it.part(item.number, i) for i in range(len(item.parts))]
            assert None not in parts
            if item.uri and item.parts:
                joined = b"".join(bytes(data) for data in parts if data is not None)
                assert joined == it.segment(item.number)
