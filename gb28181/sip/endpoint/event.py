"""What the endpoint tells its user."""

from dataclasses import dataclass

from gb28181.sip.dialog.incoming_invite import IncomingInvite, InviteCancelled
from gb28181.sip.dialog.invite_call import (
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRefused,
)
from gb28181.sip.dialog.invite_session import (
    InviteSession,
    ReinviteCancelled,
    ReinviteConfirmed,
    SessionConfirmed,
    SessionEnded,
)
from gb28181.sip.dialog.notifier import Notifier, NotifierEnded
from gb28181.sip.dialog.reinvite import Reinvite
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.dialog.subscriber import Subscriber, SubscriberEnded
from gb28181.sip.message import Request
from gb28181.sip.transaction.flow import Flow
from gb28181.sip.transaction.user import ServerTransaction

__all__ = ["EndpointStats", "Event", "MessageRefused", "RequestReceived"]


@dataclass(slots=True, eq=False)
class RequestReceived:
    """A request to be answered with `SipEndpoint.respond`, `accept_invite`, `accept_subscribe` or `ignore`.

    There is one of these per keepalive of every device, hence not frozen.
    """

    request: Request
    flow: Flow
    """The way it came, and its answer will go."""
    transaction: ServerTransaction
    invite: IncomingInvite | None = None
    """Set for an INVITE outside a dialog."""
    session: InviteSession | None = None
    """The session whose dialog it came in."""
    reinvite: Reinvite | None = None
    """Set for an INVITE inside a dialog; `respond` answers it, with 200 too."""
    subscription: Subscriber | Notifier | None = None
    """For a NOTIFY or SUBSCRIBE, the subscription whose dialog it came in."""


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A message that got no further than the endpoint."""

    flow: Flow
    status: int | None
    """What it was answered with, if it was."""
    detail: str
    """What was expected, what came and where."""


@dataclass(slots=True)
class EndpointStats:
    """Counters that only rise."""

    received: int = 0
    """Messages and keepalives from the network."""
    keepalives: int = 0
    """Datagrams of blanks that only keep a NAT mapping open."""
    malformed: int = 0
    """Messages that could not be parsed."""
    refused: int = 0
    """Requests answered with an error by the endpoint itself."""
    stray: int = 0
    """Responses and ACKs that belong to nothing."""
    overloaded: int = 0
    """Requests refused with 503 because there are too many already."""


Event = (
    RequestReceived
    | MessageRefused
    | ResponseReceived
    | RequestFailed
    | InviteProgress
    | InviteAccepted
    | InviteRefused
    | InviteFailed
    | InviteCancelled
    | SessionConfirmed
    | SessionEnded
    | ReinviteCancelled
    | ReinviteConfirmed
    | SubscriberEnded
    | NotifierEnded
)
