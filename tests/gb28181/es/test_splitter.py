"""Cutting byte streams into access units."""

from typing import Any

import pytest

from gb28181.es.splitter import AccessUnitSplitter
from gb28181.es.unit import Codec
from gb28181.limits import MAX_FRAME
from tests.support.samples import packet_sizes, stream

STREAMS = pytest.mark.parametrize(
    ("codec", "options"),
    [(Codec.H264, {}), (Codec.H264, {"slices": 4, "b_frames": 2}), (Codec.HEVC, {}), (Codec.HEVC, {"b_frames": 2})],
)  # fmt: skip


@STREAMS
def test_units_are_those_that_ffmpeg_finds(codec: Codec, options: dict[str, Any]) -> None:
    data = stream(codec, **options)
    splitter = AccessUnitSplitter(codec)
    found = splitter.feed(data) + splitter.flush()
    assert b"".join(unit.payload for unit in found) == data
    sizes = packet_sizes(data, codec.value)
    assert len(found) == len(sizes)
    # ffmpeg's H.265 parser leaves the zero byte of a start code to the unit before.
    assert all(abs(len(unit.payload) - size) <= 1 for unit, size in zip(found, sizes, strict=True))


@STREAMS
def test_every_cut_gives_the_same_units(codec: Codec, options: dict[str, Any]) -> None:
    data = stream(codec, **options)[:6000]
    splitter = AccessUnitSplitter(codec)
    whole = [unit.payload for unit in splitter.feed(data) + splitter.flush()]
    for size in (1, 2, 3, 5, 7, 64, 1399):
        splitter, found = AccessUnitSplitter(codec), []
        for at in range(0, len(data), size):
            found += splitter.feed(data[at : at + size])
        assert [unit.payload for unit in found + splitter.flush()] == whole


def test_a_time_belongs_to_the_first_unit_that_begins_behind_it() -> None:
    data = stream(Codec.H264)
    sizes = packet_sizes(data, "h264")
    splitter = AccessUnitSplitter(Codec.H264)
    # The second feed begins inside the first unit and has the beginnings of two others.
    middle, end = sizes[0] - 10, sum(sizes[:3]) + 10
    found = splitter.feed(data[:middle], (1000, None))
    found += splitter.feed(data[middle:end], (2000, 1500))
    found += splitter.feed(data[end:], None) + splitter.flush()
    assert [unit.time for unit in found[:4]] == [(1000, None), (2000, 1500), None, None]


def test_a_unit_over_the_limit_is_dropped_and_counted() -> None:
    splitter = AccessUnitSplitter(Codec.H264)
    splitter.feed(b"\x00\x00\x00\x01\x65\x88" + b"\x11" * MAX_FRAME)
    assert splitter.discarded == 1
    data = stream(Codec.H264)
    found = splitter.feed(data) + splitter.flush()
    assert b"".join(unit.payload for unit in found) == data
