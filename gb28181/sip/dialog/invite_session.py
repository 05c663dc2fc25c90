"""An INVITE session from the 2xx to its end, on either side (RFC 3261 13.3.1.4, 14, 15)."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gb28181.errors import LocalProtocolError
from gb28181.sip.dialog.context import DialogContext, UsageKind
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.message import Request
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.layer import ClientTransaction, ServerTransaction

__all__ = ["EndCause", "InviteSession", "SessionConfirmed", "SessionEnded"]

_ORIGIN_LINE = re.compile(rb"^o=.*$", re.MULTILINE)


class EndCause(enum.StrEnum):
    """Who or what ended an established session that we did not end."""

    BYE = "bye"
    """The peer sent BYE."""
    NOT_ACKNOWLEDGED = "no_ack"
    """No ACK came to our 2xx within 64*T1; we sent BYE (13.3.1.4)."""
    CONNECTION_LOST = "connection_lost"
    """The connection it lived on is gone."""


@dataclass(frozen=True, slots=True)
class SessionConfirmed:
    """The peer acknowledged our 2xx."""

    session: "InviteSession"


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """An established session is over, and not because we said so."""

    session: "InviteSession"
    cause: EndCause


class InviteSession:
    """An established session. It manages no media.

    Args:
        context: Shared parts.
        dialog: Its dialog.
        local_sdp: The session description we gave.
        remote_sdp: The session description the peer gave.
    """

    kind = UsageKind.INVITE

    def __init__(
        self, context: DialogContext, dialog: Dialog, *, local_sdp: bytes, remote_sdp: bytes
    ) -> None:
        self.dialog = dialog
        self.ended = False
        self.outlives_connection = False
        """Whether it goes on when its connection is lost, for a peer that is known to come back on another."""
        self.armed: float | None = None
        self._context = context
        self._timers = context.transactions.timers
        self._local_sdp = local_sdp
        self._remote_sdp = remote_sdp
        self._deadlines: dict[str, float] = {}
        # The 2xx being repeated until its ACK comes: ours to the INVITE, or to a re-INVITE.
        self._answer: tuple[ServerTransaction, int, bytes] | None = None
        self._interval = 0.0
        self._confirmed = True

    def await_ack(
        self, transaction: ServerTransaction, status: int, answer: bytes, now: float
    ) -> None:
        """Repeat the 2xx just sent until its ACK comes (13.3.1.4)."""
        self._answer = (transaction, status, answer)
        self._interval = self._timers.t1
        self._confirmed = False
        self._deadlines["repeat"] = now + self._interval
        self._deadlines["give_up"] = now + self._timers.timeout
        self._context.queue.arm(self, self.next_timer())

    def request(
        self,
        method: str,
        now: float,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> ClientTransaction:
        """Send INFO, MESSAGE or the like inside the dialog; its outcome comes as an event."""
        if self.ended:
            raise LocalProtocolError(f"{method} inside a dialog that has ended")
        return self._context.request(
            self.dialog,
            method,
            now,
            user=self._context.reporting,
            headers=headers,
            body=body,
            content_type=content_type,
        )

    def bye(self, now: float, *, report: bool = True) -> ClientTransaction | None:
        """End the session; the outcome of the BYE comes as an event if `report`."""
        if self.ended:
            return None
        self._end(now)
        user = self._context.reporting if report else self._context.silent
        return self._context.request(self.dialog, "BYE", now, user=user)

    def retarget(self, flow: Flow) -> None:
        """Send what follows inside the dialog this way."""
        self._context.move(self, flow)

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Take BYE and re-INVITE; False for what is the user's to answer.

        The order of CSeq numbers is not enforced: devices restart or confuse it.
        """
        if self.ended and request.method not in ("BYE", "INVITE"):
            return False
        # Tags match: the peer itself, perhaps from behind a new NAT mapping.
        self._context.move(self, flow)
        if request.method == "BYE":
            self._context.reply(transaction, request, 200, now)
            if not self.ended:
                self._end(now)
                self._context.emit(SessionEnded(self, EndCause.BYE))
            return True
        if request.method == "INVITE":
            self._answer_reinvite(request, transaction, now)
            return True
        return False

    def connection_lost(self, now: float) -> None:
        """End: there is no way to the peer any more."""
        if not self.ended and not self.outlives_connection:
            self._end(now)
            self._context.emit(SessionEnded(self, EndCause.CONNECTION_LOST))

    def ack_received(self, ack: Request, now: float) -> None:
        """Stop repeating the 2xx."""
        if self._confirmed:
            return
        self._confirmed = True
        self._answer = None
        self._deadlines.pop("repeat", None)
        self._deadlines.pop("give_up", None)
        if not self.ended:
            self._context.emit(SessionConfirmed(self))

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return min(self._deadlines.values(), default=None)

    def handle_timer(self, now: float) -> None:
        """Run every timer due at `now`, earliest first."""
        while (due := self.next_timer()) is not None and due <= now:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            del self._deadlines[timer]
            if timer == "repeat":
                self._repeat(due)
            elif timer == "give_up":
                self._give_up(now)
            else:
                self._context.remove(self)
        self._context.queue.arm(self, self.next_timer())

    def _repeat(self, now: float) -> None:
        if self._answer is None:
            return
        transaction, status, answer = self._answer
        self._context.transactions.retransmitted += 1
        self._context.transactions.respond(transaction, status, answer, now)
        self._interval = min(2 * self._interval, self._timers.t2)
        self._deadlines["repeat"] = now + self._interval

    def _give_up(self, now: float) -> None:
        self._answer = None
        self._deadlines.pop("repeat", None)
        if not self.ended:
            self.bye(now, report=False)
            self._context.emit(SessionEnded(self, EndCause.NOT_ACKNOWLEDGED))

    def _end(self, now: float) -> None:
        self.ended = True
        self._answer = None
        self._deadlines.clear()
        # Linger for requests that crossed our BYE, and for repetitions of the peer's.
        self._deadlines["forget"] = now + self._timers.timeout
        self._context.queue.arm(self, self.next_timer())

    def _answer_reinvite(
        self, request: Request, transaction: ServerTransaction, now: float
    ) -> None:
        # No profile of GB/T 28181 uses a re-INVITE. One that changes nothing is a refresh and gets
        # the description again; any other is refused, which leaves the session as it was (14.2).
        if self.ended:
            self._context.reply(transaction, request, 481, now)
        elif not self._confirmed:
            self._context.reply(transaction, request, 500, now, headers=[("Retry-After", "1")])
        elif request.body and not _same_media(request.body, self._remote_sdp):
            self._context.reply(transaction, request, 488, now)
        else:
            user = request.to.user
            contact = self._context.user_agent.contact(self.dialog.flow, user)
            answer = self._context.reply(
                transaction,
                request,
                200,
                now,
                headers=[("Contact", contact)],
                body=self._local_sdp,
                content_type="application/sdp" if self._local_sdp else None,
            )
            self.await_ack(transaction, 200, answer, now)


def _same_media(one: bytes, other: bytes) -> bool:
    # The origin line carries a version that a refresh may raise (RFC 3264 8).
    return _ORIGIN_LINE.sub(b"", one).strip() == _ORIGIN_LINE.sub(b"", other).strip()
