import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.sip.header.auth import parse_auth


@pytest.mark.parametrize(
    ("value", "scheme", "params"),
    [
        (
            'Digest realm="3713260000", nonce="6b1f0c2d9a7e4f35", algorithm=MD5',
            "digest",
            {"realm": "3713260000", "nonce": "6b1f0c2d9a7e4f35", "algorithm": "MD5"},
        ),
        ("DIGEST Realm=3713260000,NONCE=x", "digest", {"realm": "3713260000", "nonce": "x"}),
        ('Digest realm = "a, b" ,, uri="sip:a@b"', "digest", {"realm": "a, b", "uri": "sip:a@b"}),
        (
            'Asymmetric nonce="a&b" algorithm="A:RSA/ECB/PKCS1&SHA1"',
            "asymmetric",
            {"nonce": "a&b", "algorithm": "A:RSA/ECB/PKCS1&SHA1"},
        ),
        (
            'Capability algorithm="A:SM2;H:SM3;S:SM4/OFB/PKCS5", keyversion="2026-01-01T00:00:00"',
            "capability",
            {"algorithm": "A:SM2;H:SM3;S:SM4/OFB/PKCS5", "keyversion": "2026-01-01T00:00:00"},
        ),
        ('Digest a="x\\"y", b=""', "digest", {"a": 'x"y', "b": ""}),
        ("Digest a=1, a=2", "digest", {"a": "1"}),
        ("Digest nonce=abc==, uri=sip:a@b", "digest", {"nonce": "abc==", "uri": "sip:a@b"}),
    ],
)
def test_value_is_parsed(value: str, scheme: str, params: dict[str, str]) -> None:
    assert parse_auth(value, field="Authorization") == (scheme, params)


@pytest.mark.parametrize(
    "value", ["", "Digest", "Digest ", "=", "Digest realm", 'Digest a="x', 'Digest "a"=b']
)
def test_malformed_value_is_refused(value: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_auth(value, field="Authorization")
    assert caught.value.field == "Authorization"


@given(st.text(alphabet='abc=",\\ \t<>é', max_size=60))
def test_any_text_is_a_value_or_the_documented_error(text: str) -> None:
    try:
        scheme, params = parse_auth("Digest " + text, field="Note")
    except SipParseError as error:
        assert error.field == "Note"  # noqa: PT017
    else:
        assert scheme == "digest"
        assert all(name == name.lower() for name in params)
