"""ADTS and AudioSpecificConfig."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es import aac
from tests.support.samples import adts


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (48000, 2)])
def test_frames_of_an_encoder_are_cut_and_described(rate: int, channels: int) -> None:
    data = adts(rate, channels)
    frames, rest, skipped = aac.split_adts(data)
    assert (rest, skipped) == (b"", 0)
    assert b"".join(frame for _, frame in frames) == data
    config = frames[0][0].config
    assert (config.sample_rate, config.channels, config.mime_codec) == (rate, channels, "mp4a.40.2")


def test_an_encoders_header_is_built_again_bit_for_bit() -> None:
    data = adts()
    for header, frame in aac.split_adts(data)[0]:
        built = aac.build_adts_header(header.config, len(frame) - header.header_length)
        # ffmpeg leaves buffer fullness at 7FF as well.
        assert built == frame[:7]


def test_garbage_before_a_frame_is_skipped_and_counted() -> None:
    data = adts()
    frames, _, skipped = aac.split_adts(b"\xff\x00garbage" + data)
    assert skipped == 9
    assert b"".join(frame for _, frame in frames) == data


def test_every_cut_gives_the_same_frames() -> None:
    data = adts()[:2500]
    whole = aac.iter_adts(data)
    assert len(whole) > 2
    for cut in range(len(data)):
        first, rest, _ = aac.split_adts(data[:cut])
        second, _, _ = aac.split_adts(rest + data[cut:])
        assert [frame for _, frame in first + second] == whole


def test_the_config_of_the_standards_fmtp_is_lc_8_khz_mono() -> None:
    config = aac.parse_audio_specific_config(bytes.fromhex("1588"))
    assert config == aac.AudioSpecificConfig(object_type=2, sample_rate=8000, channels=1)
    assert config.serialize() == bytes.fromhex("1588")


def test_a_config_may_spell_out_its_rate() -> None:
    word = 2 << 35 | 15 << 31 | 12345 << 7 | 1 << 3
    config = aac.parse_audio_specific_config(word.to_bytes(5))
    assert (config.sample_rate, config.channels) == (12345, 1)


@given(st.binary(max_size=12))
def test_any_bytes_are_a_config_or_a_value_error(data: bytes) -> None:
    try:
        config = aac.parse_audio_specific_config(data)
    except ValueError:
        return
    assert config.sample_rate >= 0


@given(st.binary(max_size=300))
def test_any_bytes_are_cut_without_loss_of_position(data: bytes) -> None:
    frames, rest, skipped = aac.split_adts(data)
    assert sum(len(frame) for _, frame in frames) + len(rest) + skipped == len(data)
