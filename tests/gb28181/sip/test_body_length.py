"""What a head says about its body: Content-Length in every spelling, and what stands in for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.limits import MAX_SIP_BODY
from gb28181.sip.body_length import BodyMeasure, may_be_unmeasured, measure_body, with_length


def head(*lines: str, start: str = "INVITE sip:b@h SIP/2.0") -> bytes:
    return "\r\n".join([start, "Via: SIP/2.0/TCP h", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "line",
    ["Content-Length: 12", "content-length:12", "l: 12", "L :0012", "Content-Length:\r\n 12"],
)
def test_the_length_is_read_in_every_spelling(line: str) -> None:
    assert measure_body(head(line)) == BodyMeasure(
        length=12, is_typed=False, is_xml=False, may_be_unmeasured=False
    )


def test_a_length_that_is_repeated_is_one_length() -> None:
    assert measure_body(head("Content-Length: 12", "l: 12")).length == 12


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        (("Content-Length: 1", "l: 2"), 400, "several values"),
        (("Content-Length: -1",), 400, "not a number"),
        (("Content-Length:",), 400, "not a number"),
        ((f"Content-Length: {MAX_SIP_BODY + 1}",), 413, "above"),
        (("Content-Length: " + "9" * 5000,), 413, "above"),
        ((), 400, "missing"),
    ],
)
def test_what_cannot_be_measured_says_so(lines: tuple[str, ...], status: int, said: str) -> None:
    with pytest.raises(SipParseError, match=said) as caught:
        measure_body(head(*lines))
    assert caught.value.status == status


@pytest.mark.parametrize("method", ["MESSAGE", "notify"])
def test_message_and_notify_may_leave_it_out(method: str) -> None:
    found = measure_body(head("Content-Type: a/XML", start=f"{method} sip:b@h SIP/2.0"))
    assert found == BodyMeasure(length=None, is_typed=True, is_xml=True, may_be_unmeasured=True)
    assert may_be_unmeasured(method.encode() + b" sip:")


def test_a_response_may_leave_it_out_unless_it_has_a_type() -> None:
    assert measure_body(head(start="SIP/2.0 200 OK")).length is None
    with pytest.raises(SipParseError, match="missing"):
        measure_body(head("c: application/sdp", start="SIP/2.0 200 OK"))


@given(st.integers(0, MAX_SIP_BODY), st.integers(0, MAX_SIP_BODY))
def test_a_length_put_right_is_read_back(wrong: int, right: int) -> None:
    corrected = with_length(head(f"Content-Length: {wrong}", "c: text/xml"), right)
    assert measure_body(corrected).length == right


def length_or_status(data: bytes) -> tuple[int | None, int | None]:
    try:
        return measure_body(data).length, None
    except SipParseError as error:
        return None, error.status


@given(st.binary(max_size=200))
def test_any_bytes_are_measured_within_the_bound_or_refused(value: bytes) -> None:
    length, status = length_or_status(
        b"OPTIONS sip:b@h SIP/2.0\r\nContent-Length: " + value + b"\r\n\r\n"
    )
    assert status in (400, 413) if length is None else 0 <= length <= MAX_SIP_BODY
