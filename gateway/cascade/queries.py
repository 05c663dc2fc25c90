"""Catalogue queries of one platform: answered one after the other, in pages that fit the way there (protocol 8.3)."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from gateway.cascade.desk_ports import PlatformView
from gateway.cascade.ports import UpperLink, UpperRequester
from gateway.domain.errors import Forbidden, Unavailable
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import AccessContext, AccessControl, AccessRequest, Action
from gb28181.manscdp import CatalogItem, CatalogQuery, CatalogResponse
from gb28181.manscdp.message import Content
from gb28181.manscdp.paging import MAX_PAGE_ITEMS, TCP_PAGE_BYTES, UDP_PAGE_BYTES, pages

__all__ = ["CatalogAnswers", "context_of"]

log = structlog.get_logger()

MAX_WAITING: Final = 16
"""Different parts of the catalogue asked for and not answered yet; one more is left alone."""
DATAGRAM_BYTES: Final = 60_000
"""Body of a MESSAGE over UDP whose number of items the operator has set."""
PACE: Final = 0.002
"""Seconds from one message over UDP to the next at least: the platform has others to listen to."""
RETRY_WAIT: Final = 1.0
"""Seconds before a message that was not taken is sent once more."""


ATTEMPTS: Final = 2
"""Times an answer is begun; in the last one, items that may not be seen any more are left out."""


class CatalogAnswers:
    """Queue and answerer of one platform.

    The same query again while it waits or is being answered costs nothing more; with a new SN it takes the place
    of the one that waits. So at most one answer runs and one waits for each part of the catalogue.

    Args:
        link: The platform.
        view: Its catalogue.
        own_id: Our code there, which means the whole catalogue.
        access: Puts every catalogue given out on record.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        link: UpperLink,
        view: PlatformView,
        *,
        own_id: str,
        access: AccessControl,
        wall: Callable[[], datetime],
    ) -> None:
        self.answered = 0
        """Catalogues sent in whole since the start."""
        self._link = link
        self._view = view
        self._own_id = own_id
        self._access = access
        self._wall = wall
        self._waiting: OrderedDict[str, tuple[CatalogQuery, UpperRequester]] = OrderedDict()
        self._running: tuple[str, int] | None = None
        self._wake = asyncio.Event()

    def ask(self, query: CatalogQuery, requester: UpperRequester) -> None:
        """Take a query that is known to be about something of this platform's."""
        root = query.device_id
        if self._running == (root, query.sn):
            return
        if root not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self._link.note(
                PlatformEvent.REFUSED,
                f"Catalog of {root} not answered: {MAX_WAITING} other parts are waiting",
            )
            return
        self._waiting[root] = (query, requester)
        self._wake.set()

    async def run(self) -> None:
        """Answer, until cancelled."""
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            root, (query, requester) = self._waiting.popitem(last=False)
            self._running = (root, query.sn)
            try:
                await self._answer(query, requester)
            finally:
                self._running = None

    async def _answer(self, query: CatalogQuery, requester: UpperRequester) -> None:
        root = query.device_id
        for attempt in range(1, ATTEMPTS + 1):
            async with self._view.answer(None if root == self._own_id else root) as items:
                if not self._is_allowed(root, len(items), requester):
                    return
                if await self._send_all(query, items, skip=attempt == ATTEMPTS):
                    return

    def _is_allowed(self, root: str, count: int, requester: UpperRequester) -> bool:
        try:
            self._access.check(
                AccessRequest(
                    subject=requester.subject,
                    action=Action.CATALOG,
                    channel=None,
                    object_id=root[:64],
                    context=context_of(self._link, requester, self._wall()),
                    via="sip",
                    detail=f"{count} items",
                )
            )
        except Forbidden as exc:
            # No answer at all: from an empty one the platform would conclude that everything is gone.
            self._link.note(PlatformEvent.REFUSED, f"Catalog of {root}: {exc.code}: {exc.detail}")
            return False
        return True

    async def _send_all(
        self, query: CatalogQuery, items: Sequence[CatalogItem], *, skip: bool
    ) -> bool:
        """Send an answer; what may not be seen any more when its page is due is never sent.

        Args:
            query: What was asked.
            items: The catalogue as it was when the answer began.
            skip: Whether such items are left out, and SumNum counts what is left; otherwise it ends there.

        Returns:
            Whether it is done; False if it must be begun anew, with a SumNum that is true.
        """
        root, sent, gone = query.device_id, 0, 0
        try:
            for content in self._pages(query, items):
                assert isinstance(content, CatalogResponse)
                kept = tuple(each for each in content.items if self._view.is_shown(each.device_id))
                gone += len(content.items) - len(kept)
                if gone and not skip:
                    log.info("platform_catalog_begun_anew", device_id=root, sn=query.sn, sent=sent)
                    return False
                page = replace(content, items=kept, sum_num=len(items) - gone)
                if kept or not content.items or not sent:
                    await self._send(page)
                    sent += 1
        except Unavailable as exc:
            self._link.note(
                PlatformEvent.MESSAGE_FAILED,
                f"Catalog of {root}, {len(items)} items: given up after {sent} messages: {exc.detail}",
            )
            return True
        self.answered += 1
        self._link.note(
            PlatformEvent.QUERIED, f"Catalog of {root}: {len(items)} items in {sent} messages"
        )
        log.info(
            "platform_catalog_sent",
            platform_id=self._link.config.platform_id,
            device_id=root,
            sn=query.sn,
            count=len(items),
            total=sent,
        )
        return True

    def _pages(self, query: CatalogQuery, items: Sequence[CatalogItem]) -> Iterator[Content]:
        config = self._link.config
        total = len(items)

        def make(part: tuple[CatalogItem, ...]) -> CatalogResponse:
            return CatalogResponse(
                sn=query.sn, device_id=query.device_id, sum_num=total, items=part
            )

        if not items:
            return iter((make(()),))
        over_udp = config.transport == "UDP"
        usual = UDP_PAGE_BYTES if over_udp else TCP_PAGE_BYTES
        wished = DATAGRAM_BYTES if over_udp else TCP_PAGE_BYTES
        return pages(
            items,
            make=make,
            charset=config.body_charset,
            edition=config.edition.value,
            max_bytes=wished if config.catalog_batch else usual,
            max_items=config.catalog_batch or MAX_PAGE_ITEMS,
        )

    async def _send(self, content: Content) -> None:
        """Send one message; the next waits for its acknowledgement (Annex M: serially)."""
        try:
            await self._link.send(content)
        except Unavailable as exc:
            if exc.code == "platform_offline":
                raise
            await asyncio.sleep(RETRY_WAIT)
            await self._link.send(content)
        if self._link.config.transport == "UDP":
            await asyncio.sleep(PACE)


def context_of(link: UpperLink, requester: UpperRequester, at: datetime) -> AccessContext:
    """Return the circumstances of a platform's request."""
    return AccessContext(at=at, zone=link.config.zone, source=requester.source)
