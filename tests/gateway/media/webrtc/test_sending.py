"""Sending to one viewer: how it begins, what is sent again, what reports say."""

import os
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from gateway.domain.rtp_out import RtpFrame
from gateway.media.webrtc.dtls import SrtpKeys
from gateway.media.webrtc.pacer import MAX_WAITING
from gateway.media.webrtc.sending import (
    MAX_REPLAY,
    MIN_RESENDS,
    REPLAY_INTERVAL,
    Group,
    MediaSending,
    SendPorts,
)
from gateway.media.webrtc.srtp import SrtpBench, SrtpSender
from gateway.media.webrtc.track import NTP_EPOCH, TrackSender
from gb28181.errors import RtpError
from gb28181.rtp.packet import RtpPacket, is_rtcp
from gb28181.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_rtcp,
    serialize_rtcp,
)

VIDEO, AUDIO = 0x1111, 0x2222
PROFILE = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
FRAME = 3_600


class Bench:
    """A sender whose clock and wire are the test's."""

    def __init__(self) -> None:
        self.now, self.unix = 100.0, 1_800_000_000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.wire: list[bytes] = []
        self.keyframes_wanted = 0
        keys = SrtpKeys(profile=PROFILE, send=os.urandom(28), receive=os.urandom(28))
        self._viewer = Session(
            Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILE)
        )
        self.group = Group(2_000, 24_000_000)
        self.sending = MediaSending(
            SrtpSender(keys, SrtpBench()),
            TrackSender(VIDEO, 102, 90_000, resends=True),
            TrackSender(AUDIO, 8, 8_000, resends=False),
            video_track=0,
            audio_track=1,
            cname="cafe",
            ports=SendPorts(
                send_all=self._send_all,
                send=lambda packet: self.wire.append(bytes(packet)),
                call_later=lambda wait, what: self.timers.append((self.now + wait, what)),
                clock=lambda: self.now,
                wall=lambda: self.unix,
                keyframe_wanted=self._want,
            ),
        )

    def _send_all(self, packets: Sequence[memoryview]) -> None:
        self.wire += [bytes(packet) for packet in packets]

    def _want(self) -> None:
        self.keyframes_wanted += 1

    def frames(self, *frames: RtpFrame) -> None:
        """The stream's word, as a viewer passes it on."""
        self.group.take(frames)
        self.sending.frames(frames)

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self.timers and min(at for at, _ in self.timers) <= until:
            self.timers.sort(key=lambda item: item[0])
            self.now, what = self.timers.pop(0)
            what()
        self.now = until

    def rtp(self, ssrc: int = VIDEO) -> list[RtpPacket]:
        """RTP packets since the last call of any of these, opened."""
        taken, self.wire = self.wire, []
        found = [RtpPacket.parse(self._viewer.unprotect(p)) for p in taken if not is_rtcp(p)]
        return [packet for packet in found if packet.ssrc == ssrc]

    def rtcp(self) -> list[object]:
        """RTCP packets since the last call, opened."""
        taken, self.wire = self.wire, []
        compound = [self._viewer.unprotect_rtcp(p) for p in taken if is_rtcp(p)]
        return [packet for data in compound for packet in parse_rtcp(data)]

    def feedback(self, data: bytes) -> None:
        self.sending.feedback(data, parse_rtcp(data), self.group)


def picture(number: int, *, key: bool = False, packets: int = 3, size: int = 1_000) -> RtpFrame:
    payloads = [f"{number}:{part}:".encode().ljust(size, b".") for part in range(packets)]
    return RtpFrame(
        track=0,
        timestamp=number * FRAME,
        payloads=payloads,
        keyframe=key,
        size=packets * size,
    )


def sound(number: int) -> RtpFrame:
    return RtpFrame(
        track=1, timestamp=number * 320, payloads=[b"s" * 320], keyframe=False, size=320
    )


def nack(*numbers: int, ssrc: int = VIDEO) -> bytes:
    body = b"".join(number.to_bytes(2) + b"\x00\x00" for number in numbers)
    head = bytes((0x81, 205)) + (2 + len(numbers)).to_bytes(2)
    return head + bytes(4) + ssrc.to_bytes(4) + body


def pli(ssrc: int = VIDEO) -> bytes:
    return bytes((0x81, 206, 0, 2)) + bytes(4) + ssrc.to_bytes(4)


