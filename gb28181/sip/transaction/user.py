"""A transaction under way and its user, the TU of RFC 3261 section 5."""

from typing import Protocol

from gb28181.sip.message import Request, Response
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.invite_client import InviteClientTransaction
from gb28181.sip.transaction.invite_server import InviteServerTransaction
from gb28181.sip.transaction.non_invite_client import NonInviteClientTransaction
from gb28181.sip.transaction.non_invite_server import NonInviteServerTransaction

__all__ = ["AnswerUser", "ClientTransaction", "RequestUser", "ServerTransaction"]


class RequestUser(Protocol):
    """Who sent a request and wants to know what becomes of it."""

    def response_received(
        self, transaction: "ClientTransaction", response: Response, flow: Flow, now: float
    ) -> None:
        """Take a response; for an INVITE also every repeated 2xx."""

    def request_failed(
        self, transaction: "ClientTransaction", failure: Failure, now: float
    ) -> None:
        """Learn that no final response will come."""


class AnswerUser(Protocol):
    """Who answers an INVITE."""

    def ack_received(self, ack: Request, now: float) -> None:
        """Learn of an ACK that came with the branch of an INVITE answered with 2xx."""

    def answer_failed(self, failure: Failure, now: float) -> None:
        """Learn that a refusal was never acknowledged, or that an answer could not be sent."""


class ClientTransaction:
    """A request of ours under way."""

    __slots__ = ("armed", "flow", "key", "machine", "request", "user")

    def __init__(
        self,
        key: str,
        request: Request,
        flow: Flow,
        machine: InviteClientTransaction | NonInviteClientTransaction,
        user: RequestUser,
    ) -> None:
        self.key = key
        self.request = request
        self.flow = flow
        self.machine = machine
        self.user = user
        self.armed: float | None = None


class ServerTransaction:
    """A request of a peer that is being, or has been, answered."""

    __slots__ = ("armed", "flow", "key", "machine", "request", "user")

    def __init__(
        self,
        key: str,
        request: Request,
        flow: Flow,
        machine: InviteServerTransaction | NonInviteServerTransaction,
    ) -> None:
        self.key = key
        self.request: Request | None = request
        """None once it has been answered: only the response bytes are kept."""
        self.flow = flow
        self.machine = machine
        self.user: AnswerUser | None = None
        self.armed: float | None = None

    @property
    def answered(self) -> bool:
        """Whether a final response was given."""
        return self.request is None
