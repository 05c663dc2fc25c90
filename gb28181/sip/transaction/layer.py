"""All transactions of one endpoint (RFC 3261 17): matching, timers, bounds, and what goes out."""

from collections import deque
from collections.abc import Iterable

from gb28181.limits import (
    MAX_ANSWERED_TRANSACTIONS,
    MAX_REFUSED_INVITES,
    MAX_TRANSACTIONS,
)
from gb28181.sip.build import build_request
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize
from gb28181.sip.timers import TimerConfig
from gb28181.sip.transaction.brief import BriefAnswers
from gb28181.sip.transaction.deadlines import DeadlineQueue
from gb28181.sip.transaction.events import (
    Deliver,
    Failure,
    Output,
    Send,
    Terminated,
    TimedOut,
    TransportFailed,
)
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.invite_client import InviteClientTransaction
from gb28181.sip.transaction.invite_server import InviteServerTransaction
from gb28181.sip.transaction.matching import client_key
from gb28181.sip.transaction.non_invite_client import NonInviteClientTransaction
from gb28181.sip.transaction.non_invite_server import NonInviteServerTransaction
from gb28181.sip.transaction.user import (
    ClientTransaction,
    RequestUser,
    ServerTransaction,
)

__all__ = ["Outgoing", "TransactionLayer"]

_SWEEP_SLACK = 0.25
"""Answered requests are forgotten up to this much late, so that thousands share one timer."""


Outgoing = tuple[bytes, Flow, ClientTransaction | ServerTransaction | None]
"""Bytes, their way, and whom to tell if they cannot be sent."""


