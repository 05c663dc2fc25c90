"""An INVITE session from the 2xx to its end, on either side (RFC 3261 13.3.1.4, 14, 15)."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gb28181.errors import LocalProtocolError
from gb28181.sip.build import build_response
from gb28181.sip.dialog.context import DialogContext, UsageKind
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.dialog.reinvite import Reinvite
from gb28181.sip.header.reason import Reason, readable_reason
from gb28181.sip.message import Request
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ClientTransaction, ServerTransaction

__all__ = [
    "EndCause",
    "InviteSession",
    "ReinviteCancelled",
    "ReinviteConfirmed",
    "SessionConfirmed",
    "SessionEnded",
]

_NO_ACK = Reason(408, "no ACK came to our 200")
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
    """The peer acknowledged our 2xx to its INVITE."""

    session: "InviteSession"
    body: bytes
    """Body of the ACK: the answer, where our 2xx carried the offer."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """An established session is over, and not because we said so."""

    session: "InviteSession"
    cause: EndCause
    reason: str = ""
    """Reason of the peer's BYE (RFC 3326) for people; empty if it gave none."""


@dataclass(frozen=True, slots=True)
class ReinviteConfirmed:
    """The peer acknowledged our 2xx to its re-INVITE."""

    session: "InviteSession"
    reinvite: Reinvite
    body: bytes
    """Body of the ACK: the answer, where our 2xx carried the offer."""


@dataclass(frozen=True, slots=True)
class ReinviteCancelled:
    """The peer withdrew its re-INVITE, or the session ended, before we answered; 487 has been sent."""

    session: "InviteSession"
    reinvite: Reinvite


