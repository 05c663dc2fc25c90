"""INVITEs of ours outside a dialog, each awaited until it is accepted, refused or given up (RFC 3261 13.2)."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gb28181.aio import errors
from gb28181.aio.callback import call_back
from gb28181.aio.engine import SipEngine
from gb28181.aio.incoming import InviteDialog
from gb28181.aio.outcome import error_of
from gb28181.sip.dialog.invite_call import (
    InviteAccepted,
    InviteCall,
    InviteFailed,
    InviteProgress,
    InviteRefused,
)
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.endpoint import Flow
from gb28181.sip.message import Response

__all__ = ["Invitations"]

_SETTLE_INTERVAL = 0.02


@dataclass(slots=True, eq=False)
class _Call:
    """An INVITE somebody awaits."""

    future: asyncio.Future[InviteDialog]
    on_provisional: Callable[[Response], None] | None
    on_bye: Callable[[InviteDialog], None] | None
    outlives_connection: bool


class Invitations:
    """The INVITEs under way; `SipClient` owns it and the dialogs they become.

    Args:
        engine: The driver.
        adopt: Makes the dialog of a session.
        drop: Ends the session of a dialog that nobody wants any more, and forgets the dialog.
    """

    def __init__(
        self,
        engine: SipEngine,
        *,
        adopt: Callable[[InviteSession, Response], InviteDialog],
        drop: Callable[[InviteSession], None],
    ) -> None:
        self._engine = engine
        self._adopt = adopt
        self._drop = drop
        self._calls: dict[InviteCall, _Call] = {}

    async def invite(
        self,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        sdp: bytes,
        headers: Iterable[tuple[str, str]],
        contact: str | None,
        timeout: float,
        on_provisional: Callable[[Response], None] | None,
        on_bye: Callable[[InviteDialog], None] | None,
        outlives_connection: bool,
    ) -> InviteDialog:
        """Send an INVITE and wait for its dialog; see `SipClient.invite`."""
        engine = self._engine
        call = engine.endpoint.invite(
            uri,
            flow=flow,
            from_=from_,
            to=to,
            sdp=sdp,
            now=engine.now(),
            headers=headers,
            contact=contact,
        )
        future: asyncio.Future[InviteDialog] = asyncio.get_running_loop().create_future()
        self._calls[call] = _Call(future, on_provisional, on_bye, outlives_connection)
        engine.transmit()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            self._withdraw(call, future)
            raise errors.SipTimeout(
                f"INVITE to {flow.remote[0]}: no final response in {timeout:g} s"
            ) from None
        except asyncio.CancelledError:
            self._withdraw(call, future)
            raise
        finally:
            self._calls.pop(call, None)

    def handle(self, event: InviteProgress | InviteAccepted | InviteRefused | InviteFailed) -> None:
        """Give an event of the endpoint to who waits for it."""
        call = self._calls.get(event.call)
        if call is None or call.future.done():
            if isinstance(event, InviteAccepted):
                self._drop(event.session)
            return
        match event:
            case InviteProgress(_, response):
                call_back(self._engine, "on_provisional", call.on_provisional, response)
            case InviteAccepted(_, session, response):
                dialog = self._adopt(session, response)
                if call.on_bye is not None:
                    dialog.on_bye = partial(call.on_bye, dialog)
                dialog.outlives_connection = call.outlives_connection
                call.future.set_result(dialog)
            case InviteRefused(_, response):
                call.future.set_exception(errors.InviteRefused(response))
            case InviteFailed(_, failure):
                call.future.set_exception(error_of(failure))

    async def settle(self, timeout: float) -> None:
        """Let the calls that were given up end; see `SipClient.settle`."""
        engine = self._engine
        for call in engine.endpoint.cancelled_calls():
            call.hurry(engine.now())
        engine.transmit()
        give_up = engine.now() + timeout
        # Only at the end of a process: not worth an event for each of these calls.
        while engine.endpoint.cancelled_calls() and engine.now() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_SETTLE_INTERVAL)

    def close(self) -> None:
        """Fail whatever is still waited for."""
        for call in self._calls.values():
            if not call.future.done():
                call.future.set_exception(errors.SipTransportError("the SIP driver is closed"))

    def _withdraw(self, call: InviteCall, future: asyncio.Future[InviteDialog]) -> None:
        if future.cancelled():
            call.cancel(self._engine.now())
        elif future.exception() is None and call.session is not None:
            # Accepted in the very moment the caller gave up.
            self._drop(call.session)
        self._engine.transmit()
