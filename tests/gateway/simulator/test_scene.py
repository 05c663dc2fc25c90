"""Who is simulated: ids, names and checked options."""

from typing import Any

import pytest

from gateway.simulator.defect import Defect
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.scene import build_channels, device_id_of, device_name_of
from gb28181.es.unit import Codec
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp import CatalogItem, CatalogResponse, serialize_message


def test_recorders_have_type_118_and_channels_of_type_132() -> None:
    options = SimulatorOptions(devices=2, channels=3)

    assert [device_id_of(options, n) for n in (0, 1)] == [
        "34020000001180000001",
        "34020000001180000002",
    ]
    assert [channel.channel_id for channel in build_channels(options, 1)] == [
        "34020000001320000101",
        "34020000001320000102",
        "34020000001320000103",
    ]


def test_a_single_camera_has_type_132_and_one_channel_of_another_id() -> None:
    options = SimulatorOptions(recorder=False, channels=8)
    (channel,) = build_channels(options, 0)

    assert device_id_of(options, 0) == "34020000001320000001"
    assert channel.channel_id == "34020000001310000001"
    assert device_name_of(options, 0) == "模拟摄像机1"


@pytest.mark.parametrize("channels", [1, 100, 250])
def test_no_two_devices_share_a_channel_id(channels: int) -> None:
    options = SimulatorOptions(devices=20, channels=channels)
    ids = [channel.channel_id for n in range(20) for channel in build_channels(options, n)]

    assert len(set(ids)) == len(ids) == 20 * channels


def test_the_same_options_give_the_same_scene_with_chinese_names() -> None:
    options = SimulatorOptions(channels=30)

    assert build_channels(options, 3) == build_channels(options, 3)
    names = [channel.name for channel in build_channels(options, 3)]
    assert names[0] == "北门摄像机1"
    assert len(set(names)) == 30
    assert all(name.encode("gb2312") for name in names)


