"""Keeping a subscription of ours alive (GB/T 28181-2022 annex N; RFC 6665 4.1).

Sans-IO. The owner sends what `next_event` gives and reports what became of it:

1. `start(now)`; then until told otherwise:
2. `while (event := client.next_event()) is not None`: for a `SendSubscribe` send a SUBSCRIBE, inside the
   present dialog or in a new one, in which case the former is closed; the other events are news.
3. `receive_response` or `subscribe_failed` with its number; `notified` with the Subscription-State of each
   NOTIFY; `ended` when the dialog ended without us.
4. Call `handle_timer(now)` when `next_timer()` is due; go to 2 after each call.
"""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gb28181.errors import SipParseError
from gb28181.flow.subscription import DEFAULT_EXPIRES, MAX_EXPIRES
from gb28181.sip.header.value import parse_retry_after, parse_subscription_state
from gb28181.sip.message import Response

__all__ = [
    "Event",
    "NotOffered",
    "SendSubscribe",
    "Stopped",
    "SubscribeClient",
    "SubscribeClientConfig",
    "SubscribeClientState",
    "SubscribeFailed",
    "Subscribed",
    "Unsubscribed",
    "clamp_granted",
]

MIN_GRANTED: Final = 30
"""A device granted 1 s once, and meant nothing by it: who refreshes that often does harm."""
STEADY: Final = 60.0
"""Seconds a subscription must have stood to be made anew at once when it ends; otherwise two sides could race."""
MAX_RETRY: Final = 3_600.0

_NOT_OFFERED = frozenset({405, 489, 501})
_FINAL_REASONS = frozenset({"rejected", "invariant"})
"""RFC 6665 4.1.3: the subscriber should not try again."""
_SPREAD = 0.1
_MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeClientConfig:
    """The times of one subscription; seconds."""

    expires: int = DEFAULT_EXPIRES
    retry_delay: float = 60.0
    """Least wait after a failure; doubled with each in a row, up to an hour, with chance added."""
    refresh_share: float = 0.8
    """Part of the granted time after which a subscription is refreshed, at the latest."""


class SubscribeClientState(enum.Enum):
    """Where a subscription stands."""

    IDLE = enum.auto()
    SUBSCRIBING = enum.auto()
    """The first SUBSCRIBE of a dialog is out."""
    ACTIVE = enum.auto()
    REFRESHING = enum.auto()
    """A SUBSCRIBE is out, inside the dialog or to replace it, while the subscription still stands."""
    WAITING = enum.auto()
    """After a failure, until the next try."""
    NOT_OFFERED = enum.auto()
    """The peer has no such subscriptions; `start` asks again."""
    LEAVING = enum.auto()
    """SUBSCRIBE with Expires 0 is out."""
    STOPPED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSubscribe:
    """A SUBSCRIBE to send."""

    number: int
    """By which its outcome is told from that of an earlier one."""
    expires: int
    """0 cancels."""
    inside: bool
    """Inside the present dialog; otherwise in a new one, which replaces a former one."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Changes will be notified; told once per change from not subscribed."""

    expires: float


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """Nothing is notified any more; another try follows unless `NotOffered` or `Stopped` does."""

    detail: str


