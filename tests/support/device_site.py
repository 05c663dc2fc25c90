"""Simulated devices on a platform made of our own SIP stack, for what the raw one cannot say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.simulator import DeviceEvent, SimulatedDevice, Simulator, SimulatorOptions
from gb28181.aio.incoming import IncomingRequest, SubscriberDialog
from gb28181.manscdp import Content, parse_message, serialize_message
from gb28181.sip.endpoint import Flow
from tests.support.patience import PATIENCE
from tests.support.sip_drivers import Peer, peers

__all__ = ["DeviceSite", "device_site"]

SERVER_ID = "34020000002000000001"
_PLATFORM = f"<sip:{SERVER_ID}@3402000000>"
_XML = "Application/MANSCDP+xml"


class DeviceSite:
    """A platform that grants every registration, and the devices registered there."""

    def __init__(self, peer: Peer, simulator: Simulator, events: list[DeviceEvent]) -> None:
        self.peer = peer
        self.simulator = simulator
        self.events = events
        self.notified: list[IncomingRequest] = []

    @property
    def device(self) -> SimulatedDevice:
        """The first device."""
        return self.simulator.devices[0]

    @property
    def flow(self) -> Flow:
        """The way to the first device: where it registered last."""
        return next(
            item.flow for item in reversed(self.peer.incoming) if item.request.method == "REGISTER"
        )

    def messages(self, kind: type[Content]) -> list[Content]:
        """Bodies of the MESSAGEs that came, of one kind."""
        bodies = [
            item.request.body for item in self.peer.incoming if item.request.method == "MESSAGE"
        ]
        contents = [parse_message(body).content for body in bodies]
        return [content for content in contents if isinstance(content, kind)]

    async def send(self, content: Content, *, edition: str = "2016", timeout: float = 5.0) -> int:
        """Send a MESSAGE to the first device; the status of its response."""
        response = await self.peer.driver.client.request(
            "MESSAGE",
            self._uri,
            flow=self.flow,
            from_=_PLATFORM,
            to=f"<{self._uri}>",
            headers=[("Monitor-User-Identity", f"{SERVER_ID}-user")],
            body=serialize_message(content, edition=edition),
            content_type=_XML,
            timeout=timeout,
        )
        return response.status

    async def subscribe(
        self, content: Content, *, expires: int = 600, event: str = "Catalog;id=1894"
    ) -> SubscriberDialog:
        """Subscribe to something of the first device; NOTIFYs go to `notified`."""

        def receive(incoming: IncomingRequest) -> None:
            self.notified.append(incoming)
            incoming.respond(200)

        return await self.peer.driver.client.subscribe(
            self._uri,
            flow=self.flow,
            from_=_PLATFORM,
            to=f"<{self._uri}>",
            event=event,
            expires=expires,
            body=serialize_message(content),
            content_type=_XML,
            on_notify=receive,
            timeout=5.0,
        )

    def notices(self) -> list[Content]:
        """Bodies of the NOTIFYs that came inside subscriptions."""
        bodies = [item.request.body for item in self.notified]
        return [parse_message(body).content for body in bodies if body]

    async def until(
        self, what: str, condition: Callable[[], object], timeout: float = PATIENCE
    ) -> None:
        """Wait until something is true."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came true: {what}") from None

    @property
    def _uri(self) -> str:
        return f"sip:{self.device.device_id}@{self.flow.remote[0]}:{self.flow.remote[1]}"


@asynccontextmanager
async def device_site(**changes: object) -> AsyncIterator[DeviceSite]:
    """Run devices against a platform on loopback, registered when this begins."""
    async with peers(1) as (peer,):
        transport = str(changes.get("transport", "UDP"))
        if transport == "UDP":
            local = await peer.driver.listen_udp("127.0.0.1", 0)
        else:
            local = await peer.driver.listen_tcp("127.0.0.1", 0)
        values: dict[str, object] = {
            "server_port": local[1],
            "server_id": SERVER_ID,
            "transport": transport,
            "local_host": "127.0.0.1",
            "width": 320,
            "height": 180,
            "bitrate": 256_000,
            "reboot_time": 0.2,
        }
        events: list[DeviceEvent] = []
        options = SimulatorOptions(**(values | changes))  # type: ignore[arg-type]
        async with Simulator(options, events.append) as simulator:
            async with asyncio.timeout(10):
                await simulator.wait_registered()
            yield DeviceSite(peer, simulator, events)
        assert peer.crashes == []
    assert [event for event in events if event.what == "crashed"] == []
