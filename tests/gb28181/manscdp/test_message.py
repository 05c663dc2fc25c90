"""Messages of the standard."""

import csv
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, XmlError
from gb28181.manscdp import (
    AlarmNotify,
    AlarmStatus,
    AlarmTypeParam,
    CatalogItem,
    CatalogNotify,
    CatalogQuery,
    CatalogResponse,
    Content,
    DeviceControl,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    DragZoom,
    Keepalive,
    Response,
    Unknown,
    parse_message,
    serialize_message,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "manscdp"
INDEX = list(csv.DictReader((VECTORS / "INDEX.csv").read_text().splitlines()))
NVR = "37132600001180000001"


def content(name: str) -> Content:
    return parse_message((VECTORS / f"{name}.xml").read_bytes()).content


def test_all_samples_are_indexed() -> None:
    assert len(INDEX) == 113
    assert {row["file"] for row in INDEX} == {path.name for path in VECTORS.glob("*.xml")}


@pytest.mark.parametrize("row", INDEX, ids=lambda row: row["file"])
def test_every_sample_of_the_standard_parses_and_round_trips(row: dict[str, str]) -> None:
    data = (VECTORS / row["file"]).read_bytes()
    message = parse_message(data)
    assert (message.root, message.cmd_type) == (row["root"], row["CmdType"])
    assert message.declared == row["encoding"]
    assert message.sn is not None
    assert (message.recovered, message.missing) == (0, ())
    edition = row["versions"][-5:].strip("+-")
    sent = serialize_message(message.content, row["encoding"], edition=edition)
    again = parse_message(sent)
    assert again.content == message.content
    assert (again.root, again.cmd_type, again.sn, again.device_id) == (
        message.root,
        message.cmd_type,
        message.sn,
        message.device_id,
    )
    assert serialize_message(again.content, row["encoding"], edition=edition) == sent


@pytest.mark.parametrize("row", INDEX, ids=lambda row: row["file"])
def test_every_sample_is_written_byte_for_byte_in_its_edition(row: dict[str, str]) -> None:
    data = (VECTORS / row["file"]).read_bytes()
    message = parse_message(data)
    edition = row["versions"][-5:].strip("+-")
    sent = serialize_message(message.content, message.declared, edition=edition)
    # The standard pads numbers (117.640200, 4.00); we write the digits that count, and `<a/>`.
    assert shortened(sent) == shortened(data)


def shortened(data: bytes) -> bytes:
    data = re.sub(rb"<(\w+)([^<>]*)></\1>", rb"<\1\2/>", data.strip())
    return re.sub(rb"(\.[0-9]*?)0+(?=</)", rb"\1", data).replace(b".</", b"</")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notify-keepalive", Keepalive(sn=301, device_id=NVR, status="OK")),
        (
            "notify-keepalive-fault-2014",
            Keepalive(
                sn=301,
                device_id=NVR,
                status="ERROR",
                faults=("37132600001320000001", "37132600001320000002"),
            ),
        ),
        ("query-catalog", CatalogQuery(sn=201, device_id=NVR)),
        ("query-catalog-civilcode", CatalogQuery(sn=201, device_id="371326")),
        (
            "query-catalog-system-window",
            CatalogQuery(
                sn=201,
                device_id="37132601002000000001",
                start_time=datetime(2026, 10, 31, 16, tzinfo=UTC),
                end_time=datetime(2026, 11, 20, 16, tzinfo=UTC),
            ),
        ),
        ("query-deviceinfo", DeviceInfoQuery(sn=201, device_id=NVR)),
        ("query-devicestatus", DeviceStatusQuery(sn=201, device_id=NVR)),
        (
            "response-deviceinfo",
            DeviceInfoResponse(
                sn=201,
                device_id=NVR,
                device_name="综治中心录像机",
                result="OK",
                manufacturer="ExampleVision",
                model="EV-N16",
                firmware="V4.1.0",
                channel=16,
            ),
        ),
        (
            "response-devicestatus-2016",
            DeviceStatusResponse(
                sn=201,
                device_id=NVR,
                result="OK",
                online="ONLINE",
                status="OK",
                encode="ON",
                record="ON",
                device_time=datetime(2026, 11, 21, 2, 10, tzinfo=UTC),
                alarm_status=(
                    AlarmStatus(device_id="37132600001340000001", duty_status="OFFDUTY"),
                ),
            ),
        ),
        (
            "response-devicestatus-fault",
            DeviceStatusResponse(
                sn=201,
                device_id=NVR,
                result="OK",
                online="ONLINE",
                status="ERROR",
                reason="HDD 2 read error",
            ),
        ),
        ("response-catalog-empty", CatalogResponse(sn=201, device_id=NVR, sum_num=0)),
        (
            "response-deviceconfig-error",
            Response(
                cmd_type="DeviceConfig", sn=121, device_id="37132600001320000001", result="ERROR"
            ),
        ),
    ],
)
def test_core_samples_are_read_field_by_field(name: str, expected: Content) -> None:
    assert content(name) == expected


