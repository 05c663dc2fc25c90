"""Answers: which of the viewer's payload types carry the stream, and what is refused in words."""

from dataclasses import replace

import pytest
from aiortc.sdp import SessionDescription

from gateway.domain.rtp_out import RtpTrack
from gateway.domain.webrtc import CodecNotSupported
from gateway.media.webrtc.answer import (
    AnswerSide,
    build_answer,
    check_codecs,
    select,
    transport_section,
)
from gateway.media.webrtc.offer import parse_offer
from tests.support.offers import CHROMIUM, FINGERPRINT, FIREFOX, offer

SIDE = AnswerSide(
    ufrag="ourname1",
    password="ourpassword0123456789abcdef",
    fingerprint=FINGERPRINT,
    candidates=[("192.0.2.7", 31_000), ("2001:db8::7", 31_000)],
    session=77,
    ssrcs={"video": 1001, "audio": 1002},
    cname="cafe",
)


def h264(profile: str = "640028") -> RtpTrack:
    fmtp = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets=Z2QAKA==,aO4="
    return RtpTrack(
        kind="video", codec="h264", encoding="H264", clock_rate=90_000, payload_type=96, fmtp=fmtp
    )


HEVC = RtpTrack(kind="video", codec="hevc", encoding="H265", clock_rate=90_000, payload_type=96)
PCMA = RtpTrack(kind="audio", codec="pcm_alaw", encoding="PCMA", clock_rate=8000, payload_type=8)
PCMU = RtpTrack(kind="audio", codec="pcm_mulaw", encoding="PCMU", clock_rate=8000, payload_type=0)
AAC = RtpTrack(
    kind="audio", codec="aac", encoding="mpeg4-generic", clock_rate=16_000, payload_type=97
)


@pytest.mark.parametrize(
    ("profile", "payload_type"),
    [
        ("640028", 127),
        ("64001f", 127),
        ("4d4028", 115),
        ("4d001f", 115),
        ("42e01f", 109),
        ("42c01e", 103),
        ("420028", 103),
    ],
)
def test_the_payload_type_whose_profile_fits_best_is_taken(profile: str, payload_type: int) -> None:
    chosen = select(parse_offer(offer()), [h264(profile)]).video
    assert chosen.format.payload_type == payload_type


def test_a_viewer_that_offers_baseline_only_gets_high_as_every_server_sends_it() -> None:
    assert select(parse_offer(offer(FIREFOX)), [h264()]).video.format.payload_type == 126


def test_packetization_mode_0_alone_is_no_common_codec() -> None:
    text = CHROMIUM.replace("packetization-mode=1", "packetization-mode=0")
    with pytest.raises(CodecNotSupported, match=r"H\.264 High"):
        select(parse_offer(text.encode()), [h264()])


def test_h265_is_refused_in_words_unless_the_viewer_offers_it() -> None:
    parsed = parse_offer(offer())
    with pytest.raises(CodecNotSupported, match=r"camera sends H\.265") as caught:
        select(parsed, [HEVC, PCMA])
    assert (caught.value.status, caught.value.code) == (406, "codec_not_supported")
    safari = parse_offer(offer(CHROMIUM, ("AV1/90000", "H265/90000")))
    assert select(safari, [HEVC]).video.format.payload_type == 45


def test_an_offer_without_any_codec_of_cameras_is_refused_before_the_camera_is_asked() -> None:
    check_codecs(parse_offer(offer()))
    with pytest.raises(CodecNotSupported, match="only AV1, RTX, VP8, VP9"):
        check_codecs(parse_offer(offer(CHROMIUM, (" H264/90000", " VP9/90000"))))
    audio_only = CHROMIUM[: CHROMIUM.index("m=video")] + CHROMIUM[CHROMIUM.index("m=audio") :]
    with pytest.raises(CodecNotSupported, match="no video to receive"):
        check_codecs(parse_offer(audio_only.encode()))


@pytest.mark.parametrize(
    ("track", "payload_type", "transcoded"), [(PCMA, 8, False), (PCMU, 0, False), (AAC, 111, True)]
)
def test_sound_is_passed_through_or_made_opus(
    track: RtpTrack, payload_type: int, transcoded: bool
) -> None:
    audio = select(parse_offer(offer()), [h264(), track]).audio
    assert audio is not None
    assert (audio.format.payload_type, audio.transcoded) == (payload_type, transcoded)


