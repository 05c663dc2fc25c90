"""A request of a peer, to be answered."""

from collections.abc import Callable, Iterable

from gb28181.aio.client import InviteDialog, SipClient
from gb28181.aio.engine import SipEngine
from gb28181.aio.errors import CallCancelled
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.message import Request

__all__ = ["IncomingRequest"]


class IncomingRequest:
    """One request; answer it in the handler or later, once.

    Attributes:
        request: The request, its topmost Via stamped with the packet source.
        flow: The way it came.
        dialog: The dialog it came in, if any.
        cancelled: Whether the peer withdrew its INVITE; 487 has been sent then.
        on_cancel: Called when that happens.
    """

    __slots__ = (
        "_client",
        "_engine",
        "_event",
        "cancelled",
        "dialog",
        "flow",
        "on_cancel",
        "request",
    )

    def __init__(
        self,
        engine: SipEngine,
        client: SipClient,
        event: RequestReceived,
        dialog: InviteDialog | None,
    ) -> None:
        self._engine = engine
        self._client = client
        self._event = event
        self.request: Request = event.request
        self.flow: Flow = event.flow
        self.dialog = dialog
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<IncomingRequest {self.request.method} from {self.flow.remote[0]}>"

    @property
    def answered(self) -> bool:
        """Whether a final response has been given."""
        return self._event.transaction.answered

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        stateless: bool = False,
    ) -> None:
        """Answer; after a final answer nothing more is sent.

        Args:
            status: Any status; the 2xx of an INVITE is `accept_invite`'s.
            reason: Instead of the standard reason phrase.
            headers: Further headers.
            body: Body.
            content_type: Content-Type of the body.
            stateless: Remember nothing, as for a challenge: a retransmission will be a new request.
        """
        if status >= 200:
            self._engine.forget_invite(self._event)
        self._engine.endpoint.respond(
            self._event,
            status,
            reason,
            now=self._engine.now(),
            headers=headers,
            body=body,
            content_type=content_type,
            stateless=stateless,
        )
        self._engine.transmit()

    def ignore(self) -> None:
        """Give no answer and remember nothing, as towards a flood."""
        self._engine.endpoint.ignore(self._event)

    def accept_invite(self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> InviteDialog:
        """Answer an INVITE with 200 and return the dialog; set its callbacks before awaiting anything.

        Raises:
            CallCancelled: The peer withdrew it, or it has been answered.
        """
        self._engine.forget_invite(self._event)
        session = self._engine.endpoint.accept_invite(
            self._event, sdp, now=self._engine.now(), headers=headers
        )
        if session is None:
            raise CallCancelled("the INVITE was cancelled or answered before")
        dialog = self.dialog = self._client.adopt(session)
        self._engine.transmit()
        return dialog

    def cancel(self) -> None:
        """Note that the peer withdrew the INVITE; the driver calls this."""
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()
