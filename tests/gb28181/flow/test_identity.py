"""Monitor-User-Identity (GB/T 28181 8.3, 8.5): its shape, its way through gateways, its loops."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, RemoteProtocolError
from gb28181.flow.identity import MonitorIdentity, is_gateway_code, parse_monitor_identity
from gb28181.limits import MAX_IDENTITY_HOPS, MAX_IDENTITY_LENGTH

VILLAGE, TOWN, COUNTY = "37132651002000000001", "37132600002110000001", "37130000002000000001"
CAMERA = "37132600001320000001"

codes = st.builds(
    lambda head, kind, tail: f"{head}{kind}{tail}",
    st.from_regex(r"[0-9]{10}", fullmatch=True),
    st.sampled_from(["200", "211"]),
    st.from_regex(r"[0-9]{7}", fullmatch=True),
)
characters = st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")) | st.integers(
    0xDC80, 0xDCFF
).map(chr)
users = st.text(characters, min_size=1, max_size=60).filter(lambda text: text.strip("- ") != "")


def test_the_origin_writes_its_code_and_each_later_gateway_its_own_in_front() -> None:
    identity = MonitorIdentity.of(VILLAGE, "zhang-san-police-3")
    assert identity.serialize() == f"{VILLAGE}-zhang-san-police-3"
    passed = identity.via(TOWN).via(COUNTY)
    assert passed.serialize() == f"{COUNTY}-{TOWN}-{VILLAGE}-zhang-san-police-3"
    assert (passed.latest, passed.origin) == (COUNTY, VILLAGE)
    assert passed.user == "zhang-san-police-3"
    assert parse_monitor_identity(passed.serialize()) == passed


def test_a_platform_that_asks_for_itself_is_its_own_user() -> None:
    value = f"{COUNTY}-{COUNTY}"
    assert parse_monitor_identity(value) == MonitorIdentity((COUNTY,), COUNTY)
    passed = parse_monitor_identity(value).via(TOWN)
    assert parse_monitor_identity(passed.serialize()) == MonitorIdentity((TOWN, COUNTY), COUNTY)


def test_a_code_of_another_kind_begins_the_user_part() -> None:
    identity = parse_monitor_identity(f"{TOWN}-{CAMERA}-{COUNTY}-x")
    assert identity == MonitorIdentity((TOWN,), f"{CAMERA}-{COUNTY}-x")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        "zhang",
        TOWN,
        f"{TOWN}-",
        f"{TOWN}--",
        f"{TOWN}- ",
        f"-{TOWN}-zhang",
        f"{CAMERA}-zhang",
        f"{TOWN[:-1]}-zhang",
        f"{TOWN}0-zhang",
        f"{TOWN[:-1]}\u0661-zhang",
        f"{TOWN}-zh\x00ang",
        f"{TOWN}-zhang\x85",
        f"{TOWN}-zhang\r\nX: y",
        f"{TOWN}-\x7f",
        f"{TOWN}-\ud83d",
        f"{TOWN}-{'x' * MAX_IDENTITY_LENGTH}",
        f"{TOWN}-" * (MAX_IDENTITY_HOPS + 1) + "zhang",
    ],
)
def test_what_is_no_identity_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_monitor_identity(value)
    assert caught.value.status == 400


def test_blanks_around_the_value_are_no_part_of_it() -> None:
    assert parse_monitor_identity(f"  {TOWN}-zhang san ") == MonitorIdentity((TOWN,), "zhang san")


@pytest.mark.parametrize(
    ("gateway", "user"),
    [
        (CAMERA, "zhang"),
        ("gateway", "zhang"),
        (TOWN, ""),
        (TOWN, "a\nb"),
        (TOWN, f"{COUNTY}-x"),
        (TOWN, "x" * MAX_IDENTITY_LENGTH),
        (TOWN, "trailing "),
    ],
)
def test_what_nobody_could_read_is_not_written(gateway: str, user: str) -> None:
    with pytest.raises(LocalProtocolError):
        MonitorIdentity.of(gateway, user)


def test_a_gateway_passes_an_identity_on_once() -> None:
    identity = MonitorIdentity.of(VILLAGE, "zhang").via(TOWN)
    assert identity.passed(TOWN)
    assert identity.passed(VILLAGE)
    assert not identity.passed(COUNTY)
    for code in (TOWN, VILLAGE):
        with pytest.raises(RemoteProtocolError) as caught:
            identity.via(code)
        assert caught.value.status == 482


def test_a_loop_in_a_received_identity_is_seen() -> None:
    assert parse_monitor_identity(f"{TOWN}-{COUNTY}-{TOWN}-zhang").looped
    assert not parse_monitor_identity(f"{TOWN}-{COUNTY}-zhang").looped


def test_the_code_of_a_gateway_is_checked_before_it_is_put_in_front() -> None:
    with pytest.raises(LocalProtocolError):
        MonitorIdentity.of(TOWN, "zhang").via(CAMERA)


def test_a_chain_ends_at_the_most_gateways_anybody_accepts() -> None:
    identity = MonitorIdentity.of(TOWN, "zhang")
    for number in range(1, MAX_IDENTITY_HOPS):
        identity = identity.via(f"3713260000200{number:07d}")
    assert parse_monitor_identity(identity.serialize()) == identity
    with pytest.raises(RemoteProtocolError) as caught:
        identity.via(COUNTY)
    assert caught.value.status == 483


def test_an_identity_at_its_longest_is_not_made_longer() -> None:
    user = "x" * (MAX_IDENTITY_LENGTH - len(TOWN) - 1)
    identity = parse_monitor_identity(f"{TOWN}-{user}")
    with pytest.raises(RemoteProtocolError, match="too long") as caught:
        identity.via(COUNTY)
    assert caught.value.status == 483


@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_a_chinese_user_is_readable_and_forwarded_byte_for_byte(charset: str) -> None:
    data = f"{TOWN}-张三-平邑县公安局".encode(charset)
    identity = parse_monitor_identity(data.decode("utf-8", "surrogateescape"))
    assert identity.readable_user == "张三-平邑县公安局"
    passed = identity.via(COUNTY).serialize()
    assert passed.encode("utf-8", "surrogateescape") == COUNTY.encode() + b"-" + data


@given(st.lists(codes, min_size=1, max_size=MAX_IDENTITY_HOPS, unique=True), users)
def test_any_chain_reads_back_as_it_was_written(gateways: list[str], user: str) -> None:
    first, *later = reversed(gateways)
    assume(user == user.strip(" "))
    assume(not ("-" in user and is_gateway_code(user.partition("-")[0])))
    identity = MonitorIdentity.of(first, user)
    for gateway in later:
        identity = identity.via(gateway)
    assert identity == MonitorIdentity(tuple(gateways), user)
    again = parse_monitor_identity(identity.serialize())
    assert again == identity
    assert not again.looped
    assert again.readable_user


@given(st.text(max_size=80) | st.lists(codes | users, max_size=6).map("-".join))
def test_any_text_is_an_identity_that_reads_back_or_refused(value: str) -> None:
    try:
        identity = parse_monitor_identity(value)
    except RemoteProtocolError:
        return
    assert identity.serialize() == value.strip(" ")
    assert identity.gateways
    assert all(is_gateway_code(gateway) for gateway in identity.gateways)
    assert parse_monitor_identity(identity.serialize()) == identity
