"""Offers and answers."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, SdpError
from gb28181.sdp.answer import build_answer, read_answer
from gb28181.sdp.offer import (
    LiveOffer,
    StreamStyle,
    build_live_offer,
    read_offer,
    stream_attribute,
)
from gb28181.sdp.session import parse, serialize
from gb28181.sdp.transport import Transport

VECTORS = Path(__file__).parents[2] / "vectors"
PLATFORM = "37132600002000000001"
CAMERA = "37132600001320000001"
TRANSPORTS = ["udp", "tcp_passive", "tcp_active"]


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.sdp").read_bytes()


def lines(data: bytes) -> list[str]:
    return data.decode().split("\r\n")[:-1]


def offer(transport: str, **changes: object) -> bytes:
    values: dict[str, object] = {
        "owner_id": PLATFORM,
        "host": "10.9.8.9",
        "port": 30000,
        "transport": transport,
        "ssrc": 326000017,
        "payloads": (96, 98, 97),
    }
    return build_live_offer(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("transport", "sample", "changes"),
    [
        ("udp", "live-udp-offer", {}),
        ("tcp_passive", "live-tcp-platform-listens-passive-offer", {}),
        (
            "tcp_active",
            "live-tcp-platform-connects-active-sub-stream-1-offer",
            {"payloads": (96, 98, 97, 100), "streamnumber": 1},
        ),
    ],
)
def test_offers_hold_the_lines_of_the_standards_samples(
    transport: str, sample: str, changes: dict[str, object]
) -> None:
    ours, theirs = lines(offer(transport, **changes)), lines(vector(f"sdp/{sample}"))
    assert sorted(ours) == sorted(theirs)
    # Only the order among the a= lines differs.
    assert [line for line in ours if line[0] != "a"] == [line for line in theirs if line[0] != "a"]


def test_the_rtpmap_of_ps_is_the_first_attribute() -> None:
    assert offer("udp", payloads=None) == vector("devices/q005-rtpmap-of-ps-first")


@pytest.mark.parametrize(
    ("version", "payloads"),
    [("", (96, 98, 97, 99)), ("2.0", (96, 98, 97, 99)), ("3.0", (96, 98, 97, 100))],
)
def test_h265_has_the_payload_type_of_the_peers_edition(
    version: str, payloads: tuple[int, ...]
) -> None:
    read = read_offer(offer("udp", payloads=None, gb_version=version))
    assert tuple(read.payloads) == payloads
    assert read.payloads[payloads[-1]] == "H265"


@pytest.mark.parametrize(
    ("style", "name"),
    [
        (StreamStyle.STREAM, "stream"),
        (StreamStyle.STREAMNUMBER, "streamnumber"),
        (StreamStyle.STREAMPROFILE, "streamprofile"),
        (StreamStyle.STREAM_MODE, "streammode"),
    ],
)
def test_a_sub_stream_is_asked_for_in_the_vendors_way(style: StreamStyle, name: str) -> None:
    sample = parse(vector(f"devices/q110-sub-stream-{name}"))
    key, value = stream_attribute(style, 1)
    assert sample.attribute(key) == value
    assert read_offer(vector(f"devices/q110-sub-stream-{name}")).streamnumber == 1
    assert read_offer(offer("udp", attributes=[(key, value)])).streamnumber == 1


def test_tp_link_is_asked_for_its_main_stream_by_stream_mode() -> None:
    key, value = stream_attribute(StreamStyle.STREAM_MODE, 0)
    assert parse(vector("devices/q112-streammode-main")).attribute(key) == value
    assert stream_attribute(StreamStyle.STREAM_WORD, 0) == ("stream", "main")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_neither_offer_nor_answer_is_sent_without_a_real_port(port: int) -> None:
    with pytest.raises(LocalProtocolError):
        offer("tcp_active", port=port)
    with pytest.raises(LocalProtocolError):
        build_answer(name="", owner_id="1", host="h", port=port, transport="udp", ssrc=None)


@pytest.mark.parametrize(
    ("sample", "transport"),
    [
        ("live-udp", "udp"),
        ("live-tcp-platform-listens-passive", "tcp_passive"),
        ("live-tcp-platform-connects-active-sub-stream-1", "tcp_active"),
        ("playback-udp", "udp"),
        ("playback-tcp-passive", "tcp_passive"),
        ("playback-tcp-active", "tcp_active"),
        ("download-udp-speed-4", "udp"),
        ("download-tcp-passive", "tcp_passive"),
        ("download-tcp-active", "tcp_active"),
        ("broadcast-udp", "udp"),
        ("broadcast-tcp-device-listens", "tcp_passive"),
        ("broadcast-tcp-device-connects", "tcp_active"),
        ("talk-de-facto-udp", "udp"),
        ("talk-tcp-passive", "tcp_passive"),
    ],
)
def test_the_standards_answers_follow_from_its_offers(sample: str, transport: str) -> None:
    theirs = vector(f"sdp/{sample}-answer")
    answer = read_answer(theirs, transport=transport)
    received = read_offer(vector(f"sdp/{sample}-offer"))
    assert received.transport == transport
    assert answer.remarks == ()
    ours = received.answer(
        owner_id=answer.owner_id,
        host=answer.host,
        port=answer.port,
        payload_type=next(iter(answer.payloads)),
        filesize=answer.filesize,
    )
    assert ours == theirs


def test_a_playback_offer_tells_window_and_speed() -> None:
    read = read_offer(vector("sdp/download-udp-speed-4-offer"))
    assert (read.name, read.uri) == ("Download", f"{CAMERA}:3")
    assert read.time == (1763596800, 1763604000)
    assert read.downloadspeed == 4
    assert read_answer(vector("sdp/download-udp-speed-4-answer")).filesize == 10485760


def test_an_answer_is_read_field_by_field() -> None:
    answer = read_answer(vector("sdp/live-udp-answer"), transport="udp", ssrc=326000017)
    assert answer.remote == ("10.9.20.31", 62000)
    assert answer.ssrc == 326000017
    assert answer.payloads == {96: "PS"}
    assert (answer.setup, answer.proto, answer.kind) == (None, "RTP/AVP", "video")
    assert answer.owner_id == CAMERA
    assert answer.remarks == ()


def test_another_ssrc_in_the_answer_is_taken_and_remarked() -> None:
    answer = read_answer(vector("devices/q090-answer-with-another-ssrc"), ssrc=326000017)
    assert answer.ssrc == 200000177
    assert answer.remarks == ("offered y=0326000017, answered y=0200000177",)


def test_an_answer_without_ssrc_is_accepted_and_remarked() -> None:
    answer = read_answer(vector("devices/q091-answer-without-ssrc"), ssrc=326000017)
    assert answer.ssrc is None
    assert "no usable y=" in answer.remarks[0]


def test_port_0_is_a_refusal() -> None:
    with pytest.raises(SdpError, match="refuses the medium: m=video 0") as caught:
        read_answer(vector("devices/q107-answer-refused-with-port-0"), transport="udp")
    assert caught.value.status == 488


def test_the_channel_suffix_of_audio_and_ps_beside_it_do_not_matter() -> None:
    read = read_offer(vector("devices/q025-audio-channel-suffix"))
    assert read.payloads == {8: "PCMA", 96: "PS"}
    answer = parse(read.answer(owner_id=PLATFORM, host="10.9.8.9", port=30008, payload_type=8))
    assert answer.media[0].rtpmap == {8: "PCMA/8000"}
    assert answer.f == read.f


ANSWER = "v=0\r\no=1 0 0 IN IP4 10.0.0.9\r\nm=video 5000 {proto} 96\r\n{setup}y=1\r\n"


@pytest.mark.parametrize(
    ("transport", "proto", "setup", "message"),
    [
        (
            "tcp_passive",
            "TCP/RTP/AVP",
            "passive",
            "must say setup:active, but it says setup:passive",
        ),
        ("tcp_active", "TCP/RTP/AVP", "active", "must say setup:passive, but it says setup:active"),
        ("tcp_passive", "TCP/RTP/AVP", "holdconn", "but it says setup:holdconn"),
        ("udp", "TCP/RTP/AVP", "active", r"offered UDP \(RTP/AVP\), the answer says TCP/RTP/AVP"),
    ],
)
def test_an_answer_that_contradicts_the_offer_is_refused_with_a_sentence(
    transport: str, proto: str, setup: str, message: str
) -> None:
    body = ANSWER.format(proto=proto, setup=f"a=setup:{setup}\r\n").encode()
    with pytest.raises(SdpError, match=message):
        read_answer(body, transport=transport)


@pytest.mark.parametrize(
    ("transport", "proto", "setup", "remarks"),
    [
        ("tcp_passive", "TCP/RTP/AVP", "a=setup:ACTIVE\r\n", 0),
        ("tcp_passive", "TCP/RTP/AVP", "", 1),
        ("tcp_active", "TCP/RTP/AVP", "a=setup:actpass\r\n", 1),
        ("tcp_passive", "RTP/AVP", "a=setup:active\r\n", 1),
        ("udp", "RTP/AVP", "a=setup:active\r\n", 0),
    ],
)
def test_a_missing_role_or_protocol_is_completed(
    transport: str, proto: str, setup: str, remarks: int
) -> None:
    body = ANSWER.format(proto=proto, setup=setup).encode()
    answer = read_answer(body, transport=transport)
    assert len(answer.remarks) == remarks
    assert answer.payloads == {96: "PS"}
    assert answer.remote == ("10.0.0.9", 5000)


def test_the_role_may_stand_before_the_medium() -> None:
    body = b"v=0\na=setup:passive\nm=video 5000 TCP/RTP/AVP 96\n"
    with pytest.raises(SdpError, match="setup:passive"):
        read_answer(body, transport="tcp_passive")


@pytest.mark.parametrize(
    "body", [b"", b" \r\n", b"v=0\r\ns=Play\r\n", b"v=0\r\nm=video 0 RTP/AVP 96\r\n", b"\x00\xff"]
)
def test_an_unusable_answer_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError):
        read_answer(body, transport="udp")


def test_a_connector_needs_an_address_and_a_listener_does_not() -> None:
    body = b"v=0\nm=video 5000 TCP/RTP/AVP 96\n"
    assert read_answer(body, transport="tcp_passive").remote is None
    with pytest.raises(SdpError, match="no address"):
        read_answer(body, transport="tcp_active")


def test_video_is_preferred_and_a_refused_medium_passed_over() -> None:
    body = b"v=0\nm=video 0 RTP/AVP 96\nm=audio 8 RTP/AVP 8\nm=video 9 RTP/AVP 98\n"
    answer = read_answer(body)
    assert (answer.kind, answer.port, answer.payloads) == ("video", 9, {98: "H264"})


def test_a_vendors_private_encoding_is_remarked() -> None:
    body = b"v=0\nm=video 9 RTP/AVP 96 96\na=rtpmap:96 HIKVISION/90000\na=rtpmap:97 PS/90000\ny=1\n"
    answer = read_answer(body)
    assert answer.payloads == {96: "HIKVISION", 97: "PS"}
    assert "HIKVISION" in answer.remarks[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"v=0\ns=Play\n", 400),
        (b"v=0\nc=IN IP4 10.0.0.1\nm=video 0 RTP/AVP 96\n", 488),
        (b"v=0\nm=video 5 RTP/AVP 96\n", 400),
        (b"v=0\nc=IN IP4 10.0.0.1\nm=video 5 UDP/TLS/RTP/SAVPF 96\n", 488),
        (b"v=0\nc=IN IP4 0.0.0.0\nm=video 5 RTP/AVP 96\n", 488),
        (b"v=0\nc=IN IP4 239.1.2.3\nm=video 5 RTP/AVP 96\n", 488),
        (b"v=0\nc=IN IP6 ::\nm=video 5 TCP/RTP/AVP 96\na=setup:passive\n", 488),
        (b"v=0\nm=video 5 TCP/RTP/AVP 96\na=setup:holdconn\n", 488),
    ],
)
def test_an_offer_that_cannot_be_met_names_the_status(body: bytes, status: int) -> None:
    with pytest.raises(SdpError) as caught:
        read_offer(body)
    assert caught.value.status == status


@given(
    st.sampled_from(TRANSPORTS),
    st.integers(1, 65535),
    st.integers(0, 1_999_999_999),
    st.none() | st.integers(0, 9),
    st.sampled_from(["", "2.0", "3.0"]),
)
def test_an_offer_and_its_answer_say_what_was_put_in(
    transport: str, port: int, ssrc: int, streamnumber: int | None, version: str
) -> None:
    sent = build_live_offer(
        owner_id=PLATFORM,
        host="10.1.2.3",
        port=port,
        transport=transport,
        ssrc=ssrc,
        streamnumber=streamnumber,
        gb_version=version,
    )
    received = read_offer(sent)
    assert (received.owner_id, received.name, received.kind) == (PLATFORM, "Play", "video")
    assert (received.host, received.port, received.ssrc) == ("10.1.2.3", port, ssrc)
    assert received.transport is Transport(transport)
    assert received.streamnumber == streamnumber
    assert received.direction == "recvonly"
    answer = read_answer(
        received.answer(owner_id=CAMERA, host="10.1.2.4", port=port), transport=transport, ssrc=ssrc
    )
    assert (answer.remote, answer.ssrc, answer.payloads) == (("10.1.2.4", port), ssrc, {96: "PS"})
    assert answer.remarks == ()


MUTATIONS = st.tuples(
    st.sampled_from(sorted((VECTORS / "sdp").glob("*.sdp"))).map(Path.read_bytes),
    st.integers(0, 300),
    st.binary(max_size=8),
).map(lambda item: item[0][: item[1]] + item[2] + item[0][item[1] + len(item[2]) :])


@given(MUTATIONS | st.binary(max_size=200), st.sampled_from([None, *TRANSPORTS]))
def test_any_bytes_are_read_or_refused_with_the_documented_error(
    body: bytes, transport: str | None
) -> None:
    with contextlib.suppress(SdpError):
        assert 0 < read_answer(body, transport=transport, ssrc=1).port <= 65535
    with contextlib.suppress(SdpError):
        assert isinstance(read_offer(body), LiveOffer)


# What a sender to an upper platform needs.


def upper_offer(media: str, *attributes: str, y: str = "y=0326000017") -> LiveOffer:
    text = [
        "v=0",
        f"o={PLATFORM} 0 0 IN IP4 10.9.8.9",
        "s=Play",
        "c=IN IP4 10.9.8.9",
        "t=0 0",
        media,
        *attributes,
        y,
    ]
    return read_offer("".join(f"{line}\r\n" for line in text if line).encode())


@pytest.mark.parametrize(
    ("media", "attributes", "payload"),
    [
        ("m=video 30000 RTP/AVP 96 98 97", ("a=rtpmap:96 PS/90000",), 96),
        ("m=video 30000 RTP/AVP 96", (), 96),
        ("m=video 30000 RTP/AVP 98 97", ("a=rtpmap:98 H264/90000", "a=rtpmap:97 PS/90000"), 97),
        ("m=video 30000 RTP/AVP 96", ("a=rtpmap:96 ps/90000",), 96),
        ("m=video 30000 RTP/AVP 98 96", ("a=rtpmap:98 H264/90000",), 96),
        ("m=video 30000 RTP/AVP", (), 96),
        ("m=video 30000 RTP/AVP 98", ("a=rtpmap:98 H264/90000",), None),
        ("m=video 30000 RTP/AVP 96", ("a=rtpmap:96 H264/90000",), None),
    ],
)
def test_the_payload_type_of_ps_is_the_one_the_upper_gave_it(
    media: str, attributes: tuple[str, ...], payload: int | None
) -> None:
    assert upper_offer(media, "a=recvonly", *attributes).payload_for("PS") == payload


@pytest.mark.parametrize(
    ("y", "ssrc"),
    [
        ("y=0326000017", 326000017),
        ("y=032600017", 32600017),
        ("y=326000017", 326000017),
        ("", None),
        ("y=none", None),
        ("y=99999999999", None),
    ],
)
def test_an_ssrc_of_nine_digits_or_none_at_all_is_understood(y: str, ssrc: int | None) -> None:
    received = upper_offer("m=video 30000 RTP/AVP 96", "a=recvonly", y=y)
    assert received.ssrc == ssrc
    answer = received.answer(owner_id=CAMERA, host="10.9.20.31", port=62000, ssrc=117)
    assert lines(answer)[-1] == "y=0000000117"


def test_our_answer_to_an_upper_is_complete() -> None:
    received = upper_offer(
        "m=video 30000 TCP/RTP/AVP 98 97",
        "a=recvonly",
        "a=rtpmap:98 H264/90000",
        "a=rtpmap:97 PS/90000",
        "a=setup:passive",
        "a=connection:new",
        y="",
    )
    answer = received.answer(
        owner_id=CAMERA, host="10.9.20.31", port=40010, payload_type=97, ssrc=326000017
    )
    assert lines(answer) == [
        "v=0",
        f"o={CAMERA} 0 0 IN IP4 10.9.20.31",
        "s=Play",
        "c=IN IP4 10.9.20.31",
        "t=0 0",
        "m=video 40010 TCP/RTP/AVP 97",
        "a=sendonly",
        "a=rtpmap:97 PS/90000",
        "a=setup:active",
        "a=connection:new",
        "y=0326000017",
    ]


@pytest.mark.parametrize("direction", ["a=recvonly", "a=sendonly", "a=sendrecv", "a=inactive", ""])
def test_a_sender_may_say_so_whatever_the_offer_says(direction: str) -> None:
    received = upper_offer("m=video 30000 RTP/AVP 96", direction)
    answer = received.answer(owner_id=CAMERA, host="h", port=62000, direction="sendonly")
    assert parse(answer).media[0].direction == "sendonly"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_late_offer_and_the_answer_in_the_ack_agree(transport: str) -> None:
    late = offer(transport, owner_id=CAMERA, payloads=(96,), direction="sendonly")
    assert lines(late)[5:8] == [
        f"m=video 30000 {'RTP/AVP' if transport == 'udp' else 'TCP/RTP/AVP'} 96",
        "a=rtpmap:96 PS/90000",
        "a=sendonly",
    ]
    assert lines(late)[-1] == "y=0326000017"
    # The upper reads it as any offer, and answers as the receiver.
    received = read_offer(late)
    assert received.transport == transport
    ack = received.answer(owner_id=PLATFORM, host="10.9.8.9", port=30100)
    assert parse(ack).media[0].direction == "recvonly"
    answer = read_answer(ack, transport=transport, ssrc=326000017, sending=True)
    assert (answer.remote, answer.payloads, answer.remarks) == (("10.9.8.9", 30100), {96: "PS"}, ())


def test_the_answer_in_an_ack_must_say_where_to_send() -> None:
    nowhere = b"v=0\r\ns=Play\r\nm=video 30100 RTP/AVP 96\r\n"
    with pytest.raises(SdpError, match="names no address"):
        read_answer(nowhere, transport="udp", sending=True)
    # A device that sends to us need not say from where.
    assert read_answer(nowhere, transport="udp").remote is None
    connecting = b"v=0\r\ns=Play\r\nm=video 30100 TCP/RTP/AVP 96\r\na=setup:active\r\n"
    answer = read_answer(connecting, transport="tcp_passive", sending=True)
    assert answer.remote is None


def test_an_empty_ack_is_no_answer() -> None:
    with pytest.raises(SdpError, match="no SDP"):
        read_answer(b"", transport="udp", sending=True)


TWO = (
    b"v=0\r\no=x 0 0 IN IP4 10.9.8.9\r\ns=%s\r\nc=IN IP4 10.9.8.9\r\nt=0 0\r\n"
    b"m=audio 30010 TCP/RTP/AVP 8 0\r\na=setup:active\r\n"
    b"m=video 30000 TCP/RTP/AVP 96\r\na=setup:passive\r\na=rtpmap:96 PS/90000\r\n"
    b"m=application 30020 RTP/AVP\r\ny=0100000001\r\n"
)


def test_of_several_media_video_is_meant_and_each_has_its_line_in_the_answer() -> None:
    read = read_offer(TWO % b"Play")
    assert (read.kind, read.port, read.transport) == ("video", 30000, Transport.TCP_PASSIVE)
    answer = parse(read.answer(owner_id=CAMERA, host="10.9.20.31", port=40000))
    assert [(m.kind, m.port, m.payloads) for m in answer.media] == [
        ("audio", 0, (8,)),
        ("video", 40000, (96,)),
        ("application", 0, (0,)),
    ]
    assert answer.ssrc == 100000001
    told = read_answer(serialize(answer), transport="tcp_passive")
    assert (told.kind, told.port) == ("video", 40000)


def test_where_people_talk_sound_is_meant() -> None:
    read = read_offer(TWO % b"Talk")
    assert (read.kind, read.port, read.transport) == ("audio", 30010, Transport.TCP_ACTIVE)


def test_a_role_for_all_media_counts_where_a_medium_has_none() -> None:
    body = (TWO % b"Play").replace(b"a=setup:passive\r\n", b"")
    assert read_offer(body).transport is Transport.TCP_PASSIVE
    body = body.replace(b"t=0 0\r\n", b"t=0 0\r\na=setup:active\r\n")
    assert read_offer(body).transport is Transport.TCP_ACTIVE
