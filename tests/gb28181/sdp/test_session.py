"""Session descriptions as such."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, SdpError
from gb28181.limits import MAX_SDP_BYTES, MAX_SDP_LINES, MAX_SDP_MEDIA, MAX_SDP_PAYLOADS
from gb28181.sdp.session import SdpMedia, SdpOrigin, SdpSession, format_ssrc, parse, serialize

VECTORS = Path(__file__).parents[2] / "vectors"
SAMPLES = sorted((VECTORS / "sdp").glob("*.sdp")) + sorted((VECTORS / "devices").glob("*.sdp"))


def test_the_standards_playback_offer_is_read_field_by_field() -> None:
    session = parse((VECTORS / "sdp/playback-tcp-passive-offer.sdp").read_bytes())
    assert session.origin == SdpOrigin(username="37132600002000000001", host="10.9.8.9")
    assert session.name == "Playback"
    assert session.uri == "37132600001320000001:3"
    assert session.connection == "10.9.8.9"
    assert session.time == (1763596800, 1763604000)
    assert session.ssrc == 1326000019
    assert session.f is None
    (media,) = session.media
    assert (media.kind, media.port, media.proto) == ("video", 30002, "TCP/RTP/AVP")
    assert media.payloads == (96, 98, 97)
    assert media.rtpmap == {96: "PS/90000", 98: "H264/90000", 97: "MPEG4/90000"}
    assert (media.setup, media.connection_attr) == ("passive", "new")
    assert media.direction == "recvonly"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_written_as_it_was_read(path: Path) -> None:
    data = path.read_bytes()
    assert serialize(parse(data)) == data.replace(b"s=\r\n", b"s=-\r\n")


SLOPPY = b"""\xef\xbb\xbfv=0
o=- 1 1 IN IP4 10.0.0.1
y=100000001\x20\x20
m=VIDEO 6000/2 rtp/avp 96 x 500 98\x00
c=IN IP4 10.0.0.2/127
x=private
a= rtpmap : 96  PS/90000
a=rtpmap:98
a=rtpmap:200 NO/1
a=RECVONLY
noise
b=AS:4096
"""


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\r\r\n", b" \n\n"])
def test_line_ends_blanks_order_and_missing_lines_do_not_matter(end: bytes) -> None:
    session = parse(SLOPPY.replace(b"\n", end))
    (media,) = session.media
    assert session.ssrc == 100_000_001
    assert (session.name, session.time, session.connection) == ("", (0, 0), None)
    assert session.host_of(media) == "10.0.0.2"
    assert (media.kind, media.port, media.proto) == ("video", 6000, "RTP/AVP")
    assert media.payloads == (96, 98)
    assert media.rtpmap == {96: "PS/90000"}
    assert media.direction == "recvonly"
    assert media.extra == (("x", "private"), ("b", "AS:4096"))
    assert media.setup is None
    assert media.connection_attr is None


def test_lines_are_written_in_the_order_of_the_standard() -> None:
    session = SdpSession(
        origin=SdpOrigin(username="1", host="10.0.0.1"),
        name="Play",
        uri="1:0",
        connection="10.0.0.1",
        attributes=(("charset", "GB2312"),),
        media=(
            SdpMedia(
                kind="video",
                port=9,
                proto="RTP/AVP",
                payloads=(96,),
                host="::1",
                extra=(("b", "AS:1"),),
                attributes=(("recvonly", None),),
            ),
        ),
        ssrc=7,
        f="v/////a///",
    )
    lines = serialize(session).decode().split("\r\n")
    assert "".join(line[:1] for line in lines) == "vosuctamcbayf"
    assert "c=IN IP6 ::1" in lines
    assert "y=0000000007" in lines


@pytest.mark.parametrize(
    ("line", "ssrc"),
    [
        (b"y=0326000017", 326000017),
        (b"y=326000017", 326000017),
        (b"y= 0326000017 ", 326000017),
        (b"Y=0326000017", 326000017),
        (b"y=4294967295", 4294967295),
        (b"y=4294967296", None),
        (b"y=99999999999", None),
        (b"y=-1", None),
        (b"y=abc", None),
        (b"y=", None),
    ],
)
def test_ssrc_is_a_number_of_32_bits_or_absent(line: bytes, ssrc: int | None) -> None:
    assert parse(b"v=0\n" + line).ssrc == ssrc


def test_ssrc_is_printed_with_ten_digits() -> None:
    assert format_ssrc(326000017) == "0326000017"


def test_names_in_the_charset_of_the_xml_are_read() -> None:
    assert parse("v=0\ns=北门枪机".encode("gb18030")).name == "北门枪机"
    assert parse("v=0\ns=北门枪机".encode()).name == "北门枪机"


def test_attributes_of_the_session_are_found_when_the_medium_has_none() -> None:
    session = parse(b"v=0\na=setup:active\na=flag\nm=video 5 TCP/RTP/AVP 96\na=setup:passive")
    assert session.attribute("setup") == "passive"
    assert session.attribute("FLAG") == ""
    assert session.attribute("other") is None


def test_media_address_falls_back_from_medium_to_session_to_origin() -> None:
    session = parse(b"o=1 0 0 IN IP4 10.0.0.3\nm=video 5 RTP/AVP 96")
    assert session.host_of(session.media[0]) == "10.0.0.3"
    assert replace(session, origin=None).host_of(session.media[0]) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<xml/>",
        b"v=0\nm=video",
        b"m=video x RTP/AVP 96",
        b"m=video 70000 RTP/AVP 96",
        b"v=0\n" + b"a" * MAX_SDP_BYTES,
        b"a=x\n" * (MAX_SDP_LINES + 1),
        b"m=video 1 RTP/AVP 96\n" * (MAX_SDP_MEDIA + 1),
    ],
)
def test_what_is_no_session_description_is_refused(data: bytes) -> None:
    with pytest.raises(SdpError):
        parse(data)


def test_payload_types_kept_are_bounded() -> None:
    numbers = " ".join(str(number) for number in range(128))
    maps = "".join(f"a=rtpmap:{number} X/1\n" for number in range(128))
    (media,) = parse(f"m=video 5 RTP/AVP {numbers}\n{maps}".encode()).media
    assert len(media.payloads) == MAX_SDP_PAYLOADS
    assert len(media.rtpmap) == MAX_SDP_PAYLOADS


@pytest.mark.parametrize("name", ["a\r\ny=1", "a\x00", "\ud800"])
def test_a_value_that_would_end_its_line_is_never_sent(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        serialize(SdpSession(name=name))


def test_an_ssrc_beyond_32_bits_is_never_sent() -> None:
    with pytest.raises(LocalProtocolError):
        serialize(SdpSession(ssrc=1 << 32))


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda letter, value: letter.encode() + b"=" + value,
            st.sampled_from("vosuctmcbayfxi"),
            st.one_of(
                st.binary(max_size=30),
                st.sampled_from(
                    [
                        b"video 6000 RTP/AVP 96 98",
                        b"audio 0 TCP/RTP/AVP 8",
                        b"IN IP4 10.0.0.1",
                        b"- 0 0 IN IP4 10.0.0.1",
                        b"rtpmap:96 PS/90000",
                        b"setup:active",
                        b"0326000017",
                        b"1 2",
                    ]
                ),
            ),
        ),
    ),
    max_size=20,
)


@given(LINES.map(b"\r\n".join) | st.binary(max_size=200))
def test_any_bytes_are_a_session_that_round_trips_or_the_documented_error(data: bytes) -> None:
    try:
        session = parse(data)
    except SdpError:
        return
    again = serialize(session)
    assert parse(again) == session
    assert serialize(parse(again)) == again
