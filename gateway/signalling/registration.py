"""REGISTER of devices: what the registrar decides, carried out and answered (protocol 3)."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.domain.device import Registration, TimelineKind
from gateway.domain.errors import Unavailable
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.address import address_of
from gateway.signalling.answers import SipAnswers
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tasks import TaskScope
from gb28181.flow.registrar import Accept, Challenge, Ignore, Refuse, Registrar, ok_headers

__all__ = ["DeviceRegistrations"]


class DeviceRegistrations:
    """Answers them.

    Args:
        registrar: Decides.
        registry: Knows the devices.
        answers: Gives the answers.
        scope: Owner of the answers that must wait for the store.
        now: Monotonic clock in seconds.
        wall: Wall clock, timezone-aware.
        send_date: Whether the 200 carries Date.
        metrics: Counts what became of them.
        trust: Called with the number of a connection on which a device has proved itself.
    """

    def __init__(
        self,
        *,
        registrar: Registrar,
        registry: DeviceRegistry,
        answers: SipAnswers,
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        send_date: bool,
        metrics: Metrics,
        trust: Callable[[int], None],
    ) -> None:
        self._registrar = registrar
        self._registry = registry
        self._answers = answers
        self._scope = scope
        self._now = now
        self._wall = wall
        self._send_date = send_date
        self._metrics = metrics
        self._trust = trust
        self._registered = metrics.registrations.labels("accepted")
        self._challenged = metrics.registrations.labels("challenged")

    def handle(self, incoming: IncomingRequest) -> None:
        """Challenge, accept, refuse or ignore one; the 200 waits for the store where it must."""
        decision = self._registrar.handle(
            incoming.request, incoming.flow.remote, self._registry.credential, self._now()
        )
        match decision:
            case Challenge():
                self._challenged.inc()
                # A nonce that has merely expired, as all have after a restart, is no news.
                if decision.failed and not any(
                    "stale=true" in item[1] for item in decision.headers
                ):
                    self._auth_failed(decision.device_id, incoming, decision.failed)
                self._answers.answer(
                    incoming,
                    401,
                    headers=decision.headers,
                    detail=decision.failed or "",
                    stateless=True,
                )
            case Accept():
                self._accept(incoming, decision)
            case Refuse():
                self._refused(incoming, decision)
            case Ignore():
                self._metrics.registrations.labels("ignored").inc()
                incoming.ignore()

    def _refused(self, incoming: IncomingRequest, decision: Refuse) -> None:
        device_id = decision.device_id
        if device_id and decision.status == 403:
            self._auth_failed(device_id, incoming, decision.detail)
        elif device_id:
            # The password was right; something else was not.
            self._registry.note(device_id, TimelineKind.MESSAGE_REJECTED, decision.detail)
        self._metrics.registrations.labels("refused").inc()
        self._answers.answer(
            incoming,
            decision.status,
            decision.reason,
            headers=decision.headers,
            detail=decision.detail,
        )

    def _auth_failed(self, device_id: str, incoming: IncomingRequest, detail: str) -> None:
        # The registrar has a dozen fixed words for it, none of them the peer's.
        self._metrics.auth_failures.labels(detail.lower().replace(" ", "_")).inc()
        host, port = incoming.flow.remote
        self._registry.note(device_id, TimelineKind.AUTH_FAILED, f"{detail} (from {host}:{port})")

    def _accept(self, incoming: IncomingRequest, decision: Accept) -> None:
        connection = incoming.flow.connection
        if connection is not None:
            self._trust(connection)
        try:
            durable = self._settle(incoming, decision)
        except Unavailable as exc:
            self._answers.answer(incoming, 503, headers=[("Retry-After", "300")], detail=exc.detail)
            return
        if durable is None:
            self._welcome(incoming, decision)
        else:
            self._scope.spawn(
                self._welcome_when_durable(incoming, decision, durable),
                name=f"register:{decision.device_id}",
            )

    def _settle(self, incoming: IncomingRequest, decision: Accept) -> asyncio.Future[None] | None:
        now = self._now()
        if decision.is_logout:
            self._metrics.registrations.labels("logout").inc()
            return self._registry.unregistered(decision.device_id)
        self._registered.inc()
        return self._registry.registered(
            Registration(
                device_id=decision.device_id,
                address=address_of(incoming.flow),
                contact=decision.contact,
                expires=decision.expires,
                call_id=decision.call_id,
                gb_version=decision.gb_version,
                user_agent=decision.user_agent,
            ),
            now,
        )

    async def _welcome_when_durable(
        self, incoming: IncomingRequest, decision: Accept, durable: asyncio.Future[None]
    ) -> None:
        try:
            await durable
        except Unavailable as exc:
            self._answers.answer(incoming, 503, headers=[("Retry-After", "30")], detail=exc.detail)
            return
        self._welcome(incoming, decision)

    def _welcome(self, incoming: IncomingRequest, decision: Accept) -> None:
        date = self._wall() if self._send_date else None
        detail = "logout" if decision.is_logout else f"expires in {decision.expires} s"
        self._answers.answer(incoming, 200, headers=ok_headers(decision, date), detail=detail)
