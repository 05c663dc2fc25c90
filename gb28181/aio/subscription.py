"""Subscriptions to be awaited, as subscriber and as notifier.

Requests hand out dialogs and dialogs hand out requests; the type of the latter is a parameter here, since
`gb28181.aio.incoming` builds on this module. Users take `SubscriptionDialog` and `SubscriberDialog` there.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from gb28181.aio.callback import call_back
from gb28181.aio.engine import SipEngine
from gb28181.aio.errors import SipTimeout, SipTransportError, SubscribeRefused
from gb28181.aio.outcome import Outcomes
from gb28181.errors import LocalProtocolError
from gb28181.sip.dialog.notifier import Notifier, NotifierEnded
from gb28181.sip.dialog.subscriber import Subscriber, SubscriberEnded
from gb28181.sip.dialog.subscription import is_terminated
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.message import Response

__all__ = ["MANSCDP", "NotifyingDialog", "SubscribedDialog", "Subscriptions"]

R = TypeVar("R")
"""A request of a peer, to be answered."""


MANSCDP = "Application/MANSCDP+xml"
"""Content-Type of what is notified (GB/T 28181)."""


class NotifyingDialog(Generic[R]):
    """A subscription of a peer; we notify.

    Attributes:
        on_refresh: Called with each SUBSCRIBE inside the dialog, one with Expires 0 included; answer it with
            `respond(200, headers=[("Expires", ...)])`. Without it they go to the driver's own `on_request`.
        on_end: Called once when the subscription ended without us, with a `SubscriptionEnd` value.
    """

    def __init__(self, keeper: "Subscriptions[R]", notifier: Notifier) -> None:
        self._keeper = keeper
        self._notifier = notifier
        self._turn = asyncio.Lock()
        self.on_refresh: Callable[[R], None] | None = None
        self.on_end: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"<SubscriptionDialog {self.call_id} {'ended' if self.ended else 'active'}>"

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self._notifier.dialog.call_id

    @property
    def event(self) -> str:
        """Event as the subscriber wrote it; each NOTIFY repeats it."""
        return self._notifier.event

    @property
    def remote_flow(self) -> Flow:
        """Where the latest SUBSCRIBE came from: NOTIFYs go there."""
        return self._notifier.dialog.flow

    @property
    def ended(self) -> bool:
        """Whether nothing can be notified any more."""
        return self._notifier.ended

    async def notify(
        self,
        body: bytes,
        *,
        state: str,
        content_type: str = MANSCDP,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float = 32.0,
    ) -> Response:
        """Send a NOTIFY and return the final response; calls at the same time go out one after another.

        The subscription ends with 481 and its like, without an answer, and when it cannot be sent; then
        `on_end` is called before this returns or raises. A `state` of `terminated` ends it from our side.

        Args:
            body: Body; empty ones have no Content-Type.
            state: The whole Subscription-State, such as `active;expires=600`.
            content_type: Content-Type of the body.
            headers: Further headers.
            timeout: Seconds to wait, for earlier NOTIFYs and then for the answer.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or the subscription has ended.
        """
        give_up = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(give_up):
                await self._turn.acquire()
        except TimeoutError:
            raise SipTimeout(
                f"NOTIFY to {self.remote_flow.remote[0]}: earlier ones not answered in {timeout:g} s"
            ) from None
        try:
            return await self._keeper.notify(
                self._notifier, body, state, content_type, headers, give_up
            )
        finally:
            self._turn.release()

    def retarget(self, flow: Flow) -> None:
        """Send what follows this way: the subscriber is known to have moved."""
        self._notifier.retarget(flow)

    def close(self) -> None:
        """Forget the dialog without a word; idempotent. A SUBSCRIBE that still comes is answered 481."""
        self._keeper.forget(self._notifier)


class SubscribedDialog(Generic[R]):
    """A subscription of ours; the peer notifies.

    Attributes:
        granted: Seconds in the newest 2xx, as the peer wrote them, or those asked for.
        on_notify: Called with each NOTIFY; answer it with `respond(200)`.
        on_end: Called once when the subscription ended without us, with a `SubscriptionEnd` value. A NOTIFY
            that says `terminated` goes to `on_notify` first.
    """

    def __init__(self, keeper: "Subscriptions[R]", subscriber: Subscriber, granted: int) -> None:
        self._keeper = keeper
        self._subscriber = subscriber
        self._response: Response | None = None
        self.granted = granted
        self.on_notify: Callable[[R], None] | None = None
        self.on_end: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"<SubscriberDialog {self.call_id} {'ended' if self.ended else 'active'}>"

    @property
    def response(self) -> Response:
        """The newest 2xx."""
        if self._response is None:
            raise LocalProtocolError("the SUBSCRIBE has not been answered yet")
        return self._response

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self._subscriber.dialog.call_id

    @property
    def remote_flow(self) -> Flow:
        """Where the peer's latest packet inside the dialog came from."""
        return self._subscriber.dialog.flow

    @property
    def ended(self) -> bool:
        """Whether nothing more will be notified."""
        return self._subscriber.ended

    async def refresh(
        self, *, expires: int, body: bytes | None = None, timeout: float = 32.0
    ) -> Response:
        """SUBSCRIBE inside the dialog and return the final response, whatever its status; 0 cancels.

        After a cancellation the subscription has ended, whatever comes of it. 481 and its like, and no
        answer within 64*T1, end it with `on_end`; any other refusal leaves it as it was.

        Args:
            expires: Seconds to ask for.
            body: Body; None for that of the first SUBSCRIBE.
            timeout: Seconds to wait.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or the subscription has ended.
        """
        response = await self._keeper.refresh(self._subscriber, expires, body, timeout)
        if response.status < 300:
            self.take(response, expires)
        return response

    def take(self, response: Response, asked: int) -> None:
        """Note a 2xx; the keeper calls this."""
        self._response = response
        self.granted = asked if response.expires is None else response.expires

    def retarget(self, flow: Flow) -> None:
        """Send what follows this way: the peer is known to have moved."""
        self._subscriber.retarget(flow)

    def close(self) -> None:
        """Forget the dialog without a word; idempotent. A NOTIFY that still comes is answered 481."""
        self._keeper.forget(self._subscriber)


