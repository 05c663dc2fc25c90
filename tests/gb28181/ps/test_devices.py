"""Program streams as devices really send them: one deviation a test."""

from itertools import pairwise
from typing import Any

import pytest

from gb28181.es.annexb import iter_nals, join_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.demuxer import PsDemuxer
from gb28181.ps.muxer import PsMuxer, PsQuirks, build_pack_header, build_system_header
from gb28181.ps.pes import build_pes_header
from gb28181.ps.psm import build_psm
from tests.support.samples import FRAME, adts, sound, units

CODECS = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
PACK = build_pack_header(0)


def pes(payload: bytes, *, pts: int | None = None, stream: int = 0xE0, **options: Any) -> Any:
    return build_pes_header(stream, len(payload), pts=pts, **options) + payload


def feed(
    demuxer: PsDemuxer,
    frames: list[bytes],
    *,
    ticks: int = FRAME,
    marker: bool = True,
    step: int = 1388,
) -> Any:
    found = []
    for index, frame in enumerate(frames):
        for at in range(0, len(frame), step):
            last = at + step >= len(frame)
            found += demuxer.feed(
                frame[at : at + step], timestamp=index * ticks, marker=marker and last
            )
    return found + demuxer.flush()


def video_of(found: list[MediaUnit]) -> Any:
    return [unit for unit in found if unit.is_video]


@CODECS
def test_without_a_map_the_codec_is_recognised_and_audio_becomes_g711_a_law(codec: Codec) -> None:
    video, audio = units(codec), sound(Codec.PCM_ALAW, 30)
    muxer = PsMuxer(codec, Codec.PCM_ALAW, quirks=PsQuirks(no_psm=True, no_system_header=True))
    demuxer = PsDemuxer()
    found = feed(demuxer, [muxer.mux(*pair) for pair in zip(video, audio, strict=True)])
    assert video_of(found) == video
    # The first sounds came before it was clear that there would be no map.
    heard = [unit for unit in found if not unit.is_video]
    assert heard == audio[len(audio) - len(heard) :]
    assert len(heard) >= 28
    assert demuxer.codecs == (codec, Codec.PCM_ALAW)


def test_without_a_map_aac_is_recognised() -> None:
    frames = [PACK + pes(adts()[:2000], pts=index * 9000, stream=0xC0) for index in range(3)]
    demuxer = PsDemuxer()
    found = feed(demuxer, frames)
    assert demuxer.codecs == (Codec.AAC,)
    assert found[0].payload == adts()[: len(found[0].payload)]


def test_a_map_with_a_wrong_crc_is_used_and_counted() -> None:
    video = units(Codec.H264)[:3]
    muxer = PsMuxer(Codec.H264, quirks=PsQuirks(bad_psm_crc=True))
    demuxer = PsDemuxer()
    assert feed(demuxer, [muxer.mux(unit) for unit in video]) == video
    assert demuxer.counters.psm_crc_errors == 1


def test_a_map_that_names_other_ids_still_tells_the_codec() -> None:
    video = units(Codec.HEVC)[:3]
    head = PACK + build_system_header() + build_psm({0xE2: 0x24, 0xC3: 0x91})
    sounds = sound(Codec.PCM_MULAW, 3)
    frames = [
        (head if index == 0 else PACK)
        + pes(unit.payload, pts=unit.pts)
        + pes(noise.payload, pts=noise.pts, stream=0xC0)
        for index, (unit, noise) in enumerate(zip(video, sounds, strict=True))
    ]
    demuxer = PsDemuxer()
    found = feed(demuxer, frames)
    assert video_of(found) == video
    assert demuxer.codecs == (Codec.HEVC, Codec.PCM_MULAW)


def test_a_map_of_the_wrong_codec_gives_way_to_the_parameter_sets() -> None:
    video = units(Codec.HEVC)
    muxer = PsMuxer(Codec.HEVC, quirks=PsQuirks(video_type=0x1B))
    demuxer = PsDemuxer()
    assert feed(demuxer, [muxer.mux(unit) for unit in video]) == video
    assert demuxer.counters.codec_mismatches == 1