def test_the_domain_is_the_first_ten_digits_of_the_server_unless_said() -> None:
    assert SimulatorOptions().sip_domain == "3402000000"
    assert SimulatorOptions(domain="example.cn").sip_domain == "example.cn"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"transport": "SCTP"}, "transport"),
        ({"base_id": "3402"}, "base_id"),
        ({"base_id": "3402000000118000000x"}, "base_id"),
        ({"server_id": ""}, "server_id"),
        ({"devices": 0}, "devices"),
        ({"video": Codec.AAC}, "video"),
        ({"audio": Codec.H264}, "audio"),
        ({"width": 1279}, "even"),
        ({"width": 100, "height": 100}, "160x120"),
        ({"fps": 0}, "fps"),
        ({"bitrate": 1000}, "bitrate"),
        ({"register_rate": 0.0}, "register_rate"),
        ({"mtu": 1500}, "mtu"),
        ({"refuse_status": 200}, "refuse_status"),
        ({"catalog_items": 0}, "catalog_items"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SimulatorOptions(**change)  # type: ignore[arg-type]


def test_channels_of_their_own_picture_have_a_stream_of_their_own() -> None:
    shared, own = SimulatorOptions(), SimulatorOptions(own_picture=True)

    assert shared.stream_spec("1") == shared.stream_spec("2")
    assert own.stream_spec("1") != own.stream_spec("2")
    assert own.stream_spec("1").title == "1"
    assert shared.stream_spec("1").title == "H264 1280X720 25/S 2000K"


def items(options: SimulatorOptions, index: int = 0) -> dict[str, CatalogItem]:
    return {channel.channel_id: channel.item() for channel in build_channels(options, index)}


def test_a_lower_platform_lists_itself_its_tree_and_its_cameras() -> None:
    options = SimulatorOptions(platform=True, channels=4)
    system = "34020000002000000001"
    assert device_id_of(options, 0) == system
    assert device_name_of(options, 0) == "模拟平台1"
    found = items(options)
    kinds = [DeviceId(code).kind for code in found]
    assert kinds == [
        IdKind.PLATFORM,
        IdKind.REGION,
        IdKind.REGION,
        IdKind.REGION,
        IdKind.BUSINESS_GROUP,
        IdKind.ORGANISATION,
        IdKind.ORGANISATION,
        *[IdKind.CAMERA] * 4,
    ]
    assert list(found)[:4] == [system, "340200", "34020001", "34020002"]
    group, outer, inner = list(found)[4:7]
    assert found[group].parent_id == system
    assert (found[outer].parent_id, found[outer].business_group_id) == ("", group)
    assert (found[inner].parent_id, found[inner].business_group_id) == (outer, group)
    cameras = list(found.values())[7:]
    assert [item.parent_id for item in cameras[:2]] == [f"{system}/{outer}", f"{system}/{inner}"]
    assert [item.civil_code for item in cameras[:2]] == ["34020001", "34020002"]


@pytest.mark.parametrize("edition", ["2016", "2022"])
def test_every_parent_is_listed_before_its_children(edition: str) -> None:
    found = items(SimulatorOptions(platform=True, channels=20))
    seen: set[str] = set()
    for code, item in found.items():
        parents = {part for part in (*item.parent_id.split("/"), item.business_group_id) if part}
        assert parents <= seen
        seen.add(code)
    for item in found.values():
        response = CatalogResponse(sn=1, device_id="1", sum_num=1, items=(item,))
        body = serialize_message(response, "GB18030", edition=edition)
        assert (b"GrassrootsCode" in body) == (
            edition == "2022" and DeviceId(item.device_id).kind is IdKind.CAMERA
        )


def test_no_two_platforms_share_a_code() -> None:
    options = SimulatorOptions(platform=True, devices=20, channels=100)
    codes = [
        channel.channel_id
        for index in range(20)
        for channel in build_channels(options, index)
        if DeviceId(channel.channel_id).kind is not IdKind.REGION
    ]
    assert len(set(codes)) == len(codes)


def test_cameras_are_spread_over_divisions_and_alarm_inputs_follow() -> None:
    options = SimulatorOptions(channels=3, alarm_inputs=2, civil_codes=("37132601", "37132602"))
    found = list(items(options).values())
    assert [item.civil_code for item in found[:3]] == ["37132601", "37132602", "37132601"]
    assert [DeviceId(item.device_id).kind for item in found[3:]] == [IdKind.ALARM_INPUT] * 2
    assert not any(channel.is_camera for channel in build_channels(options, 0)[3:])


def test_defects_sit_where_they_are_looked_for() -> None:
    options = SimulatorOptions(channels=6, devices=2, defects=frozenset(Defect))
    first, second = build_channels(options, 0), build_channels(options, 1)
    assert (first[1].longitude, first[1].latitude) == (0.0, 0.0)
    assert first[2].item().secrecy == 1
    assert first[3].item().status == "ON"
    assert not first[3].reachable
    assert second[5].channel_id == first[5].channel_id
    assert [channel.defects for channel in first] == [
        frozenset(),
        {Defect.ZERO_COORDINATES},
        {Defect.SECRET_CHANNEL},
        {Defect.OFFLINE_CLAIMS_ON},
        frozenset(),
        frozenset(),
    ]


def test_one_device_repeats_a_code_of_its_own() -> None:
    options = SimulatorOptions(channels=3, defects=frozenset({Defect.DUPLICATE_CODE}))
    channels = build_channels(options, 0)
    assert channels[2].channel_id == channels[0].channel_id
    assert channels[2].name != channels[0].name
    lonely = SimulatorOptions(channels=1, defects=frozenset(Defect))
    assert build_channels(lonely, 0)[0].defects == frozenset()


def test_the_sub_stream_is_smaller() -> None:
    options = SimulatorOptions(width=1280, height=720, bitrate=2_000_000)
    spec = options.stream_spec(sub=True)
    assert (spec.width, spec.height, spec.bitrate) == (640, 360, 500_000)
    tiny = SimulatorOptions(width=162, height=122, bitrate=64_000).stream_spec(sub=True)
    assert (tiny.width % 2, tiny.height % 2) == (0, 0)


@pytest.mark.parametrize(
    "changes", [{"civil_codes": ("371",)}, {"alarm_inputs": -1}, {"gb_version": "2.5"}]
)
def test_options_nobody_can_simulate_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="simulator options"):
        SimulatorOptions(**changes)
