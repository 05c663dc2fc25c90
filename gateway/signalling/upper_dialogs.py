"""Dialogs with upper platforms, in the cascade's terms: subscriptions we serve and calls we take."""

from collections.abc import Callable, Iterable

from gateway.cascade.ports import CallLeg
from gateway.domain.errors import Conflict
from gateway.domain.platform import PlatformConfig
from gateway.signalling.upper import serialize_for
from gb28181.aio.errors import CallCancelled, SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest, InviteDialog, SubscriptionDialog
from gb28181.flow.subject import parse_subject
from gb28181.flow.subscription import active_state, terminated_state
from gb28181.manscdp.message import Content
from gb28181.sip.header.reason import Reason
from gb28181.sip.uri import user_of

__all__ = ["SipCall", "SipLeg", "SipSubscription"]

SDP = "application/sdp"
BYE_WAIT = 3.0
"""Seconds for the answer to a BYE: the session has ended anyhow."""
ALLOWED_INSIDE = "INVITE, ACK, BYE, CANCEL, MESSAGE"
DEFAULT_FORWARDS = 70


class SipSubscription:
    """Implements `UpperSubscription`, and can be closed.

    Args:
        dialog: The notifier's dialog.
        config: The platform, for charset and edition.
        timeout: Seconds to wait for the answer to a NOTIFY.
        moved: Whether we have registered at another address since: whoever subscribed no longer counts then.
    """

    def __init__(
        self,
        dialog: SubscriptionDialog,
        config: PlatformConfig,
        *,
        timeout: float,
        moved: Callable[[], bool] = lambda: False,
    ) -> None:
        self._dialog = dialog
        self._config = config
        self._timeout = timeout
        self._moved = moved

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        """Send NOTIFY and wait for its answer; False if the subscription is gone.

        Any refusal counts: what was not taken would be missing in the platform's picture for ever, while a new
        subscription begins with all that is off-line.
        """
        if self._dialog.ended or self._moved():
            return False
        state = active_state(expires) if expires > 0 else terminated_state(reason or "timeout")
        body = b"" if content is None else serialize_for(self._config, content)
        try:
            response = await self._dialog.notify(body, state=state, timeout=self._timeout)
        except (SipTimeout, SipTransportError):
            return False
        return response.status < 300

    def close(self) -> None:
        """Forget the dialog without a word; idempotent."""
        self._dialog.close()


class SipLeg:
    """Implements `CallLeg` on an INVITE dialog in which we are called."""

    def __init__(self, dialog: InviteDialog) -> None:
        self.on_ack: Callable[[bytes], None] | None = None
        self.on_bye: Callable[[str], None] | None = None
        self.on_reinvite: Callable[[bytes], tuple[int, bytes]] | None = None
        self.on_answer: Callable[[bytes], None] | None = None
        self._dialog = dialog
        dialog.on_ack_body = self._acked
        dialog.on_bye = self._ended
        dialog.on_request = self._inside

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self._dialog.call_id

    @property
    def peer_reason(self) -> str:
        """Reason of the BYE it sent, for people."""
        return self._dialog.peer_reason

    async def bye(self, reason: Reason | None = None) -> None:
        """End it; idempotent, never raises, returns within seconds."""
        await self._dialog.bye(timeout=BYE_WAIT, reason=reason)

    def _acked(self, body: bytes) -> None:
        callback, self.on_ack = self.on_ack, None
        if callback is not None:
            callback(body)

    def _ended(self) -> None:
        if self.on_bye is not None:
            self.on_bye(self._dialog.end_reason or "bye")

    def _inside(self, incoming: IncomingRequest) -> None:
        match incoming.request.method:
            case "INVITE":
                self._reinvited(incoming)
            case "MESSAGE":
                incoming.respond(200)
            case _:
                # INFO steers playback, which a live session has none of.
                incoming.respond(405, headers=[("Allow", ALLOWED_INSIDE)])

    def _reinvited(self, incoming: IncomingRequest) -> None:
        if self.on_reinvite is None:
            incoming.respond(488)
            return
        body = incoming.request.body
        status, sdp = self.on_reinvite(body)
        if status >= 300:
            incoming.respond(status)
            return
        if not body.strip():
            incoming.on_ack = self._answered
        incoming.respond(status, body=sdp, content_type=SDP)

    def _answered(self, body: bytes) -> None:
        if self.on_answer is not None:
            self.on_answer(body)


class SipCall:
    """Implements `IncomingCall` on an INVITE that waits for its answer.

    Args:
        incoming: The INVITE.
        own_id: Our code there: an INVITE addressed to it names the channel in Subject.
    """

    def __init__(self, incoming: IncomingRequest, *, own_id: str) -> None:
        self.on_cancel: Callable[[], None] | None = None
        self._incoming = incoming
        self._target = _target(incoming, own_id)
        incoming.on_cancel = self._cancel

    @property
    def target(self) -> str:
        """Code of the channel."""
        return self._target

    @property
    def sdp(self) -> bytes:
        """The offer; empty if the INVITE has none."""
        return self._incoming.request.body

    @property
    def subject(self) -> str:
        """Subject header as sent, or empty."""
        return self._header("Subject")

    @property
    def identity(self) -> str | None:
        """Monitor-User-Identity as sent, None if absent."""
        return self._incoming.request.headers.get("Monitor-User-Identity")

    @property
    def route_path(self) -> str:
        """X-RoutePath or X-PreferredPath as sent, or empty."""
        return self._header("X-PreferredPath") or self._header("X-RoutePath")

    @property
    def max_forwards(self) -> int:
        """Max-Forwards; 70 if absent."""
        found = self._incoming.request.max_forwards
        return DEFAULT_FORWARDS if found is None else found

    @property
    def source(self) -> str:
        """Host it came from."""
        return self._incoming.flow.remote[0]

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._incoming.cancelled

    @property
    def cancel_reason(self) -> str:
        """Reason of the CANCEL, for people."""
        return self._incoming.cancel_reason

    @property
    def peer_lost(self) -> bool:
        """Whether it was not the upper's wish: it cannot be reached any more."""
        return self._incoming.peer_lost

    def refuse(
        self, status: int, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer with a failure; ignored after CANCEL."""
        if not self._incoming.cancelled and not self._incoming.answered:
            self._incoming.respond(status, reason, headers=headers)

    def accept(self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> CallLeg:
        """Answer 200 with the answer, or with our offer.

        Raises:
            Conflict: `cancelled`.
        """
        try:
            return SipLeg(self._incoming.accept_invite(sdp, headers=headers))
        except CallCancelled as exc:
            raise Conflict("cancelled", "The INVITE was cancelled meanwhile") from exc

    def _cancel(self) -> None:
        if self.on_cancel is not None:
            self.on_cancel()

    def _header(self, name: str) -> str:
        return self._incoming.request.headers.get(name) or ""


def _target(incoming: IncomingRequest, own_id: str) -> str:
    request = incoming.request
    user = user_of(request.uri) or request.to.user
    if user == own_id:
        subject = parse_subject(request.headers.get("Subject"))
        return subject.sender_id if subject is not None else user
    return user
