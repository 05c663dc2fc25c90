"""A SIP endpoint without I/O: transactions, dialogs and the answers that need nobody's decision."""

from gb28181.sip.endpoint.core import SipEndpoint
from gb28181.sip.endpoint.event import (
    EndpointStats,
    Event,
    MessageRefused,
    RequestReceived,
)
from gb28181.sip.transaction.flow import Flow

__all__ = ["EndpointStats", "Event", "Flow", "MessageRefused", "RequestReceived", "SipEndpoint"]
