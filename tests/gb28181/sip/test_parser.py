import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.limits import MAX_SIP_BODY, MAX_SIP_HEAD, MAX_SIP_HEADERS, MAX_SIP_LINE
from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

LINES = [
    "Via: SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b",
    "From: <sip:37132600001180000001@3713260000>;tag=8e21",
    "To: <sip:37132600002000000001@3713260000>",
    "Call-ID: 5d0c2a9e@10.9.20.31",
    "CSeq: 20 MESSAGE",
    "Max-Forwards: 70",
]
START = "MESSAGE sip:37132600002000000001@3713260000 SIP/2.0"


def build(
    *extra: str, body: bytes = b"", start: str = START, lines: list[str] | None = None
) -> bytes:
    head = "\r\n".join([start, *(LINES if lines is None else lines), *extra])
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def refused(data: bytes) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        parse(data)
    return caught.value


def test_lower_case_and_mixed_case_methods_are_upper_cased() -> None:
    lines = [line.replace("MESSAGE", "message") for line in LINES]
    message = parse(build(start=START.replace("MESSAGE", "Message"), lines=lines))
    assert isinstance(message, Request)
    assert (message.method, message.cseq) == ("MESSAGE", (20, "MESSAGE"))


@pytest.mark.parametrize("field", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_missing_mandatory_header_is_named(field: str) -> None:
    error = refused(build(lines=[line for line in LINES if not line.startswith(field)]))
    assert error.field == field
    assert str(error) == f"{field} is missing"


def test_max_forwards_may_be_missing() -> None:
    assert parse(build(lines=LINES[:-1])).max_forwards is None


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("Call-ID: other", "Call-ID"),
        ("CSeq: 21 MESSAGE", "CSeq"),
        ("t: <sip:x@y>", "To"),
        ("F: <sip:x@y>;tag=1", "From"),
        ("Max-Forwards: 69", "Max-Forwards"),
    ],
)
def test_second_value_of_a_single_header_is_refused(line: str, field: str) -> None:
    assert refused(build(line)).field == field


def test_same_value_twice_is_tolerated() -> None:
    assert parse(build("Content-Length: 2", "l: 2", body=b"ab")).body == b"ab"


@pytest.mark.parametrize(
    ("length", "body", "expected"),
    [
        (None, b"<a/>", b"<a/>"),
        (None, b"<a/>\0\0", b"<a/>"),
        (2, b"abcd", b"ab"),
        (0, b"abcd", b""),
        (0, b"<a/>", b"<a/>"),
        (0, b"\r\n<a/>\r\n\0", b"<a/>"),
        (0, b"", b""),
        (4, b"\0\0\0\0", b"\0\0\0\0"),
    ],
)
def test_body_of_a_datagram(length: int | None, body: bytes, expected: bytes) -> None:
    extra = [] if length is None else [f"Content-Length: {length}"]
    assert parse(build(*extra, body=body)).body == expected


def test_content_length_beyond_the_datagram_is_400() -> None:
    error = refused(build("Content-Length: 5", body=b"abcd"))
    assert (error.field, error.status) == ("Content-Length", 400)


@pytest.mark.parametrize("value", ["-1", "+1", "1 2", "", "x", "٣", "1" * 5000, "4294967296"])
def test_content_length_that_is_no_32_bit_number_is_refused(value: str) -> None:
    assert refused(build(f"Content-Length: {value}")).field == "Content-Length"


@pytest.mark.parametrize("prefix", [b"\r\n", b"\r\n\r\n", b"\0\0", b" \n"])
def test_blanks_in_front_of_the_start_line_are_skipped(prefix: bytes) -> None:
    assert parse(prefix + build()).call_id == "5d0c2a9e@10.9.20.31"


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0"])
def test_keepalive_datagram_is_an_empty_message(data: bytes) -> None:
    assert str(refused(data)) == "empty message"


def test_bare_line_feeds_end_lines_too() -> None:
    data = build("Content-Length: 4", body=b"a\r\nb").replace(b"\r\n", b"\n", 8)
    assert parse(data).body == b"a\r\nb"


def test_forgotten_empty_line_is_tolerated_when_all_lines_are_whole() -> None:
    assert parse(build()[:-2]).max_forwards == 70
    assert refused(build()[:-4]).field == "headers"


def test_bare_carriage_return_is_refused() -> None:
    error = refused(build("Subject: a\rInjected: b"))
    assert error.field == "headers"
    assert error.position is not None


def test_folded_line_is_joined_by_one_blank() -> None:
    message = parse(build("Subject: a\r\n\t b\r\n c"))
    assert message.headers.get("Subject") == "a b c"


@pytest.mark.parametrize("line", ["no colon here", ": no name", "bad name: x", "Näme: x"])
def test_line_that_is_no_header_is_refused(line: str) -> None:
    assert refused(build(line)).field == "headers"


