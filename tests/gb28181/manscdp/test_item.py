"""Catalogue items as each edition has them."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.manscdp import (
    CatalogItem,
    CatalogNotify,
    CatalogResponse,
    item_from_texts,
    parse_message,
    sent_fields,
    serialize_message,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "manscdp"
PLATFORM = "37132601002000000001"
CAMERA = "37132600001320000001"
GROUP = "37132600002150000001"
ORGANISATION = "37132600002160000001"

FULL = CatalogItem(
    device_id=CAMERA,
    name="北门枪机",
    manufacturer="ExampleVision",
    model="EV-B2",
    owner="平邑县综治中心",
    civil_code="371326",
    block="371326000000",
    address="平邑县示例路1号",
    parental=0,
    parent_id=PLATFORM,
    safety_way=0,
    register_way=1,
    cert_num="1",
    certifiable=1,
    err_code=4,
    end_time=datetime(2030, 1, 1, tzinfo=UTC),
    security_level_code="A",
    secrecy=0,
    ip_address="10.9.20.31",
    port=5060,
    password="s3cret",
    status="ON",
    longitude=117.6402,
    latitude=35.5063,
    business_group_id=GROUP,
    ptz_type=3,
    position_type=4,
    use_type=1,
    room_type=1,
    download_speed="1/2/4",
    grassroots_code="001203",
    point_type=1,
    mac="02-00-5E-10-00-01",
    raw={"Vendor": "private", "Info.VendorOwn": "x"},
)


def written(item: CatalogItem, edition: str) -> str:
    response = CatalogResponse(sn=1, device_id=PLATFORM, sum_num=1, items=(item,))
    return serialize_message(response, "UTF-8", edition=edition).decode()


def notified(item: CatalogItem, edition: str) -> str:
    notify = CatalogNotify(sn=1, device_id=PLATFORM, sum_num=1, items=(item,))
    return serialize_message(notify, "UTF-8", edition=edition).decode()


def names_in(text: str) -> list[str]:
    body = text.partition("<Item>")[2].partition("</Item>")[0]
    return [part.split(">")[0] for part in body.split("<")[1:] if not part.startswith("/")]


def test_a_password_is_never_sent() -> None:
    for edition in ("2011", "2014", "2016", "2022"):
        assert "s3cret" not in written(FULL, edition) + notified(FULL, edition)
        assert "Password" not in written(FULL, edition)


def test_what_a_vendor_added_is_not_sent() -> None:
    for edition in ("2011", "2016", "2022"):
        assert "Vendor" not in written(FULL, edition).replace("ExampleVision", "")


def test_2011_has_no_info() -> None:
    text = written(FULL, "2011")
    assert "<Info>" not in text
    assert "BusinessGroupID" not in text
    assert "<Owner>平邑县综治中心</Owner>" in text


def test_2016_has_the_owner_and_the_old_info_fields() -> None:
    names = names_in(written(FULL, "2016"))
    assert {"Owner", "SafetyWay", "CertNum", "PositionType", "UseType", "DownloadSpeed"} <= {*names}
    assert not {"SecurityLevelCode", "GrassrootsCode", "PointType", "MAC"} & {*names}
    # Of a camera the schema up to 2016 has the group in Info.
    assert names.index("BusinessGroupID") > names.index("Info")


def test_2022_has_the_new_info_fields_and_not_the_old_ones() -> None:
    names = names_in(written(FULL, "2022"))
    assert {"SecurityLevelCode", "GrassrootsCode", "PointType", "MAC"} <= {*names}
    assert not {"Owner", "SafetyWay", "CertNum", "ErrCode", "PositionType", "UseType"} & {*names}
    assert names.index("BusinessGroupID") < names.index("Info")


@pytest.mark.parametrize("edition", ["2011", "2014", "2016", "2022"])
def test_a_division_is_a_code_and_a_name(edition: str) -> None:
    for code in ("37", "3713", "371326", "37132601"):
        assert names_in(written(replace(FULL, device_id=code), edition)) == ["DeviceID", "Name"]


@pytest.mark.parametrize(
    ("device_id", "edition", "names"),
    [
        (GROUP, "2016", ["DeviceID", "Name", "ParentID"]),
        (GROUP, "2022", ["DeviceID", "Name", "CivilCode", "ParentID"]),
        (ORGANISATION, "2016", ["DeviceID", "Name", "ParentID", "BusinessGroupID"]),
        (ORGANISATION, "2022", ["DeviceID", "Name", "ParentID", "BusinessGroupID"]),
        (
            PLATFORM,
            "2016",
            [
                "DeviceID",
                "Name",
                "Manufacturer",
                "Model",
                "Owner",
                "CivilCode",
                "Address",
                "Parental",
                "ParentID",
                "RegisterWay",
                "Secrecy",
                "Status",
            ],
        ),
        (
            PLATFORM,
            "2022",
            [
                "DeviceID",
                "Name",
                "Manufacturer",
                "Model",
                "CivilCode",
                "Address",
                "Parental",
                "ParentID",
                "RegisterWay",
                "Secrecy",
                "Status",
            ],
        ),
    ],
)
def test_groups_organisations_and_systems_have_their_fields_only(
    device_id: str, edition: str, names: list[str]
) -> None:
    assert names_in(written(replace(FULL, device_id=device_id), edition)) == names


def test_what_is_absent_stays_absent() -> None:
    for edition in ("2011", "2016", "2022"):
        text = written(CatalogItem(device_id=CAMERA, name="a"), edition)
        assert names_in(text) == ["DeviceID", "Name"]


def test_zero_is_a_value_and_is_kept() -> None:
    item = CatalogItem(device_id=CAMERA, longitude=0.0, latitude=0.0, secrecy=0, parental=0)
    text = written(item, "2016")
    assert "<Longitude>0</Longitude>" in text
    assert "<Secrecy>0</Secrecy>" in text


@pytest.mark.parametrize("event", ["ON", "OFF", "VLOST", "DEFECT", "DEL", "off"])
def test_a_change_of_state_names_the_item_only(event: str) -> None:
    text = notified(replace(FULL, event=event), "2022")
    assert names_in(text) == ["DeviceID", "Event"]


@pytest.mark.parametrize("event", ["ADD", "UPDATE"])
def test_an_added_or_changed_item_has_its_fields_after_the_event(event: str) -> None:
    names = names_in(notified(replace(FULL, event=event), "2016"))
    assert names[:3] == ["DeviceID", "Event", "Name"]
    assert "Event" not in names_in(written(replace(FULL, event=event), "2016"))
    division = CatalogItem(device_id="371326", event=event, name="平邑县", civil_code="3713")
    assert names_in(notified(division, "2016")) == ["DeviceID", "Event", "Name"]


def test_2011_is_notified_by_a_response_with_the_state() -> None:
    text = notified(replace(FULL, event="OFF"), "2011")
    assert "<Response>" in text
    assert "<Event>" not in text
    assert "<Status>OFF</Status>" in text
    assert "<Status>ON</Status>" in notified(replace(FULL, event="ON", status="OFF"), "2011")
    assert "<Status>OFF</Status>" in notified(replace(FULL, event="DEL"), "2011")
    kept = parse_message(notified(replace(FULL, event="UPDATE"), "2011").encode()).content
    assert isinstance(kept, CatalogResponse)
    assert kept.items[0].status == "ON"


def test_an_item_is_made_of_the_texts_kept_of_it() -> None:
    content = parse_message((VECTORS / "response-catalog-2022.xml").read_bytes()).content
    assert isinstance(content, CatalogResponse)
    for item in content.items:
        assert item_from_texts(item.raw) == item
    assert item_from_texts({"DeviceID": CAMERA, "Info.PTZType": " 4 ", "Port": "none"}) == (
        CatalogItem(device_id=CAMERA, ptz_type=4)
    )


def test_an_edition_nobody_knows_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="2013"):
        written(FULL, "2013")
    with pytest.raises(LocalProtocolError, match="2013"):
        sent_fields(FULL, "2013")


def test_an_edition_may_be_named_by_its_version_mark() -> None:
    assert written(FULL, "3.0") == written(FULL, "2022")
    assert sent_fields(FULL, "2.0") == sent_fields(FULL, "2016")


WORDS = st.text(alphabet="北门枪机镕喆㙍&<>'\" ab1/", max_size=12).map(str.strip)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": WORDS.filter(lambda text: text.lower() != "null"),
    "int": st.none() | st.integers(-(10**9), 10**9),
    "float": st.none() | st.floats(-1000, 1000).map(lambda value: round(value, 9) + 0.0),
    "datetime": st.none()
    | st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 -- the zone is added below
        max_value=datetime(2999, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ).map(lambda at: at.replace(microsecond=0)),
}


def _item(values: dict[str, Any]) -> CatalogItem:
    return CatalogItem(**values)


ITEMS = st.fixed_dictionaries(
    {
        "device_id": st.sampled_from(
            [CAMERA, GROUP, ORGANISATION, PLATFORM, "371326", "37132600001180000001", "37132601"]
        )
    },
    optional={
        field.name: next(VALUES[word] for word in VALUES if word in str(field.type).split("[")[1])
        for field in fields(CatalogItem)
        if field.name not in {"device_id", "event", "raw"}
    },
).map(_item)


@given(
    ITEMS,
    st.sampled_from(["2011", "2014", "2016", "2022"]),
    st.sampled_from(["GB2312", "GB18030", "UTF-8"]),
)
def test_an_item_comes_back_with_the_fields_of_its_edition(
    item: CatalogItem, edition: str, charset: str
) -> None:
    response = CatalogResponse(sn=1, device_id=PLATFORM, sum_num=1, items=(item,))
    message = parse_message(serialize_message(response, charset, edition=edition))
    assert isinstance(message.content, CatalogResponse)
    kept = sent_fields(item, edition)
    absent = CatalogItem()
    expected = replace(
        item,
        **{
            field.name: getattr(absent, field.name)
            for field in fields(CatalogItem)
            if field.name not in kept
        },
    )
    assert message.content.items == (expected,)
    assert message.recovered == 0
