"""Tells one subscription what changed: gathered, in order, in messages of the right size, one after the other."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.cascade.catalog.flapping import FLAPS_PER_MINUTE, FlapFilter
from gateway.cascade.catalog.item import Placed
from gateway.cascade.catalog.pace import Pace
from gateway.cascade.catalog.told import Event, Plan, Told
from gateway.cascade.catalog.tree import Change
from gateway.cascade.catalog.view import CatalogView
from gb28181.manscdp import CatalogItem
from gb28181.manscdp.message import Content
from gb28181.manscdp.notify import CatalogNotify
from gb28181.manscdp.paging import MAX_PAGE_ITEMS, TCP_PAGE_BYTES, UDP_PAGE_BYTES, pages

__all__ = ["NotifierSettings", "Send", "Sender"]

DATAGRAM_BYTES: Final = 60_000
"""Body of a NOTIFY over UDP whose number of items the operator has set."""
PLANNED: Final = 4
"""Attempts at a plan; the last one lets nothing else happen meanwhile."""
MANY: Final = 1_000
"""Changes of which one is taken to move something without looking."""
GREETED: Final = 500
"""Items looked at in a stretch for the first report."""
PREPARED: Final = 50
"""Most events written at a time; they take a few milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierSettings:
    """How changes are told."""

    gather: float = 0.1
    """Seconds for which marks are gathered before they are looked at: one event leaves many."""
    delay: float = 1.0
    """Seconds for which changes are gathered; the standard suggests up to 60."""
    batch: int = 100
    """Changes that are told without waiting longer."""
    initial_report: bool = True
    """Tell a new subscriber what is off-line: it takes everything for on-line."""
    flaps: int = FLAPS_PER_MINUTE
    """Changes of status told of one item in a minute."""
    push_retry: float = 5.0
    """Seconds until a MESSAGE that was not taken, or could not be sent, is tried again."""


Send = Callable[[Content | None], Awaitable[bool]]
"""Sends a body, None for an empty one, and returns whether it was taken."""


