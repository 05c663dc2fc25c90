"""Delivers a webhook's events: signed, in order, again and again, and never in another's way."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from gateway.domain.errors import GatewayError
from gateway.sharing.access_open import OwnerNotice
from gateway.sharing.signature import request_signature
from gateway.sharing.webhooks import Webhook, WebhookEvent
from gateway.sharing.webhooks_watch import ChannelEvent

__all__ = [
    "Backlog",
    "Delivery",
    "DeliveryFailed",
    "DeliveryOptions",
    "DeliveryStatus",
    "WebhookPoster",
]

log = structlog.get_logger()


_Key = tuple[object, object]


class DeliveryFailed(Exception):
    """The receiver could not be reached, or did not answer in time."""


class WebhookPoster(Protocol):
    """Sends; implemented in `gateway.http`."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """POST once, without following redirects, within a deadline of its own; return the status.

        Raises:
            DeliveryFailed: no answer; says who did not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """Values."""

    queue: int = 2_000
    """Events waiting for one receiver; the oldest is dropped for one more, and `missed` counts it."""
    batch: int = 100
    """Events in one POST at most."""
    first_retry: float = 2.0
    """Seconds after the first failure; doubled each time."""
    longest_retry: float = 300.0
    give_up: timedelta = timedelta(hours=24)
    """Without a success for this long while failing, a webhook is disabled."""


@dataclass(slots=True, kw_only=True)
class DeliveryStatus:
    """How deliveries of one webhook go, since the start."""

    waiting: int = 0
    delivered: int = 0
    """Events."""
    missed: int = 0
    """Events dropped because too many waited."""
    failures: int = 0
    """In a row."""
    last_error: str = ""
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    next_try_at: datetime | None = None


@dataclass(slots=True)
class Backlog:
    """What is still to be delivered."""

    queue: deque[Mapping[str, object]] = field(default_factory=deque)
    sequence: int = 0
    missed: int = 0
    """Events dropped since the last POST that was taken."""


