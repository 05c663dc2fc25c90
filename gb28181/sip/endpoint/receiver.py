"""Requests from the network: which are absorbed, answered at once, or handed to the user (RFC 3261 8.2)."""

from collections.abc import Callable, Iterable

from gb28181.limits import MAX_DIALOGS, MAX_SUBSCRIPTIONS
from gb28181.sip.build import build_response, stamp_via
from gb28181.sip.dialog.context import DialogContext, Usage, UsageKind
from gb28181.sip.dialog.incoming_invite import IncomingInvite
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.dialog.notifier import Notifier
from gb28181.sip.dialog.reinvite import Reinvite
from gb28181.sip.dialog.subscriber import Subscriber
from gb28181.sip.endpoint.event import EndpointStats, MessageRefused, RequestReceived
from gb28181.sip.endpoint.policy import ACCEPT, examine
from gb28181.sip.message import Request
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.matching import server_key
from gb28181.sip.transaction.user import ServerTransaction

__all__ = ["RequestReceiver"]

_RETRY_AFTER = (("Retry-After", "5"),)
_ONLY_INSIDE = frozenset(("INVITE", "INFO", "SUBSCRIBE", "NOTIFY"))
"""Requests whose To tag must be that of a dialog. MESSAGE is exempt: samples of 2011 put one into each."""


