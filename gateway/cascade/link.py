"""The link to one upper platform: registered, kept alive, and tried again elsewhere when it fails (protocol 3.1-3.6)."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Final, assert_never

from gateway.cascade.link_client import FORGOTTEN, SETTLING, client_config, peer_of
from gateway.cascade.link_reason import Cause, cause_of
from gateway.cascade.link_record import LinkRecord
from gateway.cascade.link_retry import RetryPlan, redirection
from gateway.cascade.ports import UpperTransport
from gateway.domain.clock import Clock
from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Unavailable
from gateway.domain.platform import Edition, PlatformConfig, PlatformEvent, PlatformStatus
from gateway.registry.timeline import Timeline
from gb28181.aio.tasks import TaskScope
from gb28181.flow.register_client import (
    Event,
    Offline,
    Online,
    RegisterClient,
    RegisterClientState,
    RegistrationFailed,
    SendKeepalive,
    SendRegister,
    Stopped,
)
from gb28181.manscdp import Keepalive
from gb28181.manscdp.message import Content
from gb28181.sip.message import Response

__all__ = ["STOP_WAIT", "UpperPlatformLink"]

STOP_WAIT: Final = 3.0
"""Seconds a deregistration may take before it is left undone."""
END_WAIT: Final = 1.0
"""Seconds for the link's own tasks to end after that."""