def test_the_2016_catalogue_sample() -> None:
    response = content("response-catalog-2016")
    assert isinstance(response, CatalogResponse)
    assert response.sum_num == 2
    (item,) = response.items
    assert item == CatalogItem(
        device_id="37132600001320000001",
        name="北门枪机",
        manufacturer="ExampleVision",
        model="EV-B2",
        owner="平邑县综治中心",
        civil_code="371326",
        block="371326000000",
        address="平邑县示例路1号",
        parental=0,
        parent_id=NVR,
        safety_way=0,
        register_way=1,
        secrecy=0,
        ip_address="10.9.20.31",
        port=5060,
        status="ON",
        longitude=117.6402,
        latitude=35.5063,
        ptz_type=3,
        room_type=1,
        use_type=1,
        supply_light_type=2,
        direction_type=4,
        resolution="6/4",
        download_speed="1/2/4",
    )
    assert item.raw["Longitude"] == "117.640200"
    assert item.raw["Info.PTZType"] == "3"


def test_the_2022_catalogue_sample_with_its_new_fields() -> None:
    response = content("response-catalog-2022")
    assert isinstance(response, CatalogResponse)
    assert response.sum_num == len(response.items) == 8
    camera = response.items[6]
    assert camera.security_level_code == "A"
    assert camera.business_group_id == "37132600002150000001"
    assert camera.parent_id == "37132601002000000001/37132600002160000002"
    assert camera.photoelectric_imaging_type == "1/2"
    assert camera.capture_position_type == "0010300"
    assert camera.stream_number_list == "0/1"
    assert (camera.svc_space_support_mode, camera.svc_time_support_mode) == (0, 0)
    assert (camera.horizontal_field_angle, camera.vertical_field_angle) == (58.4, 33.6)
    assert camera.max_view_distance == 220.0
    assert (camera.grassroots_code, camera.point_type) == ("001203", 1)
    assert camera.mac == "02-00-5E-10-00-01"
    assert camera.install_time == datetime(2026, 4, 30, 16, tzinfo=UTC)
    assert (camera.record_save_days, camera.industrial_classification) == (30, "S92")
    division = response.items[1]
    assert division == CatalogItem(device_id="371326", name="平邑县")


@pytest.mark.parametrize(
    "name",
    [
        "notify-mobileposition-2016",
        "response-homeposition-2022",
        "config-basicparam-2016",
        "query-preset",
    ],
)
def test_other_commands_are_unknown_with_their_envelope_and_tree(name: str) -> None:
    message = parse_message((VECTORS / f"{name}.xml").read_bytes())
    unknown = message.content
    assert isinstance(unknown, Unknown)
    assert unknown.element is message.element
    assert unknown.element.findtext("CmdType") == unknown.cmd_type == message.cmd_type
    assert (unknown.sn, unknown.device_id) == (message.sn, message.device_id)


def test_an_answer_with_content_of_its_own_is_not_the_generic_one() -> None:
    assert isinstance(content("response-configdownload-svacdecode-2022"), Unknown)
    assert isinstance(content("response-subscribe-200ok-2016"), Response)


def test_a_broadcast_has_no_device_id() -> None:
    message = parse_message((VECTORS / "notify-broadcast.xml").read_bytes())
    assert message.device_id == ""
    assert message.missing == ()


