import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.sip.uri import SipUri, parse_uri, user_of


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (
            "sip:37132600001180000001@3713260000",
            SipUri(user="37132600001180000001", host="3713260000"),
        ),
        ("sip:a@10.9.20.31:5060", SipUri(user="a", host="10.9.20.31", port=5060)),
        ("SIPS:a:pw@h", SipUri(scheme="sips", user="a", password="pw", host="h")),
        ("sip:h;transport=TCP;lr", SipUri(host="h", params={"transport": "TCP", "lr": None})),
        ("sip:a@[2001:db8::1]:5061", SipUri(user="a", host="[2001:db8::1]", port=5061)),
        ("sip:a@h?Route=x", SipUri(user="a", host="h", headers="Route=x")),
        ("sip:%61%20b@3713260000.spvmn.cn", SipUri(user="a b", host="3713260000.spvmn.cn")),
        ("sip:a@my_host", SipUri(user="a", host="my_host")),
    ],
)
def test_uri_is_parsed(text: str, uri: SipUri) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:",
        "sip:a@",
        "sip:@h",
        "sip:a@b@c",
        "sip:a@h:99999",
        "sip:a@h:x",
        "sip:a b@h",
        "sip:a@h h",
    ],
)
def test_malformed_uri_is_refused(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_uri(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "text", ["tel:123", "nobodyKnowsThisScheme:x", "37132600001180000001@3713260000", ""]
)
def test_other_scheme_is_416(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_uri(text)
    assert caught.value.status == 416


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:a@h", "a"),
        ("SIP:a:b@h", "a"),
        ("sip:%61@h", "a"),
        ("sip:h", ""),
        ("tel:a@h", ""),
        ("", ""),
        ("sip:%zz@h", "%zz"),
    ],
)
def test_user_of_never_fails(uri: str, user: str) -> None:
    assert user_of(uri) == user


@given(st.text(max_size=40).filter(bool), st.integers(0, 65535))
def test_any_user_survives(user: str, port: int) -> None:
    uri = SipUri(user=user, host="h", port=port)
    assert parse_uri(str(uri)) == uri


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_the_documented_error(text: str) -> None:
    try:
        parse_uri("sip:" + text)
    except SipParseError as error:
        assert error.field == "uri"  # noqa: PT017
    assert isinstance(user_of("sip:" + text), str)
