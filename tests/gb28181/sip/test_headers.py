import pytest

from gb28181.errors import SipParseError
from gb28181.sip.headers import COMPACT, Headers, key_of


def sample() -> Headers:
    return Headers([("v", "1"), ("From", "f"), ("VIA", "2"), ("X-Thing", "x")])


def test_lookup_ignores_case_and_compact_form() -> None:
    headers = sample()
    assert headers.get("Via") == headers.get("V") == headers.get("vIa") == "1"
    assert headers.get_all("via") == ["1", "2"]
    assert headers.get("f") == "f"
    assert headers.get("x-thing") == headers.get("X-THING") == "x"
    assert "FROM" in headers
    assert "To" not in headers
    assert headers.get("To") is None
    assert headers.get_all("To") == []


@pytest.mark.parametrize(("short", "long"), sorted(COMPACT.items()))
def test_each_compact_form_equals_its_long_form(short: str, long: str) -> None:
    assert key_of(short) == key_of(short.upper()) == key_of(long) == long.lower()


def test_set_replaces_all_lines_at_the_place_of_the_first() -> None:
    headers = sample()
    headers.set("Via", "3")
    assert headers.items() == [("Via", "3"), ("From", "f"), ("X-Thing", "x")]
    headers.set("To", "t")
    assert headers.items()[-1] == ("To", "t")


def test_changes_are_seen_by_lookups() -> None:
    headers = sample()
    assert headers.get("To") is None
    headers.add("t", "t")
    assert headers.get("To") == "t"
    headers.insert_first("Via", "0")
    assert headers.get_all("v") == ["0", "1", "2"]
    headers.replace_first("Via", "00")
    assert headers.get_all("v") == ["00", "1", "2"]
    assert headers.items()[0] == ("Via", "00")
    headers.remove("via")
    assert headers.get("Via") is None
    headers.replace_first("Via", "new")
    assert headers.items()[-1] == ("Via", "new")


def test_replace_first_keeps_the_spelling_of_the_peer() -> None:
    headers = sample()
    headers.replace_first("Via", "9")
    assert headers.items()[0] == ("v", "9")


def test_copy_is_independent() -> None:
    headers = sample()
    copy = headers.copy()
    copy.add("To", "t")
    assert "To" not in headers
    assert copy != headers
    assert headers == sample()
    assert len(copy) == len(headers) + 1


def test_what_a_caller_gets_cannot_change_the_headers() -> None:
    headers = sample()
    headers.items().clear()
    headers.get_all("Via").clear()
    assert headers == sample()


def test_parsed_lines_lose_the_blanks_around_name_and_value() -> None:
    headers = Headers.parse(["Via  :   1  ", "l:0", "Subject:", "X:\ta:b"])
    assert headers.items() == [("Via", "1"), ("l", "0"), ("Subject", ""), ("X", "a:b")]


@pytest.mark.parametrize("line", ["Via", "", " Via: 1", "a b: c"])
def test_line_without_a_name_and_colon_is_refused(line: str) -> None:
    with pytest.raises(SipParseError, match="expected a header line"):
        Headers.parse([line])