def test_names_are_spelled_as_the_standard_does() -> None:
    message = parse_message(
        b"<NOTIFY><cmdtype> keepalive </cmdtype><sn>1</sn><Status>ok</Status></NOTIFY>"
    )
    assert (message.root, message.cmd_type, message.sn) == ("Notify", "Keepalive", 1)
    assert message.missing == ("DeviceID",)
    assert isinstance(message.content, Keepalive)
    assert message.content.is_ok


def test_another_root_is_passed_on_as_it_is() -> None:
    message = parse_message(b"<Vendor><X>1</X></Vendor>")
    assert (message.root, message.cmd_type, message.sn, message.device_id) == (
        "Vendor",
        "",
        None,
        "",
    )
    assert isinstance(message.content, Unknown)


@pytest.mark.parametrize(
    ("status", "ok"), [("OK", True), ("ON", True), ("", True), ("ERROR", False)]
)
def test_a_keepalive_says_whether_all_is_well(status: str, ok: bool) -> None:
    assert Keepalive(sn=1, device_id=NVR, status=status).is_ok is ok


def test_a_password_is_neither_shown_nor_kept_with_the_raw_texts() -> None:
    message = parse_message(
        b"<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceList Num='1'><Item>"
        b"<DeviceID>1</DeviceID><Password>s3cret</Password></Item></DeviceList></Response>"
    )
    assert isinstance(message.content, CatalogResponse)
    (item,) = message.content.items
    assert item.password == "s3cret"
    assert "s3cret" not in repr(message)
    assert "s3cret" not in item.raw.values()


def test_what_is_incomplete_or_unknown_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="sn is required"):
        serialize_message(Keepalive(device_id=NVR, status="OK"))
    with pytest.raises(LocalProtocolError, match="no message of the registry"):
        serialize_message(CatalogItem(device_id="1"))  # type: ignore[arg-type]


def test_a_version_3_peer_gets_gb18030() -> None:
    data = serialize_message(CatalogQuery(sn=1, device_id=NVR), "GB18030")
    assert data.startswith(b'<?xml version="1.0" encoding="GB18030"?>\r\n')


TEXT = st.text(max_size=12)
IDS = st.from_regex(r"[0-9]{20}", fullmatch=True)
TIMES = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 -- the zone is added below
    max_value=datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
NUMBERS = st.integers(-(10**9), 10**9)


def items() -> st.SearchStrategy[CatalogItem]:
    by_type: dict[Any, st.SearchStrategy[Any]] = {
        "str": TEXT,
        "int": st.none() | NUMBERS,
        "float": st.none() | st.floats(-1000, 1000),
        "datetime": st.none() | TIMES,
    }
    optional = {
        field.name: next(by_type[word] for word in by_type if word in str(field.type).split("[")[1])
        for field in fields(CatalogItem)
        if field.name not in {"device_id", "raw"}
    }
    return st.fixed_dictionaries({}, optional=optional).flatmap(
        lambda values: IDS.map(lambda number: CatalogItem(device_id=number, **values))
    )


