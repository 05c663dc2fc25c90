import pytest

from gb28181.errors import SipParseError
from gb28181.sip.header.table import check_header
from gb28181.sip.header.value import parse_event, parse_media_type, parse_subscription_state

GOOD = [
    ("accept", "application/sdp, text/*;q=0.5, */*"),
    ("allow", "INVITE, ACK, INFO, CANCEL, BYE, OPTIONS, MESSAGE"),
    ("call-id", "5d0c2a9e@10.9.20.31"),
    ("contact", "*"),
    ("contact", "sip:a@b;expires=3600, <sip:c@d>"),
    ("content-type", "Application/MANSCDP+xml;charset=gb2312"),
    ("content-type", "Application/"),
    ("date", "2026-11-21T10:15:00.000"),
    ("event", "Catalog;id=1894"),
    ("expires", "86400"),
    ("max-forwards", "070"),
    ("monitor-user-identity", "anything - at, all"),
    ("note", 'Digest nonce="AeY6wsH5k2MpyQ+i3rKxAQ==", algorithm=MD5'),
    ("record-route", "<sip:p;lr>, <sip:q;lr>"),
    ("require", ""),
    ("retry-after", "60 (busy);duration=3"),
    ("subject", "37132600001320000001:0326000017,37132600002000000001:0"),
    ("subject", "free text, of any kind"),
    ("subscription-state", "active;expires=600"),
    ("warning", '399 gw "a, b", 307 x.y:5060 "c"'),
    ("x-gb-ver", "3.0"),
    ("x-unknown", ";;,,"),
]
BAD = [
    ("accept", "text"),
    ("allow", "INVITE, A CK"),
    ("authorization", "Digest"),
    ("call-id", "a b"),
    ("call-id", ""),
    ("contact", "<sip:a@b>;expires=x"),
    ("contact", "<sip:a@b>, "),
    ("content-length", "x"),
    ("content-type", "xml"),
    ("content-type", ""),
    ("cseq", "1"),
    ("cseq", "4294967296 MESSAGE"),
    ("date", "now"),
    ("event", "a b"),
    ("event", ";id=1"),
    ("expires", "-1"),
    ("expires", "1.5"),
    ("max-forwards", "256"),
    ("min-expires", ""),
    ("retry-after", "soon"),
    ("route", "sip"),
    ("subscription-state", "active;expires=never"),
    ("via", "SIP/2.0/UDP"),
    ("warning", "399"),
    ("x-gb-ver", "three"),
]


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_legal_value_passes(key: str, value: str) -> None:
    check_header(key, value)


@pytest.mark.parametrize(("key", "value"), BAD)
def test_malformed_value_is_refused_by_its_name(key: str, value: str) -> None:
    with pytest.raises(SipParseError) as caught:
        check_header(key, value)
    assert caught.value.field.lower() == key


def test_content_type_is_compared_in_lower_case() -> None:
    value = parse_media_type("APPLICATION / MANSCDP+XML ; Charset=GB2312")
    assert (value.value, value.params) == ("application/manscdp+xml", {"charset": "GB2312"})


def test_event_keeps_its_case_and_id() -> None:
    event = parse_event("Catalog;id=1894")
    assert (event.value, event.params) == ("Catalog", {"id": "1894"})


def test_subscription_state_is_lower_case() -> None:
    state = parse_subscription_state("Terminated;reason=timeout")
    assert (state.value, state.params) == ("terminated", {"reason": "timeout"})
