"""Device controls."""

from pathlib import Path
from typing import Any

import pytest

from gb28181.errors import LocalProtocolError
from gb28181.manscdp import (
    DeviceControl,
    DeviceUpgrade,
    DragZoom,
    HomePosition,
    PtzCommandParams,
    PtzPrecise,
    SubCommand,
    parse_message,
    serialize_message,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "manscdp"
CAMERA = "37132600001320000001"
DOME = "37132600001320000011"
BOX = DragZoom(length=1280, width=720, mid_point_x=860, mid_point_y=310, length_x=240, length_y=135)


def control(name: str) -> DeviceControl:
    content = parse_message((VECTORS / f"control-{name}.xml").read_bytes()).content
    assert isinstance(content, DeviceControl)
    return content


def made(**given: Any) -> DeviceControl:
    return DeviceControl(**{"sn": 101, "device_id": CAMERA, **given})


@pytest.mark.parametrize(
    ("name", "expected", "sub_command", "answered"),
    [
        ("ptz-move", made(ptz_cmd="A50F01094020001E"), SubCommand.PTZ, False),
        (
            "ptz-move-2011-priority",
            made(ptz_cmd="A50F0100000000B5", control_priority=5),
            SubCommand.PTZ,
            False,
        ),
        (
            "ptz-preset-set-2022",
            made(
                device_id=DOME,
                ptz_cmd="A50F018100030039",
                ptz_cmd_params=PtzCommandParams(preset_name="东门道闸"),
            ),
            SubCommand.PTZ,
            False,
        ),
        (
            "teleboot",
            made(device_id="37132600001180000001", tele_boot="Boot"),
            SubCommand.TELE_BOOT,
            False,
        ),
        ("record-start", made(record_cmd="Record"), SubCommand.RECORD, True),
        (
            "record-stop-2022",
            made(record_cmd="StopRecord", stream_number=0),
            SubCommand.RECORD,
            True,
        ),
        (
            "guard-set",
            made(device_id="37132600001340000001", guard_cmd="SetGuard"),
            SubCommand.GUARD,
            True,
        ),
        (
            "alarm-reset-typed-2016",
            made(
                device_id="37132600001340000001",
                alarm_cmd="ResetAlarm",
                alarm_method="2",
                alarm_type="1",
            ),
            SubCommand.ALARM,
            True,
        ),
        ("iframe-2016", made(iframe_cmd="Send"), SubCommand.IFRAME, False),
        ("iframe-2022", made(iframe_cmd="Send"), SubCommand.IFRAME, False),
        (
            "dragzoom-in",
            made(device_id=DOME, drag_zoom_in=BOX),
            SubCommand.DRAG_ZOOM_IN,
            False,
        ),
        (
            "homeposition-on",
            made(
                device_id=DOME,
                home_position=HomePosition(enabled=1, reset_time=60, preset_index=3),
            ),
            SubCommand.HOME_POSITION,
            True,
        ),
        (
            "homeposition-off",
            made(device_id=DOME, home_position=HomePosition(enabled=0)),
            SubCommand.HOME_POSITION,
            True,
        ),
        (
            "ptzprecise-2022",
            made(device_id=DOME, ptz_precise=PtzPrecise(pan=125.5, tilt=12.25, zoom=4.0)),
            SubCommand.PTZ_PRECISE,
            False,
        ),
        (
            "deviceupgrade-2022",
            made(
                device_upgrade=DeviceUpgrade(
                    firmware="V3.2.10",
                    file_url="http://10.9.8.7:8080/fw/ipc-v3.2.10.bin",
                    manufacturer="ExampleVision",
                    session_id="a7c1f2d4-58be-4c0e-9f31-6b2d90e7c415",
                )
            ),
            SubCommand.DEVICE_UPGRADE,
            True,
        ),
        ("formatsdcard-2022", made(format_sd_card=1), SubCommand.FORMAT_SD_CARD, False),
        (
            "targettrack-manual-2022",
            made(
                device_id=DOME,
                target_track="Manual",
                device_id2="37132600001320000012",
                target_area=BOX,
            ),
            SubCommand.TARGET_TRACK,
            False,
        ),
    ],
)
def test_the_samples_are_read_field_by_field(
    name: str, expected: DeviceControl, sub_command: SubCommand, answered: bool
) -> None:
    found = control(name)
    assert found == expected
    assert found.sub_command is sub_command
    assert found.wants_answer is answered


def test_a_key_frame_is_asked_for_in_the_spelling_of_the_edition() -> None:
    wanted = made(iframe_cmd="Send")
    assert b"<IFameCmd>Send</IFameCmd>" in serialize_message(wanted, edition="2016")
    assert b"<IFrameCmd>Send</IFrameCmd>" in serialize_message(wanted, edition="2022")


def test_the_priority_stands_in_the_extension_of_the_edition() -> None:
    wanted = made(ptz_cmd="A50F0100000000B5", control_priority=5)
    for edition, place in (("2016", b"<Info>"), ("2022", b"<ExtraInfo>")):
        data = serialize_message(wanted, edition=edition)
        assert place in data
        assert parse_message(data).content == wanted


def test_names_of_presets_are_sent_to_2022_peers_only() -> None:
    wanted = control("ptz-preset-set-2022")
    assert b"PTZCmdParams" not in serialize_message(wanted, edition="2016")
    assert b"PTZCmdParams" in serialize_message(wanted, edition="2022")


@pytest.mark.parametrize(
    ("written", "edition", "sent"),
    [
        ("1/2", "2016", "12"),
        ("12", "2022", "1/2"),
        ("52", "2016", "25"),
        ("2", "2022", "2"),
        ("1/2/3/4/5/6/7", "2016", "0"),
        ("vendor", "2022", "vendor"),
    ],
)
def test_alarm_methods_are_joined_as_the_edition_does(
    written: str, edition: str, sent: str
) -> None:
    data = serialize_message(made(alarm_cmd="ResetAlarm", alarm_method=written), edition=edition)
    assert f"<AlarmMethod>{sent}</AlarmMethod>".encode() in data


def test_a_vendors_own_control_is_passed_on() -> None:
    body = (
        b"<Control><CmdType>DeviceControl</CmdType><SN>7</SN><DeviceID>1</DeviceID>"
        b"<WiperCmd>On</WiperCmd><Info><Own>x</Own></Info></Control>"
    )
    content = parse_message(body).content
    assert isinstance(content, DeviceControl)
    assert content.sub_command is SubCommand.UNKNOWN
    assert not content.wants_answer
    data = serialize_message(content)
    assert b"<WiperCmd>On</WiperCmd>" in data
    assert b"<Own>x</Own>" in data


def test_a_control_that_is_passed_on_says_everything_once() -> None:
    for path in VECTORS.glob("control-*.xml"):
        data = serialize_message(parse_message(path.read_bytes()).content, edition="2022")
        again = parse_message(data)
        names = [str(element.tag) for element in again.element.iter()]
        assert len(names) == len(set(names)), path.name


def test_an_empty_block_is_an_absent_one() -> None:
    body = b"<Control><CmdType>DeviceControl</CmdType><SN>7</SN><DeviceID>1</DeviceID><DragZoomIn/></Control>"
    content = parse_message(body).content
    assert isinstance(content, DeviceControl)
    assert content.drag_zoom_in is None


def test_a_block_without_its_mandatory_values_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match=r"DragZoom\.length_y is required"):
        serialize_message(
            made(drag_zoom_in=DragZoom(length=1, width=1, mid_point_x=1, mid_point_y=1, length_x=1))
        )
    with pytest.raises(LocalProtocolError, match=r"HomePosition\.enabled is required"):
        serialize_message(made(home_position=HomePosition(reset_time=1)))
