"""G.711 against ffmpeg's tables."""

from array import array

import pytest

from gb28181.es import g711
from gb28181.es.unit import Codec
from tests.support.samples import ffmpeg

FORMATS = {Codec.PCM_ALAW: "alaw", Codec.PCM_MULAW: "mulaw"}


@pytest.mark.parametrize("codec", FORMATS)
def test_all_bytes_decode_as_ffmpeg_decodes_them(codec: Codec) -> None:
    every = bytes(range(256))
    source = ["-f", FORMATS[codec], "-ar", "8000", "-ac", "1", "-i", "-"]
    expected = ffmpeg(*source, "-f", "s16le", "-c:a", "pcm_s16le", "-", data=every)
    assert g711.decode(every, codec).tobytes() == expected


@pytest.mark.parametrize("codec", FORMATS)
def test_decoded_samples_encode_to_values_that_decode_the_same(codec: Codec) -> None:
    samples = g711.decode(bytes(range(256)), codec)
    assert g711.decode(g711.encode(samples, codec), codec) == samples


@pytest.mark.parametrize("codec", FORMATS)
def test_encoding_is_within_one_step_of_ffmpegs(codec: Codec) -> None:
    samples = array("h", range(-32768, 32768, 7))
    source = ["-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-"]
    theirs = ffmpeg(*source, "-f", FORMATS[codec], "-", data=samples.tobytes())
    ours = g711.encode(samples, codec)
    errors = zip(samples, g711.decode(ours, codec), g711.decode(theirs, codec), strict=True)
    # ffmpeg rounds in its table, G.711 cuts: neither may be worse than a step of its segment.
    assert all(abs(sample - our) <= abs(sample - their) + 1024 for sample, our, their in errors)


def test_samples_out_of_range_are_clipped_and_silence_is_silent() -> None:
    assert g711.encode([99999, -99999], Codec.PCM_ALAW) == g711.encode(
        [32767, -32768], Codec.PCM_ALAW
    )
    for codec, byte in g711.SILENCE.items():
        assert abs(g711.decode(byte, codec)[0]) <= 8


def test_forty_milliseconds_are_320_bytes_and_3600_ticks() -> None:
    assert g711.duration(320) == 3600
