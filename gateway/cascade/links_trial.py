"""A dry registration, before a platform is saved: each step, when, what came and what to do."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.cascade.link_client import client_config
from gateway.cascade.link_reason import Cause, cause_of
from gateway.cascade.link_times import CLOCK_TOLERANCE, Registered
from gateway.cascade.ports import UpperTransport
from gateway.domain.clock import Clock
from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformAddress, PlatformConfig
from gb28181.flow.register_client import (
    Offline,
    Online,
    RegisterClient,
    RegistrationFailed,
    SendKeepalive,
    SendRegister,
    Stopped,
)
from gb28181.manscdp import Keepalive
from gb28181.sip.message import Response

__all__ = ["RegistrationTrial", "TrialReport", "TrialStep"]

TRIAL_EXPIRES: Final = 300
"""Seconds asked for: if deregistering fails, the platform forgets us soon by itself."""
TRIAL_TIME: Final = 45.0
"""Seconds for one address, all steps together."""
MAX_STEPS: Final = 12
"""Steps noted per address; an ordinary registration takes five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStep:
    """One thing that was tried."""

    address: str
    """`host:port`."""
    name: str
    """`connect`, `register`, `authorize`, `keepalive`, `deregister`."""
    at: float
    """Seconds after the start at which it was done."""
    ok: bool
    status: int | None = None
    """SIP status that came, if one did."""
    reason: str = ""
    """Stable word for what went wrong; empty if nothing did."""
    detail: str = ""
    """What came, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReport:
    """What became of a dry registration."""

    ok: bool
    """Whether every address granted it."""
    steps: tuple[TrialStep, ...]
    granted: int | None = None
    """Seconds the last platform asked granted, as it said."""
    clock_offset: float | None = None
    """Seconds by which its clock is ahead of ours."""


class RegistrationTrial:
    """Registers at each address of a configuration, sends one keepalive and deregisters.

    Args:
        config: What is to be tried.
        password: In the clear.
        own_id: Our own code, where the configuration names no other.
        transport: SIP towards platforms.
        clock: Monotonic and wall clock.
        new_token: Makes tokens.
        deregister: Whether to end the registration again.
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
        deregister: bool = True,
    ) -> None:
        self._config = config
        self._local_id = config.local_id or own_id
        self._has_password = bool(password)
        self._transport = transport
        self._clock = clock
        self._new_token = new_token
        self._deregister = deregister
        self._client_config = replace(
            client_config(config, password, own_id=own_id),
            expires=TRIAL_EXPIRES,
            keepalive_interval=None,
        )
        self._began = clock.monotonic()
        self._steps: list[TrialStep] = []
        self._registered: Registered | None = None
        self._address = ""

    async def run(self) -> TrialReport:
        """Try all addresses, one after the other."""
        self._began = self._clock.monotonic()
        results = []
        for address in self._config.addresses:
            self._address = f"{address.host}:{address.port}"
            try:
                async with asyncio.timeout(TRIAL_TIME):
                    results.append(await self._try(address))
            except TimeoutError:
                detail = f"Not done within {TRIAL_TIME:g} s"
                self._note("register", ok=False, cause=Cause("no_answer", detail))
                results.append(False)
        registered = self._registered
        return TrialReport(
            ok=bool(results) and all(results),
            steps=tuple(self._steps),
            granted=registered.said if registered else None,
            clock_offset=registered.clock_offset if registered else None,
        )

    async def _try(self, address: PlatformAddress) -> bool:
        config = self._config
        try:
            route = await self._transport.connect(config, address)
        except Unavailable as exc:
            self._note("connect", ok=False, cause=Cause(exc.code, exc.detail))
            return False
        local = f"{config.transport} from {route.local_host}:{route.local_port}"
        self._note("connect", ok=True, detail=local)
        try:
            return await self._talk(route)
        finally:
            self._transport.disconnect(route)

    async def _talk(self, route: DeviceAddress) -> bool:
        clock, registered, known = self._clock, False, None
        client = RegisterClient(
            self._client_config, new_token=self._new_token, new_fraction=lambda: 0.0
        )
        client.start(clock.monotonic(), contact=self._transport.contact(self._config, route))
        for _ in range(MAX_STEPS):
            match client.next_event():
                case SendRegister() as event:
                    known = await self._register(client, event, route)
                case Online():
                    registered = True
                    await self._keepalive(route)
                    if self._deregister:
                        client.stop(clock.monotonic())
                case RegistrationFailed() as failed:
                    cause = cause_of(
                        failed, self._config, has_password=self._has_password, known=known
                    )
                    name = "authorize" if failed.authorized else "register"
                    self._note(name, ok=False, cause=cause, status=failed.status)
                case None:
                    break
                case SendKeepalive() | Offline() | Stopped():
                    pass
        return registered

    async def _register(
        self, client: RegisterClient, event: SendRegister, route: DeviceAddress
    ) -> Cause | None:
        sent = self._clock.monotonic()
        authorized = any(name == "Authorization" for name, _ in event.headers)
        name = "authorize" if authorized else "register"
        if event.expires == 0:
            name = "deregister"
        try:
            response = await self._transport.register(
                self._config,
                route,
                call_id=event.call_id,
                from_tag=event.from_tag,
                cseq=event.cseq,
                headers=event.headers,
            )
        except Unavailable as exc:
            client.register_failed(self._clock.monotonic(), exc.detail)
            if name == "deregister":
                self._note(name, ok=False, cause=Cause(exc.code, exc.detail))
            return Cause(exc.code, exc.detail)
        now = self._clock.monotonic()
        client.receive_register_response(response, now)
        self._note_answer(name, response, now - sent)
        return None

    def _note_answer(self, name: str, response: Response, round_trip: float) -> None:
        """Note what is no failure; failures are noted with their cause."""
        status, said = response.status, f"{response.status} {response.reason}".rstrip()
        if name == "deregister":
            ok = status < 300 or status == 401
            cause = None if ok else Cause(f"refused_{status}", f"{said} to Expires 0")
            self._note(name, ok=ok, status=status, detail=said, cause=cause)
        elif status < 300:
            wall = self._clock.utc_now()
            registered = Registered.read(response, wall=wall, round_trip=round_trip)
            self._registered = registered
            detail = f"{said}, granted for {registered.said or TRIAL_EXPIRES} s"
            offset = registered.clock_offset
            if offset is not None and abs(offset) > CLOCK_TOLERANCE + registered.uncertainty:
                detail += f"; its clock differs from ours by {offset:+.1f} s"
            self._note(name, ok=True, status=status, detail=detail)
        elif status == 401 and name == "register":
            challenge = response.headers.get("WWW-Authenticate") or "no challenge"
            self._note(name, ok=True, status=status, detail=f"{said}: {challenge[:200]}")
        elif status == 423:
            least = response.headers.get("Min-Expires") or "nothing"
            self._note(name, ok=True, status=status, detail=f"{said}: wants at least {least[:20]}")

    async def _keepalive(self, route: DeviceAddress) -> None:
        keepalive = Keepalive(sn=1, device_id=self._local_id, status="OK")
        try:
            response = await self._transport.message(self._config, route, keepalive)
        except Unavailable as exc:
            self._note("keepalive", ok=False, cause=Cause(exc.code, exc.detail))
            return
        ok = response.status < 300
        said = f"{response.status} {response.reason}".rstrip()
        cause = None if ok else Cause("keepalive_refused", f"{said} to a keepalive")
        self._note("keepalive", ok=ok, status=response.status, detail=said, cause=cause)

    def _note(
        self,
        name: str,
        *,
        ok: bool,
        status: int | None = None,
        detail: str = "",
        cause: Cause | None = None,
    ) -> None:
        self._steps.append(
            TrialStep(
                address=self._address,
                name=name,
                at=round(self._clock.monotonic() - self._began, 3),
                ok=ok,
                status=status,
                reason=cause.reason if cause else "",
                detail=cause.detail if cause else detail,
            )
        )
