"""Access units to RTP payloads and back: sizes, aggregation, fragments, format parameters."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es import h264, hevc
from gb28181.es.aac import AudioSpecificConfig, parse_audio_specific_config, split_adts
from gb28181.es.annexb import iter_nals, join_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer_payload import (
    MAX_G711_PAYLOAD,
    aac_fmtp,
    aac_payloads,
    g711_payloads,
    video_fmtp,
    video_payloads,
)
from tests.support.samples import adts, sound, units

LIMIT = 1_180
CODECS = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
NAMES = {Codec.H264: "H264", Codec.HEVC: "H265"}


def sent(pieces: list[tuple[int, list[bytes]]], *, payload_type: int = 96) -> list[RtpPacket]:
    """The payloads of (time stamp, payloads) as packets."""
    packets: list[RtpPacket] = []
    for timestamp, payloads in pieces:
        for position, payload in enumerate(payloads):
            packets.append(
                RtpPacket(
                    payload_type,
                    position == len(payloads) - 1,
                    len(packets) & 0xFFFF,
                    timestamp & 0xFFFF_FFFF,
                    7,
                    payload,
                )
            )
    return packets


def received(packets: list[RtpPacket], name: str, fmtp: str = "") -> list[MediaUnit]:
    depacketizer = Depacketizer({96: name}, fmtp={96: fmtp})
    found = [unit for packet in packets for unit in depacketizer.feed(packet)]
    assert depacketizer.gaps == 0
    return found + depacketizer.flush()


def without_delimiters(unit: MediaUnit) -> list[bytes]:
    kinds = {Codec.H264: (h264.nal_type, 9), Codec.HEVC: (hevc.nal_type, 35)}
    kind_of, delimiter = kinds[unit.codec]
    return [nal for nal in iter_nals(unit.payload) if kind_of(nal) != delimiter]


@CODECS
@pytest.mark.parametrize("limit", [100, 333, LIMIT])
@pytest.mark.parametrize("slices", [1, 3])
def test_what_a_depacketizer_gets_back_is_what_was_packetized(
    codec: Codec, limit: int, slices: int
) -> None:
    video = units(codec, slices=slices)
    packets = sent([(u.pts, video_payloads(codec, u.payload, limit)) for u in video])
    back = received(packets, NAMES[codec])
    assert [list(iter_nals(u.payload)) for u in back] == [without_delimiters(u) for u in video]
    assert [u.keyframe for u in back] == [u.keyframe for u in video]
    assert [u.pts - back[0].pts for u in back] == [u.pts - video[0].pts for u in video]


@CODECS
def test_no_payload_is_longer_than_the_limit_and_most_of_a_picture_are_of_one_size(
    codec: Codec,
) -> None:
    for unit in units(codec, rate="2M", size="640x480"):
        payloads = video_payloads(codec, unit.payload, LIMIT)
        assert max(map(len, payloads)) <= LIMIT
        assert sum(len(payload) != LIMIT for payload in payloads) <= 3


@CODECS
def test_parameter_sets_go_out_in_one_packet_before_the_key_picture(codec: Codec) -> None:
    key = units(codec)[0]
    first = video_payloads(codec, key.payload, LIMIT)[0]
    aggregation = {Codec.H264: first[0] & 0x1F == 24, Codec.HEVC: first[0] >> 1 & 0x3F == 48}
    assert aggregation[codec]
    sets = without_delimiters(key)[: 2 if codec is Codec.H264 else 3]
    assert all(nal in first for nal in sets)


def test_parameter_sets_too_large_for_one_packet_take_more() -> None:
    nals = [
        b"\x67" + b"\x11" * 70,
        b"\x68" + b"\x22" * 60,
        b"\x06" + b"\x33" * 500,
        b"\x65\x88\x80",
    ]
    payloads = video_payloads(Codec.H264, join_nals(nals), 100)
    assert [payload[0] & 0x1F for payload in payloads[:2]] == [7, 8]
    assert [payload[0] & 0x1F for payload in payloads[2:-1]] == [28] * 6
    assert payloads[-1] == nals[-1]


def test_an_aggregate_has_the_highest_importance_and_the_lowest_layers_of_its_units() -> None:
    stap = video_payloads(Codec.H264, join_nals([b"\x06\x05\x01", b"\x27\x01", b"\x25\x88"]), 100)
    assert stap[0] == b"\x38\x00\x03\x06\x05\x01\x00\x02\x27\x01"
    nals = [b"\x40\x0b\x01", b"\x42\x0a\x01", b"\x26\x01\x80"]
    ap = video_payloads(Codec.HEVC, join_nals(nals), 100)
    assert ap[0] == b"\x60\x0a\x00\x03\x40\x0b\x01\x00\x03\x42\x0a\x01"


@pytest.mark.parametrize("size", [99, 100, 101, 197, 198, 199, 295])
def test_fragments_begin_and_end_once_at_every_length(size: int) -> None:
    nal = b"\x65\x88" + bytes(i % 250 + 1 for i in range(300))
    payloads = video_payloads(Codec.H264, join_nals([nal[:size]]), 100)
    if size <= 100:
        assert payloads == [nal[:size]]
        return
    assert [payload[1] >> 6 for payload in payloads] == [2] + [0] * (len(payloads) - 2) + [1]
    assert b"\x65" + b"".join(payload[2:] for payload in payloads) == nal[:size]


@given(st.binary(max_size=400), st.sampled_from([Codec.H264, Codec.HEVC]))
def test_any_bytes_become_payloads_within_the_limit(data: bytes, codec: Codec) -> None:
    payloads = video_payloads(codec, b"\x00\x00\x01" + data, 64)
    assert all(0 < len(payload) <= 64 for payload in payloads)


def test_types_that_mean_something_else_in_rtp_are_left_out() -> None:
    nals = [b"\x78\x01\x02", b"\x7c\x85\x01", b"\x0c\xff\xff\x80", b"\x61\x9a\x01"]
    assert video_payloads(Codec.H264, join_nals(nals), 100) == [nals[-1]]
    nals = [b"\x60\x01\x02", b"\x62\x01\x85", b"\x4c\x01\xff\x80", b"\x02\x01\xd0"]
    assert video_payloads(Codec.HEVC, join_nals(nals), 100) == [nals[-1]]


@pytest.mark.parametrize("limit", [40, LIMIT])
def test_aac_comes_back_whole_and_in_fragments(limit: int) -> None:
    frames = split_adts(adts())[0]
    config = frames[0][0].config
    pieces = [
        (1024 * i, aac_payloads(data[header.header_length :], limit))
        for i, (header, data) in enumerate(frames)
    ]
    back = received(sent(pieces), "mpeg4-generic/16000", aac_fmtp(config))
    assert [unit.payload for unit in back] == [data for _, data in frames]


def test_an_aac_frame_longer_than_its_header_can_say_is_refused() -> None:
    with pytest.raises(ValueError, match="8192 bytes is over 8191"):
        aac_payloads(bytes(8192), LIMIT)


def test_g711_is_cut_into_packets_of_60_ms() -> None:
    run = sound(Codec.PCM_ALAW, 1)[0].payload * 5
    payloads = g711_payloads(run)
    assert [len(payload) for payload in payloads] == [MAX_G711_PAYLOAD] * 3 + [160]
    assert b"".join(payloads) == run


def test_sdp_tells_profile_and_parameter_sets_of_h264() -> None:
    sets = tuple(without_delimiters(units(Codec.H264)[0])[:2])
    fields = dict(part.split("=", 1) for part in video_fmtp(Codec.H264, sets).split(";"))
    assert fields["packetization-mode"] == "1"
    assert bytes.fromhex(fields["profile-level-id"]) == sets[0][1:4]
    assert tuple(map(base64.b64decode, fields["sprop-parameter-sets"].split(","))) == sets


def test_sdp_tells_each_parameter_set_of_h265() -> None:
    sets = tuple(without_delimiters(units(Codec.HEVC)[0])[:3])
    fields = dict(part.split("=", 1) for part in video_fmtp(Codec.HEVC, sets).split(";"))
    assert tuple(
        base64.b64decode(fields[name]) for name in ("sprop-vps", "sprop-sps", "sprop-pps")
    ) == (sets)


def test_sdp_tells_the_configuration_of_aac() -> None:
    config = AudioSpecificConfig(sample_rate=16_000, channels=2)
    told = aac_fmtp(config)
    assert parse_audio_specific_config(bytes.fromhex(told.partition("config=")[2])) == config
    assert "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3" in told
