"""The gateway's side of a link to an upper platform, on real sockets: one link alone, or all of them."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.cascade.book import PlatformBook
from gateway.cascade.link import UpperPlatformLink
from gateway.cascade.links import UpperLinks
from gateway.domain.device import TimelineEntry
from gateway.domain.platform import PlatformConfig, PlatformEvent
from gateway.signalling.upper import SipUpper
from gb28181.aio import clock
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.tasks import TaskScope
from gb28181.aio.tokens import TokenSource
from tests.support.platform_book import OWN_ID, book
from tests.support.upper_platform import PASSWORD, until

__all__ = ["LinkedGateway", "all_links", "kinds", "one_link", "sip_side"]


class LinkedGateway:
    """Sockets, links and the book of a gateway."""

    def __init__(self, driver: SipDriver, transport: SipUpper, one: PlatformBook) -> None:
        self.driver = driver
        self.transport = transport
        self.book = one
        self.links: UpperLinks
        self.handler: Callable[[IncomingRequest], None] = lambda incoming: incoming.respond(403)

    async def online(self, platform_id: str, timeout: float = 5.0) -> UpperPlatformLink:
        """The link of a platform, once it is registered."""

        def found() -> bool:
            link = self.links.find(platform_id)
            return link is not None and link.online

        await until(found, timeout, f"the registration at {platform_id}")
        link = self.links.find(platform_id)
        assert link is not None
        return link


@asynccontextmanager
async def sip_side(
    handler: Callable[[IncomingRequest], None], *, timeout: float = 1.0
) -> AsyncIterator[tuple[SipDriver, SipUpper]]:
    """A SIP driver with a UDP and a TCP socket, and the transport on it."""
    crashes: list[tuple[str, Exception]] = []
    driver = SipDriver(
        on_request=handler, on_crash=lambda name, error: crashes.append((name, error))
    )
    await driver.listen_udp("127.0.0.1", 0)
    await driver.listen_tcp("127.0.0.1", 0)
    try:
        yield driver, SipUpper(driver, own_id=OWN_ID, timeout=timeout)
    finally:
        await driver.close()
    assert crashes == []


@asynccontextmanager
async def one_link(
    config: PlatformConfig,
    password: str = PASSWORD,
    *,
    timeout: float = 1.0,
    fraction: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[UpperPlatformLink]:
    """One link that runs; deregistered at the end."""
    crashes: list[tuple[str, Exception]] = []
    async with sip_side(lambda incoming: incoming.respond(200), timeout=timeout) as (driver, upper):
        link = UpperPlatformLink(
            config,
            password,
            own_id=OWN_ID,
            transport=upper,
            clock=clock,
            new_token=TokenSource(),
            new_fraction=fraction,
            on_crash=lambda name, error: crashes.append((name, error)),
        )
        driver.on_connection_lost = link.connection_lost
        async with TaskScope(lambda name, error: crashes.append((name, error))) as scope:
            scope.spawn(link.run(), name="link")
            try:
                yield link
            finally:
                await link.stop()
    assert crashes == []


@asynccontextmanager
async def all_links(
    *configs: PlatformConfig, password: str = PASSWORD, timeout: float = 1.0, **parts: Any
) -> AsyncIterator[LinkedGateway]:
    """A book with these platforms, and their links."""
    crashes: list[tuple[str, Exception]] = []
    one = book(**parts)
    for config in configs:
        await one.save(config, password)

    def handle(incoming: IncomingRequest) -> None:
        gateway.handler(incoming)

    async with sip_side(handle, timeout=timeout) as (driver, transport):
        gateway = LinkedGateway(driver, transport, one)
        gateway.links = UpperLinks(
            one,
            transport,
            clock=clock,
            new_token=TokenSource(),
            new_fraction=random.random,
            on_crash=lambda name, error: crashes.append((name, error)),
        )
        driver.on_connection_lost = gateway.links.connection_lost
        async with gateway.links:
            yield gateway
    assert crashes == []


def kinds(entries: list[TimelineEntry]) -> list[PlatformEvent]:
    """Kinds of a timeline's entries, oldest first."""
    return [PlatformEvent(entry.kind) for entry in reversed(entries)]