class Subscriptions(Generic[R]):
    """All subscriptions of one driver."""

    def __init__(self, engine: SipEngine, outcomes: Outcomes) -> None:
        self._engine = engine
        self._outcomes = outcomes
        self._ours: dict[Subscriber, SubscribedDialog[R]] = {}
        self._theirs: dict[Notifier, NotifyingDialog[R]] = {}

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
        headers: Iterable[tuple[str, str]],
        contact: str | None,
        timeout: float,
        on_notify: Callable[[R], None],
        on_end: Callable[[str], None] | None,
    ) -> SubscribedDialog[R]:
        """Subscribe; see `SipClient.subscribe`."""
        engine = self._engine
        subscriber = engine.endpoint.subscribe(
            uri,
            flow=flow,
            from_=from_,
            to=to,
            event=event,
            expires=expires,
            now=engine.now(),
            headers=headers,
            body=body,
            content_type=content_type,
            contact=contact,
        )
        dialog = self._ours[subscriber] = SubscribedDialog(self, subscriber, expires)
        dialog.on_notify, dialog.on_end = on_notify, on_end
        accepted = False
        try:
            response = await self._outcomes.wait(
                subscriber.transaction, f"SUBSCRIBE to {flow.remote[0]}", timeout
            )
            accepted = response.status < 300
        finally:
            if not accepted:
                self.forget(subscriber)
        if not accepted:
            raise SubscribeRefused(response)
        dialog.take(response, expires)
        return dialog

    def accept(
        self,
        event: RequestReceived,
        *,
        expires: int,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str | None,
    ) -> NotifyingDialog[R] | None:
        """Accept a SUBSCRIBE; see `IncomingRequest.accept_subscribe`."""
        notifier = self._engine.endpoint.accept_subscribe(
            event,
            expires=expires,
            now=self._engine.now(),
            headers=headers,
            body=body,
            content_type=content_type,
        )
        if notifier is None:
            return None
        dialog = self._theirs[notifier] = NotifyingDialog(self, notifier)
        self._engine.transmit()
        return dialog

    def of(self, usage: Subscriber | Notifier) -> SubscribedDialog[R] | NotifyingDialog[R] | None:
        """Return the dialog of a subscription."""
        return self._ours.get(usage) if isinstance(usage, Subscriber) else self._theirs.get(usage)

    async def notify(
        self,
        notifier: Notifier,
        body: bytes,
        state: str,
        content_type: str,
        headers: Iterable[tuple[str, str]],
        give_up: float,
    ) -> Response:
        """Send a NOTIFY; see `NotifyingDialog.notify`."""
        engine = self._engine
        if engine.closed:
            raise SipTransportError("the SIP driver is closed")
        if notifier.ended:
            raise SipTransportError("NOTIFY in a subscription that has ended")
        transaction = notifier.notify(
            engine.now(), state=state, headers=headers, body=body, content_type=content_type
        )
        if is_terminated(state):
            self._theirs.pop(notifier, None)
        left = give_up - asyncio.get_running_loop().time()
        try:
            return await self._outcomes.wait(
                transaction, f"NOTIFY to {notifier.dialog.flow.remote[0]}", left
            )
        except SipTimeout:
            notifier.fail(engine.now())
            engine.transmit()
            raise

    async def refresh(
        self, subscriber: Subscriber, expires: int, body: bytes | None, timeout: float
    ) -> Response:
        """Send a SUBSCRIBE inside the dialog; see `SubscribedDialog.refresh`."""
        if self._engine.closed:
            raise SipTransportError("the SIP driver is closed")
        if subscriber.ended:
            raise SipTransportError("SUBSCRIBE inside a subscription that has ended")
        transaction = subscriber.subscribe_again(self._engine.now(), expires=expires, body=body)
        if expires == 0:
            self._ours.pop(subscriber, None)
        return await self._outcomes.wait(
            transaction, f"SUBSCRIBE to {subscriber.dialog.flow.remote[0]}", timeout
        )

    def forget(self, usage: Subscriber | Notifier) -> None:
        """Forget a dialog."""
        if isinstance(usage, Subscriber):
            self._ours.pop(usage, None)
        else:
            self._theirs.pop(usage, None)
        usage.close(self._engine.now())
        self._engine.transmit()

    def handle(self, event: SubscriberEnded | NotifierEnded) -> None:
        """Tell that a subscription ended; the driver calls this."""
        dialog: SubscribedDialog[R] | NotifyingDialog[R] | None
        if isinstance(event, SubscriberEnded):
            dialog = self._ours.pop(event.subscriber, None)
        else:
            dialog = self._theirs.pop(event.notifier, None)
        if dialog is not None:
            call_back(self._engine, "on_end", dialog.on_end, event.cause.value)

    def close(self) -> None:
        """Forget everything."""
        self._ours.clear()
        self._theirs.clear()
