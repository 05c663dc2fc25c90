"""What devices tell unasked: the registry follows, alarms are passed on once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.domain.device import Channel, Device
from gateway.domain.errors import Unavailable
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from gateway.signalling.notices import MAX_WAITING, DeviceNotices
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.manscdp.message import Content, parse_message, serialize_message
from gb28181.manscdp.response import Response
from tests.support.registry import MemoryStore

PLATFORM = "37132600002000000001"
DEVICE = "37132601002000000001"
CAMERA = "37132601001320000001"
OTHER = "37132601001320000002"


@dataclass
class Answers:
    """Stands for the signaller: what was sent to devices."""

    sent: list[tuple[str, Content]] = field(default_factory=list)
    error: Unavailable | None = None

    async def send(self, device: Device, message: Content) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((device.device_id, message))


class House:
    def __init__(self, scope: TaskScope) -> None:
        self.registry = DeviceRegistry(MemoryStore(), RegistrySettings(realm="3713260000"))
        self.answers = Answers()
        self.alarms: list[tuple[str, AlarmNotify]] = []
        self.resynced: list[str] = []
        self.notices = DeviceNotices(
            registry=self.registry,
            signaller=self.answers,
            platform_id=PLATFORM,
            scope=scope,
            resync=lambda device: self.resynced.append(device.device_id),
            on_alarm=lambda device_id, alarm: self.alarms.append((device_id, alarm)),
        )

    def notify(self, items: str, *, root: str = "Notify", count: int = 1) -> None:
        body = (
            f"<?xml version='1.0'?><{root}><CmdType>Catalog</CmdType><SN>3</SN>"
            f"<DeviceID>{DEVICE}</DeviceID><SumNum>{count}</SumNum>"
            f"<DeviceList Num='{count}'>{items}</DeviceList></{root}>"
        )
        assert self.notices.notified(DEVICE, parse_message(body.encode()))

    def channel(self, code: str = CAMERA) -> Channel | None:
        return self.registry.channel(DEVICE, code)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        made = House(scope)
        await made.registry.add(DEVICE)
        yield made
    assert crashes == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def item(code: str, event: str, **fields: object) -> str:
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<Item><DeviceID>{code}</DeviceID><Event>{event}</Event>{more}</Item>"


ADD = item(
    CAMERA,
    "ADD",
    Name="gate",
    CivilCode="371326",
    Parental=0,
    ParentID=DEVICE,
    Secrecy=1,
    Status="ON",
    Longitude=117.5,
    Latitude=35.5,
)


async def test_added_changed_and_deleted_channels_reach_the_registry_in_order() -> None:
    async with house() as made:
        made.notify(ADD)
        made.notify(item(OTHER, "ADD", Name="yard", Status="ON"))
        made.notify(item(CAMERA, "OFF"))
        made.notify(item(OTHER, "DEL"))
        await until(lambda: (camera := made.channel()) is not None and not camera.online)
        await until(lambda: made.channel(OTHER) is None)
        made.notify(item(CAMERA, "on"))
        await until(lambda: (camera := made.channel()) is not None and camera.online)


async def test_an_update_without_coordinates_or_secrecy_keeps_both() -> None:
    async with house() as made:
        made.notify(ADD)
        made.notify(item(CAMERA, "UPDATE", Name="north gate", Status="ON"))
        await until(lambda: (camera := made.channel()) is not None and camera.name == "north gate")
        camera = made.channel()
        assert camera is not None
        assert (camera.longitude, camera.latitude, camera.secrecy) == (117.5, 35.5, 1)
        made.notify(item(CAMERA, "UPDATE", Name="open gate", Secrecy=0, Status="ON"))
        await until(lambda: (camera := made.channel()) is not None and camera.secrecy == 0)


async def test_one_notice_may_take_back_what_it_said_before() -> None:
    async with house() as made:
        made.notify(ADD + item(CAMERA, "DEL") + item(OTHER, "DEL") + item(OTHER, "ADD"), count=4)
        await until(lambda: made.channel(OTHER) is not None)
        assert made.channel() is None


async def test_listeners_hear_of_each_change_and_of_nothing_else() -> None:
    async with house() as made:
        heard: list[tuple[str, ...]] = []
        made.registry.on_catalog.append(
            lambda _, diff: heard.append((*diff.added, *diff.changed, *diff.removed))
        )
        made.notify(ADD)
        await until(lambda: made.channel() is not None)
        made.notify(item(CAMERA, "ON"))
        made.notify(item("37132601001320000077", "OFF"))
        made.notify(item(CAMERA, "VLOST"))
        await until(lambda: len(heard) == 2)
        assert heard == [(CAMERA,), (CAMERA,)]


async def test_a_2011_notice_without_events_lists_what_is_there_now() -> None:
    async with house() as made:
        made.notify(ADD.replace("<Event>ADD</Event>", ""), root="Response")
        await until(lambda: made.channel() is not None)


async def test_rubbish_among_the_items_does_not_take_the_others_along() -> None:
    async with house() as made:
        made.notify("<Item><Event>ADD</Event></Item>" + item("", "DEL") + ADD, count=3)
        await until(lambda: made.channel() is not None)


async def test_a_flood_of_changes_becomes_one_query_of_the_catalogue() -> None:
    async with house() as made:
        made.notify(ADD)
        for _ in range(3):
            made.notify(item(CAMERA, "OFF") * (MAX_WAITING // 2), count=MAX_WAITING // 2)
        await until(lambda: made.resynced == [DEVICE])


async def test_what_is_told_while_the_catalogue_is_collected_outlives_an_answer_older_than_it() -> (
    None
):
    async with house() as made:
        made.notify(item(OTHER, "ADD", Name="yard", Status="ON"))
        await until(lambda: made.channel(OTHER) is not None)
        yard = made.channel(OTHER)
        assert yard is not None
        asked = datetime.now(UTC)
        made.notify(ADD)
        made.notify(item(OTHER, "OFF"))
        await until(lambda: made.channel() is not None)
        # Written before the device said so.
        await made.registry.replace_catalog(DEVICE, [yard], complete=True, since=asked)
        assert made.channel() is not None
        assert not made.registry.channel(DEVICE, OTHER).online  # type: ignore[union-attr]


ALARM = AlarmNotify(
    sn=5,
    device_id=CAMERA,
    alarm_priority=1,
    alarm_method=5,
    alarm_description="door",
    alarm_time=datetime(2026, 11, 21, 1, 31, 2, tzinfo=UTC),
)


async def test_an_alarm_by_message_is_answered_and_passed_on_once() -> None:
    async with house() as made:
        message = parse_message(serialize_message(ALARM))
        made.notices.alarm(DEVICE, message)
        assert made.notices.notified(DEVICE, message)
        await until(lambda: bool(made.answers.sent))
        answer = made.answers.sent[0][1]
        assert isinstance(answer, Response)
        assert (answer.cmd_type, answer.sn, answer.result) == ("Alarm", 5, "OK")
        assert [device_id for device_id, _ in made.alarms] == [DEVICE]


async def test_a_device_that_is_gone_gets_no_answer_and_nothing_breaks() -> None:
    async with house() as made:
        made.answers.error = Unavailable("device_offline", "gone")
        made.notices.alarm(DEVICE, parse_message(serialize_message(ALARM)))
        await asyncio.sleep(0.01)
        assert len(made.alarms) == 1


async def test_a_body_of_another_kind_is_none_of_ours() -> None:
    async with house() as made:
        body = b"<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>1</DeviceID></Notify>"
        assert not made.notices.notified(DEVICE, parse_message(body))
