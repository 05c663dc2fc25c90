"""Alarms."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.manscdp import (
    AlarmNotify,
    AlarmQuery,
    AlarmTypeParam,
    Response,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.alarm import join_methods, split_methods

VECTORS = Path(__file__).parents[2] / "vectors" / "manscdp"
INPUT = "37132600001340000001"
CAMERA = "37132600001320000001"
NVR = "37132600001180000001"
AT = datetime(2026, 11, 21, 1, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "notify-alarm-2011",
            AlarmNotify(
                sn=301,
                device_id=INPUT,
                alarm_priority=2,
                alarm_method=2,
                alarm_time=AT,
                alarm_description="红外探测器触发",
                longitude=117.6402,
                latitude=35.5063,
            ),
        ),
        (
            "notify-alarm-intrusion-2016",
            AlarmNotify(
                sn=301,
                device_id=CAMERA,
                alarm_priority=1,
                alarm_method=5,
                alarm_time=datetime(2026, 11, 21, 1, 31, 2, tzinfo=UTC),
                alarm_type=6,
                alarm_type_param=AlarmTypeParam(event_type=1),
            ),
        ),
        (
            "notify-alarm-blocked-2022",
            AlarmNotify(
                sn=301,
                device_id=CAMERA,
                alarm_priority=3,
                alarm_method=5,
                alarm_time=datetime(2026, 11, 21, 1, 32, 40, tzinfo=UTC),
                alarm_description="画面被遮挡",
                alarm_type=13,
                extra_info="channel=1",
            ),
        ),
        (
            "subscribe-alarm-2016",
            AlarmQuery(
                sn=201,
                device_id=NVR,
                start_priority=1,
                end_priority=4,
                alarm_method="25",
                start_time=datetime(2026, 11, 20, 16, tzinfo=UTC),
                end_time=datetime(2026, 11, 27, 16, tzinfo=UTC),
            ),
        ),
        (
            "subscribe-alarm-2022",
            AlarmQuery(sn=201, device_id=NVR, start_priority=0, end_priority=0, alarm_method="2/5"),
        ),
        ("response-alarm", Response(cmd_type="Alarm", sn=301, device_id=INPUT, result="OK")),
    ],
)
def test_the_samples_are_read_field_by_field(
    name: str, expected: AlarmNotify | AlarmQuery | Response
) -> None:
    assert parse_message((VECTORS / f"{name}.xml").read_bytes()).content == expected


def test_the_kind_of_intrusion_is_read() -> None:
    content = parse_message((VECTORS / "notify-alarm-intrusion-2016.xml").read_bytes()).content
    assert isinstance(content, AlarmNotify)
    assert content.event_type == 1
    assert AlarmNotify().event_type is None


def test_times_are_read_under_the_names_of_the_old_samples_too() -> None:
    content = parse_message(
        b"<Query><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>1</DeviceID>"
        b"<StartTime>2026-11-21T09:30:15</StartTime></Query>"
    ).content
    assert isinstance(content, AlarmQuery)
    assert content.start_time == AT


@pytest.mark.parametrize("text", ["25", "2/5", "5/2", " 2 , 5 "])
def test_methods_are_read_however_they_are_joined(text: str) -> None:
    assert split_methods(text) == {2, 5}


@pytest.mark.parametrize("text", ["", "0", "0/2", "all"])
def test_no_method_means_all(text: str) -> None:
    assert split_methods(text) == {1, 2, 3, 4, 5, 6, 7}


@given(st.sets(st.integers(1, 7), min_size=1), st.sampled_from([2011, 2016, 2022]))
def test_methods_that_are_written_are_read_back(methods: set[int], year: int) -> None:
    assert split_methods(join_methods(methods, year)) == methods


@pytest.mark.parametrize(
    ("query", "covered"),
    [
        ({}, True),
        ({"alarm_method": "0"}, True),
        ({"alarm_method": "2/5"}, True),
        ({"alarm_method": "1/6"}, False),
        ({"start_priority": 1, "end_priority": 2}, True),
        ({"start_priority": 3, "end_priority": 4}, False),
        ({"start_priority": 4, "end_priority": 1}, True),
        ({"start_priority": 0, "end_priority": 0}, True),
        ({"start_priority": 2}, True),
        ({"alarm_type": "6"}, True),
        ({"alarm_type": "1/6"}, True),
        ({"alarm_type": "1"}, False),
        ({"start_time": AT - timedelta(seconds=1), "end_time": AT}, True),
        ({"start_time": AT + timedelta(seconds=1)}, False),
        ({"end_time": AT - timedelta(seconds=1)}, False),
    ],
)
def test_a_subscription_covers_what_it_asks_for(query: dict[str, Any], covered: bool) -> None:
    alarm = AlarmNotify(
        sn=1, device_id=CAMERA, alarm_priority=2, alarm_method=5, alarm_time=AT, alarm_type=6
    )
    assert AlarmQuery(**query).covers(alarm) is covered


def test_what_an_alarm_does_not_say_is_not_held_against_it() -> None:
    query = AlarmQuery(alarm_method="2", start_priority=1, end_priority=1, start_time=AT)
    assert query.covers(AlarmNotify(sn=1, device_id=CAMERA))


def test_two_reports_of_one_alarm_have_the_same_key() -> None:
    first = AlarmNotify(sn=1, device_id=CAMERA, alarm_method=5, alarm_time=AT, alarm_type=6)
    second = AlarmNotify(sn=9, device_id=CAMERA, alarm_method=5, alarm_time=AT, alarm_type=6)
    assert first.key == second.key
    assert first.key != AlarmNotify(device_id=CAMERA, alarm_method=5, alarm_time=AT).key


def test_an_alarm_for_an_old_peer_has_no_type_and_what_vendors_add_is_kept() -> None:
    body = (
        b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>1</DeviceID><AlarmPriority>1"
        b"</AlarmPriority><AlarmMethod>5</AlarmMethod><AlarmTime>2026-11-21T09:30:15</AlarmTime>"
        b"<Info><AlarmType>6</AlarmType><Own>x</Own></Info></Notify>"
    )
    content = parse_message(body).content
    data = serialize_message(content, edition="2011")
    assert b"AlarmType" not in data
    assert b"<Own>x</Own>" in data
    assert b"<AlarmType>6</AlarmType>" in serialize_message(content, edition="2022")