BOXES = st.builds(
    DragZoom,
    **dict.fromkeys(
        ("length", "width", "mid_point_x", "mid_point_y", "length_x", "length_y"), NUMBERS
    ),
)
CONTROLS = st.builds(
    DeviceControl,
    sn=st.integers(1, 2**31 - 1),
    device_id=IDS,
    ptz_cmd=st.from_regex(r"[0-9A-F]{16}", fullmatch=True),
    record_cmd=st.sampled_from(["", "Record", "StopRecord"]),
    iframe_cmd=st.sampled_from(["", "Send"]),
    stream_number=st.none() | st.integers(0, 3),
    drag_zoom_in=st.none() | BOXES,
    target_area=st.none() | BOXES,
    format_sd_card=st.none() | st.integers(0, 4),
    alarm_method=st.sampled_from(["", "2", "2/5", "25", "0"]),
    control_priority=st.none() | st.integers(0, 9),
)
ALARMS = st.builds(
    AlarmNotify,
    sn=st.integers(1, 2**31 - 1),
    device_id=IDS,
    alarm_priority=st.integers(1, 4),
    alarm_method=st.integers(1, 7),
    alarm_time=TIMES,
    alarm_description=TEXT,
    longitude=st.none() | st.floats(-180, 180),
    alarm_type=st.none() | st.integers(1, 13),
    alarm_type_param=st.none() | st.builds(AlarmTypeParam, event_type=st.integers(1, 2)),
    extra_info=TEXT,
)
NOTIFIES = st.builds(
    CatalogNotify,
    sn=st.integers(1, 2**31 - 1),
    device_id=IDS,
    sum_num=st.integers(0, 10_000),
    items=st.lists(items(), max_size=2).map(tuple),
)
MESSAGES: st.SearchStrategy[Content] = st.one_of(
    CONTROLS,
    ALARMS,
    NOTIFIES,
    st.builds(
        Keepalive,
        sn=st.integers(1, 2**31 - 1),
        device_id=IDS,
        status=st.sampled_from(["OK", "ERROR"]),
        faults=st.lists(IDS, max_size=3).map(tuple),
    ),
    st.builds(
        CatalogQuery,
        sn=st.integers(1, 2**31 - 1),
        device_id=IDS,
        start_time=st.none() | TIMES,
        end_time=st.none() | TIMES,
    ),
    st.builds(
        CatalogResponse,
        sn=st.integers(1, 2**31 - 1),
        device_id=IDS,
        sum_num=st.integers(0, 10_000),
        items=st.lists(items(), max_size=2).map(tuple),
    ),
    st.builds(
        DeviceInfoResponse,
        sn=st.integers(1, 2**31 - 1),
        device_id=IDS,
        result=st.just("OK"),
        device_name=TEXT,
        channel=st.none() | NUMBERS,
    ),
    st.builds(
        Response,
        cmd_type=st.just("DeviceControl"),
        sn=st.integers(1, 2**31 - 1),
        device_id=IDS,
        result=st.sampled_from(["OK", "ERROR"]),
        reason=TEXT,
    ),
)


@given(
    MESSAGES,
    st.sampled_from(["GB2312", "GB18030", "UTF-8"]),
    st.sampled_from(["2014", "2016", "2022"]),
)
def test_what_was_received_is_sent_and_received_again(
    message: Content, charset: str, edition: str
) -> None:
    # Texts are trimmed, times cut to seconds: the first reading settles what a value is.
    received = parse_message(serialize_message(message, charset, edition=edition))
    assert received.recovered == 0
    assert type(received.content) is type(message)
    again = parse_message(serialize_message(received.content, charset, edition=edition))
    assert again.content == received.content


@given(IDS, st.text(alphabet="北门枪机&<>'\"ab ", min_size=1).map(str.strip).filter(bool))
def test_names_survive_whatever_they_hold(device_id: str, name: str) -> None:
    item = CatalogItem(device_id=device_id, name=name, civil_code="371326")
    response = CatalogResponse(sn=1, device_id=NVR, sum_num=1, items=(item,))
    for charset in ("GB2312", "GB18030", "UTF-8"):
        assert parse_message(serialize_message(response, charset)).content == response


SAMPLES = [(VECTORS / row["file"]).read_bytes() for row in INDEX if int(row["bytes"]) < 1500]


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 1500), st.binary(max_size=6)), min_size=1, max_size=4),
)
def test_damaged_samples_are_read_or_refused_with_the_documented_error(
    data: bytes, damages: list[tuple[int, bytes]]
) -> None:
    for position, junk in damages:
        data = data[:position] + junk + data[position + len(junk) :]
    try:
        message = parse_message(data)
    except XmlError:
        return
    assert message.content is not None
    assert message.sn is None or isinstance(message.sn, int)


@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_a_truncated_sample_keeps_what_came(data: bytes, share: float) -> None:
    whole = parse_message(data)
    cut = data[: int(len(data) * share)]
    try:
        message = parse_message(cut)
    except XmlError:
        return
    assert whole.root.startswith(message.root)
    assert whole.cmd_type.startswith(message.cmd_type)


def test_replacing_a_field_keeps_the_rest() -> None:
    query = CatalogQuery(sn=1, device_id=NVR)
    assert replace(query, sn=2) == CatalogQuery(sn=2, device_id=NVR)
