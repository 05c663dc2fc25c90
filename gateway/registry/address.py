"""The identity rule: only an authenticated REGISTER sets an address, and little else may move it.

One packet with a known id in From and somebody else's source address must not turn a device's video away.
"""

from gateway.domain.device import DeviceAddress, Identity

__all__ = ["describe_address", "judge", "same_place"]


def judge(known: DeviceAddress, claimed: DeviceAddress, *, follow: bool) -> Identity:
    """Judge a request of a registered device by where it came from.

    Args:
        known: The registered address.
        claimed: Where the request came from.
        follow: Whether a new IP address may be taken over without registering.
    """
    if claimed.connection is not None and claimed.connection == known.connection:
        return Identity.KNOWN
    if known.transport == "UDP":
        verdict = _judge_datagram(known, claimed)
    else:
        verdict = _judge_connection(known, claimed)
    if verdict is Identity.ADDRESS_REFUSED and follow:
        return Identity.MOVED
    return verdict


def same_place(known: DeviceAddress, claimed: DeviceAddress) -> bool:
    """Return whether a REGISTER came from the place already known, so that nothing new must be kept."""
    if known.transport != claimed.transport or known.host != claimed.host:
        return False
    # A TCP source port is new with every connection and leads nowhere: devices are never dialled.
    return known.transport != "UDP" or known.port == claimed.port


def describe_address(address: DeviceAddress | None) -> str:
    """Return an address for a timeline."""
    return "nowhere" if address is None else f"{address.transport} {address.host}:{address.port}"


def _judge_datagram(known: DeviceAddress, claimed: DeviceAddress) -> Identity:
    if claimed.host != known.host:
        return Identity.ADDRESS_REFUSED
    if claimed.transport != "UDP" or claimed.port == known.port:
        # Some devices register over UDP and send MESSAGEs over TCP; requests still go where it registered.
        return Identity.KNOWN
    return Identity.PORT_UPDATED


def _judge_connection(known: DeviceAddress, claimed: DeviceAddress) -> Identity:
    returning = (
        known.connection is None
        and claimed.connection is not None
        and claimed.transport == known.transport
        and claimed.host == known.host
    )
    return Identity.RECONNECTED if returning else Identity.ADDRESS_REFUSED
