"""Program stream to media units: whole streams, cuts, losses."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from gb28181.es.unit import Codec, MediaUnit
from gb28181.limits import MAX_FRAME
from gb28181.ps.demuxer import PsDemuxer
from gb28181.ps.muxer import PsMuxer, PsQuirks
from tests.support.samples import FRAME, ffmpeg, sound, stream, units

CODECS = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
STEP = 1388


def mux(video: list[MediaUnit], audio: Sequence[MediaUnit] = (), **quirks: Any) -> Any:
    """One PS packet a picture, sound joined to it."""
    codec = video[0].codec
    muxer = PsMuxer(codec, audio[0].codec if audio else None, quirks=PsQuirks(**quirks))
    sounds: list[tuple[MediaUnit, ...]] = [(unit,) for unit in audio] or [()] * len(video)
    return [muxer.mux(unit, *extra) for unit, extra in zip(video, sounds, strict=True)]


def packets(
    frames: list[bytes], *, step: int = STEP, marker: str = "end", ticks: int = FRAME
) -> Iterator[Any]:
    """(payload, timestamp, marker) as RTP would carry them."""
    for index, frame in enumerate(frames):
        for at in range(0, len(frame), step):
            last = at + step >= len(frame)
            mark = {"end": last, "all": True, "never": False}[marker]
            yield frame[at : at + step], index * ticks, mark


def demux(
    cuts: Iterable[tuple[bytes | memoryview, int, bool]], demuxer: PsDemuxer | None = None
) -> Any:
    demuxer = PsDemuxer() if demuxer is None else demuxer
    found = []
    for payload, timestamp, marker in cuts:
        found += demuxer.feed(payload, timestamp=timestamp, marker=marker)
    return found + demuxer.flush()


def pictures(found: list[MediaUnit]) -> Any:
    return [unit for unit in found if unit.is_video]


@CODECS
@pytest.mark.parametrize("marker", ["end", "all", "never"])
@pytest.mark.parametrize("ticks", [FRAME, 0])
def test_pictures_come_out_as_they_went_in(codec: Codec, marker: str, ticks: int) -> None:
    video, audio = units(codec), sound(Codec.PCM_ALAW, 30)
    found = demux(packets(mux(video, audio), marker=marker, ticks=ticks))
    assert pictures(found) == video
    assert [unit for unit in found if not unit.is_video] == audio


@CODECS
def test_with_a_marker_a_picture_is_out_with_its_last_packet(codec: Codec) -> None:
    video, demuxer = units(codec), PsDemuxer()
    for frame, unit in zip(mux(video), video, strict=True):
        found: list[MediaUnit] = []
        for payload, timestamp, marker in packets([frame]):
            assert found == []
            found = demuxer.feed(payload, timestamp=timestamp, marker=marker)
        assert found == [unit]


@CODECS
@pytest.mark.parametrize("marker", ["all", "never"])
def test_without_a_usable_marker_a_picture_is_out_with_the_next_ones_first_packet(
    codec: Codec, marker: str
) -> None:
    video, demuxer = units(codec), PsDemuxer()
    frames = [list(packets([frame], marker=marker)) for frame in mux(video)]
    for payload, timestamp, mark in frames[0]:
        assert demuxer.feed(payload, timestamp=timestamp, marker=mark) == []
    for frame, unit in zip(frames[1:-1], video, strict=False):
        first, *rest = frame
        found = demuxer.feed(first[0], timestamp=first[1], marker=first[2])
        for payload, timestamp, mark in rest:
            found += demuxer.feed(payload, timestamp=timestamp, marker=mark)
        assert unit in found


@CODECS
@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"pes_length_zero": True},
        {"empty_pes_first": True},
        {"max_pes_length": 700},
        {"no_psm": True},
        {"private_stream": b"\x00\x00\x01 private \x00\x00\x00\x01\x65" * 3},
    ],
    ids=str,
)
def test_every_cut_gives_the_same_pictures(codec: Codec, quirks: dict[str, Any]) -> None:
    video, audio = units(codec)[:6], sound(Codec.PCM_ALAW, 6)
    data = b"".join(mux(video, audio, **quirks))
    for step in (1, 2, 3, 7, 13, 188, 1388, 4096, len(data)):
        found = demux(packets([data], step=step, marker="never", ticks=0))
        assert pictures(found) == video, f"cut every {step} bytes"


def test_every_single_cut_of_a_short_stream_gives_the_same_units() -> None:
    video = units(Codec.H264, size="64x64", rate="20k")[:4]
    data = b"".join(mux(video, sound(Codec.PCM_ALAW, 4)))
    whole = demux([(data, 0, False)])
    assert pictures(whole) == video
    for cut in range(len(data)):
        found = demux([(data[:cut], 0, False), (data[cut:], 0, False)])
        assert [u for u in found if u.is_video] == video
        assert sorted(found, key=lambda u: (u.is_video, u.pts)) == sorted(
            whole, key=lambda u: (u.is_video, u.pts)
        )


@CODECS
@pytest.mark.parametrize("marker", ["end", "never"])
@pytest.mark.parametrize(
    "quirks", [{}, {"pes_length_zero": True}, {"max_pes_length": 900}], ids=str
)
def test_loss_of_any_packet_costs_its_picture_only_and_never_merges_halves(
    codec: Codec, marker: str, quirks: dict[str, Any]
) -> None:
    video = units(codec)[:21]
    cuts = list(packets(mux(video, **quirks), marker=marker))
    expected = {unit.payload: unit for unit in video}
    with_map = cuts[0]
    for lost in range(len(cuts)):
        demuxer = PsDemuxer()
        found = []
        for index, (payload, timestamp, mark) in enumerate(cuts):
            if index == lost:
                demuxer.loss()
                continue
            found += demuxer.feed(payload, timestamp=timestamp, marker=mark)
        found += demuxer.flush()
        assert all(unit.payload in expected for unit in found)
        assert all(unit.keyframe is expected[unit.payload].keyframe for unit in found)
        # Without a marker the picture before a lost first packet is not known to be complete;
        # without a map the codec is not known before the next key frame.
        damage = 10 if cuts[lost] is with_map else 1 if marker == "end" else 2
        assert len(found) >= len(video) - damage


@CODECS
def test_a_gap_nobody_tells_of_is_found_by_the_structure(codec: Codec) -> None:
    video = units(codec)[:15]
    cuts = list(packets(mux(video)))
    expected = {unit.payload for unit in video}
    for lost in range(1, len(cuts)):
        found = demux(cuts[:lost] + cuts[lost + 1 :])
        assert {unit.payload for unit in found} <= expected
        assert len(found) >= len(video) - 2


@CODECS
def test_joining_in_the_middle_begins_with_a_whole_picture(codec: Codec) -> None:
    video = units(codec)
    cuts = list(packets(mux(video)))
    for start in range(0, len(cuts) - 3, 3):
        found = demux(cuts[start:])
        assert found == video[len(video) - len(found) :][: len(found)] or [
            unit.payload for unit in found
        ] == [unit.payload for unit in video[len(video) - len(found) :]]


def test_a_change_of_codec_in_the_map_comes_as_units_of_the_other_codec() -> None:
    first, second = units(Codec.H264), units(Codec.HEVC, first=30 * FRAME)
    found = demux(packets(mux(first) + mux(second)))
    assert found == first + second


@CODECS
def test_times_go_on_where_33_bits_wrap(codec: Codec) -> None:
    start = 2**33 - 5 * FRAME
    video = units(codec, first=start)
    assert demux(packets(mux(video))) == video


def test_dts_passes_through() -> None:
    video = units(Codec.H264)[:3]
    for index, unit in enumerate(video):
        unit.pts += 2 * FRAME if index != 1 else 0
    found = demux(packets(mux(video)))
    assert [(unit.pts, unit.dts) for unit in found] == [(unit.pts, unit.dts) for unit in video]


@pytest.mark.parametrize("options", [{}, {"slices": 3}], ids=str)
def test_a_disc_stream_of_ffmpeg_with_unaligned_pes_comes_out_whole(
    options: dict[str, Any],
) -> None:
    data = stream(Codec.H264, **options)
    vob = ffmpeg("-r", "25", "-f", "h264", "-i", "-", "-c", "copy", "-f", "vob", "-", data=data)
    found = demux(packets([vob], marker="never", ticks=0))
    assert b"".join(unit.payload for unit in found)[1:] in {data, data[1:], b"\x00" + data}
    assert len(found) == 30
    assert [unit.keyframe for unit in found] == [index % 10 == 0 for index in range(30)]


def test_times_of_a_disc_stream_are_those_that_ffprobe_reads() -> None:
    data = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", "30", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-b:v", "2M", "-f", "vob", "-"),
    )
    found = demux(packets([data], marker="never", ticks=0))
    assert len(found) == 30
    shown = sorted(unit.pts for unit in found)
    assert [pts - shown[0] for pts in shown] == [index * FRAME for index in range(30)]
    decoded = [unit.dts for unit in found]
    assert [dts - decoded[0] for dts in decoded] == [index * FRAME for index in range(30)]


def test_an_mpeg_1_system_stream_is_read() -> None:
    data = stream(Codec.H264)
    mpeg = ffmpeg("-r", "25", "-f", "h264", "-i", "-", "-c", "copy", "-f", "mpeg", "-", data=data)
    found = demux(packets([mpeg], marker="never", ticks=0))
    assert len(found) == 30


def test_a_picture_over_the_limit_is_dropped_and_the_next_one_comes() -> None:
    video = units(Codec.H264)
    huge = mux([video[1]])[0]
    body = b"\x00\x00\x01\xe0\x00\x00\x80\x00\x00" + b"\x11" * 60_000
    demuxer = PsDemuxer()
    demux(packets([*mux(video[:1]), huge]), demuxer)
    for _ in range(2 * MAX_FRAME // 60_000):
        demuxer.feed(body[9:], timestamp=1)
    pes = b"\x00\x00\x01\xe0\xff\xff\x80\x00\x00" + b"\x11" * 65_532
    for _ in range(2 * MAX_FRAME // 65_000):
        demuxer.feed(pes, timestamp=1)
    found = demux(packets(mux(units(Codec.H264, first=9000))), demuxer)
    assert [unit.payload for unit in found] == [unit.payload for unit in video]


def test_views_of_a_buffer_are_taken_as_well_as_bytes() -> None:
    video = units(Codec.H264)
    cuts = [(memoryview(payload), t, m) for payload, t, m in packets(mux(video))]
    assert demux(cuts) == video
