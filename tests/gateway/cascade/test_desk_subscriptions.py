"""A platform's subscriptions and their ends, with dialogs that the test invents."""

import asyncio

from gateway.cascade.desk_subscriptions import FAREWELL, Subscription, SubscriptionBook
from gateway.cascade.ports import UpperRequester
from gateway.domain.policy import Subject
from gb28181.aio import clock
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.message import Content
from tests.support.cascade import UPPER, FakeLink


class SilentDialog:
    """One whose subscriber never answers a NOTIFY."""

    def __init__(self) -> None:
        self.told = 0
        self.closed = 0

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        self.told += 1
        await asyncio.sleep(3600)
        return True

    def close(self) -> None:
        self.closed += 1


async def test_a_silent_platform_does_not_hold_up_the_end_of_its_other_subscriptions() -> None:
    ended: list[Subscription] = []
    book = SubscriptionBook(FakeLink(), clock=clock, begun=lambda _: None, ended=ended.append)
    dialogs = [SilentDialog() for _ in range(20)]
    requester = UpperRequester(platform_id=UPPER, subject=Subject(platform=UPPER), source="::1")
    for number, dialog in enumerate(dialogs):
        book.add(
            Subscription(
                kind="Catalog",
                root=str(number),
                dialog=dialog,
                requester=requester,
                ends_at=monotonic() - 3600,
            )
        )
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        scope.spawn(book.run(), name="subscriptions")
        async with asyncio.timeout(FAREWELL * len(dialogs) / 2):
            while not all(dialog.closed for dialog in dialogs):
                await asyncio.sleep(0.01)
    assert crashes == []
    assert [dialog.told for dialog in dialogs] == [1] * 20
    assert len(ended) == 20
    assert len(book) == 0


async def test_a_link_that_stops_while_it_says_farewell_leaves_no_dialog_behind() -> None:
    book = SubscriptionBook(FakeLink(), clock=clock, begun=lambda _: None, ended=lambda _: None)
    dialog = SilentDialog()
    requester = UpperRequester(platform_id=UPPER, subject=Subject(platform=UPPER), source="::1")
    book.add(
        Subscription(
            kind="Catalog",
            root="1",
            dialog=dialog,
            requester=requester,
            ends_at=monotonic() - 3600,
        )
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        while not dialog.told:
            await asyncio.sleep(0)
        running.cancel()
    await book.end_all("noresource")
    assert dialog.closed == 1
