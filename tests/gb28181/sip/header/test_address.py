import pytest

from gb28181.errors import SipParseError
from gb28181.sip.header.address import NameAddr, parse_name_addr, parse_name_addr_list


@pytest.mark.parametrize(
    ("value", "display", "uri", "tag"),
    [
        ("<sip:a@h>;tag=1", "", "sip:a@h", "1"),
        ("sip:a@h;tag=1", "", "sip:a@h", "1"),
        ("sip:a@h", "", "sip:a@h", None),
        ("<sip:a@h;lr>", "", "sip:a@h;lr", None),
        ('"Front, door" <sip:a@h> ; TAG = 1', "Front, door", "sip:a@h", "1"),
        ("Front door<sip:a@h>;tag=", "Front door", "sip:a@h", None),
        ('"a \\"b\\" \\\\" <sip:a@h>', 'a "b" \\', "sip:a@h", None),
        ('<sip:a@h>;x="a;tag=2,<";tag=1', "", "sip:a@h", "1"),
        ("<tel:+861234>;tag=1;", "", "tel:+861234", "1"),
        ('"\udcc5\\" <sip:a@h>;tag=1', "\udcc5\\", "sip:a@h", "1"),
    ],
)
def test_address_is_parsed(value: str, display: str, uri: str, tag: str | None) -> None:
    address = parse_name_addr(value, field="From")
    assert (address.display, address.uri, address.tag) == (display, uri, tag)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "*",
        "a@h",
        "<a@h>",
        "< sip:a@h >",
        "<sip:a@h",
        "sip:a@h>",
        "Bell, A <sip:a@h>",
        '"open <sip:a@h>',
        "sip:a@h?x=y",
        "<sip:a@h>, <sip:b@h>",
        "<sip:a@h>;tag=<x>",
        '<sip:a@h>;tag="x',
        "<sip:a@h> tag=1",
        "<sip:a\x00b@h>",
    ],
)
def test_malformed_address_is_refused(value: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_name_addr(value, field="From")
    assert caught.value.field == "From"


def test_commas_in_quotes_and_brackets_do_not_split_a_list() -> None:
    value = '"a, b" <sip:a,b@h>;q="0,5" , sip:c@h;x, <sip:d@h>'
    assert [address.uri for address in parse_name_addr_list(value, field="Contact")] == [
        "sip:a,b@h",
        "sip:c@h",
        "sip:d@h",
    ]


def test_address_knows_user_and_uri() -> None:
    address = parse_name_addr("<sip:37132600001180000001@10.9.20.31:5060>", field="Contact")
    assert address.user == "37132600001180000001"
    assert (address.sip_uri.host, address.sip_uri.port) == ("10.9.20.31", 5060)


def test_text_of_an_address_parses_to_the_same() -> None:
    address = NameAddr('a "b" \\', "sip:a@h", ";tag=1;x=2")
    again = parse_name_addr(str(address), field="From")
    assert (again.display, again.uri, again.params) == (
        address.display,
        address.uri,
        address.params,
    )
