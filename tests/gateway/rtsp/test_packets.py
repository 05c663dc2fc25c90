"""RTP packets built once for all players: numbers that wrap, both framings alike, reports that agree."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from gateway.domain.rtp_out import RtpFrame, RtpTrack
from gateway.rtsp.packets import PacketBook, StreamPackets
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.relay import MAX_RUN_PACKETS
from gb28181.rtp.rtcp import Bye, SenderReport, SourceDescription, parse_rtcp

VIDEO = RtpTrack(kind="video", codec="h264", encoding="H264", clock_rate=90_000, payload_type=96)
ALAW = RtpTrack(kind="audio", codec="pcm_alaw", encoding="PCMA", clock_rate=8_000, payload_type=8)
AAC = RtpTrack(
    kind="audio", codec="aac", encoding="mpeg4-generic", clock_rate=16_000, payload_type=97
)
WALL = datetime(2026, 7, 1, tzinfo=UTC)


def frame(
    track: int, timestamp: int, sizes: Sequence[int], *, sequence: int, keyframe: bool = False
) -> RtpFrame:
    payloads = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    return RtpFrame(track, timestamp, payloads, keyframe, sum(sizes), sequence)


def packets(
    tracks: Sequence[RtpTrack] = (VIDEO, ALAW), number: Callable[[int], int] = lambda below: 7
) -> StreamPackets:
    return StreamPackets(tracks, new_number=number, wall=lambda: WALL)


def framed(data: bytes) -> list[bytes]:
    """The packets of interleaved bytes, without their channels."""
    found = []
    while data:
        assert data[:1] == b"$"
        end = 4 + int.from_bytes(data[2:4])
        found.append(data[4:end])
        data = data[end:]
    return found


def cut(made: StreamPackets, batch: Sequence[RtpFrame], track: int) -> list[bytes]:
    """What the system makes of the datagrams."""
    found = []
    for form in made.datagrams(batch, track):
        assert sum(run.count for run in form.runs) <= MAX_RUN_PACKETS
        for run in form.runs:
            view = bytes(run.view)
            parts = [view[at : at + run.size] for at in range(0, len(view), run.size)]
            assert len(parts) == run.count
            assert sum(len(part) - 12 for part in parts) == run.octets
            found += parts
    return found


BATCH = [
    frame(1, 320, [320], sequence=3),
    frame(0, 3_600, [40, 1_180, 1_180, 1_180, 700], sequence=0, keyframe=True),
    frame(0, 7_200, [1_180] * 100 + [3], sequence=5),
    frame(0, 10_800, [900], sequence=106),
    frame(0, 14_400, [900, 1_180, 900, 1_180], sequence=107),
]


def test_datagrams_are_what_is_sent_interleaved() -> None:
    made = packets()
    whole = framed(made.interleaved(BATCH, (0, 2)))
    assert cut(made, BATCH, 0) + cut(made, BATCH, 1) == [*whole[1:], whole[0]]
    assert framed(made.interleaved(BATCH, (-1, 9))) == whole[:1]


def test_numbers_and_stamps_wrap() -> None:
    made = packets(number=lambda below: below - 2)
    sent = [RtpPacket.parse(data) for data in cut(made, BATCH, 0)]
    assert [packet.sequence for packet in sent[:4]] == [65_534, 65_535, 0, 1]
    assert {packet.ssrc for packet in sent} == {2**32 - 2}
    assert sent[0].timestamp == 3_598


@pytest.mark.parametrize(("sound", "marker"), [(ALAW, False), (AAC, True)])
def test_markers_end_pictures_and_aac_frames_but_mean_something_else_for_g711(
    sound: RtpTrack, marker: bool
) -> None:
    made = packets((VIDEO, sound))
    sent = [RtpPacket.parse(data) for data in cut(made, BATCH[:2], 0) + cut(made, BATCH[:2], 1)]
    assert [packet.marker for packet in sent] == [False] * 4 + [True, marker]
    assert {packet.payload_type for packet in sent} == {96, sound.payload_type}


def test_one_framing_serves_all_who_chose_the_same_channels() -> None:
    made = packets()
    first = made.interleaved(BATCH, (0, 2))
    assert made.interleaved(BATCH, (0, 2)) is first
    assert made.interleaved(BATCH, (0, 4)) is not first
    assert made.datagrams(BATCH, 0) is made.datagrams(BATCH, 0)
    assert made.interleaved(BATCH[:1], (0, 2)) != first


def test_a_batch_counts_once_however_many_players_get_it_and_replays_not_at_all() -> None:
    made = packets()
    for _ in range(3):
        made.note(BATCH, 1.0)
    made.note(tuple(BATCH), 1.0)
    report = parse_rtcp(made.report(0))[0]
    assert isinstance(report, SenderReport)
    assert report.packet_count == 111
    assert report.octet_count == sum(frame.size for frame in BATCH if frame.track == 0)


def test_reports_of_both_tracks_name_one_instant_however_late_they_are() -> None:
    made = packets(number=lambda below: 1_000)
    made.note(BATCH, 1.0)
    later = [frame(1, 8_320, [320], sequence=4), frame(0, 97_200, [100], sequence=111)]
    made.note(later, 1.9)
    video, sound = (parse_rtcp(made.report(track)) for track in (0, 1))
    assert isinstance(video[0], SenderReport)
    assert isinstance(sound[0], SenderReport)
    assert video[0].ntp_time == sound[0].ntp_time
    assert video[0].rtp_time - 1_000 == 97_200
    assert sound[0].rtp_time - 1_000 == 97_200 * 8_000 // 90_000
    assert video[1] == SourceDescription(names=((1_000, "gateway"),))
    # The newest of the first batch, 0.16 s, was on the wall's instant.
    seconds = (WALL - datetime(1900, 1, 1, tzinfo=UTC)).total_seconds() + 1.08 - 0.16
    assert video[0].ntp_time / 2**32 == pytest.approx(seconds, abs=0.001)


def test_what_a_player_begins_with_is_told_by_the_instant_of_its_first_frame() -> None:
    made = packets(number=lambda below: 10)
    start = BATCH[1:]
    made.note(BATCH, 1.0)
    assert made.rtp_info(start, 0) == "seq=10;rtptime=3610"
    # No sound is in it: the next packet's number, and the same instant.
    assert made.rtp_info(start, 1) == "seq=14;rtptime=330"


def test_a_good_bye_says_whose_and_why() -> None:
    made = packets()
    made.note(BATCH, 1.0)
    parts = parse_rtcp(made.bye(0, "stopped"))
    assert isinstance(parts[0], SenderReport)
    assert parts[-1] == Bye(sources=(7,), reason="stopped")


def test_a_slow_players_limit_follows_the_rate_within_its_bounds() -> None:
    made = packets()
    assert made.limit(4_000_000, 3.0) == 256 * 1024
    for number in range(60):
        size = 400_000
        made.note([frame(0, number * 90_000, [size], sequence=number)], float(number))
    assert made.rate == pytest.approx(400_000)
    assert made.limit(4_000_000, 3.0) == 1_200_000
    assert made.limit(1_000_000, 3.0) == 1_000_000


def test_players_of_one_output_share_its_packets_until_the_last_is_gone() -> None:
    book = PacketBook(new_number=lambda below: 7, wall=lambda: WALL)
    one, other = (VIDEO,), (VIDEO, ALAW)
    first, second, third = book.take(one), book.take(one), book.take(other)
    assert (first is second, first is third, len(book)) == (True, False, 2)
    for made in (first, second, third):
        book.give_back(made)
    assert len(book) == 0
