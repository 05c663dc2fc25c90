"""A SIP endpoint without I/O (RFC 3261): the contract with whoever drives it.

1. Construct it; there is no start.
2. Input is one of: :meth:`~SipEndpoint.receive_message` with the bytes of one message and the flow
   they came by, :meth:`~SipEndpoint.connection_lost`, :meth:`~SipEndpoint.handle_timer`, or a verb
   of the user (`request`, `invite`, `subscribe`, `respond`, `accept_invite`, `session.bye` ...). Each takes
   `now`, in seconds of one clock that never goes back. No network input raises.
3. After each input, or each batch of them, take :meth:`~SipEndpoint.next_event` until it gives None.
   Acting on an event with a verb is an input too.
4. Then send everything :meth:`~SipEndpoint.messages_to_send` gives, each by its flow. What cannot be
   sent goes to :meth:`~SipEndpoint.send_failed` with the third part of its entry; then go to 3.
5. Then arm one timer for :meth:`~SipEndpoint.next_timer` and call :meth:`~SipEndpoint.handle_timer`
   when it is due; calling it too early or too late does no harm.
6. Answer every :class:`RequestReceived`, at once or later; what stays unanswered for 64*T1
   is forgotten (an INVITE: refused after `MAX_INVITE_PENDING` seconds).
7. To end, send BYE in the sessions that are left, close the subscriptions and drop the object; it
   holds nothing else.

It answers by itself: OPTIONS; CANCEL; BYE, always with 200, since a device that gets anything else
repeats it for ever; re-INVITE; NOTIFY in a subscription that we have cancelled; malformed requests (400), methods nobody serves (405, 501), URIs
other than SIP (416), required extensions (420), INVITE without SDP in its body (415), used-up
Max-Forwards (483), requests inside dialogs that do not exist (481), and everything when there is
too much already (503). A stray ACK is swallowed.
"""

from collections import deque
from collections.abc import Callable, Iterable

from gb28181.errors import LocalProtocolError, SipParseError
from gb28181.sip.build import bad_request_response, build_response
from gb28181.sip.dialog.context import DialogContext
from gb28181.sip.dialog.invite_call import CallState, InviteCall
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.dialog.notifier import Notifier
from gb28181.sip.dialog.subscriber import Subscriber
from gb28181.sip.dialog.user_agent import UserAgent
from gb28181.sip.endpoint.event import EndpointStats, Event, MessageRefused, RequestReceived
from gb28181.sip.endpoint.policy import OWN_METHODS
from gb28181.sip.endpoint.receiver import RequestReceiver
from gb28181.sip.endpoint.request_builder import RequestBuilder
from gb28181.sip.message import Request
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from gb28181.sip.timers import TimerConfig
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.layer import Outgoing, TransactionLayer
from gb28181.sip.transaction.user import ClientTransaction, ServerTransaction

__all__ = ["SipEndpoint"]

_BLANKS = b"\r\n\t \x00"


