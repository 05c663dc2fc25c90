"""What a simulated device says by MESSAGE."""

import pytest

from gateway.simulator.answer import DeviceAnswers
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import build_channels, device_id_of, device_name_of
from gb28181.errors import XmlError
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.message import parse_message, serialize_message
from gb28181.manscdp.notify import Keepalive
from gb28181.manscdp.response import (
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)

DEVICE = "34020000001180000001"


def answers(*quirks: Quirk, channels: int = 5, **changes: object) -> DeviceAnswers:
    options = SimulatorOptions(channels=channels, quirks=frozenset(quirks), **changes)  # type: ignore[arg-type]
    return DeviceAnswers(
        options, device_id_of(options, 0), device_name_of(options, 0), build_channels(options, 0)
    )


def query(cmd_type: str, root: str = "Query") -> bytes:
    return (
        f"<{root}><CmdType>{cmd_type}</CmdType><SN>17</SN><DeviceID>{DEVICE}</DeviceID></{root}>"
    ).encode()


def catalog(device: DeviceAnswers) -> list[CatalogResponse]:
    found = []
    for body in device.answer(query("Catalog"))[1]:
        content = parse_message(body).content
        assert isinstance(content, CatalogResponse)
        found.append(content)
    return found


def listed(device: DeviceAnswers) -> list[str]:
    return [item.device_id for part in catalog(device) for item in part.items]


def test_device_info_tells_name_and_channels_in_chinese() -> None:
    cmd_type, (body,) = answers().answer(query("DeviceInfo"))
    content = parse_message(body).content

    assert cmd_type == "DeviceInfo"
    assert isinstance(content, DeviceInfoResponse)
    assert (content.sn, content.device_id) == (17, DEVICE)
    assert (content.device_name, content.channel, content.result) == ("模拟录像机1", 5, "OK")
    assert b'encoding="GB2312"' in body
    assert "模拟录像机1".encode("gb2312") in body


def test_device_status_is_on_line_with_the_time() -> None:
    _, (body,) = answers().answer(query("DeviceStatus"))
    content = parse_message(body).content

    assert isinstance(content, DeviceStatusResponse)
    assert (content.online, content.status) == ("ONLINE", "OK")
    assert content.device_time is not None


def test_the_catalogue_comes_in_several_messages_that_agree_on_the_total() -> None:
    parts = catalog(answers(catalog_items=2))

    assert [len(part.items) for part in parts] == [2, 2, 1]
    assert {part.sum_num for part in parts} == {5}
    assert {part.sn for part in parts} == {17}
    first = parts[0].items[0]
    assert (first.name, first.status, first.parent_id) == ("北门摄像机1", "ON", DEVICE)
    assert first.civil_code == "340200"


def test_an_empty_catalogue_is_one_message_without_a_list() -> None:
    (part,) = catalog(answers(channels=0))

    assert (part.sum_num, part.items) == (0, ())


@pytest.mark.parametrize(
    ("quirk", "total"), [(Quirk.CATALOG_SUMNUM_HIGH, 10), (Quirk.CATALOG_SUMNUM_LOW, 1)]
)
def test_sum_num_may_be_wrong(quirk: Quirk, total: int) -> None:
    assert {part.sum_num for part in catalog(answers(quirk))} == {total}


def test_sum_num_may_be_missing() -> None:
    _, bodies = answers(Quirk.CATALOG_SUMNUM_MISSING).answer(query("Catalog"))

    assert not any(b"SumNum" in body for body in bodies)
    assert len(listed(answers(Quirk.CATALOG_SUMNUM_MISSING))) == 5


def test_messages_may_come_twice_or_last_first() -> None:
    straight = listed(answers(catalog_items=1))

    twice = listed(answers(Quirk.CATALOG_DUPLICATES, catalog_items=1))
    assert twice == [channel_id for channel_id in straight for _ in range(2)]
    assert listed(answers(Quirk.CATALOG_OUT_OF_ORDER, catalog_items=1)) == straight[::-1]


def test_a_silent_device_answers_no_catalogue_query() -> None:
    assert answers(Quirk.CATALOG_SILENT).answer(query("Catalog")) == ("Catalog", [])


def test_utf_8_may_be_declared_as_gb2312() -> None:
    _, (body,) = answers(Quirk.GB2312_DECLARED_UTF8).answer(query("DeviceInfo"))

    assert b'encoding="GB2312"' in body
    assert "模拟录像机1".encode() in body


def test_an_ampersand_may_be_left_unescaped() -> None:
    _, bodies = answers(Quirk.RAW_AMPERSAND_IN_NAME).answer(query("Catalog"))

    assert "北门摄像机1 A&B<".encode("gb2312") in bodies[0]


def test_status_may_be_another_word() -> None:
    (part, *_) = catalog(answers(Quirk.STATUS_OK_WORD))

    assert {item.status for item in part.items} == {"OK"}


def test_an_unknown_query_is_answered_with_an_error() -> None:
    cmd_type, (body,) = answers().answer(query("CruiseTrackQuery"))
    content = parse_message(body).content

    assert cmd_type == "CruiseTrackQuery"
    assert isinstance(content, Response)
    assert (content.result, content.sn) == ("ERROR", 17)


@pytest.mark.parametrize("root", ["Notify", "Response", "Control"])
def test_what_is_no_query_gets_no_answer(root: str) -> None:
    assert answers().answer(query("Something", root))[1] == []


def test_an_unreadable_request_is_an_error() -> None:
    with pytest.raises(XmlError):
        answers().answer(b"not xml")


def test_keepalives_say_ok_with_their_number() -> None:
    content = parse_message(answers().keepalive(9)).content

    assert content == Keepalive(sn=9, device_id=DEVICE, status="OK")


def test_a_channel_is_asked_for_its_own_status() -> None:
    channel = "34020000001320000002"
    body = query("DeviceStatus").replace(DEVICE.encode(), channel.encode())
    content = parse_message(answers().answer(body)[1][0]).content

    assert isinstance(content, DeviceStatusResponse)
    assert (content.device_id, content.online) == (channel, "ONLINE")


def test_the_catalogue_has_the_fields_of_the_devices_edition() -> None:
    old, new = catalog(answers())[0].items[0], catalog(answers(gb_version="3.0"))[0].items[0]

    assert (old.owner, old.grassroots_code) == ("示例单位", "")
    assert (new.owner, new.grassroots_code, new.point_type) == ("", "000001", 1)
    assert new.stream_number_list == "0/1"


def test_controls_are_given_to_whoever_obeys_them() -> None:
    options = SimulatorOptions()
    heard: list[tuple[str, str]] = []

    def obey(control: DeviceControl, identity: str) -> Response:
        heard.append((control.guard_cmd, identity))
        return Response(cmd_type="DeviceControl", sn=control.sn, device_id=DEVICE, result="OK")

    device = DeviceAnswers(options, DEVICE, "a", build_channels(options, 0), obey)
    order = DeviceControl(sn=17, device_id=DEVICE, guard_cmd="SetGuard")
    cmd_type, (body,) = device.answer(serialize_message(order), "gw-user")
    assert (cmd_type, heard) == ("DeviceControl", [("SetGuard", "gw-user")])
    content = parse_message(body).content
    assert isinstance(content, Response)
    assert (content.sn, content.is_ok) == (17, True)


def test_a_platform_counts_its_cameras_only() -> None:
    content = parse_message(answers(platform=True).answer(query("DeviceInfo"))[1][0]).content
    assert isinstance(content, DeviceInfoResponse)
    assert (content.model, content.channel) == ("SIM-PLATFORM", 5)
