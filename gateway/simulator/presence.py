"""How a simulated device gets and keeps its registration, over whatever connection it has."""

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Callable, Coroutine
from typing import assert_never

from gateway.simulator.mail import LOST
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gb28181.aio.clock import monotonic
from gb28181.aio.driver import SipDriver
from gb28181.flow.register_client import (
    Offline,
    Online,
    RegisterClient,
    RegisterClientConfig,
    RegistrationFailed,
    SendKeepalive,
    SendRegister,
    Stopped,
)
from gb28181.sip.message import Response
from gb28181.sip.transaction.flow import Flow, host_port

__all__ = ["PRIVATE_ADDRESS", "DevicePresence"]

PRIVATE_ADDRESS = ("192.168.254.254", 5060)
"""What a device behind a forgetful installer tells of itself."""
_MAX_PORTS = 8
"""Local ports that keepalives rotate through when the port changes with each."""


class DevicePresence:
    """The registration of one device and the connection it goes over.

    Args:
        options: The platform, the transport and quirks.
        device_id: Own id.
        server: Address of the platform.
        local_host: Own address.
        tls: For TLS signalling.
        new_fraction: Gives a random number from 0 to 1.
        keepalive: Sends the keepalive of a number.
        spawn: Starts a task of the device.
        tell: Reports what happens.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        device_id: str,
        *,
        server: tuple[str, int],
        local_host: str,
        tls: ssl.SSLContext | None,
        new_fraction: Callable[[], float],
        keepalive: Callable[[int], Coroutine[object, object, Response]],
        spawn: Callable[[Coroutine[object, object, None], str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self.registrations = 0
        """Times the device became on-line."""
        self.stopped = asyncio.Event()
        """Set when the device is to live no longer."""
        self.driver: SipDriver | None = None
        self.flow: Flow | None = None
        """The way to the platform; None before there is one."""
        self._options = options
        self._device_id = device_id
        self._server = server
        self._local_host = local_host
        self._tls = tls
        self._new_fraction = new_fraction
        self._send_keepalive = keepalive
        self._spawn = spawn
        self._tell = tell
        self._wake = asyncio.Event()
        self._flows: list[Flow] = []
        self._client = self._new_client()

    @property
    def registered(self) -> bool:
        """Whether the device holds a registration as far as it knows."""
        return self._client.is_online

    @property
    def route(self) -> tuple[SipDriver, Flow] | None:
        """The driver and the way to the platform."""
        return None if self.driver is None or self.flow is None else (self.driver, self.flow)

    async def run(self, driver: SipDriver) -> None:
        """Register and keep alive until `stopped`.

        Raises:
            OSError: there is no local socket.
        """
        self.driver = driver
        if self._options.transport == "UDP":
            await self._connect()
        self._client.start(monotonic(), contact=self._contact())
        self._act()
        while not self.stopped.is_set():
            await self._sleep()
            self._act()

    async def log_out(self) -> None:
        """Log out and end `run`; bounded in time, idempotent."""
        self._client.stop(monotonic())
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.logout_timeout):
                await self.stopped.wait()
        self.stopped.set()
        self._wake.set()

    def register(self) -> None:
        """Register anew, with a new Call-ID."""
        self._client.start(monotonic(), contact=self._contact())
        self._wake.set()

    def refresh(self) -> None:
        """Refresh the registration now."""
        self._client.refresh(monotonic())
        self._wake.set()

    def send_keepalive(self) -> None:
        """Send a keepalive now."""
        self._client.send_keepalive(monotonic())
        self._wake.set()

    def drop_connection(self) -> None:
        """Break the connection (TCP and TLS) without a word."""
        if self.driver is not None and self.flow is not None and self.flow.connection is not None:
            self.driver.drop_connection(self.flow.connection)

    def vanish(self) -> None:
        """Forget the registration without a word, as when the power goes; `register` begins anew."""
        self._client = self._new_client()
        self.drop_connection()
        if self._options.transport != "UDP":
            self.flow = None

    def connection_lost(self, connection: int, reason: str) -> bool:
        """Take note that a connection is gone; whether it was the one in use."""
        if self.flow is None or self.flow.connection != connection:
            return False
        self.flow = None
        self._client.connection_lost(monotonic(), reason)
        self._wake.set()
        return True

    def _new_client(self) -> RegisterClient:
        options = self._options
        wrong = options.has(Quirk.WRONG_PASSWORD)
        config = RegisterClientConfig(
            device_id=self._device_id,
            server_id=options.server_id,
            domain=options.sip_domain,
            password=options.password + ("-wrong" if wrong else ""),
            expires=None if options.has(Quirk.NO_EXPIRES) else options.expires,
            gb_version=options.gb_version,
            retry_delay=options.retry_delay,
            keepalive_interval=(
                None if options.has(Quirk.NO_KEEPALIVE) else options.keepalive_interval
            ),
            keepalive_misses=options.keepalive_misses,
            answer_refresh_challenge=not options.has(Quirk.RE_REGISTER_WITHOUT_AUTH),
        )
        return RegisterClient(config, new_token=_new_token, new_fraction=self._new_fraction)

    def _contact(self) -> str:
        address = (self._local_host, 5060) if self.flow is None else self.flow.local
        if self._options.has(Quirk.CONTACT_PRIVATE):
            address = PRIVATE_ADDRESS
        return f"sip:{self._device_id}@{host_port(address)}"

    async def _connect(self) -> Flow:
        assert self.driver is not None
        if self._options.transport == "UDP":
            if len(self._flows) >= _MAX_PORTS:
                self.flow = self._flows.pop(0)
            else:
                local = await self.driver.listen_udp(self._local_host, 0)
                self.flow = self.driver.flow_udp(self._server, local)
            self._flows.append(self.flow)
        else:
            self.flow = await self.driver.connect_tcp(
                *self._server, ssl=self._tls, local=(self._local_host, 0)
            )
        return self.flow

    async def _sleep(self) -> None:
        due = self._client.next_timer()
        delay = None if due is None else max(0.0, due - monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
        self._wake.clear()
        self._client.handle_timer(monotonic())

    def _act(self) -> None:
        while (event := self._client.next_event()) is not None:
            match event:
                case SendRegister():
                    self._spawn(self._register(event), "register")
                case SendKeepalive(sn):
                    self._spawn(self._keepalive(sn), "keepalive")
                case Online(expires):
                    self.registrations += 1
                    self._tell("registered", f"for {expires:.0f} s")
                    if self._options.has(Quirk.DROP_TCP):
                        self._spawn(self._drop_later(), "drop")
                case Offline(detail):
                    self._tell("offline", detail)
                case RegistrationFailed(_, detail, retry_in):
                    self._tell("register_failed", f"{detail}; again in {retry_in:.0f} s")
                case Stopped(confirmed):
                    self._tell("logged_out", "" if confirmed else "without an answer")
                    self.stopped.set()
                case _:
                    assert_never(event)

    async def _register(self, event: SendRegister) -> None:
        assert self.driver is not None
        # `vanish` gives the device another client; what was asked before does not concern it.
        client = self._client
        try:
            response = await self.driver.client.request(
                "REGISTER",
                event.uri,
                flow=self.flow or await self._connect(),
                from_=event.address,
                to=event.address,
                call_id=event.call_id,
                from_tag=event.from_tag,
                cseq=event.cseq,
                headers=event.headers,
            )
        except LOST as error:
            client.register_failed(monotonic(), str(error))
        else:
            client.receive_register_response(response, monotonic())
        self._wake.set()

    async def _keepalive(self, sn: int) -> None:
        client = self._client
        try:
            if self._options.has(Quirk.KEEPALIVE_PORT_CHANGE):
                await self._connect()
            response = await self._send_keepalive(sn)
        except LOST as error:
            client.keepalive_failed(monotonic(), str(error))
        else:
            client.keepalive_answered(response.status, monotonic())
        self._wake.set()

    async def _drop_later(self) -> None:
        await asyncio.sleep(self._options.drop_after)
        self.drop_connection()


def _new_token() -> str:
    return secrets.token_hex(8)