def fir(ssrc: int = VIDEO) -> bytes:
    return bytes((0x84, 206, 0, 4)) + bytes(8) + ssrc.to_bytes(4) + bytes(4)


def unwrapped(packets: list[RtpPacket]) -> list[int]:
    return [packet.timestamp for packet in packets if packet.marker]


def test_a_viewer_begins_at_the_key_frame_and_is_soon_at_the_live_picture() -> None:
    bench = Bench()
    group = [picture(n, key=n == 0, packets=20) for n in range(50)]
    bench.group.take(group)
    bench.sending.begin(bench.group)
    bench.advance(0.5)
    bench.frames(picture(50))
    packets = bench.rtp()
    assert packets[0].payload[:4] == b"0:0:"
    assert [p.sequence for p in packets] == list(
        range(packets[0].sequence, packets[0].sequence + 1_003)
    )
    stamps = unwrapped(packets)
    assert len(stamps) == 51
    assert stamps == sorted(set(stamps)), "not in order"
    # Two seconds of pictures within half a second of stamps; the live one keeps its distance.
    assert stamps[49] - stamps[0] < 45_000
    assert stamps[50] - stamps[49] == FRAME


def test_a_viewer_without_a_group_waits_for_the_next_key_frame() -> None:
    bench = Bench()
    bench.sending.begin(bench.group)
    bench.frames(picture(7), sound(7), picture(8))
    assert bench.rtp() == []
    bench.frames(picture(9, key=True))
    bench.frames(picture(10))
    assert len(unwrapped(bench.rtp())) == 2


def test_sound_goes_out_beside_the_pictures() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True), sound(0), sound(1))
    heard = bench.rtp(AUDIO)
    assert [(p.payload_type, len(p.payload)) for p in heard] == [(8, 320)] * 2
    assert heard[1].timestamp - heard[0].timestamp == 320


def test_what_the_viewer_missed_is_sent_again_as_it_was() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True))
    bench.frames(picture(1))
    kept = list(bench.wire)
    first = bench.rtp()[0].sequence
    bench.feedback(nack((first + 1) & 0xFFFF, (first + 5) & 0xFFFF))
    assert bench.wire == [kept[1], kept[5]]
    assert bench.sending.video.resent == 2


def test_a_bit_mask_names_further_packets() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True, packets=20))
    kept = list(bench.wire)
    first = bench.rtp()[0].sequence
    data = bytearray(nack(first))
    data[-2:] = (0b1000_0000_0000_0001).to_bytes(2)
    bench.feedback(bytes(data))
    assert bench.wire == [kept[0], kept[1], kept[16]]


def test_a_viewer_cannot_make_us_send_without_end() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True))
    first = bench.rtp()[0].sequence
    for _ in range(100):
        bench.feedback(nack(first, first + 1, first + 2))
    assert len(bench.wire) == MIN_RESENDS
    bench.wire.clear()
    bench.feedback(nack((first + 300) & 0xFFFF, (first - 1) & 0xFFFF))
    bench.feedback(nack(first, ssrc=AUDIO))
    assert bench.wire == []


@pytest.mark.parametrize("wish", [pli, fir])
def test_a_viewer_in_need_of_a_picture_gets_the_group_again(wish: Callable[[], bytes]) -> None:
    bench = Bench()
    bench.frames(picture(0, key=True))
    for number in range(1, 10):
        bench.frames(picture(number))
    before = bench.rtp()
    bench.feedback(wish())
    again = bench.rtp()
    assert [p.payload for p in again] == [p.payload for p in before]
    bench.advance(0.04)
    bench.frames(picture(10))
    stamps = unwrapped(before + again + bench.rtp())
    assert stamps == sorted(set(stamps)), "a player would go back in time"
    # Once is enough for a while.
    bench.feedback(wish())
    assert bench.wire == []
    bench.advance(REPLAY_INTERVAL)
    bench.feedback(wish())
    assert len(bench.rtp()) == 33
    assert bench.keyframes_wanted == 0


