"""Runs the webhooks: watches what departments see and keeps a delivery for each receiver."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from gateway.domain.errors import Conflict, GatewayError
from gateway.domain.policy import AccessContext, AccessControl, Action, Subject
from gateway.sharing.access_open import OwnerNotice
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.webhooks import Webhook, WebhookBook
from gateway.sharing.webhooks_delivery import (
    Backlog,
    Delivery,
    DeliveryOptions,
    DeliveryStatus,
    WebhookPoster,
)
from gateway.sharing.webhooks_watch import ChannelDirectory, ChannelEvent, ChannelWatch
from gb28181.aio.tasks import TaskScope

__all__ = ["WebhookService"]

log = structlog.get_logger()

GATHER = 0.5
"""Seconds in which changes are gathered before they are looked at."""


class WebhookService:
    """Owner of all deliveries.

    Args:
        book: The webhooks.
        departments: Their owners.
        access: Says what a department sees.
        directory: The channels.
        poster: Sends.
        scope: Owner of the tasks.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        new_id: Makes nonces and identifiers of deliveries.
        spread: A number in 0.5 to 1.5 for retries.
        options: Values.
        gather: Seconds in which changes are gathered.
    """

    def __init__(
        self,
        *,
        book: WebhookBook,
        departments: DepartmentBook,
        access: AccessControl,
        directory: ChannelDirectory,
        poster: WebhookPoster,
        scope: TaskScope,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        new_id: Callable[[], str],
        spread: Callable[[], float],
        options: DeliveryOptions | None = None,
        gather: float = GATHER,
    ) -> None:
        self._book = book
        self._departments = departments
        self._access = access
        self._poster = poster
        self._scope = scope
        self._wall = wall
        self._new_id = new_id
        self._spread = spread
        self._options = options or DeliveryOptions()
        self._gather = gather
        self._deliveries: dict[str, Delivery] = {}
        self._last: dict[str, DeliveryStatus] = {}
        """How it stood when a delivery ended."""
        self._watch = ChannelWatch(
            access=access, directory=directory, wall=wall, now=now, report=self._report
        )
        book.on_changed.append(self._changed)
        departments.on_changed.append(self._look_after)
        access.on_changed.append(self._watch.touch_all)

    def touch(self, device_id: str, channel_ids: set[str] | None = None) -> None:
        """Note that a device or some of its channels may have changed; cheap, never blocks."""
        self._watch.touch(device_id, channel_ids)

    def owner_notice(self, notice: OwnerNotice) -> None:
        """Tell the owners of a channel that somebody got access to it; never blocks.

        A department is told of what it may see itself, by the name under which it sees it, and nobody of a
        secret channel: what goes out here leaves our own domain.
        """
        for code in notice.owners:
            deliveries = [d for d in self._deliveries.values() if d.hook.department == code]
            name = self._name_for(code, notice) if deliveries else None
            if name is not None:
                for delivery in deliveries:
                    delivery.tell_owner(notice, name)

    def status(self, hook_id: str) -> DeliveryStatus:
        """Return how a webhook's deliveries go."""
        running = self._deliveries.get(hook_id)
        return running.status if running else self._last.get(hook_id, DeliveryStatus())

    def ping(self, hook_id: str) -> None:
        """Queue a test event.

        Raises:
            Conflict: `webhook_disabled`.
        """
        running = self._deliveries.get(hook_id)
        if running is None:
            raise Conflict("webhook_disabled", f"Webhook {hook_id} is disabled: enable it first")
        running.ping()

    async def run(self) -> None:
        """Look at what changes, until cancelled."""
        for hook in self._book.all():
            self._changed(hook.hook_id)
        while True:
            await self._watch.touched.wait()
            await self._watch.look()
            await asyncio.sleep(self._gather)

    def _name_for(self, code: str, notice: OwnerNotice) -> str | None:
        """Return how a department knows the channel of a notice; None if it may not know of it."""
        channel, department = notice.request.channel, self._departments.find(code)
        if channel is None or channel.secrecy or department is None:
            return None
        context = AccessContext(at=self._wall(), zone=department.zone)
        subject = Subject(department=code)
        decision = self._access.decide(subject, Action.CATALOG, channel, context)
        if not decision.allowed:
            return None
        masked = decision.obligations.mask_name
        return channel.name if masked is None else masked

    def _changed(self, hook_id: str) -> None:
        running = self._deliveries.pop(hook_id, None)
        backlog = None
        if running is not None:
            backlog = running.hand_over()
            self._last[hook_id] = running.status
        hook = self._book.find(hook_id)
        if hook is None:
            self._last.pop(hook_id, None)
        elif hook.enabled:
            self._start(hook, backlog)
        self._look_after()

    def _look_after(self, _code: str = "") -> None:
        owners = {delivery.hook.department for delivery in self._deliveries.values()}
        self._watch.watch(
            department for code in owners if (department := self._departments.find(code))
        )

    def _start(self, hook: Webhook, backlog: Backlog | None) -> None:
        try:
            secret = self._book.secret(hook)
        except GatewayError as exc:
            log.error("webhook_not_started", name=hook.hook_id, detail=exc.detail)  # noqa: TRY400
            return
        delivery = Delivery(
            hook,
            secret,
            poster=self._poster,
            options=self._options,
            wall=self._wall,
            new_id=self._new_id,
            spread=self._spread,
            on_dead=partial(self._book.disable, hook.hook_id),
            backlog=backlog,
        )
        self._deliveries[hook.hook_id] = delivery
        self._scope.spawn(delivery.run(), name=f"webhook:{hook.hook_id}")

    def _report(self, department: str, event: ChannelEvent) -> None:
        for delivery in self._deliveries.values():
            if delivery.hook.department == department:
                delivery.offer(event)
