"""Where webhooks may go: not to the gateway's own machine, nor to what only answers its neighbours."""

import ipaddress
import re
from urllib.parse import urlsplit

from gateway.domain.errors import Invalid

__all__ = ["MAX_URL", "TargetRule"]

MAX_URL = 1_000
"""Characters; longer ones are no addresses of receivers."""

_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in ("100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128", "168.63.129.16/32")
)
"""Where clouds tell their machines secrets; the usual 169.254.169.254 is link-local anyway."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetRule:
    """Which URLs and addresses deliveries may go to.

    Private networks are allowed: that is where departments have their systems.

    Args:
        local: Whether loopback, link-local, multicast and reserved addresses and the metadata services of clouds
            may be reached too.
    """

    def __init__(self, *, local: bool = False) -> None:
        self._local = local

    def check_url(self, url: str) -> str:
        """Return a URL as it is; a name in it is looked up only when something is sent.

        Raises:
            Invalid: `invalid_url`, `target_refused`.
        """
        if len(url) > MAX_URL or not re.fullmatch(r"[\x21-\x7e]+", url):
            raise Invalid(
                "invalid_url", f"Expected a URL of at most {MAX_URL} printable characters"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise Invalid("invalid_url", f"This is no URL: {exc}") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise Invalid("invalid_url", "Expected http://HOST... or https://HOST...")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Invalid(
                "invalid_url", "Neither user, password nor #fragment belong into this URL"
            )
        if port == 0:
            raise Invalid("invalid_url", "Port 0 cannot be reached")
        if (literal := _literal(host)) is not None and not self.permits(literal):
            raise Invalid("target_refused", self.refusal(host))
        return url

    def permits(self, host: str) -> bool:
        """Whether this address, as text, may be connected to."""
        address = _unwrapped(ipaddress.ip_address(host.partition("%")[0]))
        return self._local or not (
            address.is_loopback
            or address.is_link_local
            or address.is_unspecified
            or address.is_multicast
            or address.is_reserved
            or any(address in network for network in _METADATA)
        )

    def refusal(self, host: str) -> str:
        """Say why a host is not connected to."""
        return (
            f"{host[:80]} is a loopback, link-local, reserved or metadata address; "
            "[sharing] webhook_private_networks lets webhooks go there"
        )


def _literal(host: str) -> str | None:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return host


def _unwrapped(address: _Address) -> _Address:
    """Look into the forms of IPv6 that mean an IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _NAT64:
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inside or address
