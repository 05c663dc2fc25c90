"""Requests and INVITE dialogs to be awaited."""

from collections.abc import Callable, Iterable

from gb28181.aio.callback import call_back
from gb28181.aio.engine import SipEngine
from gb28181.aio.errors import InviteRefused, SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest, InviteDialog, SubscriberDialog
from gb28181.aio.invitation import Invitations
from gb28181.aio.outcome import Outcomes
from gb28181.aio.subscription import Subscriptions
from gb28181.sip.dialog.invite_call import (
    InviteAccepted,
    InviteFailed,
    InviteProgress,
)
from gb28181.sip.dialog.invite_call import InviteRefused as InviteRefusedEvent
from gb28181.sip.dialog.invite_session import (
    InviteSession,
    ReinviteCancelled,
    ReinviteConfirmed,
    SessionConfirmed,
    SessionEnded,
)
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.endpoint import Flow
from gb28181.sip.header.reason import Reason
from gb28181.sip.message import Response

__all__ = ["ClientEvent", "InviteDialog", "InviteRefused", "SipClient"]

ClientEvent = (
    ResponseReceived
    | RequestFailed
    | InviteProgress
    | InviteAccepted
    | InviteRefusedEvent
    | InviteFailed
    | SessionConfirmed
    | SessionEnded
    | ReinviteCancelled
    | ReinviteConfirmed
)
"""The events of the endpoint that somebody here waits for."""