class RequestReceiver:
    """The user agent server's half of an endpoint.

    Args:
        dialogs: Dialogs and, through them, transactions.
        stats: Counters of the endpoint.
        emit: Takes the events.
        served: Methods that are served, in the order of the Allow header.
    """

    def __init__(
        self,
        dialogs: DialogContext,
        stats: EndpointStats,
        emit: Callable[[RequestReceived | MessageRefused], None],
        served: tuple[str, ...],
    ) -> None:
        self._dialogs = dialogs
        self._transactions = dialogs.transactions
        self._stats = stats
        self._emit = emit
        self._new_token = dialogs.user_agent.new_token
        self._served = frozenset(served)
        self._allow = ", ".join(served)

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        """Take one request: absorb it, answer it, or hand it to the user."""
        key = server_key(request, flow)
        transaction = self._transactions.server(key)
        method = request.method
        if method == "ACK":
            self._receive_ack(request, transaction, flow, now)
            return
        if transaction is not None:
            self._transactions.receive_retransmission(transaction, now)
            return
        if self._transactions.repeat(key, request, flow, now):
            return
        stamp_via(request, flow.remote)
        if self._transactions.full or self._too_many_dialogs(request):
            self._overloaded(request, flow)
        elif method == "INVITE" and request.to.tag is None:
            self._receive_invite(key, request, flow, now)
        else:
            self._receive_new(key, request, flow, now)

    def _too_many_dialogs(self, request: Request) -> bool:
        method = request.method
        if method == "INVITE":
            held, most = self._dialogs.held_of(UsageKind.INVITE), MAX_DIALOGS
        elif method == "SUBSCRIBE":
            held, most = self._dialogs.held_of(UsageKind.SUBSCRIPTION), MAX_SUBSCRIPTIONS
        else:
            return False
        return held >= most and request.to.tag is None

    def _receive_new(self, key: str, request: Request, flow: Flow, now: float) -> None:
        method = request.method
        trying = serialize(build_response(request, 100)) if method == "INVITE" else b""
        transaction = self._transactions.open_server(key, request, flow, now, trying=trying)
        if method == "CANCEL":
            self._receive_cancel(request, transaction, flow, now)
            return
        usage = self._dialogs.find(request, flow)
        if usage is not None and usage.receive_request(request, transaction, flow, now):
            return
        if method == "BYE":
            self._reply(request, transaction, 200, now)
            return
        self._deliver(request, transaction, flow, usage, now)

    def _deliver(
        self,
        request: Request,
        transaction: ServerTransaction,
        flow: Flow,
        usage: Usage | None,
        now: float,
    ) -> None:
        refusal = examine(request, self._allow, self._served)
        if refusal is not None:
            self._refuse(request, transaction, refusal.status, refusal.detail, now, refusal.headers)
            return
        method = request.method
        if method == "OPTIONS":
            self._reply(
                request, transaction, 200, now, (("Allow", self._allow), ("Accept", ACCEPT))
            )
            return
        received = RequestReceived(request, flow, transaction)
        _place(received, usage)
        if received.session is not None and method == "INVITE":
            received.reinvite = received.session.open_reinvite(request, transaction, now)
            if received.reinvite is None:
                return
        inside = received.session is not None or received.subscription is not None
        if method in _ONLY_INSIDE and request.to.tag is not None and not inside:
            self._refuse(request, transaction, 481, f"{method} in an unknown dialog", now)
            return
        self._emit(received)
        if isinstance(received.subscription, Subscriber):
            received.subscription.notify_delivered(request, now)

    def _receive_invite(self, key: str, request: Request, flow: Flow, now: float) -> None:
        trying = serialize(build_response(request, 100))
        transaction = self._transactions.open_server(key, request, flow, now, trying=trying)
        refusal = examine(request, self._allow, self._served)
        if refusal is not None:
            self._refuse(request, transaction, refusal.status, refusal.detail, now, refusal.headers)
            return
        if self._dialogs.is_merged(request, flow):
            detail = "the same INVITE came before under another branch"
            self._refuse(request, transaction, 482, detail, now)
            return
        invite = IncomingInvite(self._dialogs, request, transaction, flow, now)
        self._emit(RequestReceived(request, flow, transaction, invite))

    def _receive_cancel(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> None:
        invite = self._transactions.server(server_key(request, flow, "INVITE"))
        if invite is None:
            self._reply(request, transaction, 481, now)
            return
        self._reply(request, transaction, 200, now)
        if isinstance(invite.user, IncomingInvite | Reinvite):
            invite.user.cancel_received(now, request)

    def _receive_ack(
        self, request: Request, transaction: ServerTransaction | None, flow: Flow, now: float
    ) -> None:
        if transaction is not None:
            # Of a refusal; or of a 2xx with the branch of the INVITE, as many devices send it.
            self._transactions.receive_ack(transaction, request, now)
            return
        usage = self._dialogs.find(request, flow)
        if usage is None:
            self._stats.stray += 1
        else:
            usage.ack_received(request, now)

    def _overloaded(self, request: Request, flow: Flow) -> None:
        self._stats.overloaded += 1
        response = build_response(request, 503, to_tag=self._new_token(), headers=_RETRY_AFTER)
        self._transactions.send_stateless(serialize(response), flow)

    def _refuse(
        self,
        request: Request,
        transaction: ServerTransaction,
        status: int,
        detail: str,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._stats.refused += 1
        if request.method == "INVITE":
            # Repeated until an ACK comes, it would be a lever against whoever the sender claims to be.
            response = build_response(request, status, to_tag=self._new_token(), headers=headers)
            self._transactions.respond_briefly(transaction, serialize(response), now)
        else:
            self._reply(request, transaction, status, now, headers)
        self._emit(MessageRefused(transaction.flow, status, detail))

    def _reply(
        self,
        request: Request,
        transaction: ServerTransaction,
        status: int,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._dialogs.reply(
            transaction, request, status, now, to_tag=self._new_token(), headers=headers
        )


def _place(received: RequestReceived, usage: Usage | None) -> None:
    """Note the usage a request came in, if it is one for its method and has not ended."""
    method = received.request.method
    if usage is None or usage.ended:
        return
    if isinstance(usage, InviteSession):
        received.session = usage if method != "SUBSCRIBE" else None
    elif (isinstance(usage, Subscriber) and method == "NOTIFY") or (
        isinstance(usage, Notifier) and method == "SUBSCRIBE"
    ):
        received.subscription = usage
