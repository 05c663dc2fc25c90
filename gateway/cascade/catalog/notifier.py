"""Keeps a platform's catalogue up to date and its subscriptions told (protocol 7.3; 2022 Annex N)."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from gateway.cascade.catalog.sender import NotifierSettings, Send, Sender
from gateway.cascade.catalog.told import Told
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import UpperLink, UpperSubscription
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformEvent
from gb28181.aio import clock
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.message import Content

__all__ = ["CatalogNotifier"]

MAX_SN: Final = 2**31 - 1
OFFLINE_PAUSE: Final = 1.0
"""Seconds after which a subscription looks again whether its platform is back."""

log = structlog.get_logger()


class CatalogNotifier:
    """One platform's subscriptions to its catalogue; `run` owns all tasks.

    Args:
        view: The catalogue.
        link: The platform, for MESSAGEs instead of NOTIFYs (`catalog_push`).
        on_crash: Told of a crash of a subscription's task.
        settings: How changes are told.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        view: CatalogView,
        link: UpperLink,
        *,
        on_crash: Callable[[str, Exception], None],
        settings: NotifierSettings | None = None,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._view = view
        self._link = link
        self._on_crash = on_crash
        self._settings = settings or NotifierSettings()
        self._now = now
        self._sn = 0
        self._hurrying = False
        self._whole: Told | None = None
        self._senders: dict[UpperSubscription, tuple[Sender, Callable[[], None]]] = {}
        self._push: Sender | None = None
        self._push_failed = False
        self._scope: TaskScope | None = None
        self._marked = asyncio.Event()
        view.on_marked.append(self._marked.set)
        view.on_answered.append(self._answered)

    def add(
        self,
        subscription: UpperSubscription,
        *,
        root: str | None,
        remaining: Callable[[], int],
        gone: Callable[[], None],
    ) -> None:
        """Begin to notify a subscription; its first NOTIFY, with what is off-line, goes out at once.

        Where the platform was told of changes before, it learns what it has missed since.

        Args:
            subscription: Takes the NOTIFYs.
            root: What of the catalogue was subscribed; None is all of it.
            remaining: Seconds the subscription lasts from now, for Subscription-State.
            gone: Called once when a NOTIFY was not taken: the subscription is no more.
        """

        async def send(content: Content | None) -> bool:
            return await subscription.notify(content, expires=remaining())

        self.remove(subscription)
        if root == self._view.local_id:
            root = None
        sender = self._sender(root, send)
        # What is told to a server that no longer counts, the one we move to would never learn.
        sender.paused, sender.pause = (lambda: not self._link.online), OFFLINE_PAUSE
        sender.greet = True
        self._senders[subscription] = sender, gone
        self._start(subscription)

    def remove(self, subscription: UpperSubscription) -> None:
        """Notify it no more; idempotent. Sends nothing."""
        sender, _ = self._senders.pop(subscription, (None, None))
        if sender is not None:
            self._forget(sender)

    async def run(self) -> None:
        """Follow the marks left in the catalogue and tell what became of them, until cancelled."""
        try:
            async with TaskScope(self._on_crash) as scope:
                self._scope = scope
                for subscription in self._senders:
                    self._start(subscription)
                if self._view.config.catalog_push:
                    scope.spawn(self._keep_pushing(), name=self._name("catalog-push"))
                await self._follow()
        finally:
            self._scope = None

    # Inside

    async def _follow(self) -> None:
        view = self._view
        while True:
            due = view.next_timer()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                    await self._marked.wait()
            view.handle_timer()
            if not view.policy_pending:
                await asyncio.sleep(self._settings.gather)
            self._marked.clear()
            # What may not be seen any more goes at once.
            self._hurrying = hurried = view.policy_pending
            try:
                await view.refresh()
            finally:
                self._hurrying = False
            for sender in self._all():
                sender.urgent = sender.urgent or (hurried and bool(sender.told.pending))
                sender.wake()

    def _sender(self, root: str | None, send: Send) -> Sender:
        told = self._whole_told() if root is None else Told(self._view.find)
        if root is not None:
            # What the platform knows of the part is what it is now.
            told.members = set(self._view.codes_of(root))
        sender = Sender(
            self._view,
            told,
            root=root,
            send=send,
            new_sn=self._new_sn,
            hurrying=lambda: self._hurrying or self._view.policy_pending,
            settings=self._settings,
            now=self._now,
        )
        if root is not None:
            self._view.on_changes.append(told.changed)
        self._view.on_changes.append(sender.changed)
        return sender

    def _forget(self, sender: Sender) -> None:
        sender.stop()
        self._view.on_changes.remove(sender.changed)
        if sender.root is not None:
            self._view.on_changes.remove(sender.told.changed)
        elif self._push is not None:
            self._push.wake()

    def _start(self, subscription: UpperSubscription) -> None:
        if self._scope is not None:
            name = self._name("catalog-notify")
            self._scope.spawn(self._serve(subscription), name=name)

    async def _serve(self, subscription: UpperSubscription) -> None:
        if subscription not in self._senders:
            # Ended before its first NOTIFY.
            return
        sender, gone = self._senders[subscription]
        well = False
        try:
            well = await sender.run()
        except asyncio.CancelledError:
            well = True
            raise
        finally:
            # Crashed or not taken: the platform subscribes again once its refresh is refused.
            if not well and self._senders.get(subscription, (None,))[0] is sender:
                self.remove(subscription)
                gone()
            # What was on its way is told by another, if there is one by now.
            for other in self._all():
                other.wake()

    async def _keep_pushing(self) -> None:
        """Send changes by MESSAGE while the platform has no subscription to the whole."""
        push = self._push = self._sender(None, self._push_one)
        push.paused = lambda: self._is_subscribed() or not self._link.online
        try:
            while True:
                await push.run()
                await asyncio.sleep(self._settings.push_retry)
        finally:
            self._forget(push)
            self._push = None

    async def _push_one(self, content: Content | None) -> bool:
        if content is None or not self._link.online or self._is_subscribed():
            return False
        try:
            await self._link.send(content)
        except Unavailable as exc:
            if not self._push_failed:
                self._link.note(PlatformEvent.MESSAGE_FAILED, f"Catalogue changes: {exc.detail}")
            self._push_failed = True
            return False
        self._push_failed = False
        return True

    def _is_subscribed(self) -> bool:
        return any(sender.root is None for sender, _ in self._senders.values())

    def _answered(self, later: Told) -> None:
        if later.members is None:
            # From here on the platform knows the whole.
            self._whole_told()
        tolds = {
            id(told): told
            for told in [self._whole, *(s.told for s in self._all())]
            if told is not None
        }
        for told in tolds.values():
            told.overtaken(later)
        for sender in self._all():
            sender.wake()

    def _all(self) -> list[Sender]:
        senders = [sender for sender, _ in self._senders.values()]
        return senders if self._push is None else [*senders, self._push]

    def _whole_told(self) -> Told:
        """Return what the platform knows of the whole; kept between subscriptions."""
        if self._whole is None:
            self._whole = Told(self._view.find)
            self._view.on_changes.append(self._whole.changed)
        return self._whole

    def _new_sn(self) -> int:
        self._sn = self._sn % MAX_SN + 1
        return self._sn

    def _name(self, kind: str) -> str:
        return f"{kind}:{self._view.config.platform_id}"
