"""A subscription of ours, in a dialog of its own (RFC 6665 4.1).

Where GB/T 28181 differs: only the catalogue subscription has a first NOTIFY, so none is waited for
(timer N), and the Event of a NOTIFY is not compared.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from gb28181.errors import LocalProtocolError
from gb28181.sip.dialog.context import DialogContext, UsageKind
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.dialog.subscription import (
    DEADLY,
    SubscriptionEnd,
    is_terminated,
    refresh_target,
    unsent_cause,
)
from gb28181.sip.message import Request, Response
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ClientTransaction, ServerTransaction

__all__ = ["Subscriber", "SubscriberEnded", "SubscriberInput", "SubscriberState"]


class SubscriberState(enum.Enum):
    """RFC 6665 figure 1, with `notify_wait` split and without what only the Event package knows."""

    SUBSCRIBING = enum.auto()
    """SUBSCRIBE is out; nothing is known of the peer."""
    EARLY = enum.auto()
    """A NOTIFY overtook the 2xx (4.4.1)."""
    ACTIVE = enum.auto()
    LEAVING = enum.auto()
    """SUBSCRIBE with Expires 0 is out: what the peer still notifies is acknowledged and thrown away."""
    ENDED = enum.auto()


class SubscriberInput(enum.Enum):
    """What moves a subscriber."""

    ACCEPTED = enum.auto()
    """2xx to a SUBSCRIBE."""
    REFUSED = enum.auto()
    """Another final response, of those that leave a standing subscription as it is."""
    GONE = enum.auto()
    """One of the others."""
    TIMED_OUT = enum.auto()
    UNSENT = enum.auto()
    NOTIFIED = enum.auto()
    LAST_NOTIFIED = enum.auto()
    """NOTIFY that says `terminated`."""
    LEAVE = enum.auto()
    CLOSE = enum.auto()
    CONNECTION_LOST = enum.auto()
    LINGERED = enum.auto()
    """64*T1 after leaving."""


_In = SubscriberInput
_St = SubscriberState


@dataclass(frozen=True, slots=True)
class SubscriberEnded:
    """A subscription of ours is over, and not because we said so."""

    subscriber: "Subscriber"
    cause: SubscriptionEnd


class Subscriber:
    """The subscriber's side.

    Args:
        context: Shared parts.
        request: The SUBSCRIBE, complete; its Event, Contact and further headers are repeated in each later one.
        flow: The way it goes.
        now: Monotonic time in seconds.
    """

    kind = UsageKind.SUBSCRIPTION
    began_by: int | None = None

    def __init__(self, context: DialogContext, request: Request, flow: Flow, now: float) -> None:
        self.dialog = Dialog.of_request(request, flow)
        self.state = SubscriberState.SUBSCRIBING
        self.armed: float | None = None
        self._context = context
        self._first = request
        self._forget_at: float | None = None
        context.add(self)
        self.transaction = context.transactions.send_request(request, flow, self, now)
        """Of the first SUBSCRIBE; its outcome comes as ResponseReceived or RequestFailed."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will be notified."""
        return self.state in (SubscriberState.LEAVING, SubscriberState.ENDED)

    def subscribe_again(
        self, now: float, *, expires: int, body: bytes | None = None
    ) -> ClientTransaction:
        """Refresh (4.1.2.2) or, with 0, end the subscription; `body` instead of the first one's.

        Raises:
            LocalProtocolError: It has ended or was not accepted yet.
        """
        if self.state is not SubscriberState.ACTIVE:
            raise LocalProtocolError(f"no refresh of a subscription that is {self.state.name}")
        if expires == 0:
            self._step(SubscriberInput.LEAVE, now)
        headers = [("Expires", str(expires))]
        kept = self._first.headers
        headers += [(n, value) for n, value in kept.items() if n.lower() not in _OF_THE_REQUEST]
        body = self._first.body if body is None else body
        return self._context.request(
            self.dialog,
            "SUBSCRIBE",
            now,
            user=self,
            headers=headers,
            body=body,
            content_type=kept.get("Content-Type") if body else None,
        )

    def close(self, now: float) -> None:
        """Forget the dialog without a word: the next NOTIFY is answered 481, which ends it over there.

        One that has been cancelled lingers all the same, for the last NOTIFY.
        """
        if self.state is SubscriberState.SUBSCRIBING:
            self._context.transactions.abandon(self.transaction)
        self._step(SubscriberInput.CLOSE, now)

    def response_received(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float
    ) -> None:
        """Take a response to a SUBSCRIBE."""
        status = response.status
        if status < 200:
            return
        if status < 300:
            self._learn(response, flow, first=transaction is self.transaction)
            self._step(SubscriberInput.ACCEPTED, now)
        else:
            deadly = status in DEADLY
            self._step(SubscriberInput.GONE if deadly else SubscriberInput.REFUSED, now)
        self._context.reporting.response_received(transaction, response, flow, now)

    def request_failed(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Learn that no final response to a SUBSCRIBE will come."""
        timed_out = failure is Failure.TIMEOUT
        self._step(SubscriberInput.TIMED_OUT if timed_out else SubscriberInput.UNSENT, now)
        self._context.reporting.request_failed(transaction, failure, now)

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Take a NOTIFY that nobody wants any more; False for one that is the user's to answer."""
        if request.method != "NOTIFY":
            return False
        self._context.move(self, flow)
        if self.state is SubscriberState.LEAVING:
            self._context.reply(transaction, request, 200, now)
            return True
        dialog = self.dialog
        if not dialog.remote_tag:
            dialog.remote_tag = request.from_.tag or ""
            dialog.remote = request.headers.get("From") or ""
            dialog.routes = request.headers.get_all("Record-Route")
        refresh_target(dialog, request)
        return False

    def notify_delivered(self, request: Request, now: float) -> None:
        """Learn that a NOTIFY has been handed to the user; the last one ends the subscription after that."""
        last = is_terminated(request.headers.get("Subscription-State") or "")
        self._step(SubscriberInput.LAST_NOTIFIED if last else SubscriberInput.NOTIFIED, now)

    def retarget(self, flow: Flow) -> None:
        """Send what follows inside the dialog this way."""
        self._context.move(self, flow)

    def ack_received(self, ack: Request, now: float) -> None:
        """Do nothing: there is no INVITE here."""

    def connection_lost(self, now: float) -> None:
        """Learn that the connection is gone."""
        self._step(SubscriberInput.CONNECTION_LOST, now)

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return self._forget_at

    def handle_timer(self, now: float) -> None:
        """Forget a subscription that was left long enough ago."""
        if self._forget_at is not None and self._forget_at <= now:
            self._step(SubscriberInput.LINGERED, now)

    def _learn(self, response: Response, flow: Flow, *, first: bool) -> None:
        if self.state is SubscriberState.ENDED:
            return
        self._context.move(self, flow)
        dialog = self.dialog
        if first and (response.to.tag or not dialog.remote_tag):
            dialog.remote_tag = response.to.tag or ""
            dialog.remote = response.headers.get("To") or ""
            dialog.routes = response.headers.get_all("Record-Route")[::-1]
        refresh_target(dialog, response)

    def _step(self, given: SubscriberInput, now: float) -> None:
        entry = self._TABLE.get((self.state, given))
        if entry is None:
            return
        self.state, action = entry
        action(self, now)

    def _stay(self, now: float) -> None:
        pass

    def _linger(self, now: float) -> None:
        self._forget_at = now + self._context.transactions.timers.timeout
        self._context.queue.arm(self, self._forget_at)

    def _remove(self, now: float) -> None:
        self._forget_at = None
        self._context.queue.disarm(self)
        self._context.remove(self)

    def _terminated(self, now: float) -> None:
        self._end(SubscriptionEnd.TERMINATED, now)

    def _gone(self, now: float) -> None:
        self._end(SubscriptionEnd.GONE, now)

    def _timed_out(self, now: float) -> None:
        self._end(SubscriptionEnd.TIMEOUT, now)

    def _unsent(self, now: float) -> None:
        self._end(unsent_cause(self.dialog), now)

    def _lost(self, now: float) -> None:
        self._end(SubscriptionEnd.CONNECTION_LOST, now)

    def _end(self, cause: SubscriptionEnd, now: float) -> None:
        self._remove(now)
        self._context.emit(SubscriberEnded(self, cause))

    # A pair that is absent is absorbed. Before the first 2xx the outcome of the SUBSCRIBE says it all.
    _TABLE: ClassVar[
        Mapping[
            tuple[SubscriberState, SubscriberInput],
            tuple[SubscriberState, Callable[["Subscriber", float], None]],
        ]
    ] = MappingProxyType(
        {
            (_St.SUBSCRIBING, _In.ACCEPTED): (_St.ACTIVE, _stay),
            (_St.SUBSCRIBING, _In.REFUSED): (_St.ENDED, _remove),
            (_St.SUBSCRIBING, _In.GONE): (_St.ENDED, _remove),
            (_St.SUBSCRIBING, _In.TIMED_OUT): (_St.ENDED, _remove),
            (_St.SUBSCRIBING, _In.UNSENT): (_St.ENDED, _remove),
            (_St.SUBSCRIBING, _In.NOTIFIED): (_St.EARLY, _stay),
            (_St.SUBSCRIBING, _In.LAST_NOTIFIED): (_St.ENDED, _terminated),
            (_St.SUBSCRIBING, _In.CLOSE): (_St.ENDED, _remove),
            (_St.SUBSCRIBING, _In.CONNECTION_LOST): (_St.ENDED, _remove),
            (_St.EARLY, _In.ACCEPTED): (_St.ACTIVE, _stay),
            (_St.EARLY, _In.REFUSED): (_St.ENDED, _remove),
            (_St.EARLY, _In.GONE): (_St.ENDED, _remove),
            (_St.EARLY, _In.TIMED_OUT): (_St.ENDED, _remove),
            (_St.EARLY, _In.UNSENT): (_St.ENDED, _remove),
            (_St.EARLY, _In.LAST_NOTIFIED): (_St.ENDED, _terminated),
            (_St.EARLY, _In.CLOSE): (_St.ENDED, _remove),
            (_St.EARLY, _In.CONNECTION_LOST): (_St.ENDED, _remove),
            (_St.ACTIVE, _In.GONE): (_St.ENDED, _gone),
            (_St.ACTIVE, _In.TIMED_OUT): (_St.ENDED, _timed_out),
            (_St.ACTIVE, _In.UNSENT): (_St.ENDED, _unsent),
            (_St.ACTIVE, _In.LAST_NOTIFIED): (_St.ENDED, _terminated),
            (_St.ACTIVE, _In.LEAVE): (_St.LEAVING, _linger),
            (_St.ACTIVE, _In.CLOSE): (_St.ENDED, _remove),
            (_St.ACTIVE, _In.CONNECTION_LOST): (_St.ENDED, _lost),
            (_St.LEAVING, _In.CONNECTION_LOST): (_St.ENDED, _remove),
            (_St.LEAVING, _In.LINGERED): (_St.ENDED, _remove),
        }
    )


_OF_THE_REQUEST = frozenset(
    ("via", "from", "to", "call-id", "cseq", "max-forwards", "expires", "content-type", "route")
)
"""Headers of the first SUBSCRIBE that each later one has of its own."""
