"""Program stream layouts: the standard's numbers, and ffmpeg reading ours."""

import io
from typing import Any

import av
import pytest

from gb28181.errors import LocalProtocolError
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer, PsQuirks, build_pack_header, build_system_header
from gb28181.ps.pes import build_pes_header
from gb28181.ps.psm import build_psm, crc32_mpeg2
from tests.support.samples import ffmpeg, packet_sizes, sound, stream, units


def test_the_worked_examples_match_byte_for_byte() -> None:
    assert build_pack_header(0).hex(" ") == "00 00 01 ba 44 00 04 00 04 01 03 0d 43 f8"
    assert build_system_header().hex(" ") == "00 00 01 bb 00 0c 81 86 a1 04 e1 7f e0 e8 00 c0 c2 00"
    assert (
        build_psm({0xE0: 0x1B, 0xC0: 0x90}).hex(" ")
        == "00 00 01 bc 00 12 e0 ff 00 00 00 08 1b e0 00 00 90 c0 00 00 fe df b1 d7"
    )
    assert (
        build_psm({0xE0: 0x24, 0xC0: 0x90}).hex(" ")
        == "00 00 01 bc 00 12 e0 ff 00 00 00 08 24 e0 00 00 90 c0 00 00 5e 5f 92 c2"
    )
    pes = build_pes_header(0xE0, 6, pts=3600) + bytes.fromhex("00 00 00 01 09 f0")
    assert pes.hex(" ") == "00 00 01 e0 00 0e 8c 80 05 21 00 01 1c 21 00 00 00 01 09 f0"


def test_the_crc_over_a_map_with_its_crc_is_zero() -> None:
    assert crc32_mpeg2(build_psm({0xE0: 0x1B})) == 0
    assert crc32_mpeg2(build_psm({0xE0: 0x1B}, bad_crc=True)) != 0


def test_a_key_frame_carries_system_header_and_map_and_other_frames_do_not() -> None:
    key, plain = units(Codec.H264)[:2]
    muxer = PsMuxer(Codec.H264, Codec.PCM_ALAW)
    assert muxer.mux(key)[14:18] == b"\x00\x00\x01\xbb"
    assert muxer.mux(key)[32:36] == b"\x00\x00\x01\xbc"
    assert muxer.mux(plain)[14:18] == b"\x00\x00\x01\xe0"


@pytest.mark.parametrize("size", [1, 65527, 65528, 65527 + 65532, 65527 + 65532 + 1, 200_000])
def test_pes_packets_are_full_up_to_the_limit_and_only_the_first_has_a_time(size: int) -> None:
    payload = bytes(size)
    ps = PsMuxer(Codec.H264).mux(MediaUnit(Codec.H264, 0, 0, False, payload))
    position, rest, found = 14, size, []
    while position < len(ps):
        assert ps[position : position + 4] == b"\x00\x00\x01\xe0"
        length = int.from_bytes(ps[position + 4 : position + 6])
        header = 3 + ps[position + 8]
        found.append((header, length))
        rest -= length - header
        position += 6 + length
    assert rest == 0
    assert [header for header, _ in found] == [8] + [3] * (len(found) - 1)
    assert all(length == 65535 for _, length in found[:-1])


def test_dts_is_sent_where_it_differs() -> None:
    ps = PsMuxer(Codec.H264).mux(MediaUnit(Codec.H264, 7200, 3600, False, b"\x00" * 6))
    assert ps[14:].hex(" ").startswith("00 00 01 e0 00 13 8c c0 0a 31 00 01 38 41 11 00 01 1c 21")


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
def test_ffprobe_and_pyav_find_every_picture(codec: Codec) -> None:
    pictures = units(codec, rate="4M", gop=15)
    muxer = PsMuxer(codec)
    data = b"".join(muxer.mux(unit) for unit in pictures)
    assert len(packet_sizes(data, "mpeg")) == len(pictures)
    with av.open(io.BytesIO(data), "r", format="mpeg") as container:
        decoded = [frame.pts for frame in container.decode(video=0)]
    assert decoded == [unit.pts for unit in pictures]


def test_ffmpeg_copies_our_elementary_stream_out_unchanged() -> None:
    muxer = PsMuxer(Codec.H264)
    data = b"".join(muxer.mux(unit) for unit in units(Codec.H264))
    copied = ffmpeg("-f", "mpeg", "-i", "-", "-c", "copy", "-f", "h264", "-", data=data)
    # The first start code of the encoder has three bytes, ours always four.
    assert copied[-len(stream(Codec.H264)) :] == stream(Codec.H264)


def test_ffmpeg_reads_our_aac() -> None:
    adts = ffmpeg("-f", "lavfi", "-i", "sine=r=16000", "-t", "1", "-c:a", "aac", "-f", "adts", "-")
    ps = PsMuxer(None, Codec.AAC).mux(MediaUnit(Codec.AAC, 0, 0, True, adts))
    assert ffmpeg("-f", "mpeg", "-i", "-", "-c", "copy", "-f", "adts", "-", data=ps) == adts


def test_quirks_change_only_what_they_name() -> Any:
    key = units(Codec.H264)[0]
    plain = PsMuxer(Codec.H264).mux(key)

    def mux(**quirks: Any) -> Any:
        return PsMuxer(Codec.H264, quirks=PsQuirks(**quirks)).mux(key)

    psm = build_psm({0xE0: 0x1B})
    assert mux(no_psm=True) == plain.replace(psm, b"")
    assert mux(bad_psm_crc=True) == plain.replace(psm, build_psm({0xE0: 0x1B}, bad_crc=True))
    assert mux(no_system_header=True) == plain.replace(build_system_header(), b"")
    private = b"\x00\x00\x01\xbd\x00\x03abc"
    assert mux(private_stream=b"abc") == plain.replace(psm, psm + private)
    zero = mux(pes_length_zero=True)
    assert zero[14 + 18 + len(psm) :][4:6] == b"\x00\x00"
    assert len(zero) == len(plain)
    assert mux(video_type=0x80)[32 + 12] == 0x80
    assert mux(empty_pes_first=True)[14 + 18 + len(psm) :][4:6] == b"\x00\x08"


def test_a_unit_that_the_map_does_not_name_is_our_own_error() -> None:
    muxer = PsMuxer(Codec.H264)
    with pytest.raises(LocalProtocolError, match="h264, not hevc"):
        muxer.mux(units(Codec.HEVC)[0])
    with pytest.raises(LocalProtocolError, match="None, not pcm_alaw"):
        muxer.mux(units(Codec.H264)[0], *sound(Codec.PCM_ALAW, 1))
