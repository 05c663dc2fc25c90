"""Where a peer is reached, in the words of the domain and of the SIP stack."""

from gateway.domain.device import DeviceAddress
from gb28181.sip.endpoint import Flow

__all__ = ["address_of", "flow_of"]


def address_of(flow: Flow) -> DeviceAddress:
    """Return a flow in the domain's terms."""
    return DeviceAddress(
        transport=flow.transport,
        host=flow.remote[0],
        port=flow.remote[1],
        local_host=flow.local[0],
        local_port=flow.local[1],
        connection=flow.connection,
    )


def flow_of(address: DeviceAddress) -> Flow:
    """Return the flow of an address."""
    return Flow(
        transport=address.transport,
        remote=(address.host, address.port),
        local=(address.local_host, address.local_port),
        connection=address.connection,
    )
