"""Keepalives read without an XML parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import XmlError
from gb28181.manscdp import (
    CatalogEvent,
    CatalogItem,
    CatalogNotify,
    Keepalive,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.notify import read_plain_keepalive

PLAIN = (
    b'<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>43</SN>\r\n'
    b"<DeviceID>34020000001320000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
)


def test_what_we_send_ourselves_is_read() -> None:
    sent = Keepalive(sn=7, device_id="34020000001320000001", status="OK")
    assert read_plain_keepalive(serialize_message(sent)) == sent


@pytest.mark.parametrize(
    "change",
    [
        (b"", b""),
        (b"GB2312", b"utf-8"),
        (b'<?xml version="1.0" encoding="GB2312"?>\r\n', b""),
        (b"</Status>\r\n", b"</Status>\r\n<Info>\r\n</Info>\r\n"),
        (b"</Status>\r\n", b"</Status><Info/>"),
        (b">OK<", b">ERROR<"),
        (b"</Notify>\r\n", b"</Notify>\r\n\x00\x00"),
    ],
)
def test_the_usual_forms_are_read_as_the_parser_reads_them(change: tuple[bytes, bytes]) -> None:
    body = PLAIN.replace(*change)
    assert read_plain_keepalive(body) == parse_message(body).content


@pytest.mark.parametrize(
    "change",
    [
        (b"Keepalive", b"Catalog"),
        (b">OK<", b">ON<"),
        (b"<SN>43</SN>", b""),
        (b"<SN>43", b"<SN>x"),
        (b"GB2312", b"UTF-16"),
        (b"</Status>", b"</Status><Info><DeviceID>34020000001320000002</DeviceID></Info>"),
        (b"<Notify>", b'<!DOCTYPE x [<!ENTITY y "z">]><Notify>'),
    ],
)
def test_everything_else_is_left_to_the_parser(change: tuple[bytes, bytes]) -> None:
    body = PLAIN.replace(*change)
    assert body != PLAIN
    assert read_plain_keepalive(body) is None


@given(at=st.integers(0, len(PLAIN) - 1), put=st.binary(max_size=3))
def test_whatever_is_read_the_parser_reads_the_same(at: int, put: bytes) -> None:
    body = PLAIN[:at] + put + PLAIN[at + 1 :]
    read = read_plain_keepalive(body)
    if read is None:
        return
    try:
        assert parse_message(body).content == read
    except XmlError:
        pytest.fail(f"the parser refuses {body!r}")


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("ON", CatalogEvent.ON),
        ("off", CatalogEvent.OFF),
        (" Update ", CatalogEvent.UPDATE),
        ("Offline", CatalogEvent.OFF),
        ("VLOST", CatalogEvent.VLOST),
        ("", None),
        ("EXPLODED", None),
    ],
)
def test_events_are_read_in_any_case(text: str, event: CatalogEvent | None) -> None:
    assert CatalogEvent.of(CatalogItem(device_id="1", event=text)) is event


def test_only_new_and_changed_items_have_fields() -> None:
    assert [event for event in CatalogEvent if event.has_fields] == [
        CatalogEvent.ADD,
        CatalogEvent.UPDATE,
    ]


def test_a_notification_is_read_with_its_events_wherever_they_stand() -> None:
    content = parse_message(
        b"<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>1</DeviceID><SumNum>9</SumNum>"
        b"<DeviceList Num='2'><Item><DeviceID>2</DeviceID><Name>a</Name><Event>add</Event></Item>"
        b"<Item><DeviceID>3</DeviceID><Event>Del</Event></Item></DeviceList></Notify>"
    ).content
    assert isinstance(content, CatalogNotify)
    assert content.sum_num == 9
    assert [CatalogEvent.of(item) for item in content.items] == [CatalogEvent.ADD, CatalogEvent.DEL]
    assert content.items[0].name == "a"
