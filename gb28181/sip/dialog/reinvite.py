"""A re-INVITE of the peer, from its arrival to its ACK (RFC 3261 14.2)."""

from collections.abc import Iterable
from typing import Protocol

from gb28181.limits import MAX_INVITE_PENDING
from gb28181.sip.build import build_response
from gb28181.sip.dialog.context import DialogContext
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.user import ServerTransaction

__all__ = ["Reinvite"]


class ReinvitedSession(Protocol):
    """The session a re-INVITE came in."""

    @property
    def dialog(self) -> Dialog:
        """Its dialog."""

    def reinvite_accepted(self, reinvite: "Reinvite", sdp: bytes, data: bytes, now: float) -> None:
        """Learn of our 2xx, which is to be repeated until its ACK comes."""

    def reinvite_refused(self, reinvite: "Reinvite") -> None:
        """Learn that it came to nothing; the session is as it was."""

    def reinvite_cancelled(self, reinvite: "Reinvite") -> None:
        """Learn that it came to nothing, and not by its user."""

    def ack_received(self, ack: Request, now: float) -> None:
        """Take an ACK inside the dialog."""


class Reinvite:
    """The callee's side of a re-INVITE.

    Args:
        context: Shared parts.
        session: The session it came in.
        request: The INVITE.
        transaction: Its server transaction.
        now: Monotonic time in seconds.
    """

    def __init__(
        self,
        context: DialogContext,
        session: ReinvitedSession,
        request: Request,
        transaction: ServerTransaction,
        now: float,
    ) -> None:
        self.session = session
        self.number = request.cseq.number
        """CSeq number, by which its ACK is told from a late one."""
        self.offer = request.body
        self.give_up_at = now + MAX_INVITE_PENDING
        self.ended = False
        """Whether it has been answered finally."""
        self.transaction = transaction
        self._context = context
        self._request = request
        transaction.user = self

    def respond(self, response: Response, now: float) -> None:
        """Send a provisional response or a refusal."""
        if self.ended:
            return
        if response.status >= 300:
            self._refused()
        self._context.transactions.respond(
            self.transaction, response.status, serialize(response), now
        )

    def accept(self, sdp: bytes, now: float, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send 200 with `sdp`; the session repeats it until the ACK comes."""
        if self.ended:
            return
        self.ended = True
        agent, dialog = self._context.user_agent, self.session.dialog
        answer = build_response(
            self._request,
            200,
            to_tag=dialog.local_tag,
            headers=[("Contact", agent.contact(dialog.flow, self._request.to.user)), *headers],
            body=sdp,
            content_type="application/sdp" if sdp else None,
        )
        data = serialize(answer)
        self._context.transactions.respond(self.transaction, 200, data, now)
        self.session.reinvite_accepted(self, sdp, data, now)

    def cancel_received(self, now: float, request: Request | None = None) -> None:
        """Answer with 487 (9.2), if it is not answered yet."""
        self.refuse(487, now)

    def refuse(self, status: int, now: float) -> None:
        """Refuse on behalf of the user, who is told."""
        if self.ended:
            return
        tag = self.session.dialog.local_tag
        self.respond(build_response(self._request, status, to_tag=tag), now)
        self.session.reinvite_cancelled(self)

    def ack_received(self, ack: Request, now: float) -> None:
        """Take an ACK that came with the branch of the re-INVITE, as many devices send it."""
        self.session.ack_received(ack, now)

    def answer_failed(self, failure: Failure, now: float) -> None:
        """Learn that a provisional response could not be sent, or that the connection is gone."""
        if not self.ended:
            self._refused()
            self.session.reinvite_cancelled(self)

    def _refused(self) -> None:
        self.ended = True
        self.session.reinvite_refused(self)
