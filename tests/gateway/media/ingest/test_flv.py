"""Tags made into units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.source import TagKind
from gateway.media.ingest.flv import FlvReader, TagRole, role_of
from gb28181.es.unit import Codec
from tests.support.foreign_flv import (
    AVC_CONFIG,
    H264_IDR,
    H264_SLICE,
    PPS,
    SPS,
    aac_tag,
    annexb,
    avc_tag,
)

V, A, S = TagKind.VIDEO, TagKind.AUDIO, TagKind.SCRIPT


def _configured() -> FlvReader:
    reader = FlvReader()
    assert reader.read(V, 0, avc_tag(None, key=True)) == ()
    assert reader.read(A, 0, aac_tag(None)) == ()
    return reader


def test_pictures_and_sound_come_out_with_their_times() -> None:
    reader = _configured()
    (key,) = reader.read(V, 40, avc_tag(H264_IDR, key=True, composition=80))
    assert (key.codec, key.keyframe, key.dts, key.pts) == (Codec.H264, True, 3600, 10800)
    assert key.payload == annexb(SPS, PPS, H264_IDR)
    (other,) = reader.read(V, 80, avc_tag(H264_SLICE, key=False, composition=-40))
    assert (other.keyframe, other.dts, other.pts) == (False, 7200, 3600)
    (sound,) = reader.read(A, 45, aac_tag(b"\x21" * 20))
    assert (sound.codec, sound.pts, sound.payload[7:]) == (Codec.AAC, 4050, b"\x21" * 20)
    assert reader.problems == {}


@pytest.mark.parametrize(("packet", "offset"), [(1, b"\x00\x00\x28"), (3, b"")])
def test_the_enhanced_header_is_read_with_and_without_a_composition_time(
    packet: int, offset: bytes
) -> None:
    reader = FlvReader()
    reader.read(V, 0, b"\x90avc1" + AVC_CONFIG)
    body = bytes([0x90 | packet]) + b"avc1" + offset + len(H264_IDR).to_bytes(4) + H264_IDR
    (key,) = reader.read(V, 10, body)
    assert (key.keyframe, key.dts) == (True, 900)
    assert key.pts - key.dts == (3600 if offset else 0)


def test_hevc_comes_by_the_enhanced_header_and_by_the_unofficial_number() -> None:
    vps, sps, pps = b"\x40\x01" + b"v" * 20, b"\x42\x01" + b"s" * 20, b"\x44\x01" + b"p" * 6
    arrays = b"".join(
        bytes([kind]) + b"\x00\x01" + len(nal).to_bytes(2) + nal
        for kind, nal in ((32, vps), (33, sps), (34, pps))
    )
    config = b"\x01" + bytes(20) + b"\xff\x03" + arrays
    slice_nal = b"\x02\x01\xd0" + b"x" * 20
    sample = len(slice_nal).to_bytes(4) + slice_nal
    for first, picture in (
        (b"\x90hvc1" + config, b"\xa1hvc1\x00\x00\x00" + sample),
        (b"\x1c\x00\x00\x00\x00" + config, b"\x2c\x01\x00\x00\x00" + sample),
    ):
        reader = FlvReader()
        reader.read(V, 0, first)
        (unit,) = reader.read(V, 0, picture)
        assert (unit.codec, unit.keyframe) == (Codec.HEVC, False)
        assert reader.damaged == 0


def test_g711_and_enhanced_aac_are_read() -> None:
    reader = FlvReader()
    for first, codec in ((0x72, Codec.PCM_ALAW), (0x82, Codec.PCM_MULAW)):
        (unit,) = reader.read(A, 0, bytes([first]) + b"\xd5" * 160)
        assert (unit.codec, unit.payload) == (codec, b"\xd5" * 160)
    reader.read(A, 0, b"\x90mp4a" + bytes.fromhex("1208"))
    (unit,) = reader.read(A, 0, b"\x91mp4a" + b"\x21" * 20)
    assert unit.codec is Codec.AAC


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (V, b"\x12\x01\x00\x00\x00x", "video codec 2"),
        (V, b"\x91av01xxxx", "av01"),
        (V, b"\x96hvc1xxxx", "several video tracks"),
        (A, b"\x2fxx", "audio codec 2"),
        (A, b"\x91Opusx", "Opus"),
        (V, b"\x17\x00\x00\x00\x00\x01\x42", "damaged"),
        (V, b"\x17\x01", "damaged"),
        (A, b"\xaf\x00\xf8\xe8\x50\x00", "damaged"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_said(kind: TagKind, body: bytes, words: str) -> None:
    reader = FlvReader()
    assert reader.read(kind, 0, body) == ()
    assert words in reader.problems[kind]


def test_times_go_on_over_the_wrap() -> None:
    reader, last = _configured(), 2**32 - 20
    reader.read(V, last - 40, avc_tag(H264_IDR, key=True))
    times = [
        reader.read(V, stamp % 2**32, avc_tag(H264_SLICE, key=False))[0].dts
        for stamp in (last, last + 40)
    ]
    assert times == [last * 90, (last + 40) * 90]
    # Sound from before the wrap that comes behind it.
    (sound,) = reader.read(A, last + 10, aac_tag(b"\x21"))
    assert sound.pts == (last + 10) * 90


def test_roles_tell_what_must_be_kept() -> None:
    assert role_of(V, avc_tag(None, key=True)) is TagRole.VIDEO_CONFIG
    assert role_of(V, avc_tag(H264_IDR, key=True)) is TagRole.KEYFRAME
    assert role_of(V, avc_tag(H264_SLICE, key=False)) is TagRole.PICTURE
    assert role_of(V, b"\x17\x02\x00\x00\x00") is TagRole.OTHER
    assert role_of(V, b"\x57\x00") is TagRole.OTHER
    assert role_of(V, b"\x90hvc1") is TagRole.VIDEO_CONFIG
    assert role_of(V, b"\x93hvc1") is TagRole.KEYFRAME
    assert role_of(A, aac_tag(None)) is TagRole.AUDIO_CONFIG
    assert role_of(A, aac_tag(b"x")) is TagRole.SOUND
    assert role_of(A, b"\x90mp4a") is TagRole.AUDIO_CONFIG
    assert role_of(S, b"\x02") is TagRole.OTHER
    assert role_of(V, b"") is TagRole.OTHER


@given(
    st.lists(
        st.tuples(st.sampled_from([V, A, S]), st.integers(0, 2**32 - 1), st.binary(max_size=60)),
        max_size=20,
    )
)
def test_any_tags_are_read(tags: list[tuple[TagKind, int, bytes]]) -> None:
    reader = _configured()
    for kind, stamp, body in tags:
        role_of(kind, body)
        for unit in reader.read(kind, stamp, body):
            assert unit.payload
            assert unit.dts >= 0
