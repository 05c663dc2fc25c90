"""RTP payloads to media units: PS, H.264, H.265, AAC, G.711, and what cannot be passed on."""

import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from gb28181.es.aac import AudioSpecificConfig, build_adts_header, split_adts
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer import packetize, packetize_h264, packetize_hevc
from gb28181.rtp.rtcp import SenderReport, parse_rtcp
from tests.support.samples import FRAME, adts, ffmpeg, sound, stream, units

Ports = tuple[socket.socket, socket.socket]
CODECS = pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
PACKETIZERS = {Codec.H264: (98, packetize_h264), Codec.HEVC: (100, packetize_hevc)}


def pack(
    video: list[MediaUnit],
    *,
    ps: bool = False,
    payload_type: int | None = None,
    first: int = 1000,
    mtu: int = 1400,
    base: int = 0,
) -> Any:
    """RTP packets of pictures, as parsed."""
    codec = video[0].codec
    number, packetizer = PACKETIZERS[codec]
    number = payload_type if payload_type is not None else 96 if ps else number
    muxer = PsMuxer(codec)
    packets: list[bytes] = []
    for unit in video:
        common: dict[str, Any] = {
            "payload_type": number, "ssrc": 7, "mtu": mtu,
            "sequence": (first + len(packets)) & 0xFFFF, "timestamp": (unit.pts + base) % 2**32,
        }  # fmt: skip
        if ps:
            packets += packetize(muxer.mux(unit), **common)
        else:
            packets += packetizer(unit.payload, **common)
    return [RtpPacket.parse(packet) for packet in packets]


def run(packets: list[RtpPacket], payloads: dict[int, str] | None = None, **options: Any) -> Any:
    depacketizer = Depacketizer(payloads, **options)
    found = [unit for packet in packets for unit in depacketizer.feed(packet)]
    return found + depacketizer.flush(), depacketizer


def nals(found: list[MediaUnit]) -> Any:
    return [list(iter_nals(unit.payload)) for unit in found]


@CODECS
@pytest.mark.parametrize("mtu", [200, 1400, 9000])
def test_an_elementary_stream_comes_out_as_it_went_in(codec: Codec, mtu: int) -> None:
    video = units(codec)
    found, depacketizer = run(pack(video, mtu=mtu))
    assert nals(found) == nals(video)
    assert [unit.keyframe for unit in found] == [unit.keyframe for unit in video]
    assert [unit.pts - found[0].pts for unit in found] == [i * FRAME for i in range(30)]
    assert depacketizer.payload_kind == codec.value
    assert depacketizer.codecs == (codec,)
    assert depacketizer.problem is None
    assert depacketizer.video.sps.width == 320


@CODECS
def test_with_a_marker_a_picture_is_out_with_its_last_packet(codec: Codec) -> None:
    depacketizer = Depacketizer()
    for packet in pack(units(codec)):
        assert len(depacketizer.feed(packet)) == packet.marker


@CODECS
@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("timestamp", [None, 5])
def test_markers_and_times_may_be_constant(
    codec: Codec, marker: bool, timestamp: int | None
) -> None:
    video = units(codec, slices=2)
    packets = pack(video, mtu=300)
    for packet in packets:
        packet.marker = marker
        packet.timestamp = packet.timestamp if timestamp is None else timestamp
    found, _ = run(packets)
    if marker:
        # A marker after each slice leaves no way to hold slices together.
        assert [nal for unit in nals(found) for nal in unit][:3] == nals(video)[0][:3]
    else:
        assert nals(found) == nals(video)
    decoded = [unit.dts for unit in found]
    assert decoded == sorted(set(decoded))


@CODECS
@pytest.mark.parametrize("ps", [True, False])
def test_loss_of_any_packet_costs_its_picture_only(codec: Codec, ps: bool) -> None:
    video = units(codec, slices=2)[:15]
    packets = pack(video, ps=ps, mtu=700)
    expected = {tuple(one) for one in nals(video)}
    keys = {tuple(one) for one, unit in zip(nals(video), video, strict=True) if unit.keyframe}
    for lost in range(1, len(packets) - 1):
        found, depacketizer = run(packets[:lost] + packets[lost + 1 :])
        for unit, content in zip(found, nals(found), strict=True):
            # A picture that lost only its parameter sets gets those of the last key frame.
            assert (
                tuple(content) in expected
                or not unit.keyframe
                or set(content) <= set(next(iter(keys))).union(*keys)
            )
        assert depacketizer.gaps == 1
        assert len(found) >= len(video) - 2 or lost < 12


