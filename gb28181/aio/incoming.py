"""Requests of a peer, to be answered, and the dialogs that may come of them."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from gb28181.aio.engine import SipEngine
from gb28181.aio.errors import CallCancelled
from gb28181.aio.subscription import NotifyingDialog, SubscribedDialog, Subscriptions
from gb28181.errors import LocalProtocolError
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.header.reason import Reason
from gb28181.sip.message import Request, Response

__all__ = [
    "DialogKeeper",
    "IncomingRequest",
    "InviteDialog",
    "SubscriberDialog",
    "SubscriptionDialog",
]

BYE_TIMEOUT = 5.0
"""Seconds to wait for the answer to a BYE: the session has ended anyhow."""


class DialogKeeper(Protocol):
    """The client, seen from dialogs."""

    @property
    def subscriptions(self) -> "Subscriptions[IncomingRequest]":
        """All subscriptions."""

    def dialog_of(self, session: InviteSession) -> "InviteDialog | None":
        """Return the dialog of a session."""

    def adopt(self, session: InviteSession, response: Response | None = None) -> "InviteDialog":
        """Make the dialog of a session."""

    async def hang_up(self, session: InviteSession, timeout: float, reason: Reason | None) -> None:
        """End a session."""

    async def request_inside(
        self,
        session: InviteSession,
        method: str,
        *,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str | None,
        timeout: float,
    ) -> Response:
        """Send a request inside a dialog."""


class IncomingRequest:
    """One request; answer it in the handler or later, once.

    Attributes:
        request: The request, its topmost Via stamped with the packet source.
        flow: The way it came.
        dialog: The INVITE dialog it came in, if any.
        subscription: The subscription whose dialog a NOTIFY or SUBSCRIBE came in, if any.
        cancelled: Whether the peer withdrew its INVITE, and 487 has been sent, or cannot be reached any more.
        peer_lost: Which of both it is.
        cancel_reason: Why, as the peer's Reason has it, for people; empty if it gave none.
        on_cancel: Called when that happens.
        on_ack: For an INVITE inside a dialog, called with the body of the ACK to our 200.
    """

    __slots__ = (
        "_client",
        "_engine",
        "_event",
        "cancel_reason",
        "cancelled",
        "dialog",
        "flow",
        "on_ack",
        "on_cancel",
        "peer_lost",
        "request",
        "subscription",
    )

    def __init__(self, engine: SipEngine, client: DialogKeeper, event: RequestReceived) -> None:
        self._engine = engine
        self._client = client
        self._event = event
        self.request: Request = event.request
        self.flow: Flow = event.flow
        session, usage = event.session, event.subscription
        self.dialog = None if session is None else client.dialog_of(session)
        self.subscription: SubscriberDialog | SubscriptionDialog | None = (
            None if usage is None else client.subscriptions.of(usage)
        )
        self.cancelled = False
        self.cancel_reason = ""
        self.peer_lost = False
        self.on_cancel: Callable[[], None] | None = None
        self.on_ack: Callable[[bytes], None] | None = None

    def __repr__(self) -> str:
        return f"<IncomingRequest {self.request.method} from {self.flow.remote[0]}>"

    @property
    def handler(self) -> "Callable[[IncomingRequest], None] | None":
        """Who takes the requests of the dialog it came in; None if that is the driver's owner."""
        subscription = self.subscription
        if isinstance(subscription, SubscribedDialog):
            return subscription.on_notify
        if subscription is not None:
            return subscription.on_refresh
        return None if self.dialog is None else self.dialog.on_request

    @property
    def answered(self) -> bool:
        """Whether a final response has been given."""
        return self._event.transaction.answered

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        stateless: bool = False,
    ) -> None:
        """Answer; after a final answer nothing more is sent.

        Args:
            status: Any status; the 2xx of an INVITE outside a dialog is `accept_invite`'s. Inside one a 200
                carries the description and gets a Contact, and is repeated until its ACK comes.
            reason: Instead of the standard reason phrase.
            headers: Further headers.
            body: Body.
            content_type: Content-Type of the body.
            stateless: Keep no transaction, as for a challenge: retransmissions get the same bytes for a
                few seconds only.
        """
        if status >= 200:
            self._engine.forget_invite(self._event)
        self._engine.endpoint.respond(
            self._event,
            status,
            reason,
            now=self._engine.now(),
            headers=headers,
            body=body,
            content_type=content_type,
            stateless=stateless,
        )
        self._engine.transmit()

    def ignore(self) -> None:
        """Give no answer and remember nothing, as towards a flood."""
        self._engine.endpoint.ignore(self._event)

    def accept_invite(
        self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()
    ) -> "InviteDialog":
        """Answer an INVITE with 200 and return the dialog; set its callbacks before awaiting anything.

        Raises:
            CallCancelled: The peer withdrew it, or it has been answered.
        """
        self._engine.forget_invite(self._event)
        session = self._engine.endpoint.accept_invite(
            self._event, sdp, now=self._engine.now(), headers=headers
        )
        if session is None:
            raise CallCancelled("the INVITE was cancelled or answered before")
        dialog = self.dialog = self._client.adopt(session)
        self._engine.transmit()
        return dialog

    def accept_subscribe(
        self,
        *,
        expires: int,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> "SubscriptionDialog":
        """Answer a SUBSCRIBE with 200 and return its dialog; set its callbacks before awaiting anything.

        To refuse one, `respond` with 489 (Event), 423 (Expires, with Min-Expires), 403, 404 ...

        Args:
            expires: Seconds granted.
            headers: Further headers; Contact is added.
            body: Body; the first edition puts a Response into it (2.3 of its practice), later ones nothing.
            content_type: Content-Type of the body.

        Raises:
            LocalProtocolError: It is no SUBSCRIBE, or one inside a dialog: see `SubscriptionDialog.on_refresh`.
            CallCancelled: It has been answered before.
        """
        dialog = self._client.subscriptions.accept(
            self._event, expires=expires, headers=headers, body=body, content_type=content_type
        )
        if dialog is None:
            raise CallCancelled("the SUBSCRIBE was answered before")
        self.subscription = dialog
        return dialog

    def cancel(self, reason: str = "", *, lost: bool = False) -> None:
        """Note that the peer withdrew the INVITE, and why, or is lost; the driver calls this."""
        self.cancelled = True
        self.cancel_reason = reason
        self.peer_lost = lost
        if self.on_cancel is not None:
            self.on_cancel()


SubscriptionDialog: TypeAlias = NotifyingDialog[IncomingRequest]
"""A subscription of a peer; we notify."""

SubscriberDialog: TypeAlias = SubscribedDialog[IncomingRequest]
"""A subscription of ours; the peer notifies."""


class InviteDialog:
    """An established INVITE session, whoever invited.

    Attributes:
        response: The 2xx that accepted our INVITE; None when we accepted the peer's.
        on_bye: Called once when the session ended without us; `end_reason` says how.
        end_reason: `EndCause` value, None as long as it stands and if we ended it: `bye`, `no_ack` (to our
            2xx within 64*T1; BYE has been sent) or `connection_lost`.
        peer_reason: Reason of the peer's BYE (RFC 3326) for people; empty if it gave none.
        on_ack: Called once when the peer acknowledged our 2xx to its INVITE.
        on_ack_body: Called after it with the body of that ACK, even an empty one: the answer, where our
            2xx carried the offer.
        ack_body: That body; None until the ACK has come.
    """

    def __init__(
        self, client: DialogKeeper, session: InviteSession, response: Response | None
    ) -> None:
        self._client = client
        self._session = session
        self._response = response
        self._on_request: Callable[[IncomingRequest], None] | None = None
        self.on_bye: Callable[[], None] | None = None
        self.on_ack: Callable[[], None] | None = None
        self.on_ack_body: Callable[[bytes], None] | None = None
        self.ack_body: bytes | None = None
        self.end_reason: str | None = None
        self.peer_reason = ""
        self.reinvite: IncomingRequest | None = None
        """The re-INVITE that waits for an answer or its ACK; the driver's."""

    def __repr__(self) -> str:
        state = "ended" if self.ended else "established"
        return f"<InviteDialog {self.call_id} {state}>"

    @property
    def response(self) -> Response:
        """The 2xx that accepted our INVITE."""
        if self._response is None:
            raise LocalProtocolError("this INVITE was the peer's: it has no response for us")
        return self._response

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self._session.dialog.call_id

    @property
    def remote_flow(self) -> Flow:
        """Where the peer's latest packet inside the dialog came from."""
        return self._session.dialog.flow

    @property
    def ended(self) -> bool:
        """Whether the session is over, by whoever's doing."""
        return self._session.ended

    @property
    def on_request(self) -> Callable[[IncomingRequest], None] | None:
        """Called with each INFO, MESSAGE, INVITE or other request inside the dialog, BYE and ACK apart.

        Without it they go to the driver's own `on_request`, and a re-INVITE is answered by the stack: with
        our description if it changes nothing, else with 488.
        """
        return self._on_request

    @on_request.setter
    def on_request(self, handler: Callable[[IncomingRequest], None] | None) -> None:
        self._on_request = handler
        self._session.delegates_reinvite = handler is not None

    @property
    def outlives_connection(self) -> bool:
        """Whether the session goes on when its connection is lost; false by default.

        For a device that streams on and comes back on another connection: `retarget`, and it gets its BYE.
        """
        return self._session.outlives_connection

    @outlives_connection.setter
    def outlives_connection(self, value: bool) -> None:
        self._session.outlives_connection = value

    def retarget(self, flow: Flow) -> None:
        """Send what follows this way: the peer is known to have moved, or its connection is another."""
        self._session.retarget(flow)

    async def bye(self, timeout: float = BYE_TIMEOUT, *, reason: Reason | None = None) -> None:
        """End the session; returns after the answer or `timeout` seconds. Idempotent, never raises.

        Args:
            timeout: Seconds to wait for the answer.
            reason: Why; the peer is told (RFC 3326).
        """
        await self._client.hang_up(self._session, timeout, reason)

    async def request(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        timeout: float = 32.0,
    ) -> Response:
        """Send INFO or MESSAGE inside the dialog and return the final response.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or the session has ended.
        """
        return await self._client.request_inside(
            self._session,
            method,
            headers=headers,
            body=body,
            content_type=content_type,
            timeout=timeout,
        )
