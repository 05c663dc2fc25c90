"""Monitor-User-Identity: which user, through which gateways, stands behind a request (GB/T 28181 8.3, 8.5)."""

from dataclasses import dataclass

__all__ = ["MonitorIdentity"]


@dataclass(frozen=True, slots=True)
class MonitorIdentity:
    """A parsed header.

    The origin domain writes `gatewayID-userIdentity`; each later gateway puts its own code in front.
    """

    gateways: tuple[str, ...]
    """Codes of the gateways, the latest first; at least one."""
    user: str
    """User identity with its attributes, opaque, forwarded unchanged."""
