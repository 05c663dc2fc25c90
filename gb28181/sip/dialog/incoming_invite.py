"""An INVITE of the peer until we answer it finally (RFC 3261 9.2, 13.3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from gb28181.limits import MAX_INVITE_PENDING
from gb28181.sip.build import build_response
from gb28181.sip.dialog.context import DialogContext, UsageKind
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.header.reason import readable_reason
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ServerTransaction

__all__ = ["IncomingInvite", "InviteCancelled"]


@dataclass(frozen=True, slots=True)
class InviteCancelled:
    """The peer gave up before we answered, and 487 has been sent; or it cannot be reached any more."""

    invite: "IncomingInvite"
    reason: str = ""
    """Reason of the peer's CANCEL or BYE (RFC 3326) for people; empty if it gave none."""
    lost: bool = False
    """Whether it did not give up: its connection is gone, or nothing reaches it."""


class IncomingInvite:
    """The callee's side of an INVITE.

    Args:
        context: Shared parts.
        request: The INVITE.
        transaction: Its server transaction.
        flow: The way it came.
        now: Monotonic time in seconds.
    """

    kind = UsageKind.INVITE

    def __init__(
        self,
        context: DialogContext,
        request: Request,
        transaction: ServerTransaction,
        flow: Flow,
        now: float,
    ) -> None:
        self.dialog = Dialog.from_request(request, context.user_agent.new_token(), flow)
        self.began_by: int | None = request.cseq.number
        self.ended = False
        self.session: InviteSession | None = None
        self.armed: float | None = None
        self._context = context
        self._request = request
        self._transaction = transaction
        self._give_up_at = now + MAX_INVITE_PENDING
        transaction.user = self
        context.add(self)
        context.queue.arm(self, self._give_up_at)

    def respond(self, response: Response, now: float) -> None:
        """Send a provisional response or a refusal whose To tag is this dialog's."""
        if self.ended:
            return
        if response.status >= 300:
            self._end()
        self._context.transactions.respond(
            self._transaction, response.status, serialize(response), now
        )

    def refuse_briefly(self, response: Response, now: float) -> None:
        """Send a refusal and keep nothing that waits for its ACK: a stranger's INVITE costs one packet."""
        if self.ended:
            return
        self._end()
        self._context.transactions.respond_briefly(self._transaction, serialize(response), now)

    def accept(
        self, sdp: bytes, now: float, *, headers: Iterable[tuple[str, str]] = ()
    ) -> InviteSession | None:
        """Send 200 with `sdp` and repeat it until the ACK comes; None if it is too late for that."""
        if self.ended:
            return None
        self.ended = True
        contact = self._context.user_agent.contact(self.dialog.flow, self._request.to.user)
        answer = build_response(
            self._request,
            200,
            to_tag=self.dialog.local_tag,
            headers=[("Contact", contact), *headers],
            body=sdp,
            content_type="application/sdp" if sdp else None,
        )
        session = InviteSession(
            self._context,
            self.dialog,
            local_sdp=sdp,
            remote_sdp=self._request.body,
            invited_by=self._request.cseq.number,
        )
        self.session = session
        self._context.add(session)
        data = serialize(answer)
        self._context.transactions.respond(self._transaction, 200, data, now)
        session.await_ack(self._transaction, data, now)
        return session

    def cancel_received(self, now: float, request: Request | None = None) -> None:
        """Answer the INVITE with 487, if it is not answered yet (9.2); `request` is what withdrew it."""
        if self.ended:
            return
        self._refuse(487, now)
        reasons = [] if request is None else request.headers.get_all("Reason")
        self._context.emit(InviteCancelled(self, readable_reason(reasons)))

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Take a BYE or a second INVITE inside the early dialog (15.1.2, 14.2)."""
        if request.method == "BYE":
            self._context.reply(transaction, request, 200, now)
            self.cancel_received(now, request)
            return True
        if request.method == "INVITE":
            self._context.reply(transaction, request, 500, now, headers=[("Retry-After", "1")])
            return True
        return False

    def ack_received(self, ack: Request, now: float) -> None:
        """Take an ACK that came with the branch of the INVITE, as many devices send it."""
        if self.session is not None:
            self.session.ack_received(ack, now)

    def connection_lost(self, now: float) -> None:
        """Do nothing: the transaction tells, see `answer_failed`."""

    def answer_failed(self, failure: Failure, now: float) -> None:
        """Learn that a provisional response could not be sent, or that the connection is gone.

        A refusal that is never acknowledged is over all the same, and a 2xx is the session's.
        """
        if not self.ended:
            self._end()
            self._context.emit(InviteCancelled(self, lost=True))

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return None if self.ended else self._give_up_at

    def handle_timer(self, now: float) -> None:
        """Refuse what the user did not answer in time."""
        if not self.ended and self._give_up_at <= now:
            self._refuse(480, now)
            self._context.emit(InviteCancelled(self))

    def _refuse(self, status: int, now: float) -> None:
        self.respond(build_response(self._request, status, to_tag=self.dialog.local_tag), now)

    def _end(self) -> None:
        self.ended = True
        self._context.remove(self)
        self._context.queue.disarm(self)