def test_private_streams_padding_system_headers_and_the_end_code_are_skipped() -> None:
    video = units(Codec.H264)[:3]
    noise = b"".join(
        b"\x00\x00\x01" + bytes([stream]) + b"\x00\x08\x00\x00\x01\x65\x88\x80\x00\x00"
        for stream in (0xBD, 0xBE, 0xBF, 0xF0, 0xFF)
    )
    head = PACK + build_system_header() + build_psm({0xE0: 0x1B})
    frames = [
        (head if index == 0 else PACK) + noise + pes(unit.payload, pts=unit.pts) + noise
        for index, unit in enumerate(video)
    ]
    frames[1] += b"\x00\x00\x01\xb9"
    assert feed(PsDemuxer(), frames) == video


@CODECS
def test_slices_in_pes_of_their_own_with_the_same_time_are_one_picture(codec: Codec) -> None:
    video = units(codec, slices=3)[:12]
    frames = [
        PACK + b"".join(pes(join_nals([nal]), pts=unit.pts) for nal in iter_nals(unit.payload))
        for unit in video
    ]
    joined = [join_nals(iter_nals(unit.payload)) for unit in video]
    for marker in (True, False):
        assert [unit.payload for unit in feed(PsDemuxer(), frames, marker=marker)] == joined


@CODECS
def test_pictures_with_the_same_time_are_told_apart_by_their_slices(codec: Codec) -> None:
    video = units(codec)[:6]
    frames = [PACK + pes(unit.payload, pts=7200) for unit in video]
    found = feed(PsDemuxer(), frames, marker=False)
    assert [unit.payload for unit in found] == [unit.payload for unit in video]
    decoded = [unit.dts for unit in found]
    assert decoded == sorted(set(decoded))


@CODECS
def test_pes_without_any_time_take_it_from_rtp(codec: Codec) -> None:
    video = units(codec, first=90_000)
    frames = [PACK + pes(unit.payload) for unit in video]
    found = feed(PsDemuxer(), frames, ticks=1800)
    assert [unit.payload for unit in found] == [unit.payload for unit in video]
    assert [unit.pts - found[0].pts for unit in found] == [i * 1800 for i in range(30)]


@CODECS
def test_without_any_time_at_all_the_rate_of_the_parameter_set_is_used(codec: Codec) -> None:
    frames = [PACK + pes(unit.payload) for unit in units(codec)]
    found = feed(PsDemuxer(), frames, ticks=0)
    assert [unit.pts - found[0].pts for unit in found] == [i * FRAME for i in range(30)]


@CODECS
def test_a_constant_rtp_time_does_not_matter_where_pes_have_theirs(codec: Codec) -> None:
    video = units(codec)
    muxer = PsMuxer(codec)
    assert feed(PsDemuxer(), [muxer.mux(unit) for unit in video], ticks=0) == video


@CODECS
def test_a_standing_pes_time_gives_way_to_that_of_rtp(codec: Codec) -> None:
    frames = [PACK + pes(unit.payload, pts=0) for unit in units(codec)]
    found = feed(PsDemuxer(), frames, ticks=3000)
    steps = [later.pts - earlier.pts for earlier, later in pairwise(found[5:])]
    assert set(steps) == {3000}


@CODECS
def test_parameter_sets_in_a_frame_of_their_own_go_in_front_of_the_key_frame(codec: Codec) -> None:
    key, plain = units(codec)[:2]
    nals = list(iter_nals(key.payload))
    count = 2 if codec is Codec.H264 else 3
    frames = [
        PACK + pes(join_nals(nals[:count]), pts=0),
        PACK + pes(join_nals(nals[count:]), pts=FRAME),
        PACK + pes(plain.payload, pts=2 * FRAME),
    ]
    found = feed(PsDemuxer(), frames)
    assert [unit.keyframe for unit in found] == [True, False]
    assert list(iter_nals(found[0].payload)) == nals


