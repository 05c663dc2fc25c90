"""What the awaitable faces of SIP need from the driver."""

from typing import Protocol

from gb28181.sip.endpoint import RequestReceived, SipEndpoint

__all__ = ["SipEngine"]


class SipEngine(Protocol):
    """The driver, seen from requests and dialogs."""

    @property
    def endpoint(self) -> SipEndpoint:
        """The endpoint everything goes through."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""

    def now(self) -> float:
        """Return the endpoint's time."""

    def transmit(self) -> None:
        """Carry out what the last input to the endpoint brought about."""

    def report_crash(self, name: str, error: Exception) -> None:
        """Report an error of a callback."""

    def forget_invite(self, event: RequestReceived) -> None:
        """Learn that an INVITE has been answered: a CANCEL concerns nobody any more."""
