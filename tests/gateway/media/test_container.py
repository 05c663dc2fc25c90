"""Self-contained parts: what lets viewers join, skip and share."""

import struct

import av
import pytest

from gateway.domain.media import OutputFormat
from gateway.media.container import AacTemplate, MuxSet, VideoTemplate, open_muxers
from gb28181.es import aac
from gb28181.es.unit import Codec
from tests.support.media import aac_units, read_back, video_units

FLV, MP4 = OutputFormat.FLV, OutputFormat.MP4
CONFIG = aac.AudioSpecificConfig(sample_rate=16_000, channels=1)


def opened(output: OutputFormat, codec: Codec = Codec.H264) -> MuxSet:
    video = VideoTemplate(codec, video_units(codec)[0].payload)
    return open_muxers(output, video, AacTemplate(aac_units()[0].payload, CONFIG.serialize()))


def parts(muxers: MuxSet, codec: Codec = Codec.H264) -> list[tuple[bytes, bool]]:
    found = []
    for unit in video_units(codec):
        muxed = muxers.video.mux(
            unit.payload, pts=unit.pts, dts=unit.dts, duration=3600, keyframe=unit.keyframe
        )
        if muxed is not None:
            found.append((muxers.numbered_part(muxed.data), muxed.keyframe))
    muxers.close()
    return found


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4])
        found.append((data[position + 4 : position + 8], data[position + 8 : position + size]))
        position += size
    return found


@pytest.mark.parametrize("output", list(OutputFormat))
def test_a_part_is_marked_as_the_key_frame_that_it_holds(output: OutputFormat) -> None:
    found = parts(opened(output))
    assert [number for number, (_, keyframe) in enumerate(found) if keyframe] == [0, 25]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
@pytest.mark.parametrize("output", list(OutputFormat))
def test_header_and_parts_from_any_key_frame_on_play(output: OutputFormat, codec: Codec) -> None:
    muxers = opened(output, codec)
    found = [data for data, _ in parts(muxers, codec)]
    stamps, decoded = read_back(muxers.header_video + b"".join(found[25:]))
    assert decoded == len(found) - 25
    assert stamps["video"][0] == (1.0, 1.0)


def test_an_mp4_part_is_one_fragment_with_its_number_and_time() -> None:
    for number, (data, _) in enumerate(parts(opened(MP4))):
        moof, mdat = boxes(data)
        assert (moof[0], mdat[0]) == (b"moof", b"mdat")
        assert struct.unpack_from(">I", data, 20)[0] == number + 1
        tfdt = data.index(b"tfdt")
        assert int.from_bytes(data[tfdt + 8 : tfdt + 16]) == number * 3600


def test_tracks_of_an_mp4_have_the_numbers_that_the_header_says() -> None:
    muxers = opened(MP4)
    assert muxers.audio is not None
    muxed = [
        muxers.audio.mux(unit.payload[7:], pts=unit.pts, dts=unit.dts, duration=5760, keyframe=True)
        for unit in aac_units(2, start=9_000)
    ]
    assert muxed[0] is None
    assert muxed[1] is not None
    data = muxed[1].data
    tfhd = data.index(b"tfhd")
    assert int.from_bytes(data[tfhd + 8 : tfhd + 12]) == 2
    tfdt = data.index(b"tfdt")
    assert int.from_bytes(data[tfdt + 8 : tfdt + 16]) == 1600
    muxers.close()


def test_an_flv_header_tells_of_both_tracks_or_of_video_only() -> None:
    muxers = opened(FLV)
    assert muxers.header[:5] == b"FLV\x01\x05"
    assert muxers.header_video[:5] == b"FLV\x01\x01"
    muxers.close()


def test_a_retired_muxer_takes_no_more_frames() -> None:
    muxers = opened(FLV)
    muxers.retire()
    muxers.close()
    with pytest.raises(ValueError, match="retired"):
        muxers.video.mux(b"\x00", pts=0, dts=0, duration=0, keyframe=True)


def test_what_is_no_video_cannot_be_opened() -> None:
    with pytest.raises((av.FFmpegError, IndexError, ValueError)):
        open_muxers(FLV, VideoTemplate(Codec.H264, b"\x00\x00\x01\x65garbage"), None)
