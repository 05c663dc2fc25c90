"""A subscription of a peer, in a dialog of its own (RFC 6665 4.2)."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from gb28181.errors import LocalProtocolError
from gb28181.sip.build import build_response
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
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ClientTransaction, ServerTransaction

__all__ = ["Notifier", "NotifierEnded", "NotifierInput", "NotifierState"]


class NotifierState(enum.Enum):
    """RFC 6665 figure 2: `pending` and `active` differ only in what the user writes into a NOTIFY."""

    ACTIVE = enum.auto()
    ENDED = enum.auto()


class NotifierInput(enum.Enum):
    """What moves a notifier."""

    GONE = enum.auto()
    """An answer to a NOTIFY that ends the subscription."""
    TIMED_OUT = enum.auto()
    UNSENT = enum.auto()
    TERMINATE = enum.auto()
    """Our NOTIFY says `terminated`."""
    CLOSE = enum.auto()
    CONNECTION_LOST = enum.auto()


@dataclass(frozen=True, slots=True)
class NotifierEnded:
    """A subscription of a peer is over, and not because we said so."""

    notifier: "Notifier"
    cause: SubscriptionEnd


_In = NotifierInput
_St = NotifierState


class Notifier:
    """The notifier's side, from the 200 to the SUBSCRIBE on.

    Args:
        context: Shared parts.
        request: The SUBSCRIBE.
        flow: The way it came.
    """

    kind = UsageKind.SUBSCRIPTION
    began_by: int | None = None

    def __init__(self, context: DialogContext, request: Request, flow: Flow) -> None:
        self.dialog = Dialog.from_request(request, context.user_agent.new_token(), flow)
        self.state = NotifierState.ACTIVE
        self.armed: float | None = None
        self.event = request.headers.get("Event") or "presence"
        """Event as the subscriber wrote it; without one that of the first edition, which knew no other."""
        self._context = context
        self._user = request.to.user
        context.add(self)

    def with_contact(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return headers of a NOTIFY or a 2xx with our Contact, unless they have one."""
        listed = list(headers)
        if any(name.lower() == "contact" for name, _ in listed):
            return listed
        contact = self._context.user_agent.contact(self.dialog.flow, self._user)
        return [("Contact", contact), *listed]

    @property
    def ended(self) -> bool:
        """Whether nothing can be notified any more."""
        return self.state is NotifierState.ENDED

    def accept(
        self,
        request: Request,
        transaction: ServerTransaction,
        now: float,
        *,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str | None,
    ) -> None:
        """Answer the SUBSCRIBE with 200 (4.2.1)."""
        response = build_response(
            request,
            200,
            to_tag=self.dialog.local_tag,
            headers=self.with_contact(headers),
            body=body,
            content_type=content_type,
        )
        self._context.transactions.respond(transaction, 200, serialize(response), now)

    def notify(
        self,
        now: float,
        *,
        state: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> ClientTransaction:
        """Send a NOTIFY; `state` is the whole Subscription-State, and `terminated` ends the subscription.

        Raises:
            LocalProtocolError: It has ended.
        """
        if self.ended:
            raise LocalProtocolError("NOTIFY in a subscription that has ended")
        transaction = self._context.request(
            self.dialog,
            "NOTIFY",
            now,
            user=self,
            headers=[
                ("Event", self.event),
                ("Subscription-State", state),
                *self.with_contact(headers),
            ],
            body=body,
            content_type=content_type if body else None,
        )
        if is_terminated(state):
            self._step(NotifierInput.TERMINATE, now)
        return transaction

    def close(self, now: float) -> None:
        """Forget the dialog without a word: the next SUBSCRIBE inside it is answered 481."""
        self._step(NotifierInput.CLOSE, now)

    def fail(self, now: float) -> None:
        """Learn that the user's own patience with a NOTIFY has ended."""
        self._step(NotifierInput.TIMED_OUT, now)

    def response_received(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float
    ) -> None:
        """Take a response to a NOTIFY."""
        if response.status in DEADLY:
            self._step(NotifierInput.GONE, now)
        self._context.reporting.response_received(transaction, response, flow, now)

    def request_failed(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Learn that no final response to a NOTIFY will come."""
        timed_out = failure is Failure.TIMEOUT
        self._step(NotifierInput.TIMED_OUT if timed_out else NotifierInput.UNSENT, now)
        self._context.reporting.request_failed(transaction, failure, now)

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Note where a SUBSCRIBE of the subscriber came from; it is the user's to answer."""
        if request.method == "SUBSCRIBE":
            self._context.move(self, flow)
            refresh_target(self.dialog, request)
        return False

    def retarget(self, flow: Flow) -> None:
        """Send what follows inside the dialog this way."""
        self._context.move(self, flow)

    def ack_received(self, ack: Request, now: float) -> None:
        """Do nothing: there is no INVITE here."""

    def connection_lost(self, now: float) -> None:
        """Learn that the connection is gone."""
        self._step(NotifierInput.CONNECTION_LOST, now)

    def next_timer(self) -> float | None:
        """Return None: nothing here depends on time."""
        return None

    def handle_timer(self, now: float) -> None:
        """Do nothing."""

    def _step(self, given: NotifierInput, now: float) -> None:
        entry = self._TABLE.get((self.state, given))
        if entry is None:
            return
        self.state, cause = entry
        self._context.remove(self)
        if cause is SubscriptionEnd.UNREACHABLE:
            cause = unsent_cause(self.dialog)
        if cause is not None:
            self._context.emit(NotifierEnded(self, cause))

    # Every input ends it; a pair that is absent is absorbed.
    _TABLE: ClassVar[
        Mapping[tuple[NotifierState, NotifierInput], tuple[NotifierState, SubscriptionEnd | None]]
    ] = MappingProxyType(
        {
            (_St.ACTIVE, _In.GONE): (_St.ENDED, SubscriptionEnd.GONE),
            (_St.ACTIVE, _In.TIMED_OUT): (_St.ENDED, SubscriptionEnd.TIMEOUT),
            (_St.ACTIVE, _In.UNSENT): (_St.ENDED, SubscriptionEnd.UNREACHABLE),
            (_St.ACTIVE, _In.TERMINATE): (_St.ENDED, None),
            (_St.ACTIVE, _In.CLOSE): (_St.ENDED, None),
            (_St.ACTIVE, _In.CONNECTION_LOST): (_St.ENDED, SubscriptionEnd.CONNECTION_LOST),
        }
    )
