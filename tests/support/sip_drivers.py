"""SIP drivers on loopback sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gb28181.aio.driver import SipDriver
from gb28181.aio.incoming import IncomingRequest
from gb28181.sip.endpoint import Flow, MessageRefused
from gb28181.sip.message import Response

__all__ = ["Peer", "message", "peers"]


class Peer:
    """A driver, what it was asked, and what went wrong in its callbacks."""

    def __init__(self, **options: object) -> None:
        self.incoming: list[IncomingRequest] = []
        self.refused: list[MessageRefused] = []
        self.crashes: list[tuple[str, Exception]] = []
        self.lost: list[tuple[int, str]] = []
        self.handler: Callable[[IncomingRequest], None] = lambda incoming: incoming.respond(200)
        self.driver = SipDriver(
            on_request=self._receive,
            on_event=self.refused.append,
            on_crash=lambda name, error: self.crashes.append((name, error)),
            user_agent="test",
            **options,  # type: ignore[arg-type]
        )
        self.driver.on_connection_lost = lambda number, reason: self.lost.append((number, reason))

    def _receive(self, incoming: IncomingRequest) -> None:
        self.incoming.append(incoming)
        self.handler(incoming)


@asynccontextmanager
async def peers(count: int = 2, **options: object) -> AsyncIterator[list[Peer]]:
    """Make drivers and close them."""
    made = [Peer(**options) for _ in range(count)]
    try:
        yield made
    finally:
        for peer in made:
            await peer.driver.close()


async def message(
    peer: Peer, flow: Flow, *, timeout: float = 2.0, method: str = "MESSAGE"
) -> Response:
    """Send a request with a small body."""
    return await peer.driver.client.request(
        method,
        f"sip:34020000002000000001@{flow.remote[0]}:{flow.remote[1]}",
        flow=flow,
        from_="<sip:34020000001320000001@3402000000>",
        to="<sip:34020000002000000001@3402000000>",
        body=b"<Notify/>",
        content_type="Application/MANSCDP+xml",
        timeout=timeout,
    )