@dataclass(frozen=True, slots=True)
class SubscribeFailed:
    """One try failed; the next follows after `retry_in` seconds."""

    status: int | None
    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class NotOffered:
    """The peer has no such subscriptions: no more tries."""

    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Cancelled, or left without an answer."""

    confirmed: bool


Event = SendSubscribe | Subscribed | Unsubscribed | SubscribeFailed | NotOffered | Stopped

_State = SubscribeClientState
_ASKING = frozenset({_State.SUBSCRIBING, _State.REFRESHING})
_DIALOG = frozenset({_State.SUBSCRIBING, _State.ACTIVE, _State.REFRESHING})


def clamp_granted(granted: int | None, asked: int) -> float:
    """Return the seconds to reckon with after a 2xx: absurd and absent values become usable ones."""
    seconds = asked if granted is None or granted <= 0 else granted
    return float(min(max(seconds, MIN_GRANTED), MAX_EXPIRES))


class SubscribeClient:
    """Keeps one subscription of ours alive.

    Args:
        config: Times.
        new_fraction: Gives a random number in [0, 1) that spreads refreshes and retries.
    """

    def __init__(self, config: SubscribeClientConfig, *, new_fraction: Callable[[], float]) -> None:
        self.config = config
        self._new_fraction = new_fraction
        self._state = _State.IDLE
        self._events: deque[Event] = deque()
        self._due: float | None = None
        self._expires = config.expires
        self._ends_at = 0.0
        self._since: float | None = None
        self._failures = 0
        self._inside = False
        """Whether the SUBSCRIBE that is out is a refresh inside the dialog."""
        self._raised = False
        self._number = 0
        self._ended_early: str | None = None
        """What ended a dialog whose SUBSCRIBE has not been answered yet."""

    @property
    def state(self) -> SubscribeClientState:
        """Where the subscription stands."""
        return self._state

    @property
    def is_active(self) -> bool:
        """Whether changes are notified."""
        return self._since is not None

    def start(self, now: float) -> None:
        """Subscribe in a new dialog, as after the peer's registration, whatever was before."""
        self._lost("subscribed anew")
        self._failures = 0
        self._expires = self.config.expires
        self._subscribe()

    def refresh(self, now: float) -> None:
        """Refresh now instead of later; nothing happens unless subscribed."""
        if self._state is _State.ACTIVE:
            self._due = None
            self._send_refresh()

    def stop(self, now: float) -> None:
        """Cancel if a subscription stands, else just stop."""
        if self._state in {_State.STOPPED, _State.LEAVING}:
            return
        self._due = None
        if self._state is _State.ACTIVE or (self._state is _State.REFRESHING and self._inside):
            self._state = _State.LEAVING
            self._send(expires=0, inside=True)
        else:
            self._left(confirmed=False)

    def receive_response(self, number: int, response: Response, now: float) -> None:
        """The final response to a SUBSCRIBE; that to an earlier one than the newest is absorbed."""
        status = response.status
        if number != self._number:
            return
        if self._state is _State.LEAVING:
            self._left(confirmed=status < 300)
        elif self._state not in _ASKING:
            return
        elif 200 <= status < 300:
            self._accepted(response, now)
        elif status == 423 and self._raise_expires(response):
            self._send(expires=self._expires, inside=self._inside)
        elif self._inside:
            # Some lower platforms take no refresh at all, but a new dialog.
            self._send(expires=self._expires, inside=False)
        else:
            self._refused(response, now)

    def subscribe_failed(self, number: int, now: float, detail: str) -> None:
        """A SUBSCRIBE got no answer or could not be sent."""
        if number != self._number:
            return
        if self._state is _State.LEAVING:
            self._left(confirmed=False)
        elif self._state in _ASKING:
            self._fail(now, None, detail)

    def notified(self, state: str | None, now: float) -> None:
        """A NOTIFY came; `state` is its Subscription-State, None if it has none."""
        if self._state not in _DIALOG or state is None:
            return
        try:
            parsed = parse_subscription_state(state)
        except SipParseError:
            return
        if parsed.value == "terminated":
            reason = parsed.params.get("reason") or ""
            if self._opening:
                self._ended_early = f"the notifier ended it at once: {reason or 'no reason'}"
            else:
                self._terminated(reason, parsed.params.get("retry-after"), now)
            return
        left = parsed.params.get("expires")
        # The notifier may shorten what it granted (4.1.2.1); many write the same number into each NOTIFY.
        if left is not None and int(left) >= MIN_GRANTED and now + int(left) < self._ends_at:
            self._plan_refresh(now, float(left))

    def ended(self, now: float, detail: str) -> None:
        """The dialog ended without us: the peer knows it no more, or the connection is gone."""
        if self._state is _State.LEAVING:
            self._left(confirmed=False)
        elif self._opening:
            self._ended_early = self._ended_early or f"the dialog ended at once: {detail}"
        elif self._state is _State.REFRESHING:
            # The refresh found out: what it is answered is of no more interest.
            self._send(expires=self._expires, inside=False)
        elif self._state is _State.ACTIVE:
            self._begin_anew(now, f"the dialog ended: {detail}")

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None while nothing is due."""
        return self._due

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._due is None or self._due > now:
            return
        self._due = None
        if self._state is _State.WAITING:
            self._subscribe()
        elif self._state is _State.ACTIVE:
            self._send_refresh()

    def next_event(self) -> Event | None:
        """Return the next thing to send or to know, None if there is none."""
        return self._events.popleft() if self._events else None

    @property
    def _opening(self) -> bool:
        """Whether the first SUBSCRIBE of a dialog is out."""
        return self._state in _ASKING and not self._inside

    def _subscribe(self) -> None:
        self._due = None
        self._state = _State.SUBSCRIBING
        self._raised = False
        self._send(expires=self._expires, inside=False)

    def _send_refresh(self) -> None:
        self._state = _State.REFRESHING
        self._raised = False
        self._send(expires=self._expires, inside=True)

    def _send(self, *, expires: int, inside: bool) -> None:
        self._number += 1
        self._inside = inside
        self._ended_early = None
        self._events.append(SendSubscribe(number=self._number, expires=expires, inside=inside))

    def _accepted(self, response: Response, now: float) -> None:
        if self._ended_early is not None:
            self._fail(now, response.status, self._ended_early)
            return
        self._state = _State.ACTIVE
        expires = clamp_granted(response.expires, self._expires)
        self._plan_refresh(now, expires)
        if self._since is None:
            self._since = now
            self._events.append(Subscribed(expires))

    def _plan_refresh(self, now: float, expires: float) -> None:
        self._ends_at = now + expires
        if self._state is _State.ACTIVE:
            share = self.config.refresh_share - _SPREAD * self._new_fraction()
            self._due = now + expires * share

    def _raise_expires(self, response: Response) -> bool:
        least = (response.headers.get("Min-Expires") or "").strip()
        if self._raised or not (least.isascii() and least.isdecimal()) or len(least) > len("86400"):
            return False
        wanted = int(least)
        if not self._expires < wanted <= MAX_EXPIRES:
            return False
        self._expires, self._raised = wanted, True
        return True

    def _terminated(self, reason: str, retry_after: str | None, now: float) -> None:
        detail = f"the notifier ended it: {reason or 'no reason'}"
        reason = reason.lower()
        if reason in _FINAL_REASONS:
            self._give_up(None, detail)
        elif reason == "noresource":
            self._fail(now, None, detail, MAX_RETRY)
        elif retry_after is not None and int(retry_after) > 0:
            self._fail(now, None, detail, min(float(retry_after), MAX_RETRY))
        elif reason in {"probation", "giveup"}:
            self._fail(now, None, detail)
        else:
            self._begin_anew(now, detail)

    def _begin_anew(self, now: float, detail: str) -> None:
        if self._since is None or now - self._since < STEADY:
            self._fail(now, None, detail)
            return
        self._lost(detail)
        self._failures = 0
        self._subscribe()

    def _refused(self, response: Response, now: float) -> None:
        detail = f"SUBSCRIBE answered {response.status} {response.reason}".rstrip()
        if response.status in _NOT_OFFERED:
            self._give_up(response.status, detail)
        else:
            self._fail(now, response.status, detail, _retry_after(response))

    def _give_up(self, status: int | None, detail: str) -> None:
        self._due = None
        self._state = _State.NOT_OFFERED
        self._lost(detail)
        self._events.append(NotOffered(status, detail))

    def _fail(
        self, now: float, status: int | None, detail: str, retry_after: float | None = None
    ) -> None:
        if self._since is not None and now - self._since >= STEADY:
            self._failures = 0
        self._lost(detail)
        self._state = _State.WAITING
        delay = retry_after
        if delay is None:
            doublings = min(self._failures, _MAX_DOUBLINGS)
            delay = min(self.config.retry_delay * 2**doublings, MAX_RETRY)
        delay *= 1 + self._new_fraction()
        self._failures += 1
        self._due = now + delay
        self._events.append(SubscribeFailed(status, detail, delay))

    def _lost(self, detail: str) -> None:
        if self._since is not None:
            self._since = None
            self._events.append(Unsubscribed(detail))

    def _left(self, *, confirmed: bool) -> None:
        self._due = None
        self._since = None
        self._state = _State.STOPPED
        self._events.append(Stopped(confirmed))


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return min(float(parse_retry_after(value)), MAX_RETRY) or None
    except SipParseError:
        return None
