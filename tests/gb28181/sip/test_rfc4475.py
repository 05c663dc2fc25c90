"""RFC 4475 through the parser: all 49 rows of `expect.toml`."""

import tomllib
from pathlib import Path

import pytest

from gb28181.errors import SipParseError
from gb28181.sip.message import Request
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

VECTORS = Path(__file__).parents[2] / "vectors" / "rfc4475"
TABLE = tomllib.loads((VECTORS / "expect.toml").read_text("utf-8"))

WELL_FORMED = sorted(name for name, row in TABLE.items() if row["parse"] == "ok")
INCOMPLETE = sorted(name for name, row in TABLE.items() if row.get("complete") is False)
REFUSED = sorted(name for name, row in TABLE.items() if row.get("depth") == "parse")
CHECKED = sorted(name for name, row in TABLE.items() if row.get("depth") == "check")


def load(name: str) -> bytes:
    return (VECTORS / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse(load(name))
    assert isinstance(message, Request)
    return message


def test_every_message_has_one_outcome() -> None:
    assert sorted(path.stem for path in VECTORS.glob("*.dat")) == sorted(TABLE)
    sections = [row["section"] for row in TABLE.values()]
    assert len(set(sections)) == 49
    assert sum(section.startswith("3.1.1.") for section in sections) == 13
    assert sum(section.startswith("3.1.2.") for section in sections) == 19
    assert len(WELL_FORMED) + len(REFUSED) + len(CHECKED) == 49
    assert all(
        row["parse"] == "error" for row in TABLE.values() if row["section"].startswith("3.1.2")
    )


@pytest.mark.parametrize("name", WELL_FORMED)
def test_well_formed_message_is_parsed_at_both_depths(name: str) -> None:
    message = parse(load(name), complete=False)
    message.check()


@pytest.mark.parametrize("name", sorted(set(WELL_FORMED) - set(INCOMPLETE)))
def test_well_formed_message_survives_serializing(name: str) -> None:
    message = parse(load(name))
    again = parse(serialize(message))
    assert again.body == message.body
    assert (again.via.branch, again.call_id, again.cseq) == (
        message.via.branch,
        message.call_id,
        message.cseq,
    )
    assert str(again.from_) == str(message.from_)
    assert serialize(again) == serialize(message)


@pytest.mark.parametrize("name", INCOMPLETE)
def test_message_without_what_every_message_has_is_refused_when_complete(name: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse(load(name))
    assert caught.value.field == TABLE[name]["field"]


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_message_is_refused_by_parse(name: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse(load(name))
    assert caught.value.field == TABLE[name]["field"]
    assert caught.value.status == (505 if name == "badvers" else 400)


@pytest.mark.parametrize("name", CHECKED)
def test_malformed_optional_header_is_refused_by_check_only(name: str) -> None:
    message = parse(load(name))
    with pytest.raises(SipParseError) as caught:
        message.check()
    assert caught.value.field == TABLE[name]["field"]


def test_tortuous_invite_is_read_right() -> None:
    message = request("wsinv")
    assert message.via.transport == "UDP"
    assert (message.via.host, message.via.branch) == ("192.0.2.2", "390skdjuw")
    assert (message.to.uri, message.to.tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    assert (message.from_.display, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert (message.max_forwards, message.cseq) == (68, (9, "INVITE"))
    assert message.headers.get("subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    contact = message.contact
    assert contact is not None
    assert contact.display == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert len(message.body) == 150


def test_wide_range_of_valid_characters_is_kept() -> None:
    message = request("intmeth")
    assert message.method == "!INTERESTING-METHOD0123456789_*+`.%INDEED'~"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.params["fromparam''~+*_!.-%"] == "работающий"
    assert message.sip_uri.host == "example.com"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escaped_characters_are_decoded_in_the_user_part_only() -> None:
    message = request("esc01")
    assert message.sip_uri.user == "sips:user@example.com"
    assert message.to.user == "user"
    assert message.from_.user == "I have spaces"
    assert message.contact is not None
    assert message.contact.user == "caller"


def test_escapes_in_names_and_methods_mean_nothing() -> None:
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.from_.display == "%Z%45"
    assert message.headers.get_all("Contact") == [
        "<sip:alias1@host1.example.com>",
        "<sip:alias3@host3.example.com>",
    ]


def test_long_request_keeps_all_its_vias() -> None:
    message = request("longreq")
    assert len(message.headers.get_all("Via")) == 34
    assert message.via.host == "sip33.example.com"


def test_what_follows_the_body_in_a_datagram_is_cut() -> None:
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_semicolons_belong_to_the_user_part() -> None:
    assert request("semiuri").sip_uri.user == "user;par=u@example.net"


def test_contact_parameter_without_brackets_belongs_to_the_header() -> None:
    outside, inside = request("cparam01").contact, request("cparam02").contact
    assert outside is not None
    assert inside is not None
    assert (outside.uri, outside.params) == (
        "sip:+19725552222@gw1.example.net",
        {"unknownparam": None},
    )
    assert inside.sip_uri.params == {"unknownparam": None}


def test_bare_magic_cookie_counts_as_no_branch() -> None:
    assert request("badbranch").via.branch == ""
