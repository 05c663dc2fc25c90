"""No lower-level code gets out in any text, whichever answer it stands in."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from gateway.cascade.catalog.scrub import without_codes
from gateway.cascade.catalog.told import Event
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.desk_alarms import AlarmOffice
from gateway.cascade.desk_subscriptions import Subscription, SubscriptionBook
from gateway.cascade.ports import UpperRequester
from gateway.cascade.queries_device import DeviceAnswers, OwnInfo
from gateway.domain.platform import Edition, IdMode
from gateway.domain.policy import Obligations, Subject
from gb28181.aio import clock
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp import (
    AlarmNotify,
    CatalogNotify,
    CatalogResponse,
    DeviceInfoQuery,
    DeviceStatusQuery,
    serialize_message,
)
from gb28181.manscdp.message import Content
from gb28181.manscdp.notify import CatalogEvent
from tests.support.cascade import FakeLink, OpenPolicy, fixed_now
from tests.support.catalog_world import CITY, COUNTY, World, channel, make_view

LOWER = "37132601002000000001"
RECORDER = "37132601001180000001"
CAMERA = "37132601001320000001"
OTHER = "37132601001320000002"
RULE_B = "371326010013200003"
CODES = (LOWER, RECORDER, CAMERA, OTHER, RULE_B)
SHARED = "37132600001320999999"


class _Dialog:
    ended = False

    def __init__(self) -> None:
        self.taken: list[Content | None] = []

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        self.taken.append(content)
        return True

    def close(self) -> None:
        self.ended = True


def _text(rng: random.Random) -> str:
    """Return something with codes in it, as names are: alone, joined, cut short, between digits."""
    parts = ["枪机", "IPC-", "", " ", "7", "/", "_", "0539", *CODES, *CODES]
    return "".join(rng.choice(parts) for _ in range(rng.randint(1, 4)))


def _written(content: Content, edition: Edition) -> str:
    return serialize_message(content, "UTF-8", edition=edition.value).decode()


@pytest.mark.parametrize("seed", range(6))
async def test_no_answer_and_no_notification_has_a_lower_level_code(seed: int) -> None:
    rng = random.Random(seed)
    for edition in Edition:
        for _ in range(20):
            for content in await _all_contents(rng, edition):
                text = _written(content, edition)
                found = [code for code in CODES if code in text]
                assert not found, f"{found} in {text}"


async def _all_contents(rng: random.Random, edition: Edition) -> list[Content]:
    world = World()
    extra = {name: _text(rng) for name in ("Owner", "Block", "CertNum", "Info.ManagementUnit")}
    texts = {name: _text(rng) for name in ("name", "manufacturer", "model", "address")}
    device = world.device(
        LOWER,
        channel(LOWER, RECORDER, parent_ids=(LOWER,), name=_text(rng), model=_text(rng)),
        channel(LOWER, OTHER, parent_ids=(RECORDER,), name=_text(rng)),
        channel(LOWER, CAMERA, parent_ids=(RECORDER,), extra=extra, **texts),
        name=_text(rng),
    )
    device.model, device.manufacturer, device.firmware = _text(rng), _text(rng), _text(rng)
    status = {n: _text(rng) for n in ("Online", "Status", "Reason", "Encode", "Record", "Result")}

    async def ask_status(device_id: str, channel_id: str) -> Mapping[str, str]:
        return status

    view = make_view(world, id_mode=IdMode.RENAME, edition=edition)
    await view.load()
    link = FakeLink(view.config)
    items = tuple(view.items())
    contents: list[Content] = [
        CatalogResponse(sn=1, device_id=COUNTY, sum_num=len(items), items=items)
    ]
    for placed in view.items().placed:
        for kind in CatalogEvent:
            event = Event(kind, placed.code, placed, placed)
            item = event.item(rename=True, edition=edition)
            contents.append(CatalogNotify(sn=1, device_id=COUNTY, sum_num=1, items=(item,)))
    answers = DeviceAnswers(
        link,
        view,
        directory=world,
        own=lambda: OwnInfo(name="County"),
        ask_status=ask_status,
        wall=fixed_now,
    )
    for item in items:
        about = view.resolve(item.device_id)
        for query in (DeviceInfoQuery, DeviceStatusQuery):
            asked = query(sn=1, device_id=item.device_id)
            contents.append(await answers.answer(asked, about, Obligations()))
    contents.extend(await _alarms(rng, link, view))
    return contents


async def _alarms(rng: random.Random, link: FakeLink, view: CatalogView) -> list[Content]:
    book = SubscriptionBook(link, clock=clock, begun=lambda _: None, ended=lambda _: None)
    office = AlarmOffice(link, view, own_id=COUNTY, book=book, access=OpenPolicy(), wall=fixed_now)
    dialog = _Dialog()
    book.add(
        Subscription(
            kind="Alarm",
            root=COUNTY,
            dialog=dialog,
            requester=UpperRequester(
                platform_id=CITY, subject=Subject(platform=CITY), source="127.0.0.1"
            ),
            ends_at=clock.monotonic() + 600,
            alarms=None,
        )
    )
    for channel_id in (CAMERA, RECORDER, LOWER):
        office.alarm(
            LOWER,
            channel_id,
            AlarmNotify(
                device_id=channel_id,
                alarm_priority=1,
                alarm_method=5,
                alarm_time=fixed_now(),
                alarm_description=_text(rng),
                extra_info=_text(rng),
                raw={"Vendor": _text(rng)},
            ),
        )
    async with TaskScope(lambda name, exc: None) as scope:
        scope.spawn(office.run(), name="alarms")
        async with asyncio.timeout(10):
            while len(dialog.taken) < 3:
                await asyncio.sleep(0)
    return [content for content in dialog.taken if content is not None]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"IPC-{CAMERA}", f"IPC-{SHARED}"),
        (f"{LOWER} gate", "gate"),
        (f"7{CAMERA}", ""),
        (f"{RULE_B}号", "号"),
        ("\uff13" * 20, ""),
        (f"3713260{LOWER}1001320000001", ""),
        (SHARED, SHARED),
        ("0539-12345678901234567", "0539-12345678901234567"),
        (" as it is ", " as it is "),
    ],
)
def test_codes_go_out_of_texts_and_the_items_own_becomes_its_code_above(
    text: str, clean: str
) -> None:
    item = channel(LOWER, CAMERA, parent_ids=(RECORDER,))
    assert without_codes(text, SHARED, item) == clean
