"""What the usages of dialogs share: the transactions, the deadlines, the table of dialogs."""

import enum
from collections.abc import Callable, Iterable
from typing import Protocol

from gb28181.sip.build import build_response
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.dialog.request import ReportingUser, RequestFailed, ResponseReceived, SilentUser
from gb28181.sip.dialog.user_agent import UserAgent
from gb28181.sip.message import Request
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.deadlines import DeadlineQueue
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.layer import TransactionLayer
from gb28181.sip.transaction.user import ClientTransaction, RequestUser, ServerTransaction

__all__ = ["DialogContext", "Usage", "UsageKind"]

_HOP_METHODS = ("BYE", "ACK", "INFO", "NOTIFY")
"""Requests of a dialog that may be placed in it even with wrong tags, from the peer's own address."""


class UsageKind(enum.Enum):
    """What a dialog is for; the kinds are counted and bounded apart."""

    INVITE = enum.auto()
    SUBSCRIPTION = enum.auto()


class Usage(Protocol):
    """Something that owns a dialog and its deadlines."""

    armed: float | None

    @property
    def kind(self) -> UsageKind:
        """What the dialog is for."""

    @property
    def dialog(self) -> Dialog:
        """The dialog it owns."""

    @property
    def began_by(self) -> int | None:
        """CSeq number of the peer's INVITE it came of; None if it came of anything else."""

    @property
    def ended(self) -> bool:
        """Whether it lingers only for what the network still holds."""

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Take a request inside the dialog; False if it is the user's to answer."""

    def ack_received(self, ack: Request, now: float) -> None:
        """Take an ACK inside the dialog."""

    def connection_lost(self, now: float) -> None:
        """Learn that the connection the dialog lives on is gone."""

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""

    def handle_timer(self, now: float) -> None:
        """Run what is due."""


class Timed(Protocol):
    """The part of a usage the deadlines need; a call has no dialog yet."""

    armed: float | None

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""

    def handle_timer(self, now: float) -> None:
        """Run what is due."""


class DialogContext:
    """Holds the dialogs by Call-ID and local tag, and does what all usages need.

    The local tag is ours and unguessable: whoever repeats it is the peer, so two devices that
    use the same Call-ID never meet here.
    """

    def __init__(
        self,
        transactions: TransactionLayer,
        user_agent: UserAgent,
        emit: Callable[[object], None],
        emit_outcome: Callable[[ResponseReceived | RequestFailed], None],
    ) -> None:
        self.transactions = transactions
        self.user_agent = user_agent
        self.emit = emit
        self.reporting = ReportingUser(emit_outcome)
        self.silent = SilentUser()
        self.queue: DeadlineQueue[Timed] = DeadlineQueue()
        self._dialogs: dict[str, dict[str, Usage]] = {}
        self._of_kind: dict[UsageKind, dict[Usage, None]] = {kind: {} for kind in UsageKind}
        self._by_connection: dict[int, dict[Usage, None]] = {}

    @property
    def held(self) -> int:
        """Dialogs in memory, ended ones that linger included."""
        return sum(map(len, self._of_kind.values()))

    def held_of(self, kind: UsageKind) -> int:
        """Dialogs of one kind in memory."""
        return len(self._of_kind[kind])

    @property
    def active(self) -> int:
        """INVITE dialogs that have not ended."""
        return sum(not usage.ended for usage in self._of_kind[UsageKind.INVITE])

    @property
    def subscriptions(self) -> int:
        """Subscriptions of either role that have not ended."""
        return sum(not usage.ended for usage in self._of_kind[UsageKind.SUBSCRIPTION])

    def add(self, usage: Usage) -> None:
        """File a usage under its dialog, in place of the one that made it."""
        dialog = usage.dialog
        own = self._dialogs.setdefault(dialog.call_id, {})
        former = own.get(dialog.local_tag)
        if former is not None:
            self._take_out(former)
        own[dialog.local_tag] = usage
        self._of_kind[usage.kind][usage] = None
        if dialog.flow.connection is not None:
            self._by_connection.setdefault(dialog.flow.connection, {})[usage] = None

    def remove(self, usage: Usage) -> None:
        """Forget a usage."""
        call_id, tag = usage.dialog.call_id, usage.dialog.local_tag
        own = self._dialogs.get(call_id, {})
        if own.get(tag) is usage:
            del own[tag]
            self._take_out(usage)
            if not own:
                del self._dialogs[call_id]

    def move(self, usage: Usage, flow: Flow) -> None:
        """Send what follows inside a dialog this way."""
        dialog = usage.dialog
        if dialog.flow is flow or dialog.flow == flow:
            return
        filed = usage in self._of_kind[usage.kind]
        self._leave_connection(usage)
        dialog.flow = flow
        if filed and flow.connection is not None:
            self._by_connection.setdefault(flow.connection, {})[usage] = None

    def connection_lost(self, connection: int, now: float) -> None:
        """End the dialogs that live on a connection, unless they outlive it."""
        for usage in self._by_connection.pop(connection, {}):
            usage.connection_lost(now)

    def is_merged(self, request: Request, flow: Flow) -> bool:
        """Whether an INVITE is one that came before under another branch, answered or not (8.2.2.2).

        From the same peer at the same address only: two devices may use the same Call-ID and tag, also behind one
        NAT. Not where that one is over: some begin anew with all they had, as soon as their BYE is answered.
        """
        own = self._dialogs.get(request.call_id)
        if own is None:
            return False
        peer, number = request.headers.get("From"), request.cseq.number
        return any(
            usage.began_by == number
            and not usage.ended
            and usage.dialog.remote == peer
            and usage.dialog.flow.remote[0] == flow.remote[0]
            for usage in own.values()
        )

    def find(self, request: Request, flow: Flow) -> Usage | None:
        """Return the usage whose dialog `request` is in (12.2.2)."""
        own = self._dialogs.get(request.call_id)
        if own is None:
            return None
        from_tag = request.from_.tag or ""
        usage = own.get(request.to.tag or "")
        if usage is not None and usage.dialog.remote_tag in (None, from_tag):
            return usage
        if request.method in _HOP_METHODS and len(own) == 1:
            # Devices lose or rewrite tags. From the peer's own address the Call-ID is enough.
            (only,) = own.values()
            wrong_kind = request.method == "NOTIFY" and only.kind is not UsageKind.SUBSCRIPTION
            if only.dialog.flow.remote[0] == flow.remote[0] and not only.ended and not wrong_kind:
                return only
        return None

    def reply(
        self,
        transaction: ServerTransaction,
        request: Request,
        status: int,
        now: float,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> bytes:
        """Answer a request inside a dialog; return the bytes."""
        response = build_response(
            request,
            status,
            to_tag=to_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        data = serialize(response)
        self.transactions.respond(transaction, status, data, now)
        return data

    def request(
        self,
        dialog: Dialog,
        method: str,
        now: float,
        *,
        user: RequestUser,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> ClientTransaction:
        """Send a request inside a dialog."""
        request = dialog.build_request(
            method,
            via=self.user_agent.via(dialog.flow),
            headers=headers,
            body=body,
            content_type=content_type,
        )
        return self.transactions.send_request(request, dialog.flow, user, now)

    def _take_out(self, usage: Usage) -> None:
        del self._of_kind[usage.kind][usage]
        self._leave_connection(usage)

    def _leave_connection(self, usage: Usage) -> None:
        connection = usage.dialog.flow.connection
        if connection is not None and (own := self._by_connection.get(connection)) is not None:
            own.pop(usage, None)
            if not own:
                del self._by_connection[connection]
