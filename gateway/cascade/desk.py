"""The desk for upper platforms: their queries, subscriptions and controls, and the alarms they get (protocol 8.2)."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Final, Self

from gateway.cascade.desk_office import DeskParts, PlatformOffice
from gateway.cascade.desk_ports import Controls, PlatformView
from gateway.cascade.desk_subscriptions import (
    HeldSubscription,
    Subscription,
)
from gateway.cascade.ports import SubscribeRequest, UpperLink, UpperRequester
from gateway.domain.platform import PlatformEvent, PlatformStatus
from gateway.domain.policy import Action, Obligations
from gb28181.aio.tasks import TaskScope
from gb28181.flow.subscription import clamp_expires
from gb28181.manscdp import (
    AlarmNotify,
    AlarmQuery,
    CatalogQuery,
    DeviceControl,
    DeviceInfoQuery,
    DeviceStatusQuery,
    ManscdpMessage,
)

__all__ = ["UpperDesk"]

QUERY_WEIGHT: Final = 0.1
"""Of a DeviceInfo or DeviceStatus query, where a catalogue is 1: platforms ask for every camera in turn."""
SUBSCRIBE_WEIGHT: Final = 0.5
CLOSE_WAIT: Final = 3.0
"""Seconds for the subscribers of all platforms to be told that it is over."""

_ACTIONS: Final = {"Catalog": Action.CATALOG, "Alarm": Action.ALARM}


class UpperDesk:
    """Serves all platforms; use as an async context manager, open an office per link.

    Every request must have been identified: see `UpperLinks.identify`.

    Args:
        parts: What the offices need.
        controls: Takes DeviceControl.
    """

    def __init__(self, parts: DeskParts, controls: Controls) -> None:
        self._parts = parts
        self._controls = controls
        self._scope = TaskScope(parts.on_crash)
        self._offices: dict[str, PlatformOffice] = {}
        self._closing: set[PlatformOffice] = set()

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for platform_id in list(self._offices):
            self.close(platform_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT):
                for office in list(self._closing):
                    await office.finished.wait()
        await self._scope.__aexit__(exc_type, exc, traceback)

    # Offices

    def open(self, link: UpperLink) -> asyncio.Event:
        """Open the office of a platform, when its link is made; an older one is closed.

        Returns:
            Set once the office can answer.
        """
        platform_id = link.config.platform_id
        self.close(platform_id)
        office = self._offices[platform_id] = PlatformOffice(link, self._parts)
        self._scope.spawn(self._keep(office), name=f"office:{platform_id}")
        return office.loaded

    def close(self, platform_id: str, link: UpperLink | None = None) -> None:
        """Close an office, when its link is no more; idempotent.

        Args:
            platform_id: Whose.
            link: Only if it is this link's: a new one may have been opened since.
        """
        office = self._offices.get(platform_id)
        if office is None or (link is not None and office.link is not link):
            return
        del self._offices[platform_id]
        self._closing.add(office)
        office.close()

    def view(self, platform_id: str) -> PlatformView | None:
        """Return a platform's catalogue; None while it is unknown or still being read."""
        office = self._offices.get(platform_id)
        return office.view if office is not None and office.ready else None

    def fill_status(self, platform_id: str, status: PlatformStatus) -> None:
        """Put in what the desk knows of a platform."""
        office = self._offices.get(platform_id)
        if office is not None:
            status.subscriptions = office.subscriptions.ends()
            status.catalog_items = office.view.count() if office.ready else None

    # What changes below

    def touch(self, device_id: str, channel_ids: Collection[str] | None = None) -> None:
        """A device went on- or off-line, or (some of) its channels changed."""
        for office in self._offices.values():
            office.view.touch(device_id, channel_ids)

    def policy_changed(self, first: Collection[str] = ()) -> None:
        """Who may see what may have changed.

        Args:
            first: Devices whose items are known to be meant, to be looked at before all others.
        """
        for office in self._offices.values():
            office.view.policy_changed(first)

    def alarm(self, device_id: str, channel_id: str, content: AlarmNotify) -> None:
        """Pass an alarm of a channel, or of a device itself, on to whoever subscribed and may have it."""
        for office in self._offices.values():
            if office.ready:
                office.alarms.alarm(device_id, channel_id, content)

    # What platforms ask

    def message(self, link: UpperLink, message: ManscdpMessage, requester: UpperRequester) -> int:
        """Take a Query or Control; returns the SIP status to answer the MESSAGE with.

        What is understood and allowed gets 200, and its business answer by a MESSAGE of ours.
        """
        office = self._office(link)
        if office is None:
            return 503
        content = message.content
        match content:
            case DeviceControl():
                return self._controls.control(link, requester, content)
            case CatalogQuery() | DeviceInfoQuery() | DeviceStatusQuery():
                return self._query(office, content, requester)
            case _:
                # Acknowledged so that it is not sent again, and otherwise left alone (protocol 10.3).
                name = f"{message.root}/{message.cmd_type}"[:80]
                link.note(
                    PlatformEvent.QUERIED, f"{name} of {message.device_id[:40]}: not supported"
                )
                return 200

    def subscribe(
        self,
        link: UpperLink,
        request: SubscribeRequest,
        requester: UpperRequester,
        accept: Callable[[int], HeldSubscription],
    ) -> int:
        """Take a SUBSCRIBE outside a dialog.

        Args:
            link: The platform.
            request: What it wants; `expires` below 0 where it did not say.
            requester: Who stands behind it.
            accept: Answers 200 with the seconds granted and returns the dialog; called at most once.

        Returns:
            200 if `accept` was called, else the status to refuse with.
        """
        office, content = self._office(link), request.message.content
        kind = request.message.cmd_type
        if office is None:
            return 503
        if not isinstance(content, CatalogQuery | AlarmQuery) or kind not in _ACTIONS:
            link.note(PlatformEvent.REFUSED, f"SUBSCRIBE {kind[:40]}: not supported")
            return 489
        now, root, what = self._parts.clock.monotonic(), content.device_id, f"SUBSCRIBE {kind}"
        if not office.admission.passes(what, now, SUBSCRIBE_WEIGHT):
            return 503
        status = office.admission.admit(root, _ACTIONS[kind], requester, what)
        if status != 200:
            return status
        if office.subscriptions.is_full(kind, root):
            link.note(PlatformEvent.REFUSED, f"SUBSCRIBE {kind}: too many subscriptions")
            return 486
        seconds = clamp_expires(request.expires)
        item = Subscription(
            kind=kind,
            root=root,
            dialog=accept(seconds),
            requester=requester,
            ends_at=now + seconds,
            alarms=content if isinstance(content, AlarmQuery) else None,
        )
        office.subscriptions.add(item)
        if seconds == 0:
            office.start(office.subscriptions.leave(item, "cancelled"), "unsubscribe")
        return 200

    def refresh(
        self, link: UpperLink, dialog: HeldSubscription, expires: int | None
    ) -> tuple[int, int]:
        """Take a SUBSCRIBE inside a dialog.

        Args:
            link: The platform.
            dialog: Which subscription.
            expires: Seconds asked for, 0 cancels; None where it did not say.

        Returns:
            The status to answer with, and the seconds granted.
        """
        office = self._office(link)
        item = None if office is None else office.subscriptions.find(dialog)
        if office is None or item is None:
            return 481, 0
        seconds = clamp_expires(expires)
        if seconds == 0:
            # The last NOTIFY follows the answer.
            office.start(office.subscriptions.leave(item, "cancelled"), "unsubscribe")
        else:
            office.subscriptions.refresh(item, seconds)
        return 200, seconds

    def subscription_ended(self, link: UpperLink, dialog: HeldSubscription, reason: str) -> None:
        """Learn from SIP that a subscription's dialog is no more."""
        office = self._office(link)
        item = None if office is None else office.subscriptions.find(dialog)
        if office is not None and item is not None:
            office.subscriptions.gone(item, reason)

    # Inside

    def _office(self, link: UpperLink) -> PlatformOffice | None:
        office = self._offices.get(link.config.platform_id)
        return office if office is not None and office.ready and office.link is link else None

    def _query(
        self,
        office: PlatformOffice,
        query: CatalogQuery | DeviceInfoQuery | DeviceStatusQuery,
        requester: UpperRequester,
    ) -> int:
        if isinstance(query, CatalogQuery):
            return self._catalog_query(office, query, requester)
        target, admission = query.device_id, office.admission
        what = "DeviceInfo" if isinstance(query, DeviceInfoQuery) else "DeviceStatus"
        if not admission.passes(what, self._parts.clock.monotonic(), QUERY_WEIGHT):
            return 200
        channel, obligations = None, Obligations()
        if target != office.own_id:
            channel = office.view.resolve(target)
            if channel is None:
                return admission.unknown(target, Action.CATALOG, requester)
            decision = admission.check(
                target, Action.CATALOG, requester, channel=channel, detail=what
            )
            if decision is None:
                # What it may no longer see is as if it had never been there.
                return 404
            obligations = decision.obligations
        if not office.answer(office.devices.answer(query, channel, obligations), what):
            office.link.note(PlatformEvent.REFUSED, f"{what} not answered: too many under way")
        return 200

    def _catalog_query(
        self, office: PlatformOffice, query: CatalogQuery, requester: UpperRequester
    ) -> int:
        admission = office.admission
        if not admission.passes("Catalog", self._parts.clock.monotonic(), 1.0):
            return 200
        if not admission.knows(query.device_id):
            return admission.unknown(query.device_id, Action.CATALOG, requester)
        # Allowed or not, and put on record, once it is known how many items it is.
        office.queries.ask(query, requester)
        return 200

    async def _keep(self, office: PlatformOffice) -> None:
        try:
            await office.run()
        finally:
            self._closing.discard(office)
