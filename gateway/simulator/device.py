"""A simulated device: registers, lives, answers queries, sends media when invited."""

import asyncio
import contextlib
import random
import secrets
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import assert_never

from gateway.simulator.answer import DeviceAnswers
from gateway.simulator.call import DeviceCalls
from gateway.simulator.encoder import EncoderPool
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import SimulatedChannel, build_channels, device_id_of, device_name_of
from gateway.simulator.session import DeviceSession
from gb28181.aio.clock import monotonic
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
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

__all__ = ["DeviceEvent", "Reporter", "SimulatedDevice"]

_USER_AGENT = "GB28181 simulator"
_PRIVATE_ADDRESS = ("192.168.254.254", 5060)
_REQUEST_TIMEOUT = 10.0
_HANG_UP_TIMEOUT = 1.0
_MAX_PORTS = 8
"""Local ports that keepalives rotate through when the port changes with each."""
_MANSCDP = "Application/MANSCDP+xml"
_LOST = (OSError, SipTimeout, SipTransportError)
"""What a request of ours may end in besides a response."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened to a simulated device, for progress shown to people."""

    device_id: str
    what: str
    """`registered`, `register_failed`, `offline`, `logged_out`, `failed`; `query_answered`,
    `answer_lost`, `message_unreadable`; `invited`, `session_started`, `session_ended`; `crashed`."""
    detail: str


Reporter = Callable[[DeviceEvent], None]