@pytest.mark.parametrize("payload_type", [0, 8, 33, 97, 98, 100, 120])
def test_ps_is_recognised_by_its_first_bytes_whatever_the_type_says(
    payload_type: int | None,
) -> None:
    video = units(Codec.H264)
    found, depacketizer = run(pack(video, ps=True, payload_type=payload_type), {98: "H264"})
    assert found == video
    assert depacketizer.payload_kind == "ps"


@CODECS
@pytest.mark.parametrize("payloads", [{96: "PS/90000"}, {}])
def test_an_elementary_stream_where_ps_was_announced_is_recognised(
    codec: Codec, payloads: dict[int, str] | None
) -> None:
    video = units(codec)
    found, depacketizer = run(pack(video, payload_type=96), payloads)
    assert nals(found) == nals(video)
    assert depacketizer.payload_kind == codec.value


@CODECS
def test_the_rtpmap_is_trusted_over_the_number(codec: Codec) -> None:
    name = {Codec.H264: "h264/90000", Codec.HEVC: "H265/90000"}[codec]
    found, _ = run(pack(units(codec), payload_type=111), {111: name})
    assert nals(found) == nals(units(codec))


def test_times_go_on_where_32_bits_wrap() -> None:
    found, _ = run(pack(units(Codec.H264), base=2**32 - 5 * FRAME))
    assert [unit.pts - found[0].pts for unit in found] == [i * FRAME for i in range(30)]


def test_aggregated_units_are_taken_apart() -> None:
    key = units(Codec.H264)[0]
    first, second, *rest = iter_nals(key.payload)
    stap = b"\x18" + b"".join(len(nal).to_bytes(2) + nal for nal in (first, second))
    later = [nal for nal in rest if len(nal) > 1000]
    packets = [RtpPacket(98, False, 0, 0, 1, stap)]
    packets += [RtpPacket(98, True, 1, 0, 1, later[0])]
    found, _ = run(packets)
    assert nals(found) == [[first, second, later[0]]]
    assert found[0].keyframe
    hevc = list(iter_nals(units(Codec.HEVC)[0].payload))
    packet = b"\x60\x01" + b"".join(len(nal).to_bytes(2) + nal for nal in hevc)
    found, _ = run([RtpPacket(96, True, 0, 0, 1, packet)], {96: "PS"})
    assert nals(found) == [hevc]


def test_a_fragment_without_its_beginning_is_dropped() -> None:
    video = units(Codec.H264)
    packets = pack(video, mtu=500)
    found, _ = run(packets[8:])
    assert nals(found) == nals(video)[len(video) - len(found) :]