class UpperPlatformLink:
    """One platform; one task (`run`) owns the registration, its timers and the way there.

    Args:
        config: What is configured.
        password: In the clear.
        own_id: Our own code, where the configuration names no other.
        transport: SIP towards platforms.
        clock: Monotonic and wall clock.
        new_token: Makes tokens for Call-ID, tag and cnonce.
        new_fraction: Makes numbers in [0, 1) that spread retries.
        on_crash: Told of a crash of one of its tasks.
        timeline: That of an earlier link to the same platform, to be continued.
    """

    def __init__(
        self,
        config: PlatformConfig,
        password: str,
        *,
        own_id: str,
        transport: UpperTransport,
        clock: Clock,
        new_token: Callable[[], str],
        new_fraction: Callable[[], float],
        on_crash: Callable[[str, Exception], None],
        timeline: Timeline | None = None,
    ) -> None:
        self.record = LinkRecord(config, clock, timeline)
        self.prepared: asyncio.Event | None = None
        """What must be there before we register: a platform asks for the catalogue as soon as it has granted."""
        self._config = config
        self._peer = config
        self._local_id = config.local_id or own_id
        self._has_password = bool(password)
        self._transport = transport
        self._clock = clock
        self._on_crash = on_crash
        self._client = RegisterClient(
            client_config(config, password, own_id=own_id),
            new_token=new_token,
            new_fraction=new_fraction,
        )
        self._retry = RetryPlan(config, new_fraction)
        self._route: DeviceAddress | None = None
        self._attempt = 0
        self._cseq = 0
        self._cause: Cause | None = None
        self._scope: TaskScope | None = None
        self._wake = asyncio.Event()
        self._finished = asyncio.Event()
        self._stopping = False
        self._done = False

    # What others see

    @property
    def config(self) -> PlatformConfig:
        """Its configuration."""
        return self._config

    @property
    def local_id(self) -> str:
        """Code under which we register there."""
        return self._local_id

    @property
    def peer_id(self) -> str:
        """Code of the server we are registered at: the platform's, or that of one it sent us to."""
        return self._peer.platform_id

    @property
    def online(self) -> bool:
        """Whether we are registered there and its keepalives are answered."""
        return self.record.is_online

    @property
    def settling(self) -> bool:
        """Whether a first registration is under way: its 200 may be in, and not acted on yet."""
        return self._route is not None and not self.online and self._client.state in SETTLING

    @property
    def route(self) -> DeviceAddress | None:
        """Where it is reached now."""
        return self._route

    def status(self) -> PlatformStatus:
        """Return how it is now; a copy."""
        return self.record.snapshot(self._client.missed)

    def note(self, event: str, detail: str) -> None:
        """Add to the platform's timeline (`PlatformEvent` value)."""
        self.record.note(event, detail)

    async def send(self, content: Content) -> None:
        """Send a MESSAGE and return once it is acknowledged.

        Raises:
            Unavailable: `platform_offline`, `no_answer`, `unreachable`, `platform_refused`.
        """
        route, platform_id = self._route, self._config.platform_id
        if not self.online or route is None:
            reason = self.record.reason or "registering"
            raise Unavailable(
                "platform_offline", f"We are not registered at platform {platform_id} ({reason})"
            )
        response = await self._transport.message(self._peer, route, content)
        if response.status >= 300:
            raise Unavailable(
                "platform_refused",
                f"Platform {platform_id} answered {response.status} {response.reason}".rstrip(),
            )

    def connection_lost(self, connection: int, reason: str) -> None:
        """Learn that a connection is gone; ours means that the platform is off-line (2022 9.1.1 f)."""
        if self._route is None or self._route.connection != connection:
            return
        self._route = None
        detail = f"The connection to the platform was lost: {reason}"
        self._cause = Cause("connection_lost", detail)
        self._client.connection_lost(self._clock.monotonic(), detail)
        self._wake.set()

    def reconnect(self, detail: str) -> None:
        """Register anew now: where we are registered, or else from the first address."""
        if self._stopping or self._scope is None or not self._attempt:
            return
        self.note(PlatformEvent.REMARK, detail)
        if self.online and self._route is not None:
            contact = self._transport.contact(self._peer, self._route)
            self._client.start(self._clock.monotonic(), contact=contact)
        else:
            self._retry.again_now(self._clock.monotonic())
        self._wake.set()

    # Life

    async def run(self) -> None:
        """Keep registered until `stop` has done its work, or cancelled."""
        if self._done:
            return
        try:
            async with TaskScope(self._crashed) as scope:
                self._scope = scope
                self._spawn(self._prepare(), "prepare")
                while not self._done:
                    await self._sleep()
                    self._act()
        finally:
            self._scope = None
            self._drop_route()
            self.record.went_offline(Cause("stopped", "The link was ended"))
            self._finished.set()

    async def _prepare(self) -> None:
        if self.prepared is not None:
            await self.prepared.wait()
        if not self._stopping:
            self._begin()
            self._wake.set()

    async def stop(self) -> None:
        """Deregister and end `run`; returns within seconds, idempotent."""
        self._stopping = True
        self._client.stop(self._clock.monotonic())
        self._wake.set()
        if self._scope is None:
            self._done = True
            return
        for seconds in (STOP_WAIT, END_WAIT):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._finished.wait()
            # What is not done by now is left undone.
            self._done = True
            self._wake.set()

    async def _sleep(self) -> None:
        due = [when for when in (self._client.next_timer(), self._retry.at) if when is not None]
        delay = max(0.0, min(due) - self._clock.monotonic()) if due else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
        self._wake.clear()

    def _act(self) -> None:
        now = self._clock.monotonic()
        self._client.handle_timer(now)
        if self._retry.due(now):
            self._begin()
        while (event := self._client.next_event()) is not None:
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case SendRegister():
                self._cseq = event.cseq
                self._spawn(self._register(event, self._attempt), "register")
            case SendKeepalive(sn):
                self._spawn(self._keepalive(sn, self._attempt), "keepalive")
            case Online(granted):
                self._retry.succeeded(self._clock.monotonic())
                self._cause = None
                self.record.went_online(granted)
            case Offline():
                pass  # the RegistrationFailed behind it says why
            case RegistrationFailed():
                self._failed(event)
            case Stopped(confirmed):
                answer = "" if confirmed else ", without an answer to it"
                self.record.went_offline(Cause("stopped", f"We deregistered{answer}"))
                self._done = True
            case _:
                assert_never(event)

    # Connecting

    def _begin(self) -> None:
        """Try the address whose turn it is."""
        self._attempt += 1
        self._drop_route()
        self._cause = None
        target, peer_id = self._retry.target
        self._peer = peer_of(self._config, peer_id)
        self._client.config = replace(self._client.config, server_id=self._peer.platform_id)
        self.record.connecting(f"{target.host}:{target.port}")
        self._spawn(self._connect(self._attempt), "connect")

    async def _connect(self, attempt: int) -> None:
        target, _ = self._retry.target
        try:
            route = await self._transport.connect(self._peer, target)
        except Unavailable as exc:
            if attempt == self._attempt:
                self._plan(Cause(exc.code, exc.detail), 0.0)
                self._wake.set()
            return
        if attempt != self._attempt or self._done:
            self._transport.disconnect(route)
            return
        self._route = route
        self.record.registering()
        contact = self._transport.contact(self._peer, route)
        self._client.start(self._clock.monotonic(), contact=contact)
        self._wake.set()

    def _drop_route(self) -> None:
        route, self._route = self._route, None
        if route is not None:
            self._transport.disconnect(route)

    def _require_route(self) -> DeviceAddress:
        if self._route is None:
            raise Unavailable("unreachable", "The connection to the platform is gone")
        return self._route

    # Registering and living

    async def _register(self, event: SendRegister, attempt: int) -> None:
        began = self._clock.monotonic()
        try:
            response = await self._transport.register(
                self._peer,
                self._require_route(),
                call_id=event.call_id,
                from_tag=event.from_tag,
                cseq=event.cseq,
                headers=event.headers,
            )
        except Unavailable as exc:
            if self._is_newest(event, attempt):
                self._cause = Cause(exc.code, exc.detail)
                self._client.register_failed(self._clock.monotonic(), exc.detail)
        else:
            if self._is_newest(event, attempt):
                self._answered(response, began)
        self._wake.set()

    def _is_newest(self, event: SendRegister, attempt: int) -> bool:
        """Whether nothing else was begun since: an answer to what is past would be taken for another's."""
        return attempt == self._attempt and event.cseq == self._cseq

    def _answered(self, response: Response, began: float) -> None:
        now, client = self._clock.monotonic(), self._client
        client.receive_register_response(response, now)
        if response.status < 300 and client.state is RegisterClientState.REGISTERED:
            self.record.granted(response, client.granted, now - began)

    async def _keepalive(self, sn: int, attempt: int) -> None:
        keepalive = Keepalive(sn=sn, device_id=self._local_id, status="OK")
        interval = self._config.keepalive_interval
        failure, status = "", 0
        try:
            # Answered before the next one is due, or missed.
            async with asyncio.timeout(interval):
                route = self._require_route()
                status = (await self._transport.message(self._peer, route, keepalive)).status
        except Unavailable as exc:
            failure = exc.detail
        except TimeoutError:
            failure = f"No answer to a keepalive in {interval:g} s"
        if attempt == self._attempt:
            self._kept_alive(status, failure)
            self._wake.set()

    def _kept_alive(self, status: int, failure: str) -> None:
        now, client = self._clock.monotonic(), self._client
        if not failure and status < 300:
            self.record.kept_alive()
            client.keepalive_answered(status, now)
            return
        count = f"{client.missed + 1} of {self._config.keepalive_misses}"
        detail = failure or f"Keepalive answered {status}"
        self.note(PlatformEvent.KEEPALIVE_MISSED, f"{count}: {detail}")
        if not failure and status in FORGOTTEN:
            self._cause = Cause("keepalive_refused", f"{detail}: it takes us for not registered")
            client.keepalive_answered(status, now)
        else:
            self._cause = Cause("keepalive_missed", f"{detail}, {count}")
            client.keepalive_failed(now, detail)

    # What became of it

    def _failed(self, event: RegistrationFailed) -> None:
        cause = cause_of(event, self._config, has_password=self._has_password, known=self._cause)
        self.record.went_offline(cause)
        if self._config.edition is Edition.V2022:
            moved = redirection(event.contacts, self._config)
            if moved is not None and self._retry.redirect(*moved):
                self.note(PlatformEvent.REMARK, f"Sent on to {moved[0].host}:{moved[0].port}")
                self._begin()
                return
        self._plan(cause, event.retry_in)

    def _plan(self, cause: Cause, retry_after: float) -> None:
        """After a failure: the next address soon, or after the last one all of them again later."""
        self._attempt += 1
        self._drop_route()
        now = self._clock.monotonic()
        delay = self._retry.failed(now, retry_after, reason=cause.reason)
        target, _ = self._retry.target
        self.record.failed(cause, delay, f"{target.host}:{target.port}")

    def _crashed(self, name: str, error: Exception) -> None:
        """A step broke inside: it counts as failed, so that the link goes on."""
        self._on_crash(name, error)
        cause = self._cause = Cause("internal_error", f"Failed inside the gateway: {error!r}")
        if name.startswith("connect"):
            self._plan(cause, 0.0)
        elif name.startswith("register"):
            self._client.register_failed(self._clock.monotonic(), cause.detail)
        else:
            self._client.keepalive_failed(self._clock.monotonic(), cause.detail)
        self._wake.set()

    def _spawn(self, coro: Coroutine[object, object, None], name: str) -> None:
        assert self._scope is not None
        self._scope.spawn(coro, name=f"{name}:{self._config.platform_id}")
