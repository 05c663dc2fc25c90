"""Everything the desk has for one platform: its catalogue, queries, subscriptions, alarms, and limits."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.cascade.desk_admission import Admission
from gateway.cascade.desk_alarms import AlarmOffice
from gateway.cascade.desk_gate import RateGate
from gateway.cascade.desk_ports import CatalogMaker, PlatformCatalog, StatusSource
from gateway.cascade.desk_subscriptions import Subscription, SubscriptionBook
from gateway.cascade.ports import ChannelDirectory, UpperLink
from gateway.cascade.queries import CatalogAnswers
from gateway.cascade.queries_device import DeviceAnswers, OwnInfo
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import AccessControl
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.message import Content

__all__ = ["DeskParts", "PlatformOffice"]

log = structlog.get_logger()

MAX_ANSWERS: Final = 64
"""DeviceInfo and DeviceStatus answers under way to one platform; one more query is left alone."""
LOAD_RETRY: Final = 5.0
"""Seconds until the catalogue is tried again when the store could not give it."""
RESTART_WAIT: Final = 1.0
"""Seconds until a part that crashed is begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """What all offices share."""

    own_id: str
    access: AccessControl
    directory: ChannelDirectory
    make_catalog: CatalogMaker
    own: Callable[[], OwnInfo]
    ask_status: StatusSource | None
    clock: Clock
    queries_per_minute: float
    on_crash: Callable[[str, Exception], None]


class PlatformOffice:
    """One platform's part of the desk; `run` owns its tasks.

    Args:
        link: The platform.
        parts: What all offices share.
    """

    def __init__(self, link: UpperLink, parts: DeskParts) -> None:
        self.link = link
        self.own_id = link.config.local_id or parts.own_id
        self.catalog: PlatformCatalog = parts.make_catalog(link)
        self.view, self.notifier = self.catalog.view, self.catalog.notifier
        self.finished = asyncio.Event()
        """Whether all is over after `close`."""
        self.admission = Admission(
            link,
            self.view,
            own_id=self.own_id,
            access=parts.access,
            gate=RateGate(parts.queries_per_minute),
            wall=parts.clock.utc_now,
        )
        self.loaded = asyncio.Event()
        """Set when `ready` becomes true for the first time."""
        self.ready = False
        """Whether the codes given out before are known: nothing can be answered without."""
        self.subscriptions = SubscriptionBook(
            link, clock=parts.clock, begun=self._begun, ended=self._ended
        )
        self.queries = CatalogAnswers(
            link,
            self.view,
            own_id=self.own_id,
            access=parts.access,
            wall=parts.clock.utc_now,
        )
        self.devices = DeviceAnswers(
            link,
            self.view,
            directory=parts.directory,
            own=parts.own,
            ask_status=parts.ask_status,
            wall=parts.clock.utc_now,
        )
        self.alarms = AlarmOffice(
            link,
            self.view,
            own_id=self.own_id,
            book=self.subscriptions,
            access=parts.access,
            wall=parts.clock.utc_now,
        )
        self._parts = parts
        self._answers = 0
        self._scope: TaskScope | None = None
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Serve until `close`."""
        try:
            async with TaskScope(self._parts.on_crash) as scope:
                self._scope = scope
                self.start(self._serve(), "desk")
                await self._closed.wait()
                self.ready = False
                await self.subscriptions.end_all("deactivated")
        finally:
            self._scope = None
            self.finished.set()

    def close(self) -> None:
        """End; subscribers are told."""
        self._closed.set()

    def start(self, coro: Coroutine[object, object, None], name: str) -> None:
        """Run something as one of the office's tasks; not at all once it is closed."""
        if self._scope is None:
            coro.close()
            return
        self._scope.spawn(coro, name=f"{name}:{self.link.config.platform_id}")

    def answer(self, make: Coroutine[object, object, Content], name: str) -> bool:
        """Send what `make` gives; False if too much is under way already."""
        if self._scope is None or self._answers >= MAX_ANSWERS:
            make.close()
            return False
        self._answers += 1
        self.start(self._send(make), name)
        return True

    async def _serve(self) -> None:
        platform_id = self.link.config.platform_id
        while not self.ready:
            try:
                await self.catalog.load()
                self.ready = True
                self.loaded.set()
            except Unavailable as exc:
                log.warning(
                    "platform_catalog_not_loaded", platform_id=platform_id, detail=exc.detail
                )
                await asyncio.sleep(LOAD_RETRY)
        for name, part in (
            ("catalog", self.catalog.run),
            ("catalog-queries", self.queries.run),
            ("subscriptions", self.subscriptions.run),
            ("alarms", self.alarms.run),
        ):
            self.start(self._always(part, name), f"keep-{name}")

    async def _always(self, part: Callable[[], Coroutine[object, object, None]], name: str) -> None:
        """Run a part for ever: one that crashed is reported and begun anew."""
        while True:
            ended = asyncio.Event()

            async def once(ended: asyncio.Event = ended) -> None:
                try:
                    await part()
                finally:
                    ended.set()

            self.start(once(), name)
            await ended.wait()
            await asyncio.sleep(RESTART_WAIT)

    async def _send(self, make: Coroutine[object, object, Content]) -> None:
        try:
            await self.link.send(await make)
        except Unavailable as exc:
            self.link.note(PlatformEvent.MESSAGE_FAILED, f"An answer was not taken: {exc.detail}")
        finally:
            self._answers -= 1

    def _begun(self, item: Subscription) -> None:
        if item.kind != "Catalog":
            return
        self.notifier.add(
            item.dialog,
            root=None if item.root == self.own_id else item.root,
            remaining=lambda: self.subscriptions.remaining(item),
            gone=lambda: self.subscriptions.gone(item, "a NOTIFY was not taken"),
        )

    def _ended(self, item: Subscription) -> None:
        if item.kind == "Catalog":
            self.notifier.remove(item.dialog)