class Delivery:
    """One receiver's queue and the task that empties it.

    Args:
        hook: To whom.
        secret: Signs.
        poster: Sends.
        options: Values.
        wall: Wall clock, timezone-aware.
        new_id: Makes nonces and identifiers of deliveries.
        spread: A number in 0.5 to 1.5, another each time, so that many retries do not come together.
        on_dead: Called with the reason when it must be disabled.
        backlog: Where an earlier delivery of the same webhook left off.
    """

    def __init__(
        self,
        hook: Webhook,
        secret: str,
        *,
        poster: WebhookPoster,
        options: DeliveryOptions,
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
        spread: Callable[[], float],
        on_dead: Callable[[str], Awaitable[None]],
        backlog: Backlog | None = None,
    ) -> None:
        self.hook = hook
        self.status = DeliveryStatus(waiting=len(backlog.queue) if backlog else 0)
        self._secret = secret
        self._poster = poster
        self._options = options
        self._wall = wall
        self._new_id = new_id
        self._spread = spread
        self._on_dead = on_dead
        self._backlog = backlog or Backlog()
        self._queue = self._backlog.queue
        self._batch: list[Mapping[str, object]] = []
        """Taken from the queue and not yet delivered."""
        self._named: Counter[_Key] = Counter(key for item in self._queue if (key := _key(item)))
        """Events waiting that name a channel, by its device and code."""
        self._ready = asyncio.Event()
        if self._queue:
            self._ready.set()
        self._stopped = asyncio.Event()

    def offer(self, event: ChannelEvent) -> None:
        """Take an event if this webhook wants such; never blocks.

        A channel that is not visible any more takes its name out of what still waits: a receiver that was out of
        reach must not be told hours later what a camera is called that has become secret meanwhile.
        """
        if event.event is WebhookEvent.REMOVED:
            self._hide_name((event.device_id, event.channel_id))
        if event.event in self.hook.events:
            self._take(
                {
                    "event": event.event.value,
                    "at": event.at.isoformat(),
                    "device_id": event.device_id,
                    "channel_id": event.channel_id,
                    "name": event.name,
                    "online": event.online,
                }
            )

    def tell_owner(self, notice: OwnerNotice, name: str) -> None:
        """Take the news of an access to a channel of its department, if this webhook wants such; never blocks.

        Args:
            notice: The access.
            name: The channel's name as the department may see it.
        """
        channel, request = notice.request.channel, notice.request
        if WebhookEvent.ACCESSED not in self.hook.events or channel is None:
            return
        self._take(
            {
                "event": WebhookEvent.ACCESSED.value,
                "at": notice.at.isoformat(),
                "device_id": channel.device_id,
                "channel_id": channel.channel_id,
                "name": name,
                "access_id": notice.access_id,
                "who": request.subject.label,
                "identity": request.subject.identity,
                "action": request.action.value,
                "purpose": request.context.purpose,
                "ticket": request.context.ticket,
                "rule": notice.decision.rule,
            }
        )

    def ping(self) -> None:
        """Queue a test event, whatever kinds are wanted."""
        self._take({"event": "test", "at": self._wall().isoformat()})

    def hand_over(self) -> Backlog:
        """Stop, and return what is left; what was just being sent is in it and may arrive twice."""
        self.stop()
        left = deque([*self._batch, *self._queue])
        return Backlog(left, self._backlog.sequence, self._backlog.missed)

    def stop(self) -> None:
        """Give up what waits; the task ends at its next step."""
        self._stopped.set()
        self._ready.set()

    async def run(self) -> None:
        """Deliver until stopped."""
        while True:
            await self._ready.wait()
            if self._stopped.is_set():
                return
            count = min(len(self._queue), self._options.batch)
            self._batch = [self._queue.popleft() for _ in range(count)]
            if not self._queue:
                self._ready.clear()
            if self._batch and await self._deliver() and not self._stopped.is_set():
                self.status.delivered += len(self._batch)
                for item in self._batch:
                    self._forget_name(item)
                self._batch = []
                self.status.waiting = len(self._queue)

    def _take(self, event: Mapping[str, object]) -> None:
        if len(self._queue) >= self._options.queue:
            self._forget_name(self._queue.popleft())
            self._backlog.missed += 1
            self.status.missed += 1
        self._queue.append(event)
        if (key := _key(event)) is not None:
            self._named[key] += 1
        self.status.waiting = len(self._batch) + len(self._queue)
        self._ready.set()

    def _forget_name(self, event: Mapping[str, object]) -> None:
        key = _key(event)
        if key is None:
            return
        self._named[key] -= 1
        if self._named[key] <= 0:
            # A receiver that is out of reach for days must not leave a number for each channel that ever changed.
            del self._named[key]

    def _hide_name(self, key: _Key) -> None:
        if self._named.pop(key, 0) <= 0:
            return
        for items in (self._batch, self._queue):
            for number, item in enumerate(items):
                if _key(item) == key:
                    items[number] = {**item, "name": ""}

    async def _deliver(self) -> bool:
        """Try until the batch is taken; False when stopped or given up."""
        self._backlog.sequence += 1
        missed = self._backlog.missed
        head = {
            "webhook": self.hook.hook_id,
            "department": self.hook.department,
            "delivery": self._new_id(),
            "sequence": self._backlog.sequence,
            "missed": missed,
        }
        while not self._stopped.is_set():
            # Anew each time: a name may have been taken out.
            text = json.dumps({**head, "events": self._batch}, ensure_ascii=False)
            error = await self._try(text.encode("utf-8", "replace"))
            if error is None:
                self._backlog.missed -= missed
                return True
            if await self._failed(error):
                return False
        return False

    async def _try(self, body: bytes) -> str | None:
        try:
            status = await self._poster.post(self.hook.url, body, self._headers(body))
        except DeliveryFailed as exc:
            return str(exc)
        if not 200 <= status < 300:
            return f"The receiver answered {status}"
        now = self._wall()
        self.status.last_success_at, self.status.failing_since = now, None
        self.status.failures, self.status.next_try_at = 0, None
        self.status.last_error = ""
        return None

    async def _failed(self, error: str) -> bool:
        """Note a failure and wait; return whether it was the last try."""
        status, now = self.status, self._wall()
        status.failures += 1
        status.last_error = error
        status.failing_since = status.failing_since or now
        if now - status.failing_since >= self._options.give_up:
            reason = (
                f"no_success_since {status.failing_since.isoformat(timespec='seconds')}: {error}"
            )
            log.warning("webhook_given_up", name=self.hook.hook_id, detail=error)
            self.stop()
            try:
                await self._on_dead(reason)
            except GatewayError as exc:
                log.error("webhook_not_disabled", name=self.hook.hook_id, detail=exc.detail)  # noqa: TRY400
            return True
        wait = min(
            self._options.longest_retry, self._options.first_retry * 2.0 ** (status.failures - 1)
        )
        wait *= self._spread()
        status.next_try_at = now + timedelta(seconds=wait)
        log.info(
            "webhook_delivery_failed",
            name=self.hook.hook_id,
            detail=error,
            count=status.failures,
            retry_s=round(wait, 1),
        )
        try:
            async with asyncio.timeout(wait):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    def _headers(self, body: bytes) -> dict[str, str]:
        parts = urlsplit(self.hook.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        timestamp, nonce = str(int(self._wall().timestamp())), self._new_id()
        return {
            "Content-Type": "application/json",
            "X-Gb-Webhook": self.hook.hook_id,
            "X-Gb-Timestamp": timestamp,
            "X-Gb-Nonce": nonce,
            "X-Gb-Signature": request_signature(
                self._secret, "POST", target, timestamp, nonce, body
            ),
        }


def _key(event: Mapping[str, object]) -> _Key | None:
    """Return device and code of the channel that an event names, None if it names none."""
    return (event["device_id"], event["channel_id"]) if event.get("name") else None
