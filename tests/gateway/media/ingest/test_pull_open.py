"""Packets of a pulled source: decoding times that FFmpeg does not know yet."""

from fractions import Fraction

import av

from gateway.media.ingest.pull_open import MAX_UNDATED, SourceTrack
from gateway.media.ingest.shape import VideoShaper
from gb28181.es.unit import Codec
from tests.support.samples import units

FRAME = 3_600
MS = 90


def unit_stamps(track: SourceTrack, pts: int | None, dts: int | None) -> tuple[int, int]:
    packet = av.Packet(PICTURE)
    packet.pts, packet.dts = pts, dts
    unit = track.unit(packet)
    assert unit is not None
    return unit.pts, unit.dts


PICTURE = units(Codec.H264)[0].payload


def h264() -> SourceTrack:
    return SourceTrack(0, Fraction(1), VideoShaper(Codec.H264))


def test_pictures_without_a_decoding_time_keep_the_times_they_are_shown_at() -> None:
    track = h264()
    # The first group of a stream with B-frames over RTSP, in the order in which it comes.
    shown = [0, 4 * FRAME, 2 * FRAME, FRAME, 3 * FRAME]
    known = [None, None, None, FRAME, 2 * FRAME]
    found = [unit_stamps(track, pts, dts) for pts, dts in zip(shown, known, strict=True)]
    assert [pts for pts, _ in found] == shown
    assert [dts for _, dts in found] == [0, MS, 2 * MS, FRAME, 2 * FRAME]


def test_a_source_that_never_tells_decoding_times_does_not_fall_behind() -> None:
    track = h264()
    found = [unit_stamps(track, number * FRAME, None) for number in range(MAX_UNDATED + 5)]
    assert found[-1] == ((MAX_UNDATED + 4) * FRAME, (MAX_UNDATED + 4) * FRAME)


def test_a_packet_without_any_time_goes_where_the_one_before_went() -> None:
    track = h264()
    assert unit_stamps(track, None, None) == (0, 0)
    assert unit_stamps(track, 5 * FRAME, 5 * FRAME) == (5 * FRAME, 5 * FRAME)
    assert unit_stamps(track, None, None) == (5 * FRAME, 5 * FRAME)