class InviteSession:
    """An established session. It manages no media.

    Args:
        context: Shared parts.
        dialog: Its dialog.
        local_sdp: The session description we gave.
        remote_sdp: The session description the peer gave.
        invited_by: CSeq number of the peer's INVITE; None if the INVITE was ours.
    """

    kind = UsageKind.INVITE

    def __init__(
        self,
        context: DialogContext,
        dialog: Dialog,
        *,
        local_sdp: bytes,
        remote_sdp: bytes,
        invited_by: int | None = None,
    ) -> None:
        self.dialog = dialog
        self.began_by = invited_by
        self.ended = False
        self.outlives_connection = False
        """Whether it goes on when its connection is lost, for a peer that is known to come back on another."""
        self.delegates_reinvite = False
        """Whether the user answers re-INVITEs. Otherwise one that changes nothing gets our description again."""
        self.armed: float | None = None
        self._context = context
        self._timers = context.transactions.timers
        self._local_sdp = local_sdp
        self._remote_sdp = remote_sdp
        self._deadlines: dict[str, float] = {}
        # The 2xx being repeated until its ACK comes: ours to the INVITE, or to a re-INVITE.
        self._answer: tuple[ServerTransaction, bytes] | None = None
        self._interval = 0.0
        self._confirmed = True
        self._invited_by = invited_by
        self._acked: int | None = None
        """CSeq number of the newest ACK."""
        self._reinvite: Reinvite | None = None
        """The newest re-INVITE, until it has been refused or acknowledged."""

    def await_ack(self, transaction: ServerTransaction, answer: bytes, now: float) -> None:
        """Repeat the 2xx just sent until its ACK comes (13.3.1.4)."""
        self._answer = (transaction, answer)
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

    def bye(
        self, now: float, *, report: bool = True, reason: Reason | None = None
    ) -> ClientTransaction | None:
        """End the session; the outcome of the BYE comes as an event if `report`."""
        if self.ended:
            return None
        self._end(now)
        user = self._context.reporting if report else self._context.silent
        headers = [] if reason is None else [("Reason", reason.serialize())]
        return self._context.request(self.dialog, "BYE", now, user=user, headers=headers)

    def retarget(self, flow: Flow) -> None:
        """Send what follows inside the dialog this way."""
        self._context.move(self, flow)

    def receive_request(
        self, request: Request, transaction: ServerTransaction, flow: Flow, now: float
    ) -> bool:
        """Take BYE and a re-INVITE out of turn; False for what is the user's to answer.

        The order of CSeq numbers is enforced among INVITEs only: devices restart or confuse it.
        """
        if self.ended and request.method not in ("BYE", "INVITE"):
            return False
        # Tags match: the peer itself, perhaps from behind a new NAT mapping.
        self._context.move(self, flow)
        if request.method == "BYE":
            self._context.reply(transaction, request, 200, now)
            if not self.ended:
                self._end(now)
                reason = readable_reason(request.headers.get_all("Reason"))
                self._context.emit(SessionEnded(self, EndCause.BYE, reason))
            return True
        if request.method == "INVITE":
            return self._refuse_reinvite(request, transaction, now)
        return False

    def open_reinvite(
        self, request: Request, transaction: ServerTransaction, now: float
    ) -> Reinvite | None:
        """Return the re-INVITE for the user to answer; None if it has been answered here."""
        reinvite = Reinvite(self._context, self, request, transaction, now)
        self._reinvite, self._invited_by = reinvite, reinvite.number
        contact = request.contact
        if contact is not None and contact.uri != "*":
            self.dialog.target = contact.uri
        if self.delegates_reinvite:
            self._deadlines["reinvite"] = reinvite.give_up_at
            self._context.queue.arm(self, self.next_timer())
            return reinvite
        # No profile of GB/T 28181 uses a re-INVITE. One that changes nothing is a refresh and gets
        # the description again; any other is refused, which leaves the session as it was (14.2).
        if request.body and not _same_media(request.body, self._remote_sdp):
            reinvite.respond(build_response(request, 488), now)
        else:
            reinvite.accept(self._local_sdp, now)
        return None

    def reinvite_accepted(self, reinvite: Reinvite, sdp: bytes, data: bytes, now: float) -> None:
        """Learn of our 2xx to a re-INVITE, and repeat it until its ACK comes."""
        self._deadlines.pop("reinvite", None)
        self._local_sdp = sdp
        self._remote_sdp = reinvite.offer or self._remote_sdp
        self.await_ack(reinvite.transaction, data, now)

    def reinvite_refused(self, reinvite: Reinvite) -> None:
        """Learn that a re-INVITE came to nothing."""
        if self._reinvite is reinvite:
            self._deadlines.pop("reinvite", None)
            self._reinvite = None

    def reinvite_cancelled(self, reinvite: Reinvite) -> None:
        """Learn that a re-INVITE came to nothing, and not by its user."""
        self._context.emit(ReinviteCancelled(self, reinvite))

    def connection_lost(self, now: float) -> None:
        """End: there is no way to the peer any more."""
        if not self.ended and not self.outlives_connection:
            self._end(now)
            self._context.emit(SessionEnded(self, EndCause.CONNECTION_LOST))

    def ack_received(self, ack: Request, now: float) -> None:
        """Stop repeating the 2xx. Only the first ACK to it counts, and none that repeats an earlier one."""
        number, reinvite = ack.cseq.number, self._reinvite
        repeats = reinvite is not None and number == self._acked != reinvite.number
        if self._confirmed or repeats:
            return
        self._confirmed = True
        self._acked = number
        self._answer = self._reinvite = None
        self._remote_sdp = self._remote_sdp or ack.body
        self._deadlines.pop("repeat", None)
        self._deadlines.pop("give_up", None)
        if self.ended:
            return
        if reinvite is None:
            self._context.emit(SessionConfirmed(self, ack.body))
        else:
            self._context.emit(ReinviteConfirmed(self, reinvite, ack.body))

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
            elif timer == "reinvite":
                self._drop_reinvite(480, now)
            else:
                self._context.remove(self)
        self._context.queue.arm(self, self.next_timer())

    def _repeat(self, now: float) -> None:
        if self._answer is None:
            return
        transaction, answer = self._answer
        self._context.transactions.retransmitted += 1
        self._context.transactions.respond(transaction, 200, answer, now)
        self._interval = min(2 * self._interval, self._timers.t2)
        self._deadlines["repeat"] = now + self._interval

    def _give_up(self, now: float) -> None:
        self._answer = None
        self._deadlines.pop("repeat", None)
        if not self.ended:
            self.bye(now, report=False, reason=_NO_ACK)
            self._context.emit(SessionEnded(self, EndCause.NOT_ACKNOWLEDGED))

    def _end(self, now: float) -> None:
        # 15.1.2: what is still to be answered inside the dialog gets 487.
        self._drop_reinvite(487, now)
        self.ended = True
        self._answer = None
        self._deadlines.clear()
        # Linger for requests that crossed our BYE, and for repetitions of the peer's.
        self._deadlines["forget"] = now + self._timers.timeout
        self._context.queue.arm(self, self.next_timer())

    def _drop_reinvite(self, status: int, now: float) -> None:
        if self._reinvite is not None:
            self._reinvite.refuse(status, now)

    def _refuse_reinvite(
        self, request: Request, transaction: ServerTransaction, now: float
    ) -> bool:
        """Refuse a re-INVITE that comes out of turn; False if it does not."""
        retry = [("Retry-After", "1")]
        if self.ended:
            self._context.reply(transaction, request, 481, now)
        elif not self._confirmed and self._offered:
            # Our offer stands unanswered, and here is another one (RFC 3261 14.1, RFC 6337 4.2).
            self._context.reply(transaction, request, 491, now)
        elif not self._confirmed or self._reinvite is not None:
            self._context.reply(transaction, request, 500, now, headers=retry)
        elif self._invited_by is not None and request.cseq.number <= self._invited_by:
            self._context.reply(transaction, request, 500, now)
        else:
            return False
        return True

    @property
    def _offered(self) -> bool:
        """Whether the newest INVITE of the peer had no offer, so that our 2xx carries one."""
        offer = self._remote_sdp if self._reinvite is None else self._reinvite.offer
        return not offer


def _same_media(one: bytes, other: bytes) -> bool:
    # The origin line carries a version that a refresh may raise (RFC 3264 8).
    return _ORIGIN_LINE.sub(b"", one).strip() == _ORIGIN_LINE.sub(b"", other).strip()
