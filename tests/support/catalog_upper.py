"""An upper platform's queries and subscriptions, without SIP: everything else is real, bytes included."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.cascade.catalog.notifier import CatalogNotifier
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import UpperLink, UpperSubscription
from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformConfig
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.flow.catalog import CatalogCollector
from gb28181.manscdp import CatalogItem, CatalogResponse, parse_message, serialize_message
from gb28181.manscdp.message import Content
from gb28181.manscdp.paging import pages
from tests.support.catalog_world import ModelUpper

__all__ = ["FAST", "Link", "Subscription", "notifying", "query", "settled"]

FAST = NotifierSettings(gather=0.0, delay=0.0, flaps=1_000_000)


class Link:
    """A platform's link that hands MESSAGEs to a platform, unless it is broken."""

    def __init__(self, config: PlatformConfig, upper: ModelUpper | None = None) -> None:
        self.config = config
        self.online = True
        self.route: DeviceAddress | None = None
        self.broken = False
        self.notes: list[tuple[str, str]] = []
        self._upper = upper

    async def send(self, content: Content) -> None:
        if self.broken:
            raise Unavailable("no_answer", "broken by the test")
        assert self._upper is not None
        self._upper.take(content)

    def note(self, event: str, detail: str) -> None:
        self.notes.append((event, detail))


class Subscription:
    """An accepted SUBSCRIBE; its platform may be slow, wait to be let go on, or have forgotten it."""

    def __init__(self, upper: ModelUpper, rng: random.Random | None = None) -> None:
        self.upper = upper
        self.gone = False
        self.busy = False
        self.notified: list[Content | None] = []
        self.expiries: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._rng = rng

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        self.notified.append(content)
        self.expiries.append(expires)
        self.busy = True
        try:
            await self.gate.wait()
            if self._rng is not None and self._rng.random() < 0.3:
                for _ in range(self._rng.randrange(20)):
                    await asyncio.sleep(0)
        finally:
            self.busy = False
        if self.gone:
            return False
        if content is not None:
            self.upper.take(content)
        return True


@asynccontextmanager
async def notifying(
    view: CatalogView,
    settings: NotifierSettings = FAST,
    link: Link | None = None,
    now: Callable[[], float] = monotonic,
) -> AsyncIterator[CatalogNotifier]:
    """Run a notifier; no crash of its tasks goes unseen."""
    crashes: list[tuple[str, Exception]] = []
    crashed = lambda name, error: crashes.append((name, error))  # noqa: E731
    notifier = CatalogNotifier(
        view, link or Link(view.config), on_crash=crashed, settings=settings, now=now
    )
    async with TaskScope(crashed) as scope:
        scope.spawn(notifier.run(), name="notifier")
        yield notifier
    assert crashes == []


async def settled(view: CatalogView, notifier: CatalogNotifier) -> None:
    """Wait until everything was told."""
    async with asyncio.timeout(20):
        calm = 0
        while calm < 3:
            await asyncio.sleep(0)
            idle = view.is_current and all(
                sender.is_waiting and not sender.told.pending and not sender.greet
                for sender in notifier._all()
            )
            calm = calm + 1 if idle else 0


async def query(
    view: CatalogView, root: str | None = None, *, pause: int = 0, upper: ModelUpper | None = None
) -> dict[str, CatalogItem]:
    """Return what a query gets, through bytes and the collector of a platform.

    Args:
        view: The catalogue.
        root: What is asked for; None for all.
        pause: Turns of the loop between two messages.
        upper: A platform that takes each message for the truth as it arrives.
    """
    config, collector = view.config, CatalogCollector()
    device_id = root or view.local_id
    charset, edition = config.body_charset, config.edition.value
    collector.start(device_id, 17, 0.0)
    async with view.answer(root) as items:
        total = len(items)

        def make(part: tuple[CatalogItem, ...]) -> Content:
            return CatalogResponse(sn=17, device_id=device_id, sum_num=total, items=part)

        for content in [*pages(items, make=make, charset=charset, edition=edition)] or [make(())]:
            response = parse_message(serialize_message(content, charset, edition=edition)).content
            assert isinstance(response, CatalogResponse)
            collector.feed(response, 1.0)
            if upper is not None:
                upper.items.update((item.device_id, item) for item in response.items)
            for _ in range(pause):
                await asyncio.sleep(0)
    (result,) = collector.handle_timer(100.0)
    assert result.complete
    assert result.received == result.expected == total == len(result.items)
    assert not result.duplicates
    return {item.device_id: item for item in result.items}


_link: type[UpperLink] = Link
_subscription: type[UpperSubscription] = Subscription