def test_g711_of_a_type_of_its_own_comes_beside_the_video() -> None:
    video, audio = units(Codec.H264), sound(Codec.PCM_ALAW, 30)
    packets, sequence = [], 0
    for picture, noise in zip(video, audio, strict=True):
        for packet in pack([picture]):
            packet.sequence = sequence
            sequence += 1
            packets.append(packet)
        packets.append(RtpPacket(8, False, sequence, noise.pts * 4 // 45 + 999, 7, noise.payload))
        sequence += 1
    found, depacketizer = run(packets)
    assert depacketizer.codecs == (Codec.H264, Codec.PCM_ALAW)
    assert depacketizer.payload_kind == "h264"
    heard = [unit for unit in found if not unit.is_video]
    # Two packets of another type may be strays.
    assert [unit.payload for unit in heard] == [unit.payload for unit in audio[2:]]
    assert {later.pts - unit.pts for unit, later in pairwise(heard)} == {FRAME}
    assert abs(heard[0].pts - found[0].pts - 2 * FRAME) <= 2 * FRAME


def test_g711_of_a_type_of_its_own_is_heard_beside_ps_without_audio() -> None:
    video, audio = units(Codec.H264, first=900_000), sound(Codec.PCM_ALAW, 30)
    packets = []
    for picture, noise in zip(video, audio, strict=True):
        packets += pack([picture], ps=True)
        packets.append(RtpPacket(8, False, 0, noise.pts * 4 // 45 + 77, 7, noise.payload))
    for index, packet in enumerate(packets):
        packet.sequence = index
    found, depacketizer = run(packets)
    assert [unit for unit in found if unit.is_video] == video
    heard = [unit for unit in found if not unit.is_video]
    # Two packets of another type may be strays.
    assert [unit.payload for unit in heard] == [unit.payload for unit in audio[2:]]
    assert abs(heard[0].pts - video[2].pts) <= 2 * FRAME
    assert depacketizer.codecs == (Codec.H264, Codec.PCM_ALAW)


def test_video_that_begins_after_the_audio_keeps_its_first_key_frame() -> None:
    video = pack(units(Codec.H264), first=1)
    found, _ = run([RtpPacket(8, False, 0, 0, 7, b"\xd5" * 320), *video])
    assert [unit.keyframe for unit in found[:2]] == [True, True]
    assert found[1].codec is Codec.H264


def test_a_stray_packet_of_another_type_makes_no_track() -> None:
    packets = pack(units(Codec.H264), ps=True)
    for index in (40, 60):
        packets[index] = RtpPacket(0, False, packets[index].sequence, 0, 7, b"?" * 100)
    found, depacketizer = run(packets)
    assert depacketizer.codecs == (Codec.H264,)
    assert {unit.codec for unit in found} == {Codec.H264}
    assert depacketizer.ignored == 2


def test_mu_law_is_payload_type_0_and_its_time_wraps() -> None:
    packets = [
        RtpPacket(0, False, i, (2**32 - 320 + 320 * i) % 2**32, 7, b"\xff" * 320) for i in range(4)
    ]
    found, depacketizer = run(packets)
    assert depacketizer.payload_kind == "pcm_mulaw"
    assert [unit.pts - found[0].pts for unit in found] == [0, 3600, 7200, 10800]


def aac_packet(frames: list[bytes], sequence: int, timestamp: int) -> Any:
    headers = b"".join((len(frame) << 3).to_bytes(2) for frame in frames)
    payload = (16 * len(frames)).to_bytes(2) + headers + b"".join(frames)
    return RtpPacket(102, True, sequence, timestamp, 7, payload)


def test_aac_by_rfc_3640_gets_adts_headers_from_the_config() -> None:
    raw = [frame[7:] for _, frame in split_adts(adts(16000))[0]]
    packets = [aac_packet(raw[i : i + 2], i // 2, i * 1024) for i in range(0, len(raw) - 1, 2)]
    fmtp = "streamtype=5;mode=AAC-hbr;config=1408;sizeLength=13;indexLength=3"
    found, _ = run(packets, {102: "AAC/16000/1"}, fmtp={102: fmtp})
    count = 2 * len(packets)
    expected = b"".join(frame for _, frame in split_adts(adts(16000))[0][:count])
    assert b"".join(unit.payload for unit in found) == expected
    assert found[1].pts - found[0].pts == 2 * 1024 * 90_000 // 16_000


def test_without_a_config_aac_is_what_the_standard_says() -> None:
    found, _ = run([aac_packet([b"frame"], 0, 0)])
    config = AudioSpecificConfig(sample_rate=8000, channels=1)
    assert found[0].payload == build_adts_header(config, 5) + b"frame"


def test_a_long_aac_frame_in_pieces_is_joined_and_adts_is_passed_as_it_is() -> None:
    head = b"\x00\x10" + (900 << 3).to_bytes(2)
    pieces = [b"a" * 500, b"b" * 400]
    packets = [RtpPacket(102, i == 1, i, 0, 7, head + piece) for i, piece in enumerate(pieces)]
    found, _ = run(packets)
    assert found[0].payload[7:] == b"".join(pieces)
    frames = adts()[: split_adts(adts())[0][0][0].frame_length]
    found, _ = run([RtpPacket(102, True, 0, 0, 7, frames)])
    assert found[0].payload == frames


@pytest.mark.parametrize(
    ("number", "payloads", "problem"),
    [
        (97, {}, "MPEG-4 video (payload type 97) cannot be passed on"),
        (99, {99: "SVAC/90000"}, "SVAC video (payload type 99) cannot be passed on"),
        (4, {}, "G.723.1 (payload type 4) cannot be passed on"),
        (18, {}, "G.729 (payload type 18) cannot be passed on"),
        (20, {}, "SVAC audio (payload type 20) cannot be passed on"),
        (9, {}, "G.722.1 (payload type 9) cannot be passed on"),
    ],
)
def test_what_cannot_be_passed_on_is_named(
    number: int, payloads: dict[int, str] | None, problem: str
) -> None:
    found, depacketizer = run([RtpPacket(number, True, 0, 0, 7, b"\x01\x02\x03")] * 2, payloads)
    assert found == []
    assert depacketizer.problem == problem


def test_a_transport_stream_is_named() -> None:
    packet = RtpPacket(96, True, 0, 0, 7, (b"\x47" + bytes(187)) * 7)
    found, depacketizer = run([packet], {96: "PS"})
    assert (found, depacketizer.payload_kind) == ([], "ts")
    assert depacketizer.problem == "MPEG-TS (payload type 96) cannot be passed on"


def test_unusable_audio_beside_good_video_is_no_problem() -> None:
    packets = pack(units(Codec.H264))
    packets.append(RtpPacket(18, False, packets[-1].sequence + 1, 0, 7, b"\x01\x02"))
    found, depacketizer = run(packets)
    assert len(found) == 30
    assert depacketizer.problem is None


def test_on_tcp_a_sender_whose_numbers_stand_still_loses_nothing() -> None:
    packets = pack(units(Codec.H264), ps=True)
    for packet in packets:
        packet.sequence = 0
    found, depacketizer = run(packets, reliable=True)
    assert found == units(Codec.H264)
    assert depacketizer.gaps == 0


def test_on_tcp_a_sender_whose_numbers_count_shows_its_own_losses() -> None:
    packets = pack(units(Codec.H264), ps=True)
    found, depacketizer = run(packets[:50] + packets[51:], reliable=True)
    assert depacketizer.gaps == 1
    assert len(found) == 29


def test_another_ssrc_begins_anew() -> None:
    first, second = pack(units(Codec.H264)[:10], ps=True), pack(units(Codec.H264)[10:], ps=True)
    for packet in second:
        packet.ssrc = 8
    found, depacketizer = run(first[:-1] + second)
    assert [unit.payload for unit in found] == [
        unit.payload for i, unit in enumerate(units(Codec.H264)) if i != 9
    ]
    assert depacketizer.gaps == 1


@pytest.fixture
def ports() -> Iterator[Any]:
    """An even and the next port, bound."""
    while True:
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.bind(("127.0.0.1", 0))
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            rtcp.bind(("127.0.0.1", rtp.getsockname()[1] + 1))
        except OSError:
            rtp.close()
            rtcp.close()
            continue
        for sock in (rtp, rtcp):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.settimeout(0)
        yield rtp, rtcp
        rtp.close()
        rtcp.close()
        return


def received(sock: socket.socket) -> Any:
    found = []
    while True:
        try:
            found.append(sock.recv(65_535))
        except BlockingIOError:
            return found


@pytest.mark.net
@CODECS
def test_what_ffmpeg_sends_as_rtp_comes_out_as_its_elementary_stream(
    codec: Codec, ports: Ports
) -> None:
    rtp, rtcp = ports
    data = stream(codec, frames=12)
    target = f"rtp://127.0.0.1:{rtp.getsockname()[1]}?pkt_size=1200"
    ffmpeg(
        *("-r", "25", "-f", codec.value, "-i", "-", "-c", "copy", "-payload_type", "98"),
        *("-f", "rtp", target),
        data=data,
    )
    found, depacketizer = run(
        [RtpPacket.parse(packet) for packet in received(rtp)],
        {98: {Codec.H264: "H264", Codec.HEVC: "H265"}[codec]},
    )
    assert [nal for unit in nals(found) for nal in unit] == list(iter_nals(data))
    assert [unit.keyframe for unit in found] == [i % 10 == 0 for i in range(12)]
    assert depacketizer.gaps == 0
    reports = [report for packet in received(rtcp) for report in parse_rtcp(packet)]
    assert any(isinstance(report, SenderReport) for report in reports)


@pytest.mark.net
def test_what_ffmpeg_sends_as_aac_comes_out_as_its_frames(ports: Ports) -> None:
    rtp, _ = ports
    target = f"rtp://127.0.0.1:{rtp.getsockname()[1]}"
    ffmpeg(
        *("-f", "lavfi", "-i", "sine=r=16000", "-t", "1", "-ac", "1", "-c:a", "aac"),
        *("-flags", "+global_header", "-payload_type", "102", "-f", "rtp", target),
    )
    found, _ = run(
        [RtpPacket.parse(packet) for packet in received(rtp)],
        {102: "AAC/16000/1"},
        fmtp={102: "config=1408"},
    )
    joined = b"".join(unit.payload for unit in found)
    # ffmpeg keeps the last frames, too few to fill a packet, to itself.
    assert adts(16000).startswith(joined)
    assert len(joined) > len(adts(16000)) - 1400


def test_a_unit_is_what_it_should_be() -> None:
    found, _ = run([RtpPacket(8, False, 0, 8, 7, memoryview(b"\xd5" * 160))])
    assert found == [MediaUnit(Codec.PCM_ALAW, 90, 90, True, b"\xd5" * 160)]