@CODECS
def test_a_time_in_every_pes_of_a_picture_does_not_cut_it(codec: Codec) -> None:
    video = units(codec, rate="4M")[:12]
    frames = [
        PACK + b"".join(pes(unit.payload[at : at + 5000], pts=unit.pts) for at in range(0, len(unit.payload), 5000))
        for unit in video
    ]  # fmt: skip
    for marker in (True, False):
        assert feed(PsDemuxer(), frames, marker=marker) == video


@CODECS
def test_a_pack_header_before_every_pes_does_not_cut_a_picture(codec: Codec) -> None:
    video = units(codec, rate="4M")[:12]
    frames = [
        b"".join(
            PACK + pes(unit.payload[at : at + 3000], pts=unit.pts if at == 0 else None)
            for at in range(0, len(unit.payload), 3000)
        )
        for unit in video
    ]
    for marker in (True, False):
        assert feed(PsDemuxer(), frames, marker=marker) == video


def test_an_empty_pes_carries_the_time_for_data_without_a_pes() -> None:
    video = units(Codec.H264)[:4]
    frames = [PACK + build_pes_header(0xE0, 0, pts=unit.pts) + unit.payload for unit in video]
    for marker in (True, False):
        assert feed(PsDemuxer(), frames, marker=marker) == video


def test_zeros_between_packets_are_nobodys() -> None:
    video = units(Codec.H264)[:4]
    frames = [PACK + b"\x00\x00" + pes(unit.payload, pts=unit.pts) + b"\x00" for unit in video]
    demuxer = PsDemuxer()
    assert feed(demuxer, frames) == video
    assert demuxer.counters.damaged_frames == 0


def test_a_pes_whose_header_is_longer_than_itself_costs_its_picture() -> None:
    video = units(Codec.H264)[:4]
    frames = [PACK + pes(unit.payload, pts=unit.pts) for unit in video]
    position = len(PACK) + 8
    frames[2] = frames[2][:position] + b"\xff" + frames[2][position + 1 :]
    frames[2] = frames[2][: len(PACK) + 4] + b"\x00\x20" + frames[2][len(PACK) + 6 :]
    demuxer = PsDemuxer()
    found = feed(demuxer, frames)
    assert [unit.payload for unit in found] == [video[i].payload for i in (0, 1, 3)]
    assert demuxer.counters.bad_pes >= 1


def test_a_second_video_stream_is_left_out_and_taken_over_when_the_first_ends() -> None:
    video = units(Codec.H264)
    muxed = [
        PACK + pes(unit.payload, pts=unit.pts) + pes(unit.payload[:30], pts=unit.pts, stream=0xE1)
        for unit in video
    ]
    demuxer = PsDemuxer()
    assert feed(demuxer, muxed) == video
    assert demuxer.counters.ignored_pes == len(video)
    later = [PACK + pes(unit.payload, pts=unit.pts, stream=0xE1) for unit in video * 3]
    assert feed(demuxer, later)[-1].payload == video[-1].payload


@pytest.mark.parametrize(
    ("kind", "name"), [(0x10, "MPEG-4 video"), (0x80, "SVAC video"), (0x77, "unknown codec")]
)
def test_video_that_cannot_be_passed_on_is_named(kind: int, name: str) -> None:
    head = PACK + build_psm({0xE0: kind, 0xC0: 0x90})
    demuxer = PsDemuxer()
    found = feed(demuxer, [head + pes(b"\x00\x00\x01\xb0\x01" * 9, pts=0)] * 3)
    assert found == []
    assert demuxer.problem == f"{name} (stream type 0x{kind:02X}) cannot be passed on"
    assert demuxer.counters.unsupported_pes == 3


@pytest.mark.parametrize(
    ("kind", "name"),
    [(0x92, "G.722.1"), (0x93, "G.723.1"), (0x99, "G.729"), (0x9B, "SVAC audio")],
)
def test_audio_that_cannot_be_passed_on_leaves_the_video(kind: int, name: str) -> None:
    video = units(Codec.H264)[:3]
    head = PACK + build_psm({0xE0: 0x1B, 0xC0: kind})
    demuxer = PsDemuxer()
    frames = [head + pes(u.payload, pts=u.pts) + pes(b"?" * 20, stream=0xC0) for u in video]
    assert feed(demuxer, frames) == video
    assert demuxer.problem is None
    assert demuxer.audio_problem == f"{name} (stream type 0x{kind:02X}) cannot be passed on"


