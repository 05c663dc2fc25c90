"""What real devices send, one vector for each quirk of bodies."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gb28181.errors import XmlError
from gb28181.manscdp import (
    CatalogItem,
    CatalogNotify,
    CatalogResponse,
    DeviceStatusResponse,
    Keepalive,
    ManscdpMessage,
    Unknown,
    parse_message,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "devices"
NVR = "37132600001180000001"
READABLE = sorted(
    path.stem for path in VECTORS.glob("q0[4-7]*.xml") if path.stem != "q046-malformed-body"
)


def message(name: str) -> ManscdpMessage:
    return parse_message((VECTORS / f"{name}.xml").read_bytes())


def items(name: str) -> tuple[CatalogItem, ...]:
    content = message(name).content
    assert isinstance(content, CatalogResponse)
    return content.items


@pytest.mark.parametrize("name", READABLE)
def test_every_vector_keeps_its_envelope(name: str) -> None:
    read = message(name)
    assert read.cmd_type
    assert read.sn in {9, 16, 17, 18, 99}


@pytest.mark.parametrize(
    ("vector", "charset", "name"),
    [
        ("q040-gbk-and-gb18030-characters-declared-gb2312", "GB18030", "朱镕基路喆㙍"),
        ("q041-utf8-declared-gb2312", "UTF-8", "北门枪机"),
        ("q041-gb2312-declared-utf8", "GB18030", "北门枪机"),
    ],
)
def test_wrongly_declared_charsets_are_seen_through(vector: str, charset: str, name: str) -> None:
    assert message(vector).charset == charset
    assert items(vector)[0].name == name


def test_raw_ampersands_and_references_are_both_kept() -> None:
    assert items("q042-raw-ampersand")[0].name == "A&B 超市 中 & &nbsp;门"
    assert message("q042-raw-ampersand").recovered > 0


def test_raw_less_than_signs_do_not_lose_an_item() -> None:
    assert items("q042-raw-less-than")[0].name == "限高<3.5 m, a<b"
    first, second = items("q043-raw-less-than-in-address")
    assert (first.address, second.address) == ("路口<东门", "Gate")
    first, second = items("q043-raw-tag-in-address")
    assert (first.address, second.address) == ("路口<东门 East>2", "a<b>c")
    assert (first.status, second.status) == ("ON", "ON")


def test_a_stray_end_tag_loses_no_item() -> None:
    assert [item.device_id[-1] for item in items("q044-extra-item-end-tag")] == ["1", "2", "3"]


def test_nul_characters_are_dropped() -> None:
    assert items("q044-nul-characters")[0].name == "Camera"
    assert message("q044-nul-characters").recovered == 1


def test_empty_elements_and_null_are_absent() -> None:
    (item,) = items("q045-empty-tags-and-null")
    assert (item.name, item.manufacturer, item.model) == ("", "", "")
    assert (item.longitude, item.latitude) == (None, None)
    assert "Name" not in item.raw


def test_a_hopeless_body_is_the_documented_error() -> None:
    with pytest.raises(XmlError) as caught:
        message("q046-malformed-body")
    assert caught.value.status == 400


def test_a_truncated_body_keeps_the_items_that_came() -> None:
    assert [item.name for item in items("q046-truncated-body")] == ["一号", "二号"]
    damaged = message("q047-recordinfo-damaged")
    assert (damaged.cmd_type, len(damaged.element.findall("RecordList/Item"))) == ("RecordInfo", 2)


def test_values_may_be_attributes() -> None:
    response = message("q048-values-as-attributes").content
    assert isinstance(response, CatalogResponse)
    assert (response.sn, response.device_id, response.sum_num) == (17, NVR, 2)
    assert [(item.name, item.status, item.ptz_type) for item in response.items] == [
        ("北门", "ON", None),
        ("南门", "OFF", 1),
    ]
    assert "Password" not in response.items[0].raw
    keepalive = message("q048-keepalive-as-attributes").content
    assert keepalive == Keepalive(sn=9, device_id=NVR, status="OK")


def test_numbers_that_are_text_leave_the_record_standing() -> None:
    (item,) = items("q050-numbers-that-are-text")
    assert (item.port, item.longitude, item.latitude) == (None, None, 35.5063)
    assert (item.ptz_type, item.room_type, item.secrecy, item.parental) == (None,) * 4
    assert (item.name, item.status) == ("Camera", "ON")
    assert item.raw["Info.PTZType"] == "dome"


@pytest.mark.parametrize(
    "form", ["without-zero-padding", "with-zone", "with-milliseconds", "with-blank"]
)
def test_times_are_read_in_every_form(form: str) -> None:
    content = message(f"q051-time-{form}").content
    assert isinstance(content, DeviceStatusResponse)
    assert content.device_time is not None
    assert content.device_time.replace(microsecond=0) == datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("vector", ["q053-info-fields-flat", "q053-business-group-in-info"])
def test_info_fields_may_be_flat_and_the_group_nested(vector: str) -> None:
    (item,) = items(vector)
    assert (item.ptz_type, item.business_group_id) == (1, "37132600002150000001")


@pytest.mark.parametrize(
    ("vector", "path", "text"),
    [
        ("q049-other-element-than-configtype", "VideoParamConfig/Resolution", "6"),
        ("q052-mobileposition-list", "DeviceList/Item/Longitude", "117.64"),
        ("q052-mobileposition-flat", "Longitude", "117.64"),
        ("q054-homeposition-answered-with-other-cmdtype", "HomePosition/Enabled", "1"),
        ("q055-snapshot-instead-of-snapshotconfig", "SnapShot/SnapNum", "3"),
    ],
)
def test_commands_without_a_dataclass_keep_their_tree(vector: str, path: str, text: str) -> None:
    content = message(vector).content
    assert isinstance(content, Unknown)
    assert content.element.findtext(path) == text


@pytest.mark.parametrize("vector", ["q076-notify-during-sync", "q078-notify-below-unknown-group"])
def test_a_catalogue_notification_is_no_answer(vector: str) -> None:
    notify = message(vector).content
    assert isinstance(notify, CatalogNotify)
    assert message(vector).root == "Notify"
    assert notify.items[0].name
