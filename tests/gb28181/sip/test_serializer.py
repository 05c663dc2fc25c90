import pytest

from gb28181.errors import LocalProtocolError
from gb28181.sip.headers import Headers
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize


def test_compact_names_are_sent_in_long_form_and_the_length_is_corrected() -> None:
    headers = Headers(
        [("v", "x"), ("L", "99"), ("X-Own", "y"), ("Content-length", "7"), ("z", "kept")]
    )
    assert serialize(Request("INFO", "sip:a@b", headers, b"body")) == (
        b"INFO sip:a@b SIP/2.0\r\nVia: x\r\nX-Own: y\r\nz: kept\r\nContent-Length: 4\r\n\r\nbody"
    )


def test_response_is_serialized() -> None:
    assert serialize(Response(200, "OK")) == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_chinese_header_text_is_sent_as_utf8_and_foreign_bytes_as_they_came() -> None:
    data = serialize(Request("INFO", "sip:a@b", Headers([("Subject", "大门 \udcb4\udcf3")])))
    assert "大门 ".encode() + b"\xb4\xf3\r\n" in data


@pytest.mark.parametrize("value", ["a\r\nInjected: b", "a\nb", "a\rb"])
@pytest.mark.parametrize("place", ["value", "name", "uri", "reason"])
def test_line_end_in_any_part_is_our_bug(place: str, value: str) -> None:
    header = ("X", value) if place == "value" else (value, "x")
    headers = Headers([header] if place in {"value", "name"} else [])
    message = (
        Response(200, value, headers)
        if place == "reason"
        else Request("INFO", value if place == "uri" else "sip:a@b", headers)
    )
    with pytest.raises(LocalProtocolError):
        serialize(message)
