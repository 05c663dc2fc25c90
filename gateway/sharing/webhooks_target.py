"""Where webhooks may go: not to the gateway's own machine, nor to what only answers its neighbours."""

import ipaddress
import re
from collections.abc import Iterable
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
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TargetRule:
    """Which URLs and addresses deliveries may go to.

    Args:
        allowed: Networks (`127.0.0.0/8`) that may be reached although they are refused otherwise: loopback,
            link-local, multicast and reserved ones, and the metadata services of clouds.

    Raises:
        ValueError: one of them is no network.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: tuple[_Network, ...] = tuple(map(ipaddress.ip_network, allowed))

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
        if any(address in network for network in self._allowed):
            return True
        return not (
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
            "[http] webhook_networks can allow its network"
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
