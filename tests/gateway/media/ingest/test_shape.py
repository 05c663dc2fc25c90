"""Samples made into units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.ingest.shape import (
    AudioShaper,
    VideoShaper,
    read_avc_config,
    read_hevc_config,
)
from gb28181.es import aac
from gb28181.es.annexb import START_CODE, iter_nals
from gb28181.es.unit import Codec
from tests.support.foreign_flv import AVC_CONFIG, H264_IDR, H264_SLICE, PPS, SPS


def test_an_avc_configuration_gives_sets_and_the_length_of_lengths() -> None:
    assert read_avc_config(AVC_CONFIG) == (4, [SPS, PPS])


@given(st.integers(0, len(AVC_CONFIG) - 1))
def test_a_configuration_that_is_cut_off_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match="config"):
        read_avc_config(AVC_CONFIG[:size])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_an_error(data: bytes) -> None:
    for read in (read_avc_config, read_hevc_config):
        try:
            size, sets = read(data)
        except ValueError:
            continue
        assert 1 <= size <= 4
        assert sum(map(len, sets)) <= len(data)


def test_a_key_frame_gets_its_sets_and_start_codes() -> None:
    shaper = VideoShaper(Codec.H264, AVC_CONFIG)
    unit = shaper.shape(len(H264_IDR).to_bytes(4) + H264_IDR, 3600, 0)
    assert unit is not None
    assert (unit.keyframe, unit.pts, unit.dts) == (True, 3600, 0)
    assert list(iter_nals(unit.payload)) == [SPS, PPS, H264_IDR]
    other = shaper.shape(len(H264_SLICE).to_bytes(4) + H264_SLICE, 0, 0)
    assert other is not None
    assert not other.keyframe
    assert list(iter_nals(other.payload)) == [H264_SLICE]


def test_sets_within_the_stream_take_the_place_of_those_in_front() -> None:
    shaper = VideoShaper(Codec.H264, AVC_CONFIG)
    sample = b"".join(len(nal).to_bytes(4) + nal for nal in (SPS, PPS, H264_IDR))
    unit = shaper.shape(sample, 0, 0)
    assert unit is not None
    assert list(iter_nals(unit.payload)) == [SPS, PPS, H264_IDR]


def test_a_key_frame_without_any_sets_is_none_yet() -> None:
    unit = VideoShaper(Codec.H264).shape(START_CODE + H264_IDR, 0, 0)
    assert unit is not None
    assert not unit.keyframe


def test_annex_b_where_lengths_were_announced_is_taken_as_it_is() -> None:
    unit = VideoShaper(Codec.H264, AVC_CONFIG).shape(START_CODE + H264_IDR, 0, 0)
    assert unit is not None
    assert unit.keyframe


@given(st.binary(max_size=300))
def test_damaged_samples_give_a_unit_or_nothing(data: bytes) -> None:
    for codec, config in ((Codec.H264, AVC_CONFIG), (Codec.HEVC, b"")):
        unit = VideoShaper(codec, config).shape(data, 0, 0)
        assert unit is None or unit.payload


@pytest.mark.parametrize(
    ("config", "rate", "channels"),
    [
        (bytes.fromhex("1190"), 48000, 2),
        (bytes.fromhex("1208"), 44100, 1),
        # HE-AAC: object type 5, core at 24 kHz, extension at 48 kHz.
        (bytes.fromhex("2b118800"), 24000, 2),
    ],
)
def test_raw_aac_gets_adts_headers(config: bytes, rate: int, channels: int) -> None:
    shaper = AudioShaper(Codec.AAC, config)
    unit = shaper.shape(b"\x21" * 50, 90)
    assert unit is not None
    ((header, frame),) = aac.split_adts(unit.payload)[0]
    assert (header.config.sample_rate, header.config.channels) == (rate, channels)
    assert header.config.object_type == 2
    assert frame[7:] == b"\x21" * 50
    assert shaper.sample_rate == rate


@pytest.mark.parametrize("config", [b"\x11", bytes.fromhex("1180"), bytes.fromhex("f8e85000")])
def test_aac_that_adts_cannot_say_is_refused(config: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - three different sentences
        AudioShaper(Codec.AAC, config)


def test_too_long_a_frame_and_an_empty_one_are_left_out() -> None:
    shaper = AudioShaper(Codec.AAC, bytes.fromhex("1190"))
    assert shaper.shape(bytes(9_000), 0) is None
    assert AudioShaper(Codec.PCM_ALAW).shape(b"", 0) is None


def test_g711_is_passed_on() -> None:
    unit = AudioShaper(Codec.PCM_MULAW).shape(b"\xff" * 160, 720)
    assert unit is not None
    assert (unit.codec, unit.pts, unit.payload) == (Codec.PCM_MULAW, 720, b"\xff" * 160)
