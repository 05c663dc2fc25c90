"""What becomes of requests of ours, to be awaited."""

import asyncio

from gb28181.aio.engine import SipEngine
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.message import Response
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.user import ClientTransaction

__all__ = ["Outcomes", "error_of"]


class Outcomes:
    """The requests somebody waits for, INVITEs apart."""

    def __init__(self, engine: SipEngine) -> None:
        self._engine = engine
        self._waiting: dict[ClientTransaction, asyncio.Future[Response]] = {}

    async def wait(self, transaction: ClientTransaction, what: str, timeout: float) -> Response:
        """Send what was just given to the endpoint and wait for the final response.

        When the wait ends before, the request is forgotten.

        Args:
            transaction: The request.
            what: Method and peer, for the error.
            timeout: Seconds to wait; at most 64*T1 are waited anyhow.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: It could not be sent, or its connection was lost.
        """
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        self._engine.transmit()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise SipTimeout(f"{what}: no answer in {timeout:g} s") from None
        finally:
            del self._waiting[transaction]
            if future.cancelled():
                self._engine.endpoint.abandon(transaction)

    def handle(self, event: ResponseReceived | RequestFailed) -> None:
        """Give an outcome to who waits for it."""
        waiting = self._waiting.get(event.transaction)
        if waiting is None or waiting.done():
            return
        if isinstance(event, ResponseReceived):
            waiting.set_result(event.response)
        else:
            waiting.set_exception(error_of(event.failure))

    def close(self) -> None:
        """Fail whatever is still waited for."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(SipTransportError("the SIP driver is closed"))


def error_of(failure: Failure) -> Exception:
    """Return the exception that says why no final response will come."""
    if failure is Failure.TIMEOUT:
        return SipTimeout("no answer within 64*T1")
    return SipTransportError("it could not be sent, or the connection is gone")
