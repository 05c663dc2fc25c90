"""How media travels, seen from the side that wrote the offer (GB/T 28181-2022 Annex D, RFC 4145)."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["COMPLEMENT", "PROTO", "SETUP", "Transport"]


class Transport(enum.StrEnum):
    """The offerer's own role."""

    UDP = "udp"
    TCP_PASSIVE = "tcp_passive"
    """The offerer listens; default for front-end devices."""
    TCP_ACTIVE = "tcp_active"
    """The offerer connects."""


PROTO: Final[Mapping[Transport, str]] = MappingProxyType(
    {
        Transport.UDP: "RTP/AVP",
        Transport.TCP_PASSIVE: "TCP/RTP/AVP",
        Transport.TCP_ACTIVE: "TCP/RTP/AVP",
    }
)
SETUP: Final[Mapping[Transport, str]] = MappingProxyType(
    {Transport.TCP_PASSIVE: "passive", Transport.TCP_ACTIVE: "active"}
)
"""``a=setup`` of the offer."""
COMPLEMENT: Final[Mapping[Transport, str]] = MappingProxyType(
    {Transport.TCP_PASSIVE: "active", Transport.TCP_ACTIVE: "passive"}
)
"""``a=setup`` of the answer; actpass and holdconn are not part of GB/T 28181."""