class SipEndpoint:
    """Both user agent client and server, for any number of peers.

    Args:
        user_agent: User-Agent of our requests; empty sends none.
        new_token: Returns a new unguessable token.
        methods: Methods beside INVITE, BYE, CANCEL and OPTIONS that the user answers.
        advertise: Address and port for Via and Contact instead of the flow's local address.
        timers: Base values of all timers.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        new_token: Callable[[], str],
        methods: Iterable[str] = ("REGISTER", "MESSAGE", "INFO", "SUBSCRIBE", "NOTIFY"),
        advertise: tuple[str, int] | None = None,
        timers: TimerConfig | None = None,
    ) -> None:
        self.stats = EndpointStats()
        self.user_agent = UserAgent(user_agent, new_token, advertise)
        self.transactions = TransactionLayer(timers or TimerConfig())
        self._events: deque[Event] = deque()
        self.dialogs = DialogContext(
            self.transactions, self.user_agent, self._emit, self._events.append
        )
        self._new_token = new_token
        served = tuple(dict.fromkeys((*OWN_METHODS, *methods)))
        self._builder = RequestBuilder(self.user_agent, ", ".join(served))
        self._requests = RequestReceiver(self.dialogs, self.stats, self._events.append, served)

    # Input from the network

    def receive_message(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram, or one message that a framer cut out of a stream."""
        self.stats.received += 1
        if not data or (data[0] in _BLANKS and not data.strip(_BLANKS)):
            self.stats.keepalives += 1
            return
        try:
            message = parse(data)
            if isinstance(message, Request):
                self._requests.receive(message, flow, now)
            elif not self.transactions.receive_response(message, flow, now):
                self.stats.stray += 1
        except SipParseError as error:
            if error.field != "Via" or not self._receive_without_via(data, flow, now):
                self.receive_malformed(data, error, flow)

    def receive_malformed(self, data: bytes, error: SipParseError, flow: Flow) -> None:
        """Take bytes that are no message, and answer them as well as that is possible."""
        self.stats.malformed += 1
        answer = bad_request_response(data, error, flow.remote)
        if answer is not None:
            self.transactions.send_stateless(answer, flow)
        status = None if answer is None else error.status
        self._events.append(MessageRefused(flow, status, str(error)))

    def connection_lost(self, connection: int, now: float) -> None:
        """Learn that a connection is gone: its dialogs end, what waits for an answer on it fails at once."""
        # Dialogs first: that a request inside one fails too is only a consequence.
        self.dialogs.connection_lost(connection, now)
        self.transactions.connection_lost(connection, now)

    def send_failed(
        self, transaction: ClientTransaction | ServerTransaction | None, now: float
    ) -> None:
        """Learn that an entry of `messages_to_send` could not be sent."""
        if transaction is not None:
            self.transactions.send_failed(transaction, now)

    # Output

    def next_event(self) -> Event | None:
        """Return the next event, if any."""
        return self._events.popleft() if self._events else None

    def messages_to_send(self, now: float) -> list[Outgoing]:
        """Drain what goes out, in order."""
        return self.transactions.messages_to_send(now)

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        one, other = self.transactions.next_timer(), self.dialogs.queue.next_timer()
        if one is None:
            return other
        return one if other is None or one < other else other

    def handle_timer(self, now: float) -> None:
        """Run whatever is due at `now`."""
        self.transactions.handle_timer(now)
        while (item := self.dialogs.queue.pop_due(now)) is not None:
            item.handle_timer(now)
            self.dialogs.queue.arm(item, item.next_timer())

    # Verbs of a user agent client

    def request(
        self,
        method: str,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        call_id: str | None = None,
        from_tag: str | None = None,
        cseq: int = 1,
    ) -> ClientTransaction:
        """Send a request outside a dialog; ends in ResponseReceived or RequestFailed.

        Args:
            method: Any but INVITE, ACK and CANCEL.
            uri: Request-URI.
            flow: The way it goes.
            from_: From without tag.
            to: To without tag: devices answer 481 to a To tag here.
            now: Monotonic time in seconds.
            headers: Further headers; Contact is added where it must not be missing.
            body: Body, with its `content_type`.
            content_type: Content-Type.
            call_id: Instead of a new one, for the REGISTERs of one registration.
            from_tag: Likewise.
            cseq: Likewise.
        """
        if method in ("INVITE", "ACK", "CANCEL"):
            raise LocalProtocolError(f"{method} is not sent as a plain request")
        request = self._builder.build(
            method,
            uri,
            flow=flow,
            from_=from_,
            to=to,
            headers=list(headers),
            body=body,
            content_type=content_type,
            call_id=call_id,
            from_tag=from_tag,
            cseq=cseq,
        )
        return self.transactions.send_request(request, flow, self.dialogs.reporting, now)

    def abandon(self, transaction: ClientTransaction) -> None:
        """Forget a request of ours; no event will come of it any more."""
        self.transactions.abandon(transaction)

    def invite(
        self,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        sdp: bytes,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = None,
    ) -> InviteCall:
        """Send an INVITE; ends in InviteAccepted, InviteRefused or InviteFailed unless cancelled."""
        request = self._builder.build(
            "INVITE",
            uri,
            flow=flow,
            from_=from_,
            to=to,
            headers=list(headers),
            body=sdp,
            content_type="application/sdp" if sdp else None,
            contact=contact,
        )
        return InviteCall(self.dialogs, request, flow, now)

    def subscribe(
        self,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        event: str,
        expires: int,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact: str | None = None,
    ) -> Subscriber:
        """Send a SUBSCRIBE; its transaction ends in ResponseReceived or RequestFailed.

        NOTIFYs may come before that (RFC 6665 4.4.1). `event` and `headers` are repeated in each refresh.
        """
        request = self._builder.build(
            "SUBSCRIBE",
            uri,
            flow=flow,
            from_=from_,
            to=to,
            headers=[("Event", event), ("Expires", str(expires)), *headers],
            body=body,
            content_type=content_type if body else None,
            contact=contact,
        )
        return Subscriber(self.dialogs, request, flow, now)

    def cancelled_calls(self) -> list[InviteCall]:
        """Return the calls we gave up whose final response has not come."""
        return [
            user
            for user in self.transactions.inviters()
            if isinstance(user, InviteCall) and user.state is CallState.CANCELLING
        ]

    # Verbs of a user agent server

    def respond(
        self,
        incoming: RequestReceived,
        status: int,
        reason: str | None = None,
        *,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        stateless: bool = False,
    ) -> None:
        """Answer a request; after a final answer nothing more is sent.

        Args:
            incoming: The request.
            status: Any status; the 2xx of an INVITE outside a dialog is `accept_invite`'s.
            reason: Instead of the standard reason phrase.
            now: Monotonic time in seconds.
            headers: Further headers.
            body: Body, with its `content_type`.
            content_type: Content-Type.
            stateless: Keep no transaction: retransmissions get the same bytes for a few seconds only.
        """
        invite, reinvite = incoming.invite, incoming.reinvite
        success = 200 <= status < 300
        if invite is not None and success:
            raise LocalProtocolError("an INVITE is accepted with accept_invite")
        transaction = incoming.transaction
        if transaction.request is None:
            return
        if reinvite is not None and success:
            reinvite.accept(body, now, headers=headers)
            return
        if isinstance(incoming.subscription, Notifier) and success:
            headers = incoming.subscription.with_contact(headers)
        response = build_response(
            incoming.request,
            status,
            reason,
            to_tag=self._new_token() if invite is None else invite.dialog.local_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        if invite is not None and stateless and status >= 300:
            invite.refuse_briefly(response, now)
        elif invite is not None:
            invite.respond(response, now)
        elif reinvite is not None:
            reinvite.respond(response, now)
        elif stateless:
            self.transactions.respond_briefly(transaction, serialize(response), now)
        else:
            self.transactions.respond(transaction, status, serialize(response), now)

    def accept_invite(
        self,
        incoming: RequestReceived,
        sdp: bytes,
        *,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
    ) -> InviteSession | None:
        """Answer an INVITE with 200; None if it has been cancelled or answered before."""
        if incoming.invite is None:
            raise LocalProtocolError(f"{incoming.request.method} cannot be accepted as an INVITE")
        return incoming.invite.accept(sdp, now, headers=headers)

    def accept_subscribe(
        self,
        incoming: RequestReceived,
        *,
        expires: int,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Notifier | None:
        """Answer a SUBSCRIBE with 200 and open its dialog; None if it has been answered before.

        Raises:
            LocalProtocolError: It is none, or came inside a dialog, where `respond` is for it.
        """
        request, transaction = incoming.request, incoming.transaction
        if request.method != "SUBSCRIBE" or request.to.tag is not None:
            raise LocalProtocolError(f"{request.method} opens no subscription here")
        if transaction.request is None:
            return None
        notifier = Notifier(self.dialogs, request, incoming.flow)
        notifier.accept(
            request,
            transaction,
            now,
            headers=[("Expires", str(expires)), *headers],
            body=body,
            content_type=content_type,
        )
        return notifier

    def ignore(self, incoming: RequestReceived) -> None:
        """Give no answer and remember nothing."""
        if incoming.request.method != "INVITE" and incoming.transaction.request is not None:
            self.transactions.drop(incoming.transaction)

    # Messages from the network

    def _receive_without_via(self, data: bytes, flow: Flow, now: float) -> bool:
        # Some devices answer INVITE without copying the Via; the rest of the response tells enough.
        try:
            response = parse(data, complete=False)
            if isinstance(response, Request) or "Via" in response.headers:
                return False
            transaction = self.transactions.invite_of(response)
            if transaction is None:
                return False
            response.headers.insert_first("Via", transaction.request.headers.get("Via") or "")
            return self.transactions.receive_response(response, flow, now)
        except SipParseError:
            return False

    def _emit(self, event: object) -> None:
        # The usages below know only the events of their own.
        self._events.append(event)  # type: ignore[arg-type]
