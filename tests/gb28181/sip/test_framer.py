from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.limits import (
    MAX_SIP_BODY,
    MAX_SIP_BODY_UNMEASURED,
    MAX_SIP_HEAD,
    MAX_SIP_RESYNC,
    SIP_BODY_WAIT,
    SIP_PEEK_WAIT,
    SIP_ROOT_WAIT,
)
from gb28181.sip.framer import FrameError, KeepAlive, SipFramer
from gb28181.sip.parser import parse

VECTORS = Path(__file__).parents[2] / "vectors" / "devices"
XML = b"<?xml version='1.0'?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n</Notify>"


def message(
    *lines: str,
    method: str = "MESSAGE",
    body: bytes = b"",
    xml: bool = False,
    start: str | None = None,
) -> bytes:
    head = [
        start or f"{method} sip:b@h SIP/2.0",
        "Via: SIP/2.0/TCP h;branch=z9hG4bK1",
        "From: <sip:a@h>;tag=1",
        "To: <sip:b@h>",
        "Call-ID: c",
        f"CSeq: 1 {method}",
        *lines,
        *(["Content-Type: Application/MANSCDP+xml"] if xml else []),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def measured(body: bytes = b"", *, xml: bool = False) -> bytes:
    return message(f"Content-Length: {len(body)}", body=body, xml=xml)


def feed(*parts: bytes, now: float = 0.0) -> list[bytes | FrameError | KeepAlive]:
    framer = SipFramer()
    return [frame for part in parts for frame in framer.feed(part, now)]


def body_of(frame: bytes | FrameError | KeepAlive) -> bytes:
    assert isinstance(frame, bytes)
    return parse(frame).body


def error_of(frames: list[bytes | FrameError | KeepAlive]) -> FrameError:
    (frame,) = frames
    assert isinstance(frame, FrameError)
    return frame


def test_messages_are_cut_by_content_length() -> None:
    one, two = measured(b"abc"), measured()
    assert feed(one + two + one) == [one, two, one]


def test_message_is_complete_with_its_last_byte() -> None:
    framer = SipFramer()
    data = measured(XML, xml=True)
    assert framer.feed(data[:-1], 0.0) == []
    assert framer.feed(data[-1:], 0.0) == [data]
    assert framer.next_timer() is None


def test_compact_and_folded_content_length_are_read() -> None:
    for line in ("l: 3", "L  :3", "Content-Length:\r\n 3", "CONTENT-LENGTH: 0003"):
        data = message(line, body=b"abc")
        assert feed(data + measured()) == [data, measured()]


def test_double_crlf_between_messages_is_a_ping_and_single_ones_are_nothing() -> None:
    one = measured()
    assert feed(b"\r\n" + one + b"\r\n" + one) == [one, one]
    assert feed(b"\r\n\r\n") == [KeepAlive()]
    assert feed(b"\r\n", b"\r", b"\n") == [KeepAlive()]
    assert feed(one + b"\r\n\r\n\r\n\r\n" + one) == [one, KeepAlive(), KeepAlive(), one]


def test_nuls_and_blanks_between_messages_are_nothing() -> None:
    one = measured()
    assert feed(b"\0\0\0\0", one, b"\0\0  \0\n", one) == [one, one]


@pytest.mark.parametrize("lines", [(), ("Content-Length: 0",)])
@pytest.mark.parametrize("method", ["MESSAGE", "NOTIFY", "Message"])
def test_unmeasured_xml_body_ends_at_its_root_tag(lines: tuple[str, ...], method: str) -> None:
    one = message(*lines, method=method, body=XML, xml=True)
    frames = feed(one + b"\0\r\n" + measured(b"abc"))
    assert [body_of(frame) for frame in frames] == [XML, b"abc"]


def test_root_tag_may_be_closed_at_once_or_have_attributes() -> None:
    for body in (b"<Query/>", b"<Query a='1' />", b'<Query a="b">\r\n<x/></Query >'):
        frames = feed(message(body=body, xml=True) + measured())
        assert [body_of(frame) for frame in frames] == [body, b""]


def test_content_length_counted_in_characters_is_corrected() -> None:
    body = "<?xml?><Response><Name>大门摄像机</Name></Response>".encode("gbk")
    short = message(f"Content-Length: {len(body) - 5}", body=body, xml=True)
    frames = feed(short + measured(b"abc"))
    assert [body_of(frame) for frame in frames] == [body, b"abc"]


def test_short_content_length_is_believed_when_a_message_follows() -> None:
    damaged = measured(XML[:-9], xml=True)
    assert feed(damaged + measured()) == [damaged, measured()]
    response = message("Content-Length: 0", start="SIP/2.0 200 OK")
    assert feed(damaged + response) == [damaged, response]


def test_short_content_length_is_believed_after_a_while() -> None:
    framer = SipFramer()
    damaged = measured(XML[:-9], xml=True)
    assert framer.feed(damaged, 10.0) == []
    assert framer.next_timer() == 10.0 + SIP_ROOT_WAIT
    assert framer.handle_timer(10.0 + SIP_ROOT_WAIT) == [damaged]
    assert framer.next_timer() is None


def test_content_length_that_swallows_the_next_message_is_corrected() -> None:
    long = message(f"Content-Length: {len(XML) + 20}", body=XML, xml=True)
    frames = feed(long + b"\r\n" + measured(b"abc"))
    assert [body_of(frame) for frame in frames] == [XML, b"abc"]


def test_content_length_beyond_what_comes_is_corrected_after_a_while() -> None:
    framer = SipFramer()
    assert framer.feed(message(f"Content-Length: {len(XML) + 7}", body=XML, xml=True), 0.0) == []
    (frame,) = framer.handle_timer(SIP_ROOT_WAIT)
    assert body_of(frame) == XML
    assert framer.feed(measured(), 3.0) == [measured()]


def test_tail_that_is_no_message_stays_in_the_body() -> None:
    one = measured(XML + b"\r\n<!-- bye -->", xml=True)
    assert feed(one + measured()) == [one, measured()]


def test_slow_body_is_waited_for_and_then_given_up() -> None:
    framer = SipFramer()
    assert framer.feed(message("Content-Length: 500", body=b"<Notify>", xml=True), 0.0) == []
    assert framer.handle_timer(SIP_ROOT_WAIT) == []
    assert framer.next_timer() == SIP_BODY_WAIT
    assert framer.handle_timer(SIP_BODY_WAIT - 0.1) == []
    assert error_of(framer.handle_timer(SIP_BODY_WAIT)).error.field == "Content-Length"
    assert framer.feed(measured(), SIP_BODY_WAIT) == []


def test_zero_length_with_a_content_type_is_delivered_after_a_moment_or_with_the_next_message() -> (
    None
):
    one = message("Content-Length: 0", xml=True)
    framer = SipFramer()
    assert framer.feed(one, 5.0) == []
    assert framer.next_timer() == 5.0 + SIP_PEEK_WAIT
    assert framer.handle_timer(5.0) == []
    assert framer.handle_timer(5.0 + SIP_PEEK_WAIT) == [one]
    assert feed(one + measured()) == [one, measured()]


def test_body_without_end_is_refused_after_a_while() -> None:
    framer = SipFramer()
    assert framer.feed(message(body=b"<Notify>", xml=True), 0.0) == []
    error = error_of(framer.handle_timer(SIP_ROOT_WAIT))
    assert (error.error.status, error.error.field) == (400, "Content-Length")
    assert error.data.startswith(b"MESSAGE sip:b@h SIP/2.0\r\n")


@pytest.mark.parametrize(
    "data",
    [
        message(method="REGISTER"),
        message(method="INVITE", body=b"v=0\r\n"),
        message(body=b"v=0\r\n"),
        message("Content-Length: 0", method="INVITE", body=XML, xml=True),
        message("Content-Length: 3", "l: 4", body=b"abcd"),
        message("Content-Length: -3", body=b"abcd"),
        message("Content-Length: abc", body=b"abcd"),
        message("Content-Length:", body=b"abcd"),
        message(start="SIP/2.0 200 OK", body=XML, xml=True),
    ],
)
def test_what_cannot_be_measured_is_400_and_the_end(data: bytes) -> None:
    framer = SipFramer()
    error = error_of(framer.feed(data, 0.0))
    assert error.error.status == 400
    assert error.data.startswith(data[:20])
    assert framer.feed(measured(), 0.0) == []
    assert framer.next_timer() is None


def test_response_without_length_and_type_has_no_body() -> None:
    one = message(start="SIP/2.0 200 OK")
    assert feed(one + measured()) == [one, measured()]


def test_sizes_are_capped() -> None:
    assert error_of(feed(message(f"Content-Length: {MAX_SIP_BODY + 1}"))).error.status == 413
    assert error_of(feed(message("Content-Length: " + "9" * 5_000))).error.status == 413
    assert error_of(feed(message("X: " + "y" * MAX_SIP_HEAD))).error.status == 513
    assert (
        error_of(feed(b"MESSAGE sip:b@h" + bytes(b"x" * MAX_SIP_HEAD))).error.field == "start-line"
    )
    endless = message(body=b"<Notify>" + b"x" * MAX_SIP_BODY_UNMEASURED, xml=True)
    assert error_of(feed(endless)).error.status == 413


def test_largest_measured_body_passes() -> None:
    data = measured(b"x" * MAX_SIP_BODY)
    assert feed(data) == [data]


def test_bytes_between_messages_are_skipped_up_to_the_next_start_line() -> None:
    framer = SipFramer()
    junk = b"  </Item>\r\n\r\n\r\n</Notify>\r\nGET / HTTP/1.1\r\n"
    frames = framer.feed(measured() + junk + measured(b"abc") + measured(), 0.0)
    assert frames == [measured(), measured(b"abc"), measured()]
    assert 30 < framer.skipped < len(junk)


def test_stream_without_any_start_line_is_given_up() -> None:
    line = b"x" * 99 + b"\n"
    assert error_of(feed(line * (MAX_SIP_RESYNC // 100 + 1))).error.field == "start-line"


def test_damaged_start_line_is_framed_so_that_it_can_be_answered() -> None:
    for start in (
        "MESSAGE  sip:b@h  SIP/2.0",
        "MESSAGE sip:b@h SIP/2.0  ",
        "MESSAGE sip:b@h SIP/7.0",
    ):
        data = message("Content-Length: 0", start=start)
        assert feed(data + measured()) == [data, measured()]


def test_text_made_to_slow_down_the_search_does_not() -> None:
    nasty = b"<Notify>" + b"a" * 50_000 + b"SIP/2.0 200" * 9_000 + b" sip:" * 9_000
    data = message("Content-Length: 20", body=nasty, xml=True)
    assert feed(*[data[i : i + 1_400] for i in range(0, len(data), 1_400)]) == []


SCRIPTS = {
    "plain": measured(b"abc") + b"\r\n\r\n" + measured() + b"\r\n" + measured(XML, xml=True),
    "unmeasured": message(body=XML, xml=True)
    + b"\0\0"
    + message("l: 0", body=XML, xml=True)
    + measured(),
    "too short": message("Content-Length: 30", body=XML, xml=True) + measured(b"abc") + b"\r\n",
    "too long": message(f"Content-Length: {len(XML) + 9}", body=XML, xml=True) + measured(b"abc"),
    "damaged": measured(XML[:-9], xml=True) + b"\r\n" + message("l: 0", start="SIP/2.0 200 OK"),
    "junk": b"\r\njunk</a>\r\n\r\n\r\nmore\n" + measured(b"abc") + b"junk\n" + measured(),
    "line feeds": measured(b"abc").replace(b"\r\n", b"\n") + measured(),
    "fatal": measured() + message(method="INVITE") + measured(),
}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_any_two_cuts_give_the_same_messages(script: str) -> None:
    data = SCRIPTS[script]
    whole = feed(data)
    assert len(whole) >= 2
    assert shown(feed(*[data[i : i + 1] for i in range(len(data))])) == shown(whole)
    for cut in range(len(data)):
        assert shown(feed(data[:cut], data[cut:])) == shown(whole)


@given(st.data())
def test_any_stream_gives_the_same_however_it_is_cut(data: st.DataObject) -> None:
    pieces = st.sampled_from(
        [*SCRIPTS.values(), b"\r\n", b"<a>", b"\0", b"x\n", b"SIP/2.0 ", XML, b"l: 9\r\n"]
    )
    stream = bytearray(b"".join(data.draw(st.lists(pieces, max_size=5))))
    for _ in range(data.draw(st.integers(0, 3))):
        position = data.draw(st.integers(0, len(stream)))
        stream[position : position + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4)
        )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    parts = [bytes(stream[a:b]) for a, b in pairwise(edges)]
    assert shown(feed(*parts)) == shown(feed(bytes(stream)))


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_any_bytes_are_framed_or_refused(parts: list[bytes]) -> None:
    framer = SipFramer()
    for part in parts:
        for frame in framer.feed(part, 0.0):
            assert isinstance(frame, bytes | FrameError | KeepAlive)
    deadline = framer.next_timer()
    if deadline is not None:
        framer.handle_timer(deadline)


def shown(frames: list[bytes | FrameError | KeepAlive]) -> list[object]:
    """Make errors comparable; how much of the bad message had come is not part of the result."""
    return [str(frame) if isinstance(frame, FrameError) else frame for frame in frames]
