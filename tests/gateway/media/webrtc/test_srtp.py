"""Packets made in place are those that libsrtp's own users open."""

import os

import pytest
from pylibsrtp import Error, Policy, Session

from gateway.media.webrtc.dtls import SrtpKeys
from gateway.media.webrtc.srtp import SLOTS, RtpStamp, SrtpBench, SrtpReceiver, SrtpSender
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.rtcp import ReceiverReport, serialize_rtcp

PROFILES = {
    "cm": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "gcm": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "gcm256": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}


def pair(name: str = "gcm") -> tuple[SrtpSender, Session, SrtpKeys]:
    profile, length = PROFILES[name]
    keys = SrtpKeys(profile=profile, send=os.urandom(length), receive=os.urandom(length))
    policy = Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
    return SrtpSender(keys, SrtpBench()), Session(policy), keys


@pytest.mark.parametrize("name", PROFILES)
def test_a_frame_comes_out_as_it_went_in(name: str) -> None:
    sender, viewer, _ = pair(name)
    payloads = [os.urandom(size) for size in (1180, 1180, 7, 1, 1180)]
    packets = sender.protect(
        payloads, RtpStamp(102, 0xDEADBEEF), 65_534, (1 << 32) + 5, marker=True
    )
    found = [RtpPacket.parse(viewer.unprotect(bytes(packet))) for packet in packets]
    assert [packet.payload for packet in found] == payloads
    assert [packet.sequence for packet in found] == [65_534, 65_535, 0, 1, 2]
    assert [packet.marker for packet in found] == [False, False, False, False, True]
    assert {(p.payload_type, p.timestamp, p.ssrc) for p in found} == {(102, 5, 0xDEADBEEF)}


def test_as_many_packets_as_there_is_room_for_are_made_at_once() -> None:
    sender, viewer, _ = pair()
    packets = sender.protect([b"x" * 1180] * SLOTS, RtpStamp(96, 1), 0, 0, marker=False)
    assert all(not RtpPacket.parse(viewer.unprotect(bytes(packet))).marker for packet in packets)


def test_senders_that_share_memory_do_not_disturb_each_other() -> None:
    bench = SrtpBench()
    profile, length = PROFILES["gcm"]
    senders = []
    for _ in range(3):
        keys = SrtpKeys(profile=profile, send=os.urandom(length), receive=os.urandom(length))
        policy = Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        senders.append((SrtpSender(keys, bench), Session(policy)))
    for number in range(100):
        for sender, viewer in senders:
            (packet,) = sender.protect([b"shared payload"], RtpStamp(96, 9), number, 0, marker=True)
            assert RtpPacket.parse(viewer.unprotect(bytes(packet))).payload == b"shared payload"


def test_a_packet_made_anew_is_the_same_packet() -> None:
    sender, viewer, _ = pair()
    stamp = RtpStamp(96, 7)
    first = bytes(sender.protect([b"once"], stamp, 10, 900, marker=True)[0])
    for number in range(11, 2_000):
        sender.protect([b"more"], stamp, number, 900, marker=False)
    (again,) = sender.protect([b"once"], stamp, 10, 900, marker=True)
    assert bytes(again) == first
    viewer.unprotect(first)


def test_rtcp_goes_both_ways_and_only_with_the_right_keys() -> None:
    sender, viewer, keys = pair()
    report = serialize_rtcp(ReceiverReport(ssrc=5))
    assert viewer.unprotect_rtcp(sender.protect_rtcp(report)) == report
    back = SrtpSender(
        SrtpKeys(profile=keys.profile, send=keys.receive, receive=keys.send), SrtpBench()
    )
    receiver = SrtpReceiver(keys)
    packet = back.protect_rtcp(report)
    assert receiver.unprotect_rtcp(packet) == report
    assert receiver.unprotect_rtcp(packet) is None, "a repetition"
    assert receiver.unprotect_rtcp(packet[:-1]) is None
    assert receiver.unprotect_rtcp(os.urandom(60)) is None
    assert receiver.unprotect_rtcp(b"\x80") is None
    assert receiver.unprotect_rtcp(bytes(3_000)) is None
    with pytest.raises(Error):
        viewer.unprotect_rtcp(packet)
