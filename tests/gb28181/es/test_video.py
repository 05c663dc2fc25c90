"""Access units: beginnings, key frames, parameter sets."""

from typing import Any

import pytest

from gb28181.es.annexb import iter_nals, join_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.es.video import Beginning, VideoTrack, beginning, has_picture
from tests.support.samples import units

CODECS = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])


def split(codec: Codec, unit: MediaUnit) -> Any:
    """Parameter sets and the rest of a key frame."""
    nals = list(iter_nals(unit.payload))
    count = 2 if codec is Codec.H264 else 3
    return nals[:count], nals[count:]


def finish(track: VideoTrack, data: bytes) -> tuple[bytes, bool]:
    finished = track.finish(data)
    assert finished is not None
    return finished


@CODECS
def test_a_whole_key_frame_passes_unchanged(codec: Codec) -> None:
    key = units(codec)[0]
    assert VideoTrack(codec).finish(key.payload) == (key.payload, True)


@CODECS
def test_sets_sent_apart_are_put_in_front_of_the_key_frame(codec: Codec) -> None:
    sets, rest = split(codec, units(codec)[0])
    track = VideoTrack(codec)
    for nal in sets:
        assert track.finish(join_nals([nal])) is None
    payload, keyframe = finish(track, join_nals(rest))
    assert keyframe
    assert list(iter_nals(payload)) == sets + rest


@CODECS
def test_a_random_access_picture_without_all_sets_is_no_key_frame(codec: Codec) -> None:
    sets, rest = split(codec, units(codec)[0])
    payload, keyframe = finish(VideoTrack(codec), join_nals(sets[:-1] + rest))
    assert not keyframe
    assert list(iter_nals(payload)) == sets[:-1] + rest


@CODECS
def test_a_changed_set_replaces_the_old_one(codec: Codec) -> None:
    track = VideoTrack(codec)
    first, other = units(codec), units(codec, size="640x480", frames=2)
    assert finish(track, first[0].payload)[1]
    assert finish(track, other[0].payload)[1]
    sets, rest = split(codec, other[0])
    payload, keyframe = finish(track, join_nals(rest))
    assert keyframe
    assert list(iter_nals(payload))[: len(sets)] == sets
    assert track.sps is not None
    assert (track.sps.width, track.sps.height) == (640, 480)


@CODECS
def test_an_access_unit_delimiter_is_taken_off_a_key_frame(codec: Codec) -> None:
    key = units(codec)[0]
    delimiter = b"\x00\x00\x00\x01\x09\xf0" if codec is Codec.H264 else b"\0\0\0\1\x46\x01\x50"
    assert VideoTrack(codec).finish(delimiter + key.payload) == (key.payload, True)


@CODECS
def test_a_three_byte_start_code_and_leading_garbage_become_a_four_byte_start_code(
    codec: Codec,
) -> None:
    plain = units(codec)[1]
    track = VideoTrack(codec)
    assert track.finish(plain.payload[1:]) == (plain.payload, False)
    assert track.finish(b"\x17\x00" + plain.payload) == (plain.payload, False)


@CODECS
def test_a_damaged_set_does_not_replace_a_good_one(codec: Codec) -> None:
    sets, rest = split(codec, units(codec)[0])
    track = VideoTrack(codec)
    track.finish(join_nals(sets))
    sps = 0 if codec is Codec.H264 else 1
    track.finish(join_nals([sets[sps][:5]]))
    payload, keyframe = finish(track, join_nals(rest))
    assert keyframe
    assert list(iter_nals(payload)) == sets + rest


@CODECS
def test_slices_tell_whether_a_picture_begins(codec: Codec) -> None:
    nals = [join_nals([nal]) for nal in iter_nals(units(codec, slices=2)[1].payload)]
    assert beginning(codec, nals[0]) is Beginning.PICTURE
    assert beginning(codec, nals[-1]) is Beginning.WITHIN
    assert beginning(codec, nals[0][3:]) is Beginning.NO_START_CODE
    assert has_picture(codec, nals[0])


@CODECS
def test_bytes_without_a_picture_are_none(codec: Codec) -> None:
    for data in (b"", b"\x00\x00\x01", b"\x00\x00\x00\x01\x67", b"no start code at all"):
        assert VideoTrack(codec).finish(data) is None
