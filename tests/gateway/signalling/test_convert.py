"""Channels from catalogue items."""

from pathlib import Path
from typing import Any

import pytest

from gateway.domain.device import Channel, ChannelKind
from gateway.signalling.convert import (
    channel_from_item,
    channel_kind,
    channels_from_items,
    is_online,
)
from gb28181.limits import MAX_CHANNEL_EXTRA, MAX_CHANNEL_PARENTS
from gb28181.manscdp import CatalogItem, CatalogResponse, parse_message

VECTORS = Path(__file__).parents[2] / "vectors"
NVR = "37132600001180000001"
PLATFORM = "37132600002000000001"


def channels(name: str, device_id: str = NVR) -> list[Channel]:
    content = parse_message((VECTORS / f"{name}.xml").read_bytes()).content
    assert isinstance(content, CatalogResponse)
    return channels_from_items(device_id, content.items, platform_id=PLATFORM)


def convert(channel_id: str, *, device: str = NVR, **values: Any) -> Channel:
    item = CatalogItem(device_id=channel_id, **values)
    channel = channel_from_item(device, item, platform_id=PLATFORM)
    assert channel is not None
    return channel


def test_a_camera_of_the_2016_sample() -> None:
    (channel,) = channels("manscdp/response-catalog-2016")
    assert channel == Channel(
        device_id=NVR,
        channel_id="37132600001320000001",
        kind=ChannelKind.CAMERA,
        name="北门枪机",
        manufacturer="ExampleVision",
        model="EV-B2",
        civil_code="371326",
        address="平邑县示例路1号",
        parent_ids=(NVR,),
        business_group_id="",
        online=True,
        status_text="ON",
        longitude=117.6402,
        latitude=35.5063,
        secrecy=0,
        ptz_type=3,
        extra={
            "Owner": "平邑县综治中心",
            "Block": "371326000000",
            "Parental": "0",
            "SafetyWay": "0",
            "RegisterWay": "1",
            "IPAddress": "10.9.20.31",
            "Port": "5060",
            "Info.RoomType": "1",
            "Info.UseType": "1",
            "Info.SupplyLightType": "2",
            "Info.DirectionType": "4",
            "Info.Resolution": "6/4",
            "Info.DownloadSpeed": "1/2/4",
        },
    )


def test_the_2022_sample_has_every_kind_of_node() -> None:
    nodes = {channel.channel_id: channel for channel in channels("manscdp/response-catalog-2022")}
    assert [channel.kind for channel in nodes.values()] == [
        ChannelKind.PLATFORM,
        ChannelKind.REGION,
        ChannelKind.REGION,
        ChannelKind.GROUP,
        ChannelKind.ORGANISATION,
        ChannelKind.ORGANISATION,
        ChannelKind.CAMERA,
        ChannelKind.AUDIO,
    ]
    camera = nodes["37132600001320000011"]
    assert camera.parent_ids == ("37132601002000000001", "37132600002160000002")
    assert camera.business_group_id == "37132600002150000001"
    assert camera.extra["Info.GrassrootsCode"] == "001203"
    assert all(node.online for node in nodes.values())


@pytest.mark.parametrize(
    ("type_code", "kind"),
    [
        ("118", ChannelKind.DEVICE),
        ("131", ChannelKind.CAMERA),
        ("132", ChannelKind.CAMERA),
        ("133", ChannelKind.OTHER),
        ("134", ChannelKind.ALARM),
        ("135", ChannelKind.ALARM),
        ("136", ChannelKind.AUDIO),
        ("137", ChannelKind.AUDIO),
        ("138", ChannelKind.AUDIO),
        ("139", ChannelKind.CAMERA),
        ("140", ChannelKind.ALARM),
        ("142", ChannelKind.OTHER),
        ("155", ChannelKind.CAMERA),
        ("200", ChannelKind.PLATFORM),
        ("215", ChannelKind.GROUP),
        ("216", ChannelKind.ORGANISATION),
        ("300", ChannelKind.OTHER),
        ("500", ChannelKind.OTHER),
        ("000", ChannelKind.CAMERA),
    ],
)
def test_kinds_follow_the_type_code(type_code: str, kind: ChannelKind) -> None:
    assert channel_kind(f"3713260000{type_code}0000001") is kind


def test_every_type_code_has_a_kind() -> None:
    kinds = {channel_kind(f"3713260000{code:03}0000001") for code in range(1000)}
    assert kinds == set(ChannelKind) - {ChannelKind.REGION}


@pytest.mark.parametrize(
    ("status", "online"),
    [
        ("ON", True),
        ("on", True),
        ("OK", True),
        ("Ok", True),
        ("ONLINE", True),
        ("online", True),
        ("1", True),
        (" ON ", True),
        ("", True),
        ("OFF", False),
        ("off", False),
        ("OFFLINE", False),
        ("0", False),
        ("ERROR", False),
        ("DEFECT", False),
        ("VLOST", False),
    ],
)
def test_status_words_are_normalised(status: str, online: bool) -> None:
    assert is_online(status) is online


def test_status_is_kept_as_sent_beside_its_meaning() -> None:
    found = channels("devices/q075-status-words")
    assert [channel.online for channel in found] == [True] * 7 + [False] * 6 + [True]
    assert [channel.status_text for channel in found][:3] == ["ON", "on", "OK"]


@pytest.mark.parametrize("vector", ["q065-parent-is-the-platform", "q065-parent-is-itself"])
def test_the_platform_and_the_item_itself_are_no_parents(vector: str) -> None:
    (channel,) = channels(f"devices/{vector}")
    assert channel.parent_ids == ()