class SipClient:
    """Sends requests and waits for what becomes of them; made by the driver."""

    def __init__(self, engine: SipEngine) -> None:
        self._engine = engine
        self._outcomes = Outcomes(engine)
        self.subscriptions: Subscriptions[IncomingRequest] = Subscriptions(engine, self._outcomes)
        """The subscriptions of both roles; the driver and `IncomingRequest` use this."""
        self._dialogs: dict[InviteSession, InviteDialog] = {}
        self._invitations = Invitations(engine, adopt=self.adopt, drop=self._drop)

    async def request(
        self,
        method: str,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        timeout: float = 32.0,
        call_id: str | None = None,
        from_tag: str | None = None,
        cseq: int = 1,
    ) -> Response:
        """Send a request outside a dialog and return the final response, whatever its status.

        Args:
            method: Any but INVITE, ACK and CANCEL.
            uri: Request-URI.
            flow: The way it goes; one with a connection goes on that connection or not at all. On a UDP
                flow it stays UDP however long it is, in fragments beyond the path's MTU: RFC 3261 18.1.1
                asks for TCP above 1,300 bytes, but a peer behind NAT cannot be dialled. Who has long
                bodies to send splits them, or is given a flow with a connection.
            from_: From value without tag, e.g. `<sip:ID@domain>`.
            to: To value without tag.
            headers: Further headers.
            body: Body.
            content_type: Content-Type of the body.
            timeout: Seconds to wait; at most 64*T1 are waited anyhow.
            call_id: Instead of a new one, for the REGISTERs of one registration.
            from_tag: Likewise.
            cseq: Likewise.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or its connection was lost.
        """
        self._check_open()
        transaction = self._engine.endpoint.request(
            method,
            uri,
            flow=flow,
            from_=from_,
            to=to,
            now=self._engine.now(),
            headers=headers,
            body=body,
            content_type=content_type,
            call_id=call_id,
            from_tag=from_tag,
            cseq=cseq,
        )
        return await self._outcomes.wait(transaction, f"{method} to {flow.remote[0]}", timeout)

    async def invite(
        self,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        sdp: bytes,
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = None,
        timeout: float,
        on_provisional: Callable[[Response], None] | None = None,
        on_bye: Callable[[InviteDialog], None] | None = None,
        outlives_connection: bool = False,
    ) -> InviteDialog:
        """Send an INVITE and return the dialog once it is accepted; the ACK has been sent then.

        At `timeout`, and when the caller is cancelled, the INVITE is cancelled; a 2xx that comes
        all the same is acknowledged and ended with BYE. 401 and 407 are not answered.

        Args:
            uri: Request-URI.
            flow: The way it goes.
            from_: From value without tag.
            to: To value without tag.
            sdp: The offer.
            headers: Further headers, such as Subject.
            contact: Contact value instead of one made from `from_` and the local address.
            timeout: Seconds to wait for the final response.
            on_provisional: Called with each provisional response.
            on_bye: Becomes `InviteDialog.on_bye`, called with the dialog: a device may end it before this returns.
            outlives_connection: Becomes `InviteDialog.outlives_connection`.

        Raises:
            InviteRefused: The final response was not a 2xx.
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or its connection was lost.
        """
        self._check_open()
        return await self._invitations.invite(
            uri,
            flow=flow,
            from_=from_,
            to=to,
            sdp=sdp,
            headers=headers,
            contact=contact,
            timeout=timeout,
            on_provisional=on_provisional,
            on_bye=on_bye,
            outlives_connection=outlives_connection,
        )

    async def subscribe(
        self,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        event: str,
        expires: int,
        body: bytes,
        content_type: str,
        on_notify: Callable[[IncomingRequest], None],
        on_end: Callable[[str], None] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = None,
        timeout: float = 32.0,
    ) -> SubscriberDialog:
        """Subscribe and return the dialog once the SUBSCRIBE is accepted (RFC 6665 4.1).

        When the wait ends before, nothing is left: a peer that accepts all the same gets 481 to its NOTIFY.

        Args:
            uri: Request-URI.
            flow: The way it goes.
            from_: From value without tag.
            to: To value without tag.
            event: Event header; each refresh repeats it.
            expires: Seconds to ask for.
            body: Body; a refresh repeats it unless it has one of its own.
            content_type: Content-Type of the body.
            on_notify: Becomes `SubscriberDialog.on_notify`; may be called before this returns.
            on_end: Becomes `SubscriberDialog.on_end`; likewise.
            headers: Further headers; each refresh repeats them.
            contact: Contact value instead of one made from `from_` and the local address.
            timeout: Seconds to wait for the final response.

        Raises:
            SubscribeRefused: The final response was not a 2xx.
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or its connection was lost.
        """
        self._check_open()
        return await self.subscriptions.subscribe(
            uri,
            flow=flow,
            from_=from_,
            to=to,
            event=event,
            expires=expires,
            body=body,
            content_type=content_type,
            headers=headers,
            contact=contact,
            timeout=timeout,
            on_notify=on_notify,
            on_end=on_end,
        )

    def adopt(self, session: InviteSession, response: Response | None = None) -> InviteDialog:
        """Make the dialog of a session; the driver and `IncomingRequest` call this."""
        dialog = self._dialogs[session] = InviteDialog(self, session, response)
        return dialog

    def dialog_of(self, session: InviteSession) -> InviteDialog | None:
        """Return the dialog of a session."""
        return self._dialogs.get(session)

    async def hang_up(
        self, session: InviteSession, timeout: float, reason: Reason | None = None
    ) -> None:
        """End a session; see `InviteDialog.bye`."""
        self._dialogs.pop(session, None)
        closed = self._engine.closed
        transaction = session.bye(self._engine.now(), report=not closed, reason=reason)
        if closed or transaction is None:
            return
        try:
            await self._outcomes.wait(transaction, "BYE", timeout)
        except (SipTimeout, SipTransportError):
            return

    async def request_inside(
        self,
        session: InviteSession,
        method: str,
        *,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str | None,
        timeout: float,
    ) -> Response:
        """Send a request inside a dialog; see `InviteDialog.request`."""
        self._check_open()
        if session.ended:
            raise SipTransportError(f"{method} inside a dialog that has ended")
        transaction = session.request(
            method, self._engine.now(), headers=headers, body=body, content_type=content_type
        )
        return await self._outcomes.wait(transaction, f"{method} inside the dialog", timeout)

    def handle(self, event: ClientEvent) -> None:
        """Give an event of the endpoint to who waits for it; the driver calls this."""
        match event:
            case ResponseReceived() | RequestFailed():
                self._outcomes.handle(event)
            case SessionConfirmed() | SessionEnded() | ReinviteCancelled() | ReinviteConfirmed():
                self._handle_dialog(event)
            case _:
                self._invitations.handle(event)

    async def settle(self, timeout: float) -> None:
        """Before closing: let the calls that were given up end, so that no device goes on streaming.

        CANCELs still held back go out at once; a 2xx that comes all the same is acknowledged and ended
        with BYE. Returns when no such call is left, at the latest after `timeout` seconds.
        """
        await self._invitations.settle(timeout)

    def close(self) -> None:
        """Fail whatever is still waited for."""
        self._outcomes.close()
        self._invitations.close()
        self._dialogs.clear()
        self.subscriptions.close()

    def _handle_dialog(
        self, event: SessionConfirmed | SessionEnded | ReinviteCancelled | ReinviteConfirmed
    ) -> None:
        dialog = self._dialogs.get(event.session)
        if dialog is None:
            return
        match event:
            case SessionConfirmed(_, body):
                dialog.ack_body = body
                call_back(self._engine, "on_ack", dialog.on_ack)
                call_back(self._engine, "on_ack_body", dialog.on_ack_body, body)
            case SessionEnded(session, cause, reason):
                del self._dialogs[session]
                dialog.end_reason, dialog.peer_reason = cause.value, reason
                call_back(self._engine, "on_bye", dialog.on_bye)
            case ReinviteCancelled():
                incoming, dialog.reinvite = dialog.reinvite, None
                if incoming is not None:
                    call_back(self._engine, "on_cancel", incoming.cancel)
            case ReinviteConfirmed(_, _, body):
                incoming, dialog.reinvite = dialog.reinvite, None
                if incoming is not None:
                    call_back(self._engine, "on_ack", incoming.on_ack, body)

    def _drop(self, session: InviteSession) -> None:
        self._dialogs.pop(session, None)
        session.bye(self._engine.now(), report=False)

    def _check_open(self) -> None:
        if self._engine.closed:
            raise SipTransportError("the SIP driver is closed")