def test_sound_that_the_viewer_cannot_take_is_left_out_with_a_remark() -> None:
    text = CHROMIUM.replace("opus/48000/2", "speex/16000")
    selection = select(parse_offer(text.encode()), [h264(), AAC])
    assert selection.audio is None
    assert "no sound" in selection.remark
    assert "AAC" in selection.remark


def test_sound_outside_the_bundle_is_left_out() -> None:
    text = CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")
    assert select(parse_offer(text.encode()), [h264(), PCMA]).audio is None


def test_pictures_that_come_in_another_order_than_shown_are_refused_in_words() -> None:
    with pytest.raises(CodecNotSupported, match="B-frames"):
        select(parse_offer(offer()), [replace(h264(), reordered=True)])
    with pytest.raises(CodecNotSupported, match="B-frames"):
        select(parse_offer(offer()), [h264()], reordered=True)


def test_an_answer_bundles_nothing_that_the_offer_did_not() -> None:
    others = parse_offer(offer(CHROMIUM, ("a=group:BUNDLE 0 1", "a=group:BUNDLE 1 5")))
    answer = build_answer(others, select(others, [h264(), PCMA]), SIDE)
    assert "BUNDLE" not in answer
    assert "m=video 9" in answer


def test_a_line_that_the_viewer_has_switched_off_is_not_sent_to() -> None:
    # Port 0 alone is a line that is not wanted; with bundle-only it shares another line's transport.
    shared = parse_offer(offer(FIREFOX))
    assert select(shared, [h264(), PCMA]).audio is not None
    switched_off = parse_offer(offer(FIREFOX, ("a=bundle-only\r\n", "")))
    assert select(switched_off, [h264(), PCMA]).audio is None
    with pytest.raises(CodecNotSupported):
        check_codecs(parse_offer(offer(FIREFOX, ("m=video 9", "m=video 0"))))


def test_an_answer_says_everything_at_once() -> None:
    parsed = parse_offer(offer())
    selection = select(parsed, [h264(), PCMA])
    text = build_answer(parsed, selection, SIDE)
    assert text.endswith("\r\n")
    for line in (
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=video 9 UDP/TLS/RTP/SAVPF 127",
        "a=setup:passive",
        "a=sendonly",
        "a=rtpmap:127 H264/90000",
        "a=fmtp:127 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f",
        "a=rtcp-fb:127 nack pli",
        "m=audio 9 UDP/TLS/RTP/SAVPF 8",
        "a=ssrc:1001 cname:cafe",
        "a=end-of-candidates",
    ):
        assert f"\r\n{line}\r\n" in text, line
    # As another implementation reads it.
    found = SessionDescription.parse(text)
    video, audio = found.media
    assert video.ice is not None
    assert video.dtls is not None
    assert video.ice.iceLite
    assert [c.ip for c in video.ice_candidates] == ["192.0.2.7", "2001:db8::7"]
    assert video.ice_candidates[0].priority > video.ice_candidates[1].priority
    assert (video.dtls.role, audio.rtp.codecs[0].mimeType) == ("server", "audio/PCMA")
    assert (video.rtp.muxId, audio.rtp.muxId) == ("0", "1")


def test_lines_that_get_nothing_are_refused_in_their_place() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n"
    at = CHROMIUM.index("m=video")
    text = (CHROMIUM[:at] + data + CHROMIUM[at:]).replace("BUNDLE 0 1", "BUNDLE 2 0 1")
    parsed = parse_offer(text.encode())
    answer = build_answer(parsed, select(parsed, [h264()]), SIDE)
    lines = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert lines == [
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=video 9 UDP/TLS/RTP/SAVPF 127",
        "m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110",
    ]
    assert "a=group:BUNDLE 0\r\n" in answer


def test_the_first_line_that_is_accepted_lends_its_transport() -> None:
    at, sound = CHROMIUM.index("m=video"), CHROMIUM.index("m=audio")
    text = CHROMIUM[:at] + CHROMIUM[sound:].replace("pGkA", "sound") + CHROMIUM[at:sound]
    parsed = parse_offer(text.encode())
    assert transport_section(parsed, select(parsed, [h264(), PCMA])).ufrag == "sound"
    assert transport_section(parsed, select(parsed, [h264()])).ufrag == "pGkA"
