"""What the two sides of a subscription share (RFC 6665 4; GB/T 28181 subscribes by its rules).

How long a subscription lasts and when it is refreshed is not decided in these modules: see
`gb28181.flow.subscribe`.
"""

import enum

from gb28181.sip.dialog.dialog import Dialog
from gb28181.sip.message import Request, Response

__all__ = ["DEADLY", "SubscriptionEnd", "is_terminated", "refresh_target", "unsent_cause"]

DEADLY = frozenset({404, 405, 408, 410, 416, *range(480, 486), 489, 501, 604})
"""Answers to a NOTIFY or to a refresh that end the subscription (RFC 6665 4.1.2.2, 4.2.2; RFC 5057)."""


class SubscriptionEnd(enum.StrEnum):
    """What ended a subscription that we did not end."""

    TERMINATED = "terminated"
    """The notifier said so in a NOTIFY."""
    GONE = "gone"
    """The peer answered 481, or something else by which it says that it knows no such subscription."""
    TIMEOUT = "timeout"
    """The peer did not answer."""
    UNREACHABLE = "unreachable"
    """A request could not be sent."""
    CONNECTION_LOST = "connection_lost"
    """The connection it lived on is gone."""


def is_terminated(state: str) -> bool:
    """Return whether a Subscription-State says that the subscription is over."""
    return state.partition(";")[0].strip(" \t").lower() == "terminated"


def refresh_target(dialog: Dialog, message: Request | Response) -> None:
    """SUBSCRIBE, NOTIFY and their 2xx say where the peer is to be asked from now on (4.4.1)."""
    if message.contact is not None and message.contact.uri != "*":
        dialog.target = message.contact.uri


def unsent_cause(dialog: Dialog) -> SubscriptionEnd:
    """Return what it means that a request of a dialog could not be sent."""
    by_connection = dialog.flow.connection is not None
    return SubscriptionEnd.CONNECTION_LOST if by_connection else SubscriptionEnd.UNREACHABLE
