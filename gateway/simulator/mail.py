"""MESSAGEs of a simulated device: takes those of the platform and sends its own."""

from collections.abc import Callable, Coroutine
from typing import Final

from gateway.simulator.answer import DeviceAnswers
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.errors import RemoteProtocolError
from gb28181.sip.message import Response
from gb28181.sip.transaction.flow import Flow

__all__ = ["LOST", "DeviceMail"]

LOST = (OSError, SipTimeout, SipTransportError)
"""What a request of ours may end in besides a response."""

_MANSCDP: Final = "Application/MANSCDP+xml"
_TIMEOUT: Final = 10.0


class DeviceMail:
    """Sends and answers MESSAGEs.

    Args:
        options: Names and quirks.
        device_id: Own id.
        answers: Writes the bodies.
        route: Gives the driver and the way to the platform; None while there is none.
        spawn: Starts a task of the device.
        tell: Reports what happens.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        answers: DeviceAnswers,
        *,
        route: Callable[[], tuple[SipDriver, Flow] | None],
        spawn: Callable[[Coroutine[object, object, None], str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._options = options
        self._device_id = device_id
        self._answers = answers
        self._route = route
        self._spawn = spawn
        self._tell = tell

    def receive(self, incoming: IncomingRequest) -> None:
        """Acknowledge a MESSAGE and answer it by MESSAGEs of our own."""
        incoming.respond(200)
        request = incoming.request
        identity = request.headers.get("Monitor-User-Identity") or ""
        self._spawn(self._answer(request.body, identity), "answer")

    async def send(
        self, body: bytes, *, method: str = "MESSAGE", headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """Send a body to the platform and return the final response.

        Raises:
            SipTimeout: No final response in time.
            SipTransportError: There is no way to the platform.
        """
        route = self._route()
        if route is None:
            raise SipTransportError("there is no connection to the platform")
        driver, flow = route
        options = self._options
        platform = f"sip:{options.server_id}@{options.sip_domain}"
        return await driver.client.request(
            method,
            platform,
            flow=flow,
            from_=f"<sip:{self._device_id}@{options.sip_domain}>",
            to=f"<{platform}>",
            headers=headers,
            body=body,
            content_type=_MANSCDP,
            timeout=_TIMEOUT,
        )

    async def send_answer(self, body: bytes) -> None:
        """Send a body and report if nobody took it."""
        try:
            await self.send(body)
        except LOST as error:
            self._tell("answer_lost", str(error))

    async def send_notify(self, body: bytes) -> None:
        """Send a NOTIFY outside any dialog, as some devices do."""
        await self.send(
            body,
            method="NOTIFY",
            headers=(("Event", "presence"), ("Subscription-State", "active")),
        )

    async def _answer(self, body: bytes, identity: str) -> None:
        try:
            cmd_type, bodies = self._answers.answer(body, identity)
        except RemoteProtocolError as error:
            self._tell("message_unreadable", str(error))
            return
        if self._options.has(Quirk.CATALOG_OUT_OF_ORDER):
            for part in bodies:
                self._spawn(self.send_answer(part), "answer")
        else:
            for part in bodies:
                await self.send_answer(part)
        if bodies:
            self._tell("query_answered", f"{cmd_type}, messages: {len(bodies)}")
