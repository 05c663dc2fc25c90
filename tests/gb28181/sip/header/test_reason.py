"""Reason (RFC 3326): written strictly, read whatever it looks like."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.sip.grammar import decode
from gb28181.sip.header.reason import MAX_READABLE, Reason, parse_reason, readable_reason


def test_the_examples_of_the_rfc_are_read() -> None:
    assert parse_reason('SIP ;cause=200 ;text="Call completed elsewhere"') == [
        Reason(200, "Call completed elsewhere")
    ]
    assert parse_reason('Q.850 ;cause=16 ;text="Terminated", SIP;cause=600') == [
        Reason(16, "Terminated", "Q.850"),
        Reason(600),
    ]


def test_what_is_written_is_read_again() -> None:
    reason = Reason(403, 'access "withdrawn"; really, \\ yes')
    assert parse_reason(reason.serialize()) == [reason]
    assert Reason(None, "").serialize() == "SIP"


def test_a_text_cannot_end_the_header_line() -> None:
    assert "\r" not in Reason(403, "a\r\nVia: b").serialize()
    assert "\n" not in Reason(403, "a\r\nVia: b").serialize()


@pytest.mark.parametrize("value", ['SIP;text="open', ";cause=200", "S IP;cause=1"])
def test_what_is_no_reason_is_refused_and_shown_as_it_came(value: str) -> None:
    with pytest.raises(SipParseError):
        parse_reason(value)
    assert readable_reason([value]) == value


def test_an_absurd_cause_is_left_out() -> None:
    assert readable_reason([f"SIP;cause={'9' * 5000}", "SIP;cause=-1", "SIP;cause=²"]) == (
        "SIP, SIP, SIP"
    )


def test_people_read_gb_18030_and_no_line_can_be_forged() -> None:
    said = decode('SIP;cause=480;text="设备离线"'.encode("gb18030"))
    assert readable_reason([said]) == 'SIP 480 "设备离线"'
    assert readable_reason([decode('SIP;text="设备"'.encode())]) == 'SIP "设备"'
    assert readable_reason(['SIP;text="a\x00\x1b\u2028b"']) == 'SIP "a b"'
    assert readable_reason(['SIP;text="a\u202egnp.\u2066b"']) == 'SIP "a gnp. b"'


@given(st.lists(st.text(st.characters(codec=None)), max_size=6))
def test_reading_never_fails_and_stays_short(values: list[str]) -> None:
    shown = readable_reason(values)
    assert len(shown) <= MAX_READABLE
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
