"""What is hidden while it waits to be sent is not sent: pages of a catalogue, alarms."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.cascade.desk_alarms import AlarmOffice
from gateway.cascade.desk_subscriptions import Subscription, SubscriptionBook
from gateway.cascade.ports import UpperRequester
from gateway.cascade.queries import CatalogAnswers
from gateway.domain.policy import Action, Obligations, Subject
from gb28181.aio import clock
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp import AlarmNotify, CatalogQuery, CatalogResponse
from gb28181.manscdp.message import Content
from tests.support.cascade import FakeLink, OpenPolicy, fixed_now
from tests.support.catalog_world import (
    ALLOW,
    CITY,
    COUNTY,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)

RECORDER = "37132600001180000001"
CAMERAS = [f"3713260000132{number:07d}" for number in range(60)]
REQUESTER = UpperRequester(platform_id=CITY, subject=Subject(platform=CITY), source="127.0.0.1")


class _Link(FakeLink):
    """A link on which something happens before each message is sent on."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[int], None] = lambda number: None

    async def send(self, content: Content) -> None:
        await asyncio.sleep(0)
        await super().send(content)
        self.before(len(self.sent))


class _Site:
    def __init__(self) -> None:
        self.world, self.policy, self.link = World(), TurnPolicy(), _Link()
        self.world.device(RECORDER, *(channel(RECORDER, code) for code in CAMERAS))
        self.view = make_view(self.world, policy=self.policy)
        self.answers = CatalogAnswers(
            self.link, self.view, own_id=COUNTY, access=OpenPolicy(), wall=fixed_now
        )

    async def answered(self) -> list[CatalogResponse]:
        self.answers.ask(CatalogQuery(sn=7, device_id=COUNTY), REQUESTER)
        async with asyncio.timeout(10):
            while not self.answers.answered:
                await asyncio.sleep(0.001)
        return [each for each in self.link.sent if isinstance(each, CatalogResponse)]


@asynccontextmanager
async def _site() -> AsyncIterator[_Site]:
    site = _Site()
    await site.view.load()
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        scope.spawn(site.answers.run(), name="answers")
        yield site
    assert crashes == []


def _codes(pages: list[CatalogResponse]) -> list[str]:
    return [item.device_id for page in pages for item in page.items]


async def test_what_became_secret_during_an_answer_is_not_sent_and_the_answer_begins_anew() -> None:
    async with _site() as site:
        secret = CAMERAS[55]

        def hide(number: int) -> None:
            if number == 3:
                # Nobody has brought the catalogue up to date yet.
                site.world.change(RECORDER, secret, secrecy=1)

        site.link.before = hide
        pages = await site.answered()
        assert secret not in _codes(pages)
        anew = [page for page in pages if page.sum_num == len(CAMERAS) + 1]
        assert set(_codes(anew)) == {COUNTY, RECORDER, *CAMERAS} - {secret}
        assert len(_codes(anew)) == len(CAMERAS) + 1


async def test_what_the_policy_hides_during_an_answer_is_not_sent() -> None:
    async with _site() as site:
        hidden = CAMERAS[55]

        def hide(number: int) -> None:
            if number == 3:
                site.policy.rule = lambda item: denied() if item.channel_id == hidden else ALLOW
                site.view.policy_changed()

        site.link.before = hide
        assert hidden not in _codes(await site.answered())


async def test_an_answer_is_begun_anew_once_and_then_counts_what_is_left() -> None:
    async with _site() as site:
        hidden: list[str] = []

        def hide(number: int) -> None:
            # One that is still to come, with every page.
            if len(hidden) < 20:
                hidden.append(CAMERAS[-1 - len(hidden)])
                site.world.change(RECORDER, hidden[-1], secrecy=1)

        site.link.before = hide
        pages = await site.answered()
        assert site.answers.answered == 1
        last = pages[-1].sum_num
        anew = pages[next(i for i in range(1, len(pages)) if COUNTY in _codes([pages[i]])) :]
        assert len(_codes(anew)) == last
        assert _codes(pages).count(COUNTY) == 2


class _Dialog:
    ended = False

    def __init__(self) -> None:
        self.taken: list[AlarmNotify] = []
        self.gate = asyncio.Event()

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        await self.gate.wait()
        assert isinstance(content, AlarmNotify)
        self.taken.append(content)
        return True

    def close(self) -> None:
        self.ended = True


async def test_alarms_that_wait_are_asked_for_again_when_their_turn_comes() -> None:
    site, access, dialog = _Site(), OpenPolicy(), _Dialog()
    await site.view.load()
    book = SubscriptionBook(site.link, clock=clock, begun=lambda _: None, ended=lambda _: None)
    office = AlarmOffice(
        site.link, site.view, own_id=COUNTY, book=book, access=access, wall=fixed_now
    )
    ends_at = clock.monotonic() + 600
    book.add(
        Subscription(
            kind="Alarm",
            root=COUNTY,
            dialog=dialog,
            requester=REQUESTER,
            ends_at=ends_at,
            alarms=None,
        )
    )
    async with TaskScope(lambda name, exc: None) as scope:
        scope.spawn(office.run(), name="alarms")
        for code in CAMERAS[:3]:
            alarm = AlarmNotify(
                device_id=code, alarm_priority=1, alarm_method=5, alarm_description="at the gate"
            )
            office.alarm(RECORDER, code, alarm)
        await asyncio.sleep(0.01)
        # The first is on its way; the second becomes secret, the third is masked meanwhile.
        site.world.change(RECORDER, CAMERAS[1], secrecy=1)
        access.obligations = Obligations(mask_name="Camera")
        dialog.gate.set()
        async with asyncio.timeout(10):
            while len(dialog.taken) < 2:
                await asyncio.sleep(0.001)
        assert [each.device_id for each in dialog.taken] == [CAMERAS[0], CAMERAS[2]]
        assert [each.alarm_description for each in dialog.taken] == ["at the gate", ""]
        dialog.taken.clear()
        dialog.gate.clear()
        for code in CAMERAS[4:6]:
            office.alarm(RECORDER, code, AlarmNotify(device_id=code))
        await asyncio.sleep(0.01)
        access.denied.add(Action.ALARM)
        dialog.gate.set()
        await asyncio.sleep(0.05)
        assert [each.device_id for each in dialog.taken] == [CAMERAS[4]]
