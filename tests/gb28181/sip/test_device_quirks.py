"""What real devices do to SIP: one vector for each symptom of the quirks list that touches parsing."""

from pathlib import Path

import pytest

from gb28181.errors import SipParseError
from gb28181.sip.framer import SipFramer
from gb28181.sip.message import Request
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

VECTORS = Path(__file__).parents[2] / "vectors" / "devices"
DEVICE = "37132600001180000001"
UNUSABLE = {
    "q013-ok-without-via",
    "q019-content-length-too-large",
    "q032-status-code-0",
    "q032-status-code-999",
    "q032-status-code-of-four-digits",
}
USABLE = sorted({path.stem for path in VECTORS.glob("*.sip")} - UNUSABLE)


def load(name: str) -> bytes:
    return (VECTORS / f"{name}.sip").read_bytes()


def request(name: str) -> Request:
    message = parse(load(name))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize("name", USABLE)
def test_vector_is_understood_and_passed_on_unharmed(name: str) -> None:
    message = request(name)
    message.check()
    again = parse(serialize(message))
    assert again.body == message.body
    assert str(again.from_) == str(message.from_)


@pytest.mark.parametrize(
    "name", ["q032-status-code-0", "q032-status-code-999", "q032-status-code-of-four-digits"]
)
def test_illegal_status_code_is_the_one_documented_error(name: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse(load(name))
    assert caught.value.field == "start-line"


def test_answer_without_via_belongs_to_no_transaction() -> None:
    with pytest.raises(SipParseError) as caught:
        parse(load("q013-ok-without-via"))
    assert caught.value.field == "Via"
    assert parse(load("q013-ok-without-via"), complete=False).call_id == "c0ffee01@10.9.8.7"


@pytest.mark.parametrize(
    ("name", "header", "parameter"),
    [
        ("q001-register-without-expires", None, None),
        ("q001-register-with-contact-expires", None, "7200"),
        ("q001-register-with-both-expires", 3600, "7200"),
    ],
)
def test_expires_is_found_where_the_device_put_it(
    name: str, header: int | None, parameter: str | None
) -> None:
    message = request(name)
    assert message.expires == header
    assert message.contact is not None
    assert message.contact.params.get("expires") == parameter


def test_contact_without_brackets_is_read() -> None:
    contact = request("q012-contact-without-brackets").contact
    assert contact is not None
    assert (contact.user, contact.params) == (DEVICE, {"expires": "7200"})


def test_to_tag_outside_a_dialog_is_read() -> None:
    assert request("q016-message-with-to-tag").to.tag == "1021"


@pytest.mark.parametrize(
    "name",
    [
        "q019-no-content-length",
        "q019-content-length-zero",
        "q019-trailing-nul",
        "q020-compact-header-names",
        "q021-content-type-in-odd-case",
    ],
)
def test_body_of_a_datagram_is_found_whatever_its_length_header_says(name: str) -> None:
    message = request(name)
    assert message.body.startswith(b"<?xml")
    assert message.body.rstrip().endswith(b"</Notify>")
    assert message.content_type == "application/manscdp+xml"


@pytest.mark.parametrize(
    "name",
    [
        "q019-no-content-length",
        "q019-content-length-zero",
        "q019-content-length-too-small",
        "q019-content-length-too-large",
        "q019-trailing-nul",
        "q019-bare-line-feeds",
        "q020-compact-header-names",
    ],
)
def test_body_on_a_stream_is_found_whatever_its_length_header_says(name: str) -> None:
    framer = SipFramer()
    follower = load("q016-message-with-to-tag")
    frames = framer.feed(load(name) + follower, 0.0)
    assert frames[-1] == follower
    (frame,) = frames[:-1]
    assert isinstance(frame, bytes)
    body = parse(frame).body
    assert body.startswith(b"<?xml")
    assert body.rstrip().endswith(b"</Notify>")


def test_too_small_length_cuts_a_datagram_and_too_large_refuses_it() -> None:
    assert request("q019-content-length-too-small").body.endswith(b"<Stat") is False
    assert len(request("q019-content-length-too-small").body) < len(
        request("q019-trailing-nul").body
    )
    with pytest.raises(SipParseError) as caught:
        parse(load("q019-content-length-too-large"))
    assert caught.value.field == "Content-Length"


def test_compact_names_are_the_long_ones() -> None:
    message = request("q020-compact-header-names")
    assert (message.from_.user, message.call_id) == (DEVICE, "q020@10.9.20.31")
    assert b"\r\nFrom: " in serialize(message)


def test_method_in_odd_case_is_known() -> None:
    assert request("q021-method-in-odd-case").method == "MESSAGE"


def test_mediastatus_without_content_type_is_told_by_its_call_id() -> None:
    message = request("q023-mediastatus-from-is-not-the-device")
    assert (message.call_id, message.content_type) == ("c0ffee02@10.9.8.7", "")
    assert message.from_.user != DEVICE


def test_display_name_whose_last_byte_is_a_backslash_is_read() -> None:
    message = request("q041-display-name-in-gbk")
    assert message.from_.user == DEVICE
    assert message.from_.tag == "8e21"
    assert message.from_.display.encode("utf-8", "surrogateescape").decode("gbk") == "大门俓"
