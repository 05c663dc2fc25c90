"""H.264 parameter sets and NAL unit types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es import h264
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec
from tests.support.samples import ffmpeg, stream, units


def sps_of(data: bytes) -> Any:
    return h264.parse_sps(next(nal for nal in iter_nals(data) if h264.nal_type(nal) == 7))


@pytest.mark.parametrize(
    ("size", "profile", "mime"),
    [
        ("320x240", "baseline", "avc1.42c0"),
        ("322x242", "main", "avc1.4d40"),
        ("1920x1080", "high", "avc1.6400"),
    ],
)
def test_size_profile_and_rate_of_an_encoder_are_read(size: str, profile: str, mime: str) -> None:
    data = ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=15", "-frames:v", "1", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "medium", "-profile:v", profile, "-f", "h264", "-"),
    )
    sps = sps_of(data)
    assert f"{sps.width}x{sps.height}" == size
    assert sps.fps == 15
    assert sps.mime_codec.startswith(mime)


def test_interlaced_and_444_sets_with_scaling_lists_are_read() -> None:
    interlaced = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=720x576:r=25", "-frames:v", "2", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-x264-params", "interlaced=1:cqm=jvt", "-f", "h264", "-"),
    )
    assert (sps_of(interlaced).width, sps_of(interlaced).height) == (720, 576)
    full_chroma = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=322x246:r=25", "-frames:v", "1", "-pix_fmt", "yuv444p"),
        *("-c:v", "libx264", "-x264-params", "cqm=jvt", "-f", "h264", "-"),
    )
    assert (sps_of(full_chroma).width, sps_of(full_chroma).height) == (322, 246)


def test_a_set_without_vui_has_no_rate() -> None:
    sps = h264.parse_sps(bytes.fromhex("67 42 00 1e e9 01 40 7b 20"))
    assert (sps.width, sps.height, sps.fps, sps.mime_codec) == (640, 480, None, "avc1.42001e")


def test_every_cut_of_a_set_is_an_error_or_a_set_of_the_same_size() -> None:
    nal = next(nal for nal in iter_nals(stream(Codec.H264)) if h264.nal_type(nal) == 7)
    whole = h264.parse_sps(nal)
    outcomes: set[object] = set()
    for end in range(1, len(nal)):
        try:
            sps = h264.parse_sps(nal[:end])
        except ValueError:
            outcomes.add("error")
        else:
            outcomes.add((sps.width, sps.height))
    assert outcomes == {"error", (whole.width, whole.height)}


@given(st.binary(max_size=64))
def test_any_bytes_are_a_set_or_a_value_error(data: bytes) -> None:
    try:
        sps = h264.parse_sps(b"\x67" + data)
    except ValueError:
        return
    assert 0 < sps.width <= 16384
    assert 0 < sps.height <= 16384


def test_only_an_access_unit_with_sets_and_idr_is_a_key_frame() -> None:
    key, plain = units(Codec.H264)[:2]
    assert h264.is_keyframe(key.payload)
    assert not h264.is_keyframe(plain.payload)
    idr_alone = key.payload[key.payload.index(b"\x00\x00\x01\x65") :]
    assert not h264.is_keyframe(idr_alone)


def test_the_first_slice_is_told_from_the_others() -> None:
    picture = next(iter(units(Codec.H264, slices=3)))
    slices = [nal for nal in iter_nals(picture.payload) if h264.nal_type(nal) == 5]
    assert [h264.is_first_slice(nal) for nal in slices] == [True, False, False]