def test_unknown_headers_are_kept_in_order_with_their_spelling() -> None:
    message = parse(build("X-Vendor: 1", "x-vendor: 2", "SecurityInfo: a=b"))
    assert message.headers.items()[-3:] == [
        ("X-Vendor", "1"),
        ("x-vendor", "2"),
        ("SecurityInfo", "a=b"),
    ]


def test_header_bytes_that_are_not_utf8_survive() -> None:
    data = build("Subject: X").replace(b"Subject: X", b"Subject: \xb4\xf3\xc3\xc5")
    assert b"Subject: \xb4\xf3\xc3\xc5\r\n" in serialize(parse(data))


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("MESSAGE sip:a@b SIP/3.0", 505),
        ("MESSAGE sip:a@b HTTP/1.1", 400),
        ("MESSAGE <sip:a@b> SIP/2.0", 400),
        ("MESSAGE sip:a@b", 400),
        ("MESSAGE  sip:a@b SIP/2.0", 400),
        ("MESSAGE sip:a@b?x=y SIP/2.0", 400),
        ("MESSAGE sips:b?x=y SIP/2.0", 400),
        ("MESS\u00c4GE sip:a@b SIP/2.0", 400),
        ("SIP/2.0 99 Low", 400),
        ("SIP/2.0 700 High", 400),
        ("SIP/2.0 2000 Long", 400),
        ("SIP/2.0 OK", 400),
        ("GET / HTTP/1.1", 400),
    ],
)
def test_bad_start_line_is_refused(start: str, status: int) -> None:
    error = refused(build(start=start))
    assert (error.field, error.status) == ("start-line", status)


def test_question_mark_in_the_user_part_is_legal() -> None:
    message = parse(build(start="MESSAGE sip:a?b@c SIP/2.0"))
    assert isinstance(message, Request)
    assert message.sip_uri.user == "a?b"


def test_reason_phrase_may_be_empty_or_missing() -> None:
    lines = [*LINES[:-1]]
    for start in ("SIP/2.0 200 ", "SIP/2.0 200", "sip/2.0 200 "):
        message = parse(build(start=start, lines=lines))
        assert isinstance(message, Response)
        assert (message.status, message.reason) == (200, "")


def test_cseq_of_another_method_is_refused_with_both_names() -> None:
    error = refused(build(start=START.replace("MESSAGE", "INVITE")))
    assert str(error) == "CSeq method MESSAGE does not match request method INVITE"


def test_sizes_are_capped() -> None:
    assert refused(build(*["X: y"] * MAX_SIP_HEADERS)).field == "headers"
    assert refused(build("X: " + "y" * MAX_SIP_LINE)).field == "X"
    assert refused(build(*["X: " + "y" * 10_000] * (MAX_SIP_HEAD // 10_000 + 1))).status == 513
    assert refused(build(body=bytes(MAX_SIP_BODY + 1))).status == 513


def test_long_runs_of_blanks_take_no_time() -> None:
    blanks = " " * (MAX_SIP_LINE - 100)
    message = parse(build(*[f"X: a{blanks}b\r\n c"] * 3))
    assert message.headers.get_all("X") == [f"a{blanks}b c"] * 3


def test_error_text_is_printable_and_short() -> None:
    error = refused(build(start="\x1b[2J" + "é" * 5_000))
    assert str(error).isascii()
    assert str(error).isprintable()
    assert len(str(error)) < 1_500


@given(st.binary(max_size=400))
def test_any_bytes_give_a_message_or_the_documented_error(data: bytes) -> None:
    check_total(data)


@given(st.data())
def test_any_damage_to_a_message_gives_a_message_or_the_documented_error(
    data: st.DataObject,
) -> None:
    sample = bytearray(
        build('Contact: "a" <sip:a@b>;q=1, sip:c@d', "Date: 2026-11-21T10:15:00", body=b"<a/>")
    )
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(sample)))
        end = data.draw(st.integers(start, min(len(sample), start + 8)))
        sample[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"<", b"\r\n ", b";;", b"\\"])
        )
    check_total(bytes(sample))


def check_total(data: bytes) -> None:
    """Parse, check and touch everything: only SipParseError may come out."""
    try:
        message = parse(data, complete=False)
    except SipParseError:
        return
    assert isinstance(message.content_type, str)
    assert message.expires is None or message.expires >= 0
    if message.contact is not None:
        assert isinstance(message.contact.params, dict)
    try:
        message.check()
    except SipParseError as error:
        assert error.field  # noqa: PT017


text = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=30)
names = st.sampled_from(["Subject", "X-Vendor", "User-Agent", "Route-Info", "s", "Server"])


@given(
    st.lists(st.tuples(names, text.map(lambda value: value.strip(" \t"))), max_size=5),
    st.binary(max_size=50),
)
def test_serialized_message_parses_to_an_equal_one(
    extra: list[tuple[str, str]], body: bytes
) -> None:
    message = parse(build())
    for name, value in extra:
        message.headers.add(name, value)
    message.body = body
    once = parse(serialize(message))
    assert once.body == body
    assert parse(serialize(once)) == once
    for name in {name for name, _ in extra}:
        assert once.headers.get_all(name) == message.headers.get_all(name)
