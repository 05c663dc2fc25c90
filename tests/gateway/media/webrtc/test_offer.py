"""Offers are read strictly: what browsers write, and whatever else may come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.webrtc import OfferInvalid
from gateway.media.webrtc.offer import (
    MAX_OFFER,
    MAX_SECTIONS,
    parse_fragment,
    parse_offer,
)
from tests.support.offers import CHROMIUM, FINGERPRINT, FIREFOX, offer


def test_an_offer_of_chromium_is_read() -> None:
    found = parse_offer(offer())
    video, audio = found.sections
    assert found.bundle == ("0", "1")
    assert (video.kind, video.mid, video.direction) == ("video", "0", "recvonly")
    assert (video.ufrag, video.password) == ("pGkA", "9pRzbLqWzE3bCFy0Lt2b1u4s")
    assert video.fingerprints == [("sha-256", FINGERPRINT)]
    names = {item.payload_type: item.encoding for item in video.formats}
    assert names[127] == "H264"
    assert names[97] == "RTX"
    assert video.formats[-2].parameter("profile-level-id") == "64001f"
    assert [(f.encoding, f.clock_rate, f.channels) for f in audio.formats[:1]] == [
        ("OPUS", 48_000, 2)
    ]
    assert video.wants_media
    assert audio.wants_media


def test_what_firefox_says_once_for_the_session_counts_for_every_line() -> None:
    found = parse_offer(offer(FIREFOX))
    assert [section.fingerprints for section in found.sections] == [[("sha-256", FINGERPRINT)]] * 2
    assert all(section.wants_media for section in found.sections)


def test_lines_may_end_as_unix_ends_them() -> None:
    assert parse_offer(offer(CHROMIUM.replace("\r\n", "\n"))).sections[0].mid == "0"


def test_payload_types_of_g711_need_no_rtpmap() -> None:
    text = CHROMIUM.replace("a=rtpmap:8 PCMA/8000\r\n", "").replace("a=rtpmap:0 PCMU/8000\r\n", "")
    audio = parse_offer(text.encode()).sections[1]
    assert {f.payload_type: f.encoding for f in audio.formats if f.encoding.startswith("PCM")} == {
        0: "PCMU",
        8: "PCMA",
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("v=0\r\n", "", "v=0"),
        ("s=-\r\n", "s-\r\n", "line 3 is not of the form"),
        ("s=-\r\n", "\r\n", "line 3 is not of the form"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("a=mid:1", "a=mid:1 2", "mid is not a token"),
        ("m=video 9", "m=video nine", "is not an m= line"),
        ("m=video 9", "m=video 99999", "is not an m= line"),
        ("SAVPF 96 97", "SAVPF 96 x7", "x7 is not a payload type"),
        ("SAVPF 96 97", "SAVPF 96 128", "128 is not a payload type"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8", "cannot be read"),
        ("a=ice-ufrag:pGkA", "a=ice-ufrag:p:A", "ice-ufrag is not"),
        ("a=ice-pwd:9pRzbLqWzE3bCFy0Lt2b1u4s", "a=ice-pwd:short", "ice-pwd is not"),
        ("a=fingerprint:sha-256 00:01", "a=fingerprint:sha-256 0001", "fingerprint is not"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:md5 ", "lacks a=fingerprint"),
        ("a=extmap-allow-mixed", "a=ice-lite", "ice-lite"),
        ("a=recvonly", "a=sendonly", "lacks a=recvonly"),
        ("a=rtcp-mux\r\n", "", "lacks a=rtcp-mux"),
        ("a=setup:actpass", "a=setup:passive", "lacks a=setup:actpass"),
        ("a=ice-ufrag:pGkA\r\n", "", "lacks a=ice-ufrag"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "lacks protocol"),
    ],
)  # fmt: skip
def test_a_malformed_offer_is_refused_in_words(old: str, new: str, words: str) -> None:
    with pytest.raises(OfferInvalid, match=words) as caught:
        parse_offer(offer(CHROMIUM, (old, new)))
    assert caught.value.code == "offer_invalid"
    assert caught.value.status == 400


def test_an_offer_has_limits() -> None:
    head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    for text, words in (
        (head + "a=x\r\n" * MAX_OFFER, "longer than"),
        (head + "a=x\r\n" * 3_000, "more than 2000 lines"),
        (head + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * (MAX_SECTIONS + 1), "more than 16 m= lines"),
        (head + "m=video 9 UDP/TLS/RTP/SAVPF" + " 96" * 129 + "\r\n", "more than 128 payload"),
        (head + "a=x\r\n", "no m= line of video or audio"),
        (head + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "no m= line of video"),
    ):
        with pytest.raises(OfferInvalid, match=words):
            parse_offer(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    for data in (b"", b"\xff\xfe", b"v=0\r\ns=\x00\r\n", b"{}"):
        with pytest.raises(OfferInvalid):
            parse_offer(data)


def outcome(data: bytes) -> str:
    try:
        found = parse_offer(data)
    except OfferInvalid as exc:
        return exc.code
    return "read" if found.sections else "empty"


@given(st.binary(max_size=300))
def test_any_bytes_give_an_offer_or_the_one_error(data: bytes) -> None:
    for text in (data, offer() + data, data + offer()):
        assert outcome(text) in {"read", "offer_invalid"}


@given(st.data())
def test_an_offer_with_a_few_changed_characters_is_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(offer())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert outcome(bytes(text)) in {"read", "offer_invalid"}


def test_a_fragment_tells_its_ice_session() -> None:
    fragment = b"a=ice-ufrag:pGkA\r\na=ice-pwd:9pRzbLqWzE3bCFy0Lt2b1u4s\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\n"
    assert parse_fragment(fragment + b"a=mid:0\r\na=end-of-candidates\r\n") == "pGkA"
    assert parse_fragment(b"a=end-of-candidates\r\n") == ""
    for bad in (b"", b"a=ice-ufrag:a b\r\n", b"hello", b"\xff"):
        with pytest.raises(OfferInvalid):
            parse_fragment(bad)