class Sender:
    """One subscription's events.

    Args:
        view: The catalogue.
        told: What the platform knows.
        root: What of the catalogue it is about; None is all of it.
        send: Sends and waits for the answer.
        new_sn: Makes SNs.
        hurrying: Whether changes must not wait now.
        settings: How changes are told.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        view: CatalogView,
        told: Told,
        *,
        root: str | None,
        send: Send,
        new_sn: Callable[[], int],
        hurrying: Callable[[], bool],
        settings: NotifierSettings,
        now: Callable[[], float],
    ) -> None:
        self.told = told
        self.root = root
        self.urgent = False
        """Whether what is pending must not wait."""
        self.greet = False
        """Whether the first message is due, with what is off-line, changes or not."""
        self.sent = 0
        """Events told."""
        self.is_waiting = False
        """Whether there is nothing to tell at the moment."""
        self.paused: Callable[[], bool] = lambda: False
        """Whether nothing may be sent at the moment; looked at again after `pause`."""
        self.pause = settings.push_retry
        """Seconds."""
        self._view = view
        self._send = send
        self._new_sn = new_sn
        self._hurrying = hurrying
        self._settings = settings
        self._now = now
        self._pace = Pace(now)
        self._flaps = FlapFilter(settings.flaps)
        self._held: set[str] = set()
        self._since: float | None = None
        self._wake = asyncio.Event()
        self._stopped = False
        self._outdated = False

    def changed(self, changes: Sequence[Change]) -> None:
        """Learn that something was published; what was told is kept elsewhere."""
        if self._held:
            self._held.difference_update([code for code, _, _ in changes])
        if self.root is not None and not self._outdated:
            many = len(changes) > MANY
            self._outdated = many or any(_may_move(before, after) for _, before, after in changes)
        self.wake()

    def wake(self) -> None:
        """Look whether something is due."""
        self._wake.set()

    def stop(self) -> None:
        """End soon; nothing more is sent."""
        self._stopped = True
        self._wake.set()

    async def run(self) -> bool:
        """Tell, until stopped; returns False once a message was not taken."""
        await self._recall()
        if self.greet and not await self._say_hello():
            return self._stopped
        while True:
            await self._until_due()
            if self._stopped:
                return True
            if not await self._flush():
                return self._stopped

    async def _recall(self) -> None:
        """Make up for what was not told in former times: after a crash, or a change of the configuration.

        Which of the codes given out then the platform still has, nobody knows: those that stand for nothing now
        are taken back, so that both agree again.
        """
        former = self._view.codes.former
        while self.root is None and former and not self._stopped:
            self.told.recall(former.pop())
            await self._pace.breathe()

    async def _say_hello(self) -> bool:
        """Send the first NOTIFY, which must come at once (RFC 6665 4.2.1.2) and says what is off-line (7.3)."""
        await self._narrow()
        if self._settings.initial_report:
            items = iter(await self._view.select(self.root))
            while part := list(islice(items, GREETED)):
                self.told.assume_online(part)
                await self._pace.breathe()
        already = self.sent
        if not await self._flush():
            return False
        self.greet = False
        if self._is_over() or self.sent > already:
            return True
        return await self._send(None)

    async def _until_due(self) -> None:
        while not self._stopped:
            self._wake.clear()
            now = self._now()
            # Items may have come into the part subscribed that were told of nowhere yet.
            count = len(self.told.pending) - len(self._held) or int(self._outdated)
            wait: float | None
            if self.paused():
                wait = self.pause
            elif count <= 0:
                self._since = None
                wait = self._next_release(now)
            else:
                self._since = now if self._since is None else self._since
                wait = self._since + self._settings.delay - now
                full = count >= self._settings.batch
                if wait <= 0 or full or self.urgent or self._hurrying():
                    return
            self.is_waiting = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self.is_waiting = False

    def _next_release(self, now: float) -> float | None:
        """Return the seconds until an item that was held back may be told; those that may are let go."""
        soonest: float | None = None
        for code in tuple(self._held):
            release = self._flaps.release_at(code)
            if release is None or release <= now or code not in self.told.pending:
                self._held.discard(code)
                soonest = now
            elif soonest is None or release < soonest:
                soonest = release
        return None if soonest is None else max(0.0, soonest - now)

    async def _flush(self) -> bool:
        """Tell everything that differs now; what changes meanwhile is told in its place."""
        self.urgent, self._since = False, None
        while not self._stopped:
            await self._narrow()
            version, plan = await self._plan()
            if self._is_over():
                break
            events = plan.events()
            while chunk := list(islice(events, PREPARED)):
                if not await self._tell(chunk):
                    return False
                if self._is_over() or self._view.version != version:
                    # Something else was published: there may be a better order now.
                    break
            else:
                return True
        return True

    def _is_over(self) -> bool:
        return self._stopped

    async def _plan(self) -> tuple[int, Plan]:
        """Return a plan and the version it is good for."""
        for attempt in range(PLANNED):
            version = self._view.version
            plan = Plan(
                self.told,
                rename=self._view.rename,
                edition=self._view.config.edition,
                hold=self._hold,
            )
            for _ in plan.prepare():
                if attempt < PLANNED - 1:
                    await self._pace.breathe()
            if self._view.version == version:
                return version, plan
        raise AssertionError("the last attempt makes no pause")

    def _hold(self, code: str) -> bool:
        held = self._flaps.hold(code, self._now())
        if held:
            self._held.add(code)
        return held

    async def _narrow(self) -> None:
        """Look again which items belong to the part subscribed."""
        if not self._outdated:
            return
        self._outdated = False
        codes = {placed.code for placed in await self._view.select(self.root)}
        self.told.narrow(codes)

    async def _tell(self, events: list[Event]) -> bool:
        taken = False
        try:
            for content in self._pages(events):
                taken = await self._send(content)
                if not taken:
                    break
        finally:
            if not taken:
                # Some may have arrived: telling them again does no harm.
                self.told.restore(events)
        self.sent += len(events) if taken else 0
        return taken

    def _pages(self, events: list[Event]) -> Iterator[Content]:
        config = self._view.config
        device_id = self.root or self._view.local_id

        def make(part: tuple[CatalogItem, ...]) -> Content:
            return CatalogNotify(
                sn=self._new_sn(), device_id=device_id, sum_num=len(part), items=part
            )

        over_udp = config.transport == "UDP"
        usual = UDP_PAGE_BYTES if over_udp else TCP_PAGE_BYTES
        wished = DATAGRAM_BYTES if over_udp else TCP_PAGE_BYTES
        return pages(
            [event.item(rename=self._view.rename, edition=config.edition) for event in events],
            make=make,
            charset=config.body_charset,
            edition=config.edition.value,
            max_bytes=wished if config.catalog_batch else usual,
            max_items=config.catalog_batch or MAX_PAGE_ITEMS,
        )


def _may_move(before: Placed | None, after: Placed | None) -> bool:
    """Whether a change may bring items into a part of the catalogue, or out of it."""
    if before is None or after is None:
        return True
    return (
        before.parents != after.parents
        or before.group != after.group
        or before.channel.civil_code != after.channel.civil_code
    )
