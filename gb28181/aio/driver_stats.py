"""What a SIP driver counts."""

from dataclasses import dataclass

__all__ = ["SipStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SipStats:
    """Counters that only rise, and how much there is at this moment."""

    received: int
    """Messages and keepalive datagrams from the network."""
    malformed: int
    refused: int
    """Requests the stack answered with an error by itself."""
    stray: int
    """Responses and ACKs that belong to nothing."""
    overloaded: int
    """Requests refused with 503."""
    absorbed: int
    """Retransmissions of requests that were answered from memory."""
    retransmitted: int
    """Messages we sent again."""
    dropped: int
    """Messages of ours that could not be sent, or were lost to a full buffer."""
    connections_refused: int
    transactions: int
    """Alive now, answered ones that only absorb retransmissions included."""
    pending: int
    """Transactions alive now that wait for somebody."""
    dialogs: int
    """INVITE dialogs established or being established now."""
    subscriptions: int
    """Subscriptions of either role now."""
    connections: int
    """Open now."""