class TransactionLayer:
    """Owns every transaction; the users of transactions hang on to it.

    Args:
        timers: Base values of all timers.
    """

    def __init__(self, timers: TimerConfig) -> None:
        self.timers = timers
        self.absorbed = 0
        """Retransmissions of requests that did not reach the user."""
        self.retransmitted = 0
        """Messages we sent again."""
        self.evicted = 0
        """Answered requests forgotten before timer J because there were too many."""
        self._clients: dict[str, ClientTransaction] = {}
        self._servers: dict[str, ServerTransaction] = {}
        self._invites: dict[str, ClientTransaction] = {}
        self._queue: DeadlineQueue[ClientTransaction | ServerTransaction] = DeadlineQueue()
        # Timer J is the same for all: a queue in the order of the answers needs no heap.
        self._answered: deque[ServerTransaction] = deque()
        self._unanswered: list[ServerTransaction] = []
        # INVITEs refused whose ACK may never come: strangers' must not stand in the way of devices.
        self._refused: set[ServerTransaction] = set()
        self._brief = BriefAnswers()
        self._by_connection: dict[int, dict[ClientTransaction | ServerTransaction, None]] = {}
        self._outbox: list[Outgoing] = []

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def pending(self) -> int:
        """Transactions that still wait for somebody."""
        return max(0, len(self) - len(self._answered) - len(self._refused))

    @property
    def full(self) -> bool:
        """Whether a new request must be refused with 503."""
        return self.pending >= MAX_TRANSACTIONS

    def server(self, key: str) -> ServerTransaction | None:
        """Return the server transaction filed under `key`."""
        return self._servers.get(key)

    # Requests of the peer

    def open_server(
        self, key: str, request: Request, flow: Flow, now: float, *, trying: bytes = b""
    ) -> ServerTransaction:
        """Start answering a new request; `trying` is the 100 of an INVITE."""
        machine: InviteServerTransaction | NonInviteServerTransaction
        reliable = flow.connection is not None or flow.transport != "UDP"
        if request.method == "INVITE":
            machine = InviteServerTransaction(
                trying, reliable=reliable, now=now, timers=self.timers
            )
        else:
            machine = NonInviteServerTransaction(reliable=reliable, timers=self.timers)
        transaction = ServerTransaction(key, request, flow, machine)
        self._servers[key] = transaction
        if flow.connection is not None:
            self._by_connection.setdefault(flow.connection, {})[transaction] = None
        if isinstance(machine, InviteServerTransaction):
            self._queue.arm(transaction, machine.next_timer())
        else:
            self._unanswered.append(transaction)
        return transaction

    def receive_retransmission(self, transaction: ServerTransaction, now: float) -> None:
        """Feed a request that came again."""
        self.absorbed += 1
        self._run(transaction, transaction.machine.receive_request(now), now)

    def receive_ack(self, transaction: ServerTransaction, ack: Request, now: float) -> None:
        """Feed an ACK that came with the branch of its INVITE."""
        if isinstance(transaction.machine, InviteServerTransaction):
            self._run(transaction, transaction.machine.receive_ack(now), now, ack)

    def respond(
        self, transaction: ServerTransaction, status: int, response: bytes, now: float
    ) -> None:
        """Answer; what comes after a final response is not sent, except a repeated 2xx."""
        first = status >= 200 and transaction.request is not None
        machine = transaction.machine
        if first and status >= 300 and isinstance(machine, InviteServerTransaction):
            if len(self._refused) >= MAX_REFUSED_INVITES:
                self.respond_briefly(transaction, response, now)
                return
            self._refused.add(transaction)
        if first:
            transaction.request = None
        self._run(transaction, machine.send_response(status, response, now), now)
        if first and isinstance(machine, NonInviteServerTransaction):
            if machine.next_timer() is not None:
                self._answered.append(transaction)
                if len(self._answered) > MAX_ANSWERED_TRANSACTIONS:
                    self.evicted += 1
                    self._forget(self._answered.popleft())
        else:
            self._queue.arm(transaction, machine.next_timer())

    def respond_briefly(self, transaction: ServerTransaction, response: bytes, now: float) -> None:
        """Answer and end the transaction; a retransmission gets the same bytes for seconds (8.2.7).

        Under overload the retransmissions of requests answered late thus cost little, and nobody is
        challenged twice for one request. The ACK to an INVITE refused in this way is a stray one.
        """
        if transaction.request is None:
            return
        self._brief.keep(transaction.key, transaction.request, response, now)
        self.drop(transaction)
        self._outbox.append((response, transaction.flow, None))

    def repeat(self, key: str, request: Request, flow: Flow, now: float) -> bool:
        """Answer a retransmission of what was answered briefly; False if it is none."""
        response = self._brief.find(key, request, now)
        if response is None:
            return False
        self.absorbed += 1
        self._outbox.append((response, flow, None))
        return True

    def drop(self, transaction: ServerTransaction) -> None:
        """Remember nothing of a request that is not going to be answered."""
        transaction.request = None
        self._forget(transaction)

    # Requests of ours

    def send_request(
        self, request: Request, flow: Flow, user: RequestUser, now: float
    ) -> ClientTransaction:
        """Send a request of any method but ACK, whose topmost Via has a branch of ours."""
        key = f"{request.method}|{request.via.branch}"
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        machine = kind(serialize(request), reliable=flow.reliable, now=now, timers=self.timers)
        transaction = ClientTransaction(key, request, flow, machine, user)
        self._clients[key] = transaction
        if request.method == "INVITE":
            self._invites[request.call_id] = transaction
        if flow.connection is not None:
            self._by_connection.setdefault(flow.connection, {})[transaction] = None
        self._run(transaction, machine.start(), now)
        self._queue.arm(transaction, machine.next_timer())
        return transaction

    def invite_of(self, response: Response) -> ClientTransaction | None:
        """Return the INVITE a response without Via belongs to, known by Call-ID and our tag."""
        transaction = self._invites.get(response.call_id)
        if transaction is None or response.cseq != transaction.request.cseq:
            return None
        return transaction if response.from_.tag == transaction.request.from_.tag else None

    def inviters(self) -> list[RequestUser]:
        """Return the users of all INVITEs of ours without a final response or with a fresh one."""
        return [transaction.user for transaction in self._invites.values()]

    def send_stateless(self, message: bytes, flow: Flow) -> None:
        """Send what is never repeated: an ACK to a 2xx, an answer nobody remembers."""
        self._outbox.append((message, flow, None))

    def cancel(self, transaction: ClientTransaction, now: float) -> None:
        """Stop repeating an INVITE and bound the wait for its final response."""
        if isinstance(transaction.machine, InviteClientTransaction):
            self._run(transaction, transaction.machine.cancel(now), now)
            self._queue.arm(transaction, transaction.machine.next_timer())

    def abandon(self, transaction: ClientTransaction) -> None:
        """Forget a request; its answer will be nobody's."""
        self._forget(transaction)

    def receive_response(self, response: Response, flow: Flow, now: float) -> bool:
        """Feed a response; False if it belongs to no transaction."""
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            return False
        machine = transaction.machine
        if isinstance(machine, InviteClientTransaction):
            ack = b""
            if response.status >= 300:
                ack = serialize(_refusal_ack(transaction.request, response))
            outputs = machine.receive_response(response.status, now, ack=ack)
        else:
            outputs = machine.receive_response(response.status, now)
        self._run(transaction, outputs, now, response, flow)
        self._queue.arm(transaction, machine.next_timer())
        return True

    # The rest of the sans-IO surface

    def connection_lost(self, connection: int, now: float) -> None:
        """Fail at once whatever depends on a connection that is gone."""
        for transaction in list(self._by_connection.pop(connection, ())):
            self.send_failed(transaction, now)
            if isinstance(transaction, ServerTransaction):
                self._forget(transaction)

    def send_failed(self, transaction: ClientTransaction | ServerTransaction, now: float) -> None:
        """Report that an entry of :meth:`messages_to_send` could not be sent."""
        self._run(transaction, transaction.machine.transport_failed(now), now)

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        deadline = self._queue.next_timer()
        if self._answered:
            oldest = self._answered[0].machine.next_timer()
            sweep = 0.0 if oldest is None else oldest + _SWEEP_SLACK
            return sweep if deadline is None or sweep < deadline else deadline
        return deadline

    def handle_timer(self, now: float) -> None:
        """Run whatever is due."""
        while (transaction := self._queue.pop_due(now)) is not None:
            machine = transaction.machine
            if isinstance(machine, NonInviteServerTransaction):
                # Nobody answered within 64*T1: the client has given up by now.
                if not transaction.machine.next_timer():
                    self._forget(transaction)
                continue
            outputs = machine.handle_timer(now)
            self.retransmitted += sum(isinstance(output, Send) for output in outputs)
            self._run(transaction, outputs, now)
            self._queue.arm(transaction, machine.next_timer())
        answered = self._answered
        while answered:
            due = answered[0].machine.next_timer()
            if due is not None and due > now:
                break
            transaction = answered.popleft()
            self._run(transaction, transaction.machine.handle_timer(now), now)
            self._forget(transaction)

    def messages_to_send(self, now: float) -> list[Outgoing]:
        """Drain what goes out, in order."""
        if self._unanswered:
            give_up = now + self.timers.timeout
            for transaction in self._unanswered:
                if transaction.request is not None:
                    self._queue.arm(transaction, give_up)
            self._unanswered.clear()
        outbox = self._outbox
        self._outbox = []
        return outbox

    def _run(
        self,
        transaction: ClientTransaction | ServerTransaction,
        outputs: Iterable[Output],
        now: float,
        message: Request | Response | None = None,
        flow: Flow | None = None,
    ) -> None:
        for output in outputs:
            kind = type(output)
            if kind is Send:
                assert isinstance(output, Send)
                self._outbox.append((output.message, transaction.flow, transaction))
            elif kind is Terminated:
                self._forget(transaction)
            elif kind is Deliver:
                self._deliver(transaction, message, flow, now)
            else:
                failure = Failure.TIMEOUT if kind is TimedOut else Failure.TRANSPORT
                assert kind in (TimedOut, TransportFailed)
                self._fail(transaction, failure, now)

    def _deliver(
        self,
        transaction: ClientTransaction | ServerTransaction,
        message: Request | Response | None,
        flow: Flow | None,
        now: float,
    ) -> None:
        if isinstance(transaction, ServerTransaction):
            if transaction.user is not None and isinstance(message, Request):
                transaction.user.ack_received(message, now)
        elif isinstance(message, Response) and flow is not None:
            transaction.user.response_received(transaction, message, flow, now)

    def _fail(
        self, transaction: ClientTransaction | ServerTransaction, failure: Failure, now: float
    ) -> None:
        if isinstance(transaction, ClientTransaction):
            transaction.user.request_failed(transaction, failure, now)
        elif transaction.user is not None:
            transaction.user.answer_failed(failure, now)

    def _forget(self, transaction: ClientTransaction | ServerTransaction) -> None:
        self._queue.disarm(transaction)
        connection = transaction.flow.connection
        if connection is not None and (own := self._by_connection.get(connection)) is not None:
            own.pop(transaction, None)
            if not own:
                del self._by_connection[connection]
        if isinstance(transaction, ClientTransaction):
            if self._clients.get(transaction.key) is transaction:
                del self._clients[transaction.key]
            call_id = transaction.request.call_id
            if self._invites.get(call_id) is transaction:
                del self._invites[call_id]
        else:
            self._refused.discard(transaction)
            if self._servers.get(transaction.key) is transaction:
                del self._servers[transaction.key]


def _refusal_ack(invite: Request, response: Response) -> Request:
    """Build the ACK of a final response other than 2xx (17.1.1.3)."""
    headers = invite.headers
    return build_request(
        "ACK",
        invite.uri,
        via=headers.get("Via") or "",
        from_=headers.get("From") or "",
        to=response.headers.get("To") or headers.get("To") or "",
        call_id=invite.call_id,
        cseq=invite.cseq.number,
        headers=[("Route", route) for route in headers.get_all("Route")],
    )
