"""The subscriptions of one platform: accepted, refreshed, cancelled, expired (protocol 7.1)."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.cascade.ports import UpperLink, UpperRequester, UpperSubscription
from gateway.domain.clock import Clock
from gateway.domain.platform import PlatformEvent
from gb28181.manscdp import AlarmQuery

__all__ = [
    "MAX_SUBSCRIPTIONS",
    "HeldSubscription",
    "Subscription",
    "SubscriptionBook",
]

MAX_SUBSCRIPTIONS: Final = 256
"""Of one platform at once: kinds and parts of the catalogue together; one more gets 486."""
GRACE: Final = 5.0
"""Seconds past its end in which a refresh still finds the subscription: it was under way."""
FAREWELL: Final = 2.0
"""Seconds for the last NOTIFYs of a platform whose link ends."""


class HeldSubscription(UpperSubscription, Protocol):
    """A subscription that can be forgotten without a word as well."""

    def close(self) -> None:
        """Forget the dialog; a later SUBSCRIBE in it gets 481."""


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """One of them."""

    kind: str
    """`Catalog` or `Alarm`."""
    root: str
    """What was subscribed, in the platform's terms."""
    dialog: HeldSubscription
    requester: UpperRequester
    ends_at: float
    """Monotonic seconds."""
    alarms: AlarmQuery | None = None
    """Which alarms are wanted."""


class SubscriptionBook:
    """Owner of one platform's subscriptions.

    Args:
        link: The platform.
        clock: Monotonic and wall clock.
        begun: Called with a subscription that was accepted.
        ended: Called with one that is no more, before it is closed.
    """

    def __init__(
        self,
        link: UpperLink,
        *,
        clock: Clock,
        begun: Callable[[Subscription], None],
        ended: Callable[[Subscription], None],
    ) -> None:
        self._link = link
        self._clock = clock
        self._begun = begun
        self._ended = ended
        self._held: dict[tuple[str, str], Subscription] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, kind: str) -> Iterable[Subscription]:
        """Return the subscriptions of a kind."""
        return [item for item in self._held.values() if item.kind == kind]

    def ends(self) -> dict[str, datetime]:
        """Return by kind when the last of them expires."""
        now, wall = self._clock.monotonic(), self._clock.utc_now()
        found: dict[str, datetime] = {}
        for item in self._held.values():
            end = wall + timedelta(seconds=item.ends_at - now)
            found[item.kind] = max(end, found.get(item.kind, end))
        return found

    def is_full(self, kind: str, root: str) -> bool:
        """Whether there is no room for this one."""
        return len(self._held) >= MAX_SUBSCRIPTIONS and (kind, root) not in self._held

    def remaining(self, item: Subscription) -> int:
        """Return the seconds a subscription has left, at least 1 while it lasts."""
        return max(1, round(item.ends_at - self._clock.monotonic()))

    def add(self, item: Subscription) -> None:
        """Hold a subscription. An older one to the same takes leave without a word: the platform has begun anew."""
        old = self._held.get((item.kind, item.root))
        if old is not None:
            self._drop(old)
        self._held[item.kind, item.root] = item
        self._link.note(
            PlatformEvent.SUBSCRIBED,
            f"{item.kind} of {item.root} for {self.remaining(item)} s",
        )
        self._begun(item)
        self._wake.set()

    def find(self, dialog: UpperSubscription) -> Subscription | None:
        """Return the subscription of a dialog, None if it has ended."""
        return next((item for item in self._held.values() if item.dialog is dialog), None)

    def refresh(self, item: Subscription, expires: int) -> None:
        """Prolong a subscription."""
        item.ends_at = self._clock.monotonic() + expires
        self._wake.set()

    def gone(self, item: Subscription, reason: str) -> None:
        """A subscription ended without us, or was cancelled; nothing is sent. Idempotent."""
        if self._held.get((item.kind, item.root)) is item:
            self._note_end(item, reason)
            self._drop(item)

    async def leave(self, item: Subscription, why: str) -> None:
        """End a subscription with a last NOTIFY (RFC 6665 4.2.1), which is not waited for long; never raises."""
        if self._held.get((item.kind, item.root)) is not item:
            return
        self._note_end(item, why)
        del self._held[item.kind, item.root]
        self._ended(item)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await item.dialog.notify(None, expires=0, reason="timeout")
        finally:
            # Also when the link is stopped meanwhile: nobody else knows of it any more.
            item.dialog.close()

    async def run(self) -> None:
        """End what is not refreshed, until cancelled."""
        while True:
            now = self._clock.monotonic()
            due = [item for item in self._held.values() if item.ends_at + GRACE <= now]
            async with asyncio.TaskGroup() as group:
                # Side by side: a platform that is silent would hold up the end of all others.
                for item in due:
                    group.create_task(
                        self.leave(item, "not refreshed"),
                        name=f"expired:{self._link.config.platform_id}",
                    )
            soonest = min((item.ends_at for item in self._held.values()), default=None)
            wait = None if soonest is None else max(0.0, soonest + GRACE - self._clock.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    async def end_all(self, reason: str) -> None:
        """Tell all that it is over, and forget them; bounded in time, never raises."""
        items = list(self._held.values())
        for item in items:
            self._ended(item)
        self._held.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL), asyncio.TaskGroup() as group:
                for item in items:
                    group.create_task(
                        item.dialog.notify(None, expires=0, reason=reason),
                        name=f"farewell:{self._link.config.platform_id}",
                    )
        for item in items:
            item.dialog.close()

    def _drop(self, item: Subscription) -> None:
        del self._held[item.kind, item.root]
        self._ended(item)
        item.dialog.close()

    def _note_end(self, item: Subscription, reason: str) -> None:
        self._link.note(PlatformEvent.UNSUBSCRIBED, f"{item.kind} of {item.root}: {reason}")
