"""G.711 to AAC: time stamps, gaps, and what a decoder hears."""

import io
from itertools import pairwise

import av
import pytest

from gateway.media.audio import FRAME_TICKS, AacFrame, G711Transcoder
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import g711_units


def decoded_levels(frames: list[AacFrame]) -> list[float]:
    """Decode and return the peak of each frame of 1024 samples."""
    levels = []
    data = io.BytesIO(b"".join(frame.adts for frame in frames))
    with av.open(data, "r", format="aac") as container:
        for frame in container.decode(audio=0):
            samples = memoryview(bytes(frame.planes[0])).cast("f")
            levels.append(max(abs(sample) for sample in samples[: frame.samples]))
    return levels


@pytest.mark.parametrize("codec", [Codec.PCM_ALAW, Codec.PCM_MULAW])
def test_a_tone_survives_and_its_stamps_follow_the_source(codec: Codec) -> None:
    transcoder = G711Transcoder()
    frames = transcoder.transcode(g711_units(50, codec=codec, start=90_000))
    assert [frame.pts for frame in frames[:3]] == [90_000 - FRAME_TICKS, 90_000, 101_520]
    assert frames[-1].pts >= 90_000 + 1.5 * 90_000
    assert decoded_levels(frames)[5] == pytest.approx(8000 / 32768, rel=0.1)


def test_runs_of_any_length_give_the_same_frames() -> None:
    whole = G711Transcoder().transcode(g711_units(50))
    joined = b"".join(unit.payload for unit in g711_units(50))
    pieces = [
        MediaUnit(Codec.PCM_ALAW, at * 45 // 4, at * 45 // 4, True, joined[at : at + 77])
        for at in range(0, len(joined), 77)
    ]
    transcoder = G711Transcoder()
    cut = [frame for piece in pieces for frame in transcoder.transcode([piece])]
    assert [frame.payload for frame in cut] == [frame.payload for frame in whole]


def test_a_short_gap_is_filled_with_silence() -> None:
    units = g711_units(50)
    transcoder = G711Transcoder()
    frames = transcoder.transcode(units[:20] + units[35:])
    steps = {late.pts - early.pts for early, late in pairwise(frames)}
    assert steps == {FRAME_TICKS}
    assert min(decoded_levels(frames)[2:12]) < 0.01


def test_after_a_long_gap_stamps_go_on_at_the_source() -> None:
    transcoder = G711Transcoder()
    transcoder.transcode(g711_units(20))
    frames = transcoder.transcode(g711_units(20, start=900_000))
    assert frames[2].pts == 900_000
    assert frames[-1].pts < 1_000_000
