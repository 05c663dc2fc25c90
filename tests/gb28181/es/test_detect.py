"""Recognising codecs by content."""

import pytest

from gb28181.es.detect import detect_audio, detect_video
from gb28181.es.unit import Codec
from tests.support.samples import adts, stream, units


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
def test_a_key_frame_shows_its_codec_and_other_pictures_do_not(codec: Codec) -> None:
    assert detect_video(stream(codec)) is codec
    assert detect_video(units(codec)[1].payload) is None


def test_a_damaged_parameter_set_shows_nothing() -> None:
    assert detect_video(b"\x00\x00\x00\x01\x67\xff") is None
    assert detect_video(b"\x00\x00\x00\x01\x42\x01\xff") is None


def test_adts_is_recognised_by_two_headers() -> None:
    data = adts()
    assert detect_audio(data) is Codec.AAC
    assert detect_audio(data[1:]) is None
    assert detect_audio(b"\xd5" * 320) is None
    assert detect_audio(b"") is None
