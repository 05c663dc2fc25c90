"""Requests of ours that are neither INVITE nor ACK, and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass

from gb28181.sip.message import Response
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ClientTransaction

__all__ = ["ReportingUser", "RequestFailed", "ResponseReceived", "SilentUser"]


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The final response to a request of ours."""

    transaction: ClientTransaction
    """What sending the request returned."""
    response: Response
    flow: Flow
    """The way the response came."""


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """No final response will come to a request of ours."""

    transaction: ClientTransaction
    """What sending the request returned."""
    failure: Failure


class ReportingUser:
    """Turns the end of a request into an event; provisional responses are dropped."""

    def __init__(self, emit: Callable[[ResponseReceived | RequestFailed], None]) -> None:
        self._emit = emit

    def response_received(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float
    ) -> None:
        """Report a final response."""
        if response.status >= 200:
            self._emit(ResponseReceived(transaction, response, flow))

    def request_failed(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Report the failure."""
        self._emit(RequestFailed(transaction, failure))


class SilentUser:
    """Of requests the stack sends by itself: nobody waits for the answer."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float
    ) -> None:
        """Do nothing."""

    def request_failed(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Do nothing."""