def test_mpeg_audio_without_a_map_is_not_taken_for_g711() -> None:
    frames = [PACK + pes(b"\xff\xfd\x84\x04" + b"\x55" * 380, pts=i * 2160, stream=0xC0) for i in range(60)]  # fmt: skip
    demuxer = PsDemuxer()
    assert feed(demuxer, frames) == []
    assert demuxer.problem == "MPEG audio cannot be passed on"


def test_a_law_can_be_overridden_by_mu_law() -> None:
    audio = sound(Codec.PCM_ALAW, 3)
    muxer = PsMuxer(None, Codec.PCM_ALAW)
    found = feed(PsDemuxer(audio_override=Codec.PCM_MULAW), [muxer.mux(unit) for unit in audio])
    assert {unit.codec for unit in found} == {Codec.PCM_MULAW}
    assert [unit.payload for unit in found] == [unit.payload for unit in audio]


def test_aac_frames_cut_across_pes_are_joined() -> None:
    data = adts()
    head = PACK + build_psm({0xC0: 0x0F})
    frames = [
        head + pes(data[at : at + 700], pts=at * 10, stream=0xC0) for at in range(0, len(data), 700)
    ]
    found = feed(PsDemuxer(), frames)
    assert b"".join(unit.payload for unit in found) == data
    decoded = [unit.dts for unit in found]
    assert decoded == sorted(set(decoded))


def test_audio_without_time_goes_on_where_the_last_ended() -> None:
    head = PACK + build_psm({0xC0: 0x90})
    frames = [head + pes(b"\xd5" * 320, pts=0 if index == 0 else None, stream=0xC0) for index in range(4)]  # fmt: skip
    assert [unit.pts for unit in feed(PsDemuxer(), frames)] == [0, 3600, 7200, 10800]


def test_a_marker_in_the_middle_of_a_pes_is_not_believed_again() -> None:
    video = units(Codec.H264, rate="4M")[:12]
    muxer = PsMuxer(Codec.H264)
    demuxer = PsDemuxer()
    found = []
    for index, unit in enumerate(video):
        frame = muxer.mux(unit)
        for at in range(0, len(frame), 1388):
            found += demuxer.feed(frame[at : at + 1388], timestamp=index * FRAME, marker=at == 0)
    found += demuxer.flush()
    assert found == video
    assert demuxer.counters.false_markers == 1


def test_a_marker_between_the_pes_of_a_picture_costs_that_picture_at_most() -> None:
    video = units(Codec.H264, slices=4, size="640x480", rate="4M")[:12]
    demuxer = PsDemuxer()
    found = []
    for unit in video:
        parts = [join_nals([nal]) for nal in iter_nals(unit.payload)]
        for number, part in enumerate(parts):
            data = (PACK if number == 0 else b"") + pes(part, pts=unit.pts)
            found += demuxer.feed(data, timestamp=unit.pts, marker=True)
    found += demuxer.flush()
    assert [unit.payload for unit in found[1:]] == [
        join_nals(iter_nals(unit.payload)) for unit in video[2 - 1 :]
    ]
    assert demuxer.counters.false_markers == 1


def test_a_restarted_clock_goes_on_one_frame_later() -> None:
    video = units(Codec.H264, first=50_000_000)[:10] + units(Codec.H264)[:10]
    muxer = PsMuxer(Codec.H264)
    found = feed(PsDemuxer(), [muxer.mux(unit) for unit in video])
    assert [unit.pts - found[0].pts for unit in found] == [index * FRAME for index in range(20)]


def test_a_lone_picture_type_unit_keeps_its_kind() -> None:
    unit = MediaUnit(Codec.PCM_ALAW, 5, 5, True, b"\xd5" * 160)
    assert feed(PsDemuxer(), [PsMuxer(None, Codec.PCM_ALAW).mux(unit)]) == [unit]
