"""Bytes of a connection to requests and interleaved packets, however they are cut; what cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtsp.framer import Interleaved, RtspFramer, Unframed
from gateway.rtsp.limits import MAX_BODY, MAX_FIELD, MAX_HEAD, MAX_HEADERS, MAX_URL
from gateway.rtsp.message import RtspRequest

DESCRIBE = b"DESCRIBE rtsp://h/live/1 RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n"
WITH_BODY = (
    b"SET_PARAMETER rtsp://h/live/1 RTSP/1.0\r\nCSeq: 3\r\nContent-Length: 7\r\n\r\na: b\r\n!"
)
PACKET = b"$\x01\x00\x08" + b"\x80\xc9\x00\x01\x00\x00\x00\x07"
STREAM = DESCRIBE + PACKET + b"\r\n\r\n" + WITH_BODY + PACKET + DESCRIBE


def fed(*pieces: bytes) -> list[RtspRequest | Interleaved | Unframed]:
    framer = RtspFramer()
    return [item for piece in pieces for item in framer.feed(piece)]


def test_requests_and_packets_come_out_in_order() -> None:
    found = fed(STREAM)
    assert [getattr(item, "method", "packet") for item in found] == [
        "DESCRIBE", "packet", "SET_PARAMETER", "packet", "DESCRIBE",
    ]  # fmt: skip
    assert found[1] == Interleaved(1, PACKET[4:])
    body = found[2]
    assert isinstance(body, RtspRequest)
    assert (body.cseq, body.body) == (3, b"a: b\r\n!")


@pytest.mark.parametrize("cut", range(1, len(STREAM), 3))
def test_the_result_is_the_same_however_the_bytes_are_cut(cut: int) -> None:
    assert fed(STREAM[:cut], STREAM[cut:]) == fed(STREAM)


def test_byte_by_byte_is_the_same_too() -> None:
    assert fed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == fed(STREAM)


def test_bare_line_feeds_folded_headers_and_blanks_before_the_colon_are_read() -> None:
    (request,) = fed(b"OPTIONS * RTSP/1.0\nCSeq : 7\nUser-Agent: a\n player\n\n")
    assert isinstance(request, RtspRequest)
    assert (request.cseq, request.get("user-agent")) == (7, "a player")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "expected METHOD URL RTSP/1.0"),
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505, "expected RTSP/1.0, got RTSP/2.0"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "expected METHOD URL"),
        (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", 400, "expected NAME: VALUE"),
        (b"OPTIONS * RTSP/1.0\r\n folded\r\n\r\n", 400, "begins with a blank"),
        (b"OPTIONS * RTSP/1.0\r\n: empty\r\n\r\n", 400, "expected NAME: VALUE"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n", 400, "number as Content-Length"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413, "body of"),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", 400, "headers"),
        (b"OPTIONS * RTSP/1.0\r\nA: " + b"b" * (MAX_FIELD + 1) + b"\r\n\r\n", 400, "longer than"),
        (b"OPTIONS " + b"u" * (MAX_URL + 1) + b" RTSP/1.0\r\n\r\n", 414, "URL of"),
        (b"A" * (MAX_HEAD + 1), 400, "no end of the headers"),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A: b\r\n" * 3000 + b"\r\n", 400, "no end of the headers"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why_and_ends_the_reading(
    data: bytes, status: int, words: str
) -> None:
    framer = RtspFramer()
    (item,) = framer.feed(data)
    assert isinstance(item, Unframed)
    assert (item.status, words in item.detail) == (status, True), item
    assert framer.feed(DESCRIBE) == []
    assert not framer.holding


def test_the_number_of_an_unreadable_request_is_found_if_it_is_there() -> None:
    (item,) = fed(b"OPTIONS * RTSP/2.0\r\ncseq:  41 \r\n\r\n")
    assert isinstance(item, Unframed)
    assert item.cseq == 41


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_any_bytes_give_requests_packets_or_one_refusal(pieces: list[bytes]) -> None:
    found = fed(*pieces)
    assert found == fed(b"".join(pieces))
    assert all(not isinstance(item, Unframed) for item in found[:-1])