class SimulatedDevice:
    """One device with its own sockets, channels and sessions.

    Args:
        options: What to be.
        index: Number among the devices, from 0.
        server: Address of the platform.
        local_host: Own address.
        pool: Encoders shared with the other devices.
        scope: Owner of the device's tasks.
        report: Told what happens.
        tls: For TLS signalling.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        index: int,
        *,
        server: tuple[str, int],
        local_host: str,
        pool: EncoderPool,
        scope: TaskScope,
        report: Reporter,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.device_id = device_id_of(options, index)
        self.name = device_name_of(options, index)
        self.channels: list[SimulatedChannel] = build_channels(options, index)
        self.registrations = 0
        """Times the device became on-line."""
        self._options = options
        self._server = server
        self._local_host = local_host
        self._scope = scope
        self._report = report
        self._tls = tls
        self._random = random.Random(f"{options.seed}/{self.device_id}")  # noqa: S311 - a test device
        self._answers = DeviceAnswers(options, self.device_id, self.name, self.channels)
        self._calls = DeviceCalls(
            options,
            self.channels,
            pool=pool,
            local_host=local_host,
            new_random=self._random.randrange,
            spawn=self._spawn,
            tell=self._tell,
        )
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._flows: list[Flow] = []
        self._driver: SipDriver | None = None
        self._flow: Flow | None = None
        self._client = RegisterClient(
            self._client_config(), new_token=_new_token, new_fraction=self._random.random
        )

    @property
    def registered(self) -> bool:
        """Whether the device holds a registration as far as it knows."""
        return self._client.is_online

    @property
    def sessions(self) -> Mapping[str, DeviceSession]:
        """Running sessions by channel id."""
        return self._calls.sessions

    @property
    def invites_received(self) -> int:
        """INVITEs that came, refused ones included."""
        return self._calls.invites_received

    @property
    def sent_packets(self) -> int:
        """RTP packets sent since the start."""
        return self._calls.sent_packets

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Address and port of the device's signalling; None before it has any."""
        return None if self._flow is None else self._flow.local

    async def run(self) -> None:
        """Live until `stop` has done its work or the task is cancelled."""
        if self._stopped.is_set():
            return
        private = self._options.has(Quirk.CONTACT_PRIVATE)
        self._driver = driver = SipDriver(
            on_request=self._receive_request,
            user_agent=_USER_AGENT,
            new_token=_new_token,
            on_crash=self._crashed,
            methods=("MESSAGE", "INFO"),
            advertise=_PRIVATE_ADDRESS if private else None,
        )
        self._calls.driver = driver
        driver.on_connection_lost = self._connection_lost
        try:
            if self._options.transport == "UDP":
                await self._connect()
            self._client.start(monotonic(), contact=self._contact())
            self._act()
            while not self._stopped.is_set():
                await self._sleep()
                self._act()
        except OSError as error:
            self._tell("failed", f"no local socket: {error}")
        finally:
            self._stopped.set()
            self._calls.end_all("device stopped")
            await driver.close()

    async def stop(self) -> None:
        """Hang up, log out and end `run`; bounded in time, idempotent."""
        if self._driver is None:
            self._stopped.set()
            return
        self._calls.end_all("device stopped")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANG_UP_TIMEOUT):
                await self._calls.wait_idle()
        self._client.stop(monotonic())
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.logout_timeout):
                await self._stopped.wait()
        self._stopped.set()
        self._wake.set()

    async def logout(self) -> None:
        """Log out and stay away."""
        await self.stop()

    def reregister(self) -> None:
        """Register anew as after a reboot: with a new Call-ID."""
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
        """Break the signalling connection (TCP and TLS) without a word."""
        if (
            self._driver is not None
            and self._flow is not None
            and self._flow.connection is not None
        ):
            self._driver.drop_connection(self._flow.connection)

    def _client_config(self) -> RegisterClientConfig:
        options = self._options
        wrong = options.has(Quirk.WRONG_PASSWORD)
        return RegisterClientConfig(
            device_id=self.device_id,
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

    def _contact(self) -> str:
        address = self.local_address or (self._local_host, 5060)
        if self._options.has(Quirk.CONTACT_PRIVATE):
            address = _PRIVATE_ADDRESS
        return f"sip:{self.device_id}@{host_port(address)}"

    async def _connect(self) -> Flow:
        assert self._driver is not None
        if self._options.transport == "UDP":
            if len(self._flows) >= _MAX_PORTS:
                self._flow = self._flows.pop(0)
            else:
                local = await self._driver.listen_udp(self._local_host, 0)
                self._flow = self._driver.flow_udp(self._server, local)
            self._flows.append(self._flow)
        else:
            self._flow = await self._driver.connect_tcp(
                *self._server, ssl=self._tls, local=(self._local_host, 0)
            )
        return self._flow

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
                    self._plan_drop()
                case Offline(detail):
                    self._tell("offline", detail)
                case RegistrationFailed(_, detail, retry_in):
                    self._tell("register_failed", f"{detail}; again in {retry_in:.0f} s")
                case Stopped(confirmed):
                    self._tell("logged_out", "" if confirmed else "without an answer")
                    self._stopped.set()
                case _:
                    assert_never(event)

    async def _register(self, event: SendRegister) -> None:
        assert self._driver is not None
        try:
            response = await self._driver.client.request(
                "REGISTER",
                event.uri,
                flow=self._flow or await self._connect(),
                from_=event.address,
                to=event.address,
                call_id=event.call_id,
                from_tag=event.from_tag,
                cseq=event.cseq,
                headers=event.headers,
            )
        except _LOST as error:
            self._client.register_failed(monotonic(), str(error))
        else:
            self._client.receive_register_response(response, monotonic())
        self._wake.set()

    async def _keepalive(self, sn: int) -> None:
        try:
            if self._options.has(Quirk.KEEPALIVE_PORT_CHANGE):
                await self._connect()
            response = await self._send_message(self._answers.keepalive(sn))
        except _LOST as error:
            self._client.keepalive_failed(monotonic(), str(error))
        else:
            self._client.keepalive_answered(response.status, monotonic())
        self._wake.set()

    async def _send_message(self, body: bytes) -> Response:
        options = self._options
        if self._driver is None or self._flow is None:
            raise SipTransportError("there is no connection to the platform")
        platform = f"sip:{options.server_id}@{options.sip_domain}"
        return await self._driver.client.request(
            "MESSAGE",
            platform,
            flow=self._flow,
            from_=f"<sip:{self.device_id}@{options.sip_domain}>",
            to=f"<{platform}>",
            body=body,
            content_type=_MANSCDP,
            timeout=_REQUEST_TIMEOUT,
        )

    def _receive_request(self, incoming: IncomingRequest) -> None:
        match incoming.request.method:
            case "INVITE":
                self._calls.receive_invite(incoming)
            case "MESSAGE":
                incoming.respond(200)
                self._spawn(self._answer(incoming.request.body), "answer")
            case _:
                incoming.respond(405)

    async def _answer(self, body: bytes) -> None:
        try:
            cmd_type, bodies = self._answers.answer(body)
        except RemoteProtocolError as error:
            self._tell("message_unreadable", str(error))
            return
        if self._options.has(Quirk.CATALOG_OUT_OF_ORDER):
            for part in bodies:
                self._spawn(self._send_answer(part), "answer")
        else:
            for part in bodies:
                await self._send_answer(part)
        if bodies:
            self._tell("query_answered", f"{cmd_type}, messages: {len(bodies)}")

    async def _send_answer(self, body: bytes) -> None:
        try:
            await self._send_message(body)
        except _LOST as error:
            self._tell("answer_lost", str(error))

    def _connection_lost(self, connection: int, reason: str) -> None:
        if self._flow is not None and self._flow.connection == connection:
            self._flow = None
            self._calls.end_all("signalling connection lost")
            self._client.connection_lost(monotonic(), reason)
            self._wake.set()

    def _plan_drop(self) -> None:
        if self._options.has(Quirk.DROP_TCP):
            self._spawn(self._drop_later(), "drop")

    async def _drop_later(self) -> None:
        await asyncio.sleep(self._options.drop_after)
        self.drop_connection()

    def _spawn(self, coro: Coroutine[object, object, None], name: str) -> None:
        self._scope.spawn(coro, name=f"{name}:{self.device_id}")

    def _tell(self, what: str, detail: str) -> None:
        self._report(DeviceEvent(self.device_id, what, detail))

    def _crashed(self, name: str, error: Exception) -> None:
        self._tell("crashed", f"{name}: {error!r}")


def _new_token() -> str:
    return secrets.token_hex(8)
