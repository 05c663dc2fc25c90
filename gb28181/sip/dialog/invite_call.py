"""An INVITE of ours until it is answered, and every ACK after that (RFC 3261 9.1, 13.2)."""

import enum
from dataclasses import dataclass

from gb28181.limits import MAX_FORKS
from gb28181.sip.build import build_request
from gb28181.sip.dialog.context import DialogContext
from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ClientTransaction

__all__ = [
    "CallState",
    "InviteAccepted",
    "InviteCall",
    "InviteFailed",
    "InviteProgress",
    "InviteRefused",
]


class CallState(enum.Enum):
    """How far an INVITE of ours got."""

    CALLING = enum.auto()
    """No final response yet."""
    CANCELLING = enum.auto()
    """We lost interest; a 2xx that still comes is acknowledged and ended."""
    ANSWERED = enum.auto()
    """Accepted, refused or failed; only repeated 2xx matter now."""


@dataclass(frozen=True, slots=True)
class InviteProgress:
    """A provisional response."""

    call: "InviteCall"
    response: Response


@dataclass(frozen=True, slots=True)
class InviteAccepted:
    """The first 2xx; it has been acknowledged."""

    call: "InviteCall"
    session: InviteSession
    response: Response


@dataclass(frozen=True, slots=True)
class InviteRefused:
    """A final response other than 2xx; it has been acknowledged."""

    call: "InviteCall"
    response: Response


@dataclass(frozen=True, slots=True)
class InviteFailed:
    """No final response will come."""

    call: "InviteCall"
    failure: Failure


class InviteCall:
    """The caller's side of an INVITE.

    Args:
        context: Shared parts.
        request: The INVITE, complete.
        flow: The way it goes.
        now: Monotonic time in seconds.
    """

    def __init__(self, context: DialogContext, request: Request, flow: Flow, now: float) -> None:
        self.request = request
        self.state = CallState.CALLING
        self.session: InviteSession | None = None
        self.armed: float | None = None
        self._context = context
        self._timers = context.transactions.timers
        self._provisional = False
        self._flow = flow
        self._sent_at = now
        self._cancel_at: float | None = None
        # ACKs by the tag of whom they go to: a forking proxy may bring several 2xx.
        self._acks: dict[str, bytes] = {}
        self._invite = context.transactions.send_request(request, flow, self, now)

    def cancel(self, now: float) -> None:
        """Give up; a CANCEL goes out now or as soon as it cannot overtake the INVITE."""
        if self.state is not CallState.CALLING:
            return
        self.state = CallState.CANCELLING
        self._context.transactions.cancel(self._invite, now)
        # 9.1 waits for a provisional response, lest the CANCEL overtake the INVITE. Devices that
        # never send one would go on opening their stream: after T4 the INVITE is no longer in
        # the network, and the CANCEL goes out all the same.
        if self._provisional or now - self._sent_at >= self._timers.t4:
            self._send_cancel(now)
        else:
            self._cancel_at = self._sent_at + self._timers.t4
            self._context.queue.arm(self, self._cancel_at)

    def hurry(self, now: float) -> None:
        """Send a CANCEL that is held back, since there is no time left to wait."""
        if self._cancel_at is not None:
            self._send_cancel(now)

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return self._cancel_at

    def handle_timer(self, now: float) -> None:
        """Send the CANCEL that was held back."""
        if self._cancel_at is not None and self._cancel_at <= now:
            self._send_cancel(now)

    def response_received(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float
    ) -> None:
        """Take a response to the INVITE."""
        if response.status >= 300:
            cancelled = self.state is CallState.CANCELLING
            self._answered()
            if not cancelled:
                self._context.emit(InviteRefused(self, response))
        elif response.status >= 200:
            self._accepted(response, flow, now)
        else:
            self._provisional = True
            if self._cancel_at is not None:
                self._send_cancel(now)
            elif self.state is CallState.CALLING:
                self._context.emit(InviteProgress(self, response))

    def request_failed(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Learn that no final response to the INVITE will come."""
        cancelled = self.state is CallState.CANCELLING
        self._answered()
        if not cancelled:
            self._context.emit(InviteFailed(self, failure))

    def _accepted(self, response: Response, flow: Flow, now: float) -> None:
        # To the packet source of the 2xx: the Contact of a device behind NAT leads nowhere.
        tag = response.to.tag or ""
        ack = self._acks.get(tag)
        if ack is not None:
            self._context.transactions.send_stateless(ack, flow)
            return
        if len(self._acks) >= MAX_FORKS:
            return
        dialog = Dialog.from_response(self.request, response, flow)
        ack = serialize(
            dialog.build_request(
                "ACK", via=self._context.user_agent.via(flow), cseq=self.request.cseq.number
            )
        )
        wanted = self.state is CallState.CALLING
        self._acks[tag] = ack
        self._context.transactions.send_stateless(ack, flow)
        self._answered()
        session = InviteSession(
            self._context, dialog, local_sdp=self.request.body, remote_sdp=response.body
        )
        if wanted:
            self.session = session
            self._context.add(session)
            self._context.emit(InviteAccepted(self, session, response))
        else:
            # Cancelled too late, or a second branch of a forked call: nobody wants it (13.2.2.4).
            session.bye(now, report=False)

    def _answered(self) -> None:
        self.state = CallState.ANSWERED
        self._cancel_at = None

    def _send_cancel(self, now: float) -> None:
        self._cancel_at = None
        headers = self.request.headers
        cancel = build_request(
            "CANCEL",
            self.request.uri,
            via=headers.get("Via") or "",
            from_=headers.get("From") or "",
            to=headers.get("To") or "",
            call_id=self.request.call_id,
            cseq=self.request.cseq.number,
            headers=[("Route", route) for route in headers.get_all("Route")],
        )
        self._context.transactions.send_request(cancel, self._flow, self._context.silent, now)