def test_several_parents_are_split() -> None:
    (channel,) = channels("devices/q066-several-parents")
    assert channel.parent_ids == (NVR, "37132600002160000001", "37132600002160000002")


def test_parents_are_trimmed_bounded_and_told_once() -> None:
    assert convert("c", parent_id="a//b/ a /c").parent_ids == ("a", "b")
    many = convert("c", parent_id="/".join(map(str, range(100))))
    assert len(many.parent_ids) == MAX_CHANNEL_PARENTS


def test_division_codes_are_regions() -> None:
    found = channels("devices/q067-division-codes-as-items")
    assert [channel.channel_id for channel in found] == ["37", "3713", "371326", "37132601"]
    assert {channel.kind for channel in found} == {ChannelKind.REGION}


def test_a_civil_code_of_wrong_shape_is_dropped_but_remembered() -> None:
    long, odd, good = channels("devices/q068-civil-code-too-long")
    assert (long.civil_code, long.extra["CivilCode"]) == ("", "37132600001320000001")
    assert (odd.civil_code, odd.extra["CivilCode"]) == ("", "37X3")
    assert (good.civil_code, "CivilCode" in good.extra) == ("371326", False)


def test_groups_are_told_from_channels() -> None:
    found = channels("devices/q069-groups-among-channels")
    assert [channel.kind for channel in found] == [
        ChannelKind.GROUP,
        ChannelKind.ORGANISATION,
        ChannelKind.CAMERA,
    ]
    assert found[1].business_group_id == "37132600002150000001"


def test_audio_items_and_138_are_audio() -> None:
    assert [channel.kind for channel in channels("devices/q070-audio-items")] == [
        ChannelKind.AUDIO
    ] * 3


def test_odd_type_codes_are_not_lost() -> None:
    found = channels("devices/q071-odd-type-codes")
    assert [channel.kind for channel in found] == [ChannelKind.CAMERA] * 4


def test_a_recorder_that_lists_itself_is_not_its_own_channel() -> None:
    (channel,) = channels("devices/q072-recorder-lists-itself")
    assert channel.channel_id == "37132600001320000001"


@pytest.mark.parametrize("type_code", ["131", "132"])
def test_a_camera_that_registers_itself_is_its_own_channel(type_code: str) -> None:
    camera = f"3713260000{type_code}0000007"
    channel = convert(camera, device=camera, parent_id=camera)
    assert (channel.device_id, channel.channel_id, channel.parent_ids) == (camera, camera, ())


def test_the_same_channel_of_two_devices_is_two_channels() -> None:
    other = "37132600001180000002"
    (one,) = channels("devices/q077-channel-off-though-playable")
    (two,) = channels("devices/q073-channel-of-another-device-too", other)
    assert one.channel_id == two.channel_id
    assert (one.device_id, two.device_id) == (NVR, other)


def test_a_channel_that_claims_to_be_off_is_kept() -> None:
    (channel,) = channels("devices/q077-channel-off-though-playable")
    assert (channel.online, channel.status_text) == (False, "OFF")


def test_a_child_may_come_before_its_parents() -> None:
    child, lower, upper = channels("devices/q079-child-before-its-parents")
    assert child.parent_ids == (lower.channel_id,)
    assert lower.parent_ids == (upper.channel_id,)


def test_items_without_a_usable_identifier_are_no_channels() -> None:
    assert len(channels("devices/q064-item-without-deviceid")) == 1
    for bad in ("a b", "x" * 65, "", "a@b"):
        assert channel_from_item(NVR, CatalogItem(device_id=bad), platform_id=PLATFORM) is None


def test_numbers_that_are_none_are_absent_and_places_off_the_globe_too() -> None:
    (channel,) = channels("devices/q050-numbers-that-are-text")
    assert (channel.longitude, channel.latitude) == (None, 35.5063)
    # What is not plainly open is kept in.
    assert (channel.ptz_type, channel.secrecy) == (None, 1)
    assert channel.extra["Info.PTZType"] == "dome"
    assert channel.extra["Longitude"] == "E117.64"
    assert "Latitude" not in channel.extra
    far = convert("c", longitude=1176402.0, latitude=-91.0)
    assert (far.longitude, far.latitude) == (None, None)


def test_a_password_is_never_kept() -> None:
    found = channels("devices/q048-values-as-attributes")
    assert all("secret" not in str(channel) for channel in found)
    leaky = convert("c", password="secret", raw={"Password": "secret"})
    assert "secret" not in str(leaky)


def test_what_a_notification_says_happened_is_nothing_about_the_channel() -> None:
    assert convert("c", raw={"Event": "ADD", "Owner": "o"}).extra == {"Owner": "o"}


def test_further_fields_are_bounded() -> None:
    raw = {f"Vendor{index}": "x" for index in range(200)}
    assert len(convert("c", raw=raw).extra) == MAX_CHANNEL_EXTRA


def test_the_last_item_of_an_identifier_wins() -> None:
    items = [CatalogItem(device_id="c", name="old"), CatalogItem(device_id="c", name="new")]
    (channel,) = channels_from_items(NVR, items, platform_id=PLATFORM)
    assert channel.name == "new"


@pytest.mark.parametrize(
    ("text", "secrecy"),
    [("", 0), ("0", 0), ("1", 1), ("true", 1), ("是", 1), ("\uff11", 1), ("涉密", 1)],
)
def test_a_point_is_open_only_if_it_says_so_plainly_or_not_at_all(text: str, secrecy: int) -> None:
    number = int(text) if text in {"0", "1"} else None
    channel = convert("37132600001320000001", secrecy=number, raw={"Secrecy": text} if text else {})
    assert channel.secrecy == secrecy
