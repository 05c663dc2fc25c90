"""Who is behind a reverse proxy: X-Forwarded-For and X-Forwarded-Proto of proxies that are trusted, of nobody else."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

__all__ = ["Forwarded"]

_MOST_HOPS = 32
"""Hops looked at, from the right: chains of proxies have two or three; the rest is what a client made up."""
_LONGEST = 64
"""Characters of an address with brackets and port; IPv6 has 39."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Forwarded:
    """Reads what trusted proxies say about a request.

    X-Forwarded-For is a list to which each proxy appends the address it was called from, so only its right end is
    the word of our proxy; what stands further left is believed as far as those hops are proxies of ours, too. The
    client is the right-most hop that is none.

    Args:
        trusted: Networks of the proxies, as `[http] trusted_proxies` has them.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted: tuple[IpNetwork, ...] = tuple(
            ipaddress.ip_network(network) for network in trusted
        )

    def seen(self, request: web.Request) -> web.Request:
        """Return the request as the proxy got it: `remote` and `scheme` are the client's."""
        peer = _address_of(request.remote or "")
        if peer is None or not self._trusts(peer):
            return request
        client = self._client_of(request, peer)
        scheme = _scheme_of(request) or request.scheme
        if client == peer and scheme == request.scheme:
            return request
        return request.clone(remote=str(client), scheme=scheme)

    def middleware(self) -> Middleware:
        """Return the middleware that shows requests as the proxy got them; it must be the outermost."""

        @web.middleware
        async def forwarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await handler(self.seen(request))

        return forwarded

    def _client_of(self, request: web.Request, peer: IpAddress) -> IpAddress:
        said = ",".join(request.headers.getall("X-Forwarded-For", []))
        client = peer
        for hop in reversed(said.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]):
            address = _address_of(hop)
            if (
                address is None
            ):  # what our proxies do not write says nothing, nor does what is left of it
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: IpAddress) -> bool:
        return any(address in network for network in self._trusted)


def _address_of(text: str) -> IpAddress | None:
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    # A zone (%eth0) is any text, and means nothing on another machine.
    return None if address.scope_id else address.ipv4_mapped or address


def _scheme_of(request: web.Request) -> str | None:
    said = ",".join(request.headers.getall("X-Forwarded-Proto", []))
    scheme = said.rpartition(",")[2].strip().lower()
    return scheme if scheme in {"http", "https"} else None
