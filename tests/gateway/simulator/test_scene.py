"""Who is simulated: ids, names and checked options."""

import pytest

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.scene import build_channels, device_id_of, device_name_of
from gb28181.es.unit import Codec


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