def test_stamps_stay_in_order_when_pictures_come_faster_than_the_repetition_reaches() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True))
    for number in range(1, 400):
        bench.frames(picture(number, packets=1))
    bench.rtp()
    bench.feedback(pli())
    bench.advance(1.0)
    stamps = unwrapped(bench.rtp())
    for number in range(8):
        frame = picture(400, packets=1)
        frame.timestamp = 399 * FRAME + (number + 1) * 100
        bench.frames(frame)
    bench.advance(1.0)
    stamps += unwrapped(bench.rtp())
    assert stamps == sorted(set(stamps))


def test_of_a_group_too_large_to_repeat_the_camera_is_asked_for_a_key_frame() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True, packets=MAX_REPLAY // 1_000 + 1))
    bench.advance(5.0)
    bench.wire.clear()
    bench.feedback(pli())
    bench.feedback(pli())
    assert bench.keyframes_wanted == 1
    assert bench.wire == []


def test_pictures_that_wait_too_long_are_left_out_up_to_a_key_frame() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True))
    huge = picture(1, packets=MAX_WAITING // 1_000 - 1)
    bench.frames(huge)
    bench.frames(picture(2, packets=1_000))
    bench.frames(picture(3))
    assert bench.sending.skipped == 1
    bench.advance(30.0)
    bench.wire.clear()
    bench.frames(picture(4))
    assert bench.rtp() == []
    bench.frames(picture(5, key=True))
    assert len(unwrapped(bench.rtp())) == 1


def test_reports_tie_both_tracks_to_one_clock() -> None:
    bench = Bench()
    bench.frames(picture(100, key=True), sound(100))
    bench.wire, packets = [], list(bench.wire)
    bench.wire = packets
    shown = bench.rtp()
    bench.wire = packets
    offset = shown[0].timestamp - 100 * FRAME
    bench.wire = []
    bench.sending.tick(bench.now, None)
    assert bench.wire == [], "before the first picture there is nothing to say"
    bench.sending.tick(bench.now, (100 * FRAME, bench.now))
    reports = [packet for packet in bench.rtcp() if isinstance(packet, SenderReport)]
    assert {report.ssrc for report in reports} == {VIDEO, AUDIO}
    video = next(report for report in reports if report.ssrc == VIDEO)
    assert video.ntp_time >> 32 == int(bench.unix) + NTP_EPOCH
    assert abs(video.rtp_time - offset - 100 * FRAME) <= 1
    assert (video.packet_count, video.octet_count) == (3, 3_000)
    bench.sending.tick(bench.now, (100 * FRAME, bench.now))
    assert bench.wire == [], "once a second"
    # A second later both clocks have run on, whatever jitter the pictures came with.
    bench.now += 1.0
    bench.unix += 1.0
    bench.sending.tick(bench.now, (124 * FRAME, bench.now))
    later = next(r for r in bench.rtcp() if isinstance(r, SenderReport) and r.ssrc == VIDEO)
    assert abs(later.rtp_time - video.rtp_time - 90_000) <= 1


def test_reports_of_the_viewer_are_read() -> None:
    bench = Bench()
    block = ReportBlock(
        ssrc=VIDEO,
        fraction_lost=64,
        packets_lost=10,
        highest_sequence=1,
        jitter=0,
        last_sr=0,
        delay_since_sr=0,
    )
    bench.feedback(serialize_rtcp(ReceiverReport(ssrc=9, reports=(block,))))
    assert bench.sending.fraction_lost == 0.25
    assert not bench.sending.left
    bench.feedback(serialize_rtcp(ReceiverReport(ssrc=9), Bye(sources=(9,))))
    assert bench.sending.left


def test_the_end_is_said_and_nothing_follows() -> None:
    bench = Bench()
    bench.frames(picture(0, key=True, packets=300))
    bench.sending.close()
    bench.sending.close()
    said = bench.rtcp()
    assert [packet.sources for packet in said if isinstance(packet, Bye)] == [(VIDEO,), (AUDIO,)]
    bench.advance(5.0)
    bench.sending.sound([b"x"], 0)
    bench.sending.tick(bench.now + 9, (0, bench.now))
    assert bench.wire == []


@given(st.binary(max_size=200))
def test_any_feedback_is_read_or_refused_in_one_way(data: bytes) -> None:
    bench = Bench()
    for text in (data, pli() + data, nack(3) + data):
        try:
            bench.feedback(text)
        except RtpError:
            continue
    assert len(bench.wire) == 0
