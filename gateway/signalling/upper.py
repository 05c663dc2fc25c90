"""SIP towards upper platforms: dialling, REGISTER and MESSAGE (implements the cascade's `UpperTransport`)."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformAddress, PlatformConfig
from gateway.signalling.address import address_of, flow_of
from gb28181.aio.driver import SipDriver
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.aio.tls import client_context
from gb28181.manscdp.message import Content, serialize_message
from gb28181.sip.message import Response
from gb28181.sip.transaction.flow import host_port

__all__ = ["MANSCDP", "SipUpper", "serialize_for"]

MANSCDP = "Application/MANSCDP+xml"
"""The capital A is what some vendors insist on (quirk 21)."""
RESOLVE_TIMEOUT = 5.0
"""Seconds for a name server's answer."""


class SipUpper:
    """Implements `UpperTransport` on the SIP driver.

    Args:
        driver: Sockets and transactions.
        own_id: Our code, where a platform's configuration names no other.
        timeout: Seconds to wait for the answer to a REGISTER or MESSAGE.
        advertise: Address and port for Contact instead of each route's own.
        tls_port: Port there for links by TLS; 0: we listen for none, and the same port is named.
        media_host: Address for SDP instead of each route's own.
    """

    def __init__(
        self,
        driver: SipDriver,
        *,
        own_id: str,
        timeout: float = 10.0,
        advertise: tuple[str, int] | None = None,
        tls_port: int = 0,
        media_host: str = "",
    ) -> None:
        self._driver = driver
        self._own_id = own_id
        self._timeout = timeout
        self._advertise = advertise
        self._tls_port = tls_port
        self._media_host = media_host

    async def connect(self, config: PlatformConfig, address: PlatformAddress) -> DeviceAddress:
        """Dial a TCP or TLS platform, or find the local address towards a UDP one.

        Raises:
            Unavailable: `unreachable`, `tls_failed`.
        """
        where = host_port((address.host, address.port))
        try:
            if config.transport == "UDP":
                found = await _resolve(address)
                # Of a name with addresses of both kinds, one that a socket of ours can send to.
                host = next((each for each in found if self._driver.reaches_udp(each)), found[0])
                flow = self._driver.flow_udp((host, address.port))
            else:
                context = await _tls_context(config) if config.transport == "TLS" else None
                flow = await self._driver.connect_tcp(address.host, address.port, ssl=context)
        except (SipTransportError, OSError) as exc:
            cause = exc.__cause__ or exc
            if isinstance(cause, ssl.SSLError):
                raise Unavailable("tls_failed", _tls_words(where, cause)) from exc
            raise Unavailable(
                "unreachable", f"{config.transport} {where} cannot be reached: {exc}"
            ) from exc
        return address_of(flow)

    def disconnect(self, route: DeviceAddress) -> None:
        """Drop the connection, if there is one; idempotent."""
        if route.connection is not None:
            self._driver.drop_connection(route.connection, "the link to the platform ended")

    async def register(
        self,
        config: PlatformConfig,
        route: DeviceAddress,
        *,
        call_id: str,
        from_tag: str,
        cseq: int,
        headers: Iterable[tuple[str, str]],
    ) -> Response:
        """Send one REGISTER and return the final response.

        Raises:
            Unavailable: `no_answer`, `unreachable`.
        """
        own = self._own(config)
        try:
            return await self._driver.client.request(
                "REGISTER",
                f"sip:{config.platform_id}@{config.sip_domain}",
                flow=flow_of(route),
                from_=own,
                to=own,
                call_id=call_id,
                from_tag=from_tag,
                cseq=cseq,
                headers=headers,
                timeout=self._timeout,
            )
        except (SipTimeout, SipTransportError) as exc:
            raise self._failed("REGISTER", config, route, exc) from exc

    async def message(
        self, config: PlatformConfig, route: DeviceAddress, content: Content
    ) -> Response:
        """Send a MESSAGE in the platform's charset and return the final response.

        Raises:
            Unavailable: `no_answer`, `unreachable`.
        """
        platform = f"sip:{config.platform_id}@{config.sip_domain}"
        try:
            return await self._driver.client.request(
                "MESSAGE",
                platform,
                flow=flow_of(route),
                from_=self._own(config),
                to=f"<{platform}>",
                body=serialize_for(config, content),
                content_type=MANSCDP,
                timeout=self._timeout,
            )
        except (SipTimeout, SipTransportError) as exc:
            raise self._failed("MESSAGE", config, route, exc) from exc

    def contact(self, config: PlatformConfig, route: DeviceAddress) -> str:
        """Contact URI under which the platform reaches us on this route."""
        where = self._advertise or (route.local_host, route.local_port)
        if self._advertise and self._tls_port and route.transport == "TLS":
            where = (self._advertise[0], self._tls_port)
        # Without it a Contact means UDP, where nothing listens for what came by a connection.
        by = "" if route.transport == "UDP" else f";transport={route.transport.lower()}"
        return f"sip:{config.local_id or self._own_id}@{host_port(where)}{by}"

    def local_host(self, route: DeviceAddress) -> str:
        """Address to write into SDP towards this platform."""
        return self._media_host or route.local_host

    def _own(self, config: PlatformConfig) -> str:
        return f"<sip:{config.local_id or self._own_id}@{config.sip_domain}>"

    def _failed(
        self, method: str, config: PlatformConfig, route: DeviceAddress, exc: Exception
    ) -> Unavailable:
        where = f"Platform {config.platform_id} at {host_port((route.host, route.port))}"
        if isinstance(exc, SipTimeout):
            return Unavailable(
                "no_answer", f"{where} gave no answer to {method} in {self._timeout:g} s"
            )
        return Unavailable("unreachable", f"{method} could not be sent: {where}: {exc}")


def serialize_for(config: PlatformConfig, content: Content) -> bytes:
    """Write a body in a platform's charset and edition."""
    return serialize_message(content, config.body_charset, edition=config.edition.value)


async def _resolve(address: PlatformAddress) -> list[str]:
    """Return the numeric addresses of a host, which UDP needs; at least one."""
    try:
        return [str(ipaddress.ip_address(address.host))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except TimeoutError:
        raise OSError(
            f"no name server told the address of {address.host} in {RESOLVE_TIMEOUT:g} s"
        ) from None
    return [str(each[4][0]) for each in found]


async def _tls_context(config: PlatformConfig) -> ssl.SSLContext:
    def build() -> ssl.SSLContext:
        ca = Path(config.tls_ca).expanduser() if config.tls_ca else None
        return client_context(ca=ca, verify=config.tls_verify)

    try:
        return await asyncio.to_thread(build)
    except OSError as exc:
        raise Unavailable(
            "tls_failed", f"tls_ca {config.tls_ca} cannot be used: {exc.strerror or exc}"
        ) from exc


def _tls_words(where: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {where} is not trusted: {error.verify_message}; name its authority "
            "with tls_ca, or check that the address is the one in the certificate"
        )
    return f"TLS with {where} failed: {error.reason or error}; is it a TLS port?"
