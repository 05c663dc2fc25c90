"""What a channel becomes in a catalogue: what it said, what policy leaves of it, and nothing invented."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.cascade.catalog.item import Placed, Rank, SecrecyError, differs, rank_of, render
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.policy import Obligations
from gateway.signalling.convert import channel_from_item
from gb28181.manscdp import CatalogItem
from gb28181.manscdp.item import item_from_texts
from tests.support.catalog_world import COUNTY, channel

LOWER = "37132601002000000001"
CAMERA = "37132601001320000011"
SHARED = "37132600001320000901"

FULL = {
    "DeviceID": CAMERA,
    "Name": "中心广场球机",
    "Manufacturer": "ExampleVision",
    "Model": "EV-D4",
    "Owner": "平邑县综治中心",
    "CivilCode": "371326",
    "Block": "371326000000",
    "Address": "平邑县中心广场",
    "Parental": "1",
    "ParentID": f"{LOWER}/37132600002160000002",
    "SafetyWay": "0",
    "RegisterWay": "1",
    "CertNum": "17",
    "Certifiable": "1",
    "ErrCode": "3",
    "EndTime": "2027-05-01T00:00:00",
    "SecurityLevelCode": "A",
    "Secrecy": "0",
    "IPAddress": "10.9.20.41",
    "Port": "5060",
    "Status": "ON",
    "Longitude": "117.640200",
    "Latitude": "35.506300",
    "BusinessGroupID": "37132600002150000001",
    "Info.PTZType": "1",
    "Info.PositionType": "3",
    "Info.PhotoelectricImagingType": "1/2",
    "Info.CapturePositionType": "0010300",
    "Info.RoomType": "1",
    "Info.UseType": "2",
    "Info.SupplyLightType": "3",
    "Info.DirectionType": "1",
    "Info.Resolution": "2560X1440/6",
    "Info.StreamNumberList": "0/1",
    "Info.DownloadSpeed": "1/2/4",
    "Info.SVCSpaceSupportMode": "0",
    "Info.SVCTimeSupportMode": "2",
    "Info.SSVCRatioSupportList": "4:3/2:1",
    "Info.MobileDeviceType": "2",
    "Info.HorizontalFieldAngle": "58.4",
    "Info.VerticalFieldAngle": "33.6",
    "Info.MaxViewDistance": "220",
    "Info.GrassrootsCode": "001203",
    "Info.PointType": "1",
    "Info.PointCommonName": "中心广场",
    "Info.MAC": "02-00-5E-10-00-01",
    "Info.FunctionType": "01/03",
    "Info.EncodeType": "2/5",
    "Info.InstallTime": "2026-05-01T00:00:00",
    "Info.ManagementUnit": "平邑县综治中心",
    "Info.ContactInfo": "0539-0000000",
    "Info.RecordSaveDays": "30",
    "Info.IndustrialClassification": "S92",
}


def received(texts: dict[str, str]) -> tuple[CatalogItem, Channel]:
    """Return an item as it came and the channel it became."""
    item = replace(item_from_texts(texts), raw=dict(texts))
    found = channel_from_item(LOWER, item, platform_id=COUNTY)
    assert found is not None
    return item, found


def placed(item: Channel, **fields: Any) -> Placed:
    fields.setdefault("code", item.channel_id)
    fields.setdefault("rank", rank_of(item.kind))
    return Placed(channel=item, **fields)


def test_every_standard_field_goes_up_as_it_came() -> None:
    item, found = received(FULL)
    sent = render(
        placed(
            found,
            parents=(LOWER, "37132600002160000002"),
            group="37132600002150000001",
            online=True,
        ),
        rename=False,
    )
    assert sent == item
    empty = CatalogItem()
    absent = {name for name in CatalogItem.__slots__ if getattr(sent, name) == getattr(empty, name)}
    assert absent == {"event", "password", "raw", "route_marks"}


def test_what_was_never_said_stays_absent() -> None:
    _, found = received({"DeviceID": CAMERA, "Name": "x", "Status": "ON"})
    sent = render(placed(found, online=True, parents=(COUNTY,)), rename=False)
    wanted = CatalogItem(
        device_id=CAMERA,
        name="x",
        parent_id=COUNTY,
        status="ON",
        # These two every edition demands, with these defaults.
        register_way=1,
        secrecy=0,
    )
    assert sent == wanted


@pytest.mark.parametrize(
    "odd",
    [
        {"CivilCode": "null"},
        {"CivilCode": "CivilCode"},
        {"CivilCode": "3713260000"},
        {"Longitude": "abc", "Latitude": "1e9"},
        {"Longitude": "999"},
        {"Info.PTZType": "many"},
        {"Port": "0x1"},
        {"Vendor": "x", "Info.Vendor": "y"},
        {"Password": "secret", "Info.Password": "secret"},
    ],
    ids=str,
)
def test_what_could_not_be_read_and_what_vendors_added_does_not_go_up(odd: dict[str, str]) -> None:
    _, plain = received({"DeviceID": CAMERA, "Name": "x"})
    _, found = received({"DeviceID": CAMERA, "Name": "x", **odd})
    assert render(placed(found), rename=False) == render(placed(plain), rename=False)
    assert render(placed(found), rename=False).raw == {}


def test_zero_coordinates_go_up_as_zero_and_absent_ones_do_not() -> None:
    at_zero = channel(LOWER, CAMERA, longitude=0.0, latitude=0.0)
    sent = render(placed(at_zero), rename=False)
    assert (sent.longitude, sent.latitude) == (0.0, 0.0)
    nowhere = render(placed(channel(LOWER, CAMERA)), rename=False)
    assert (nowhere.longitude, nowhere.latitude) == (None, None)


def test_a_masked_name_stands_in_every_place_of_the_name() -> None:
    _, found = received(FULL)
    sent = render(placed(found, obligations=Obligations(mask_name="某处")), rename=False)
    assert sent.name == "某处"
    assert sent.point_common_name == ""
    assert sent.longitude == 117.6402


def test_a_masked_position_leaves_no_trace_of_where_it_is() -> None:
    _, found = received(FULL)
    sent = render(placed(found, obligations=Obligations(mask_position=True)), rename=False)
    assert (sent.longitude, sent.latitude, sent.address) == (None, None, "")
    assert sent.point_common_name == ""
    assert sent.name == "中心广场球机"


@pytest.mark.parametrize("secrecy", [1, 2, -1])
def test_what_is_secret_is_never_written(secrecy: int) -> None:
    found = channel(LOWER, CAMERA, secrecy=secrecy)
    with pytest.raises(SecrecyError):
        render(placed(found), rename=False)


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("371326", {"name"}),
        ("37132600002150000001", {"name", "civil_code", "parent_id", "business_group_id"}),
        ("37132600002160000001", {"name", "civil_code", "parent_id", "business_group_id"}),
    ],
)
def test_divisions_groups_and_organisations_carry_their_few_fields_only(
    code: str, kept: set[str]
) -> None:
    item, _ = received({**FULL, "DeviceID": code})
    found = channel_from_item(LOWER, item, platform_id=COUNTY)
    assert found is not None
    sent = render(placed(found, parents=(COUNTY,), group="g"), rename=False)
    empty = CatalogItem()
    given = {n for n in CatalogItem.__slots__ if getattr(sent, n) != getattr(empty, n)}
    assert given == {"device_id", *kept}


def test_no_lower_level_code_is_left_in_any_text_where_codes_are_renamed() -> None:
    other = "37132601001180000001"
    found = channel(
        LOWER,
        CAMERA,
        name=f"cam {CAMERA} at {other}",
        address=f"{LOWER}号",
        manufacturer="A" + "1" * 21,
        model=other,
        parent_ids=(other,),
        business_group_id="group-of-police-7",
        extra={
            "Block": other,
            "Owner": f"[{CAMERA}]",
            "Info.PointCommonName": f"{other}旁",
            "Info.ManagementUnit": "group-of-police-7 office",
            "Info.ContactInfo": "0539-0000000",
        },
    )
    sent = render(placed(found, code=SHARED, parents=(COUNTY,)), rename=True)
    texts = [
        value for name in CatalogItem.__slots__ if isinstance(value := getattr(sent, name), str)
    ]
    for lower in (CAMERA, other, LOWER, "group-of-police-7", "1" * 20):
        assert not any(lower in text for text in texts), lower
    assert sent.name == f"cam {SHARED} at"
    assert sent.owner == f"[{SHARED}]"
    assert sent.address == "号"
    assert sent.block == ""
    assert sent.contact_info == "0539-0000000"


def test_a_district_code_that_is_no_item_goes_up_where_codes_are_renamed() -> None:
    found = channel(LOWER, CAMERA, extra={"Block": "371326000000"})
    assert render(placed(found, code=SHARED), rename=True).block == "371326000000"


@pytest.mark.parametrize(
    ("changes", "edition", "differ"),
    [
        ({}, "2022", False),
        ({"online": False}, "2022", False),
        ({"status_text": "OFFLINE"}, "2022", False),
        ({"name": "new"}, "2022", True),
        ({"longitude": None}, "2016", True),
        ({"extra": {"Owner": "new"}}, "2016", True),
        ({"extra": {"Owner": "new"}}, "2022", False),
        ({"extra": {"Info.MAC": "02-00-5E-10-00-01"}}, "2016", False),
        ({"extra": {"Info.MAC": "02-00-5E-10-00-01"}}, "2022", True),
        ({"extra": {"Vendor": "x"}}, "2022", False),
    ],
    ids=str,
)
def test_a_change_counts_only_if_the_platforms_edition_has_the_field(
    changes: dict[str, Any], edition: str, differ: bool
) -> None:
    before = channel(LOWER, CAMERA, longitude=117.0, latitude=35.0)
    old, new = placed(before, online=True), placed(replace(before, **changes), online=True)
    assert differs(old, new, rename=False, edition=edition) is differ


def test_parents_and_obligations_count_as_changes_and_status_does_not() -> None:
    found = channel(LOWER, CAMERA)
    old = placed(found, online=True, parents=(COUNTY,))
    for new in (
        placed(found, online=True, parents=(LOWER,)),
        placed(found, online=True, parents=(COUNTY,), group="g"),
        placed(found, parents=(COUNTY,), online=True, obligations=Obligations(mask_name="x")),
    ):
        assert differs(old, new, rename=False, edition="2022")
    assert not differs(
        old, placed(found, online=False, parents=(COUNTY,)), rename=False, edition="2022"
    )


def test_times_keep_their_instant() -> None:
    _, found = received(FULL)
    assert render(placed(found), rename=False).install_time == datetime(2026, 4, 30, 16, tzinfo=UTC)


def test_ranks_put_parents_first() -> None:
    assert [rank_of(kind) for kind in ChannelKind] == [
        Rank.CHANNEL,
        Rank.CHANNEL,
        Rank.CHANNEL,
        Rank.DEVICE,
        Rank.PLATFORM,
        Rank.DIVISION,
        Rank.GROUP,
        Rank.ORGANISATION,
        Rank.CHANNEL,
    ]
