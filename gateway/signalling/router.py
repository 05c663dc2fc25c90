"""What comes in over SIP: one table from method, then from (root element, CmdType), to a handler."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Protocol

import structlog
from prometheus_client import Counter

from gateway.domain.device import DeviceAddress, Identity, Registration, TimelineKind
from gateway.domain.errors import Unavailable
from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.catalog import CatalogSync
from gateway.signalling.notices import DeviceNotices
from gateway.signalling.pending import PendingAnswers
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.flow.registrar import Accept, Challenge, Ignore, Refuse, Registrar, ok_headers
from gb28181.manscdp.message import ManscdpMessage, parse_message
from gb28181.manscdp.notify import Keepalive, read_plain_keepalive
from gb28181.manscdp.response import (
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)

__all__ = ["SipRouter"]

log = structlog.get_logger()

ALLOW = "REGISTER, MESSAGE, OPTIONS, INVITE, ACK, CANCEL, BYE, INFO, SUBSCRIBE, NOTIFY"
"""Methods named in Allow; GB/T 28181-2022 asks for the first INVITE to MESSAGE ones."""

LARGE_BODY = 65_536
"""Bytes above which a body is parsed in a worker instead of on the loop."""


class UpperDoor(Protocol):
    """Where requests of upper platforms go in."""

    def handles(self, incoming: IncomingRequest) -> bool:
        """Take a request if it is an upper platform's; False leaves it to the devices' side."""


class SipRouter:
    """Decides on every request that the stack does not answer by itself.

    Args:
        registrar: Decides on REGISTER.
        registry: Knows the devices.
        scope: Owner of the few answers that must wait for the store.
        now: Monotonic clock in seconds.
        wall: Wall clock, timezone-aware.
        send_date: Whether the answer to REGISTER carries Date.
        metrics: Counts what came and what became of it.
        trust: Called with the number of a connection on which a device has proved itself.
        notices: Takes what devices tell unasked.
        uppers: Takes what upper platforms ask; it looks at a request first.
    """

    def __init__(
        self,
        *,
        registrar: Registrar,
        registry: DeviceRegistry,
        catalog: CatalogSync,
        pending: PendingAnswers,
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        send_date: bool = True,
        metrics: Metrics,
        trust: Callable[[int], None],
        notices: DeviceNotices,
        uppers: UpperDoor,
    ) -> None:
        self._notices = notices
        self._uppers = uppers
        self._registrar = registrar
        self._registry = registry
        self._catalog_sync = catalog
        self._pending = pending
        self._scope = scope
        self._now = now
        self._wall = wall
        self._send_date = send_date
        self._metrics = metrics
        self._trust = trust
        self._registered = metrics.registrations.labels("accepted")
        self._challenged = metrics.registrations.labels("challenged")
        self._alive = metrics.keepalives.labels("ok")
        self._answers: dict[tuple[str, int], Counter] = {}
        self._unknown = RateLimitedCounter(log.info, "message_not_understood")
        # Bound once: the module's logger would be bound anew for every message.
        self._log = log.bind()

    def on_request(self, incoming: IncomingRequest) -> None:
        """Answer one request; called by the driver, must not block."""
        handler = self._METHODS.get(incoming.request.method)
        if self._uppers.handles(incoming):
            return
        if handler is None:
            self._answer(incoming, 405, headers=[("Allow", ALLOW)])
            return
        handler(self, incoming)

    def _answer(
        self,
        incoming: IncomingRequest,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        detail: str = "",
        stateless: bool = False,
    ) -> None:
        """Answer and leave the request's canonical line: keepalives and challenges only at debug."""
        request = incoming.request
        incoming.respond(status, reason, headers=headers, stateless=stateless)
        counter = self._answers.get((request.method, status))
        if counter is None:
            counter = self._metrics.sip_requests.labels(request.method, str(status))
            self._answers[request.method, status] = counter
        counter.inc()
        usual = status == 401 or (request.method == "MESSAGE" and status == 200)
        (self._log.debug if usual else self._log.info)(
            "sip_request_handled",
            method=request.method,
            device_id=request.from_.user,
            source=incoming.flow.remote[0],
            transport=incoming.flow.transport,
            status=status,
            detail=detail,
        )

    # REGISTER

    def _register(self, incoming: IncomingRequest) -> None:
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
                self._answer(
                    incoming,
                    401,
                    headers=decision.headers,
                    detail=decision.failed or "",
                    stateless=True,
                )
            case Accept():
                self._accept(incoming, decision)
            case Refuse():
                if decision.device_id:
                    self._auth_failed(decision.device_id, incoming, decision.detail)
                self._metrics.registrations.labels("refused").inc()
                self._answer(
                    incoming,
                    decision.status,
                    decision.reason,
                    headers=decision.headers,
                    detail=decision.detail,
                )
            case Ignore():
                self._metrics.registrations.labels("ignored").inc()
                incoming.ignore()

    def _auth_failed(self, device_id: str, incoming: IncomingRequest, detail: str) -> None:
        host, port = incoming.flow.remote
        self._registry.note(device_id, TimelineKind.AUTH_FAILED, f"{detail} (from {host}:{port})")

    def _accept(self, incoming: IncomingRequest, decision: Accept) -> None:
        connection = incoming.flow.connection
        if connection is not None:
            self._trust(connection)
        try:
            durable = self._settle(incoming, decision)
        except Unavailable as exc:
            self._answer(incoming, 503, headers=[("Retry-After", "300")], detail=exc.detail)
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
                address=_address(incoming),
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
            self._answer(incoming, 503, headers=[("Retry-After", "30")], detail=exc.detail)
            return
        self._welcome(incoming, decision)

    def _welcome(self, incoming: IncomingRequest, decision: Accept) -> None:
        date = self._wall() if self._send_date else None
        detail = "logout" if decision.is_logout else f"expires in {decision.expires} s"
        self._answer(incoming, 200, headers=ok_headers(decision, date), detail=detail)

    # MESSAGE

    def _message(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        if incoming.dialog is not None:
            # MediaStatus: whoever From names (quirk 23), the dialog says whose it is.
            self._answer(incoming, 200)
            return
        device_id = request.from_.user
        identity = self._identify(incoming)
        if not identity.accepted:
            # 403 makes a device that we forgot, or that moved, register again (protocol 3.6).
            self._metrics.messages_refused.labels(identity.value).inc()
            self._answer(incoming, 403, detail=identity.value)
            return
        if not request.body.strip():
            self._registry.keepalive(device_id, ok=True, faults=(), now=self._now())
            self._answer(incoming, 200)
            return
        alive = read_plain_keepalive(request.body)
        if alive is not None:
            self._answer(incoming, 200)
            self._take_keepalive(device_id, alive)
            return
        if len(request.body) > LARGE_BODY:
            self._scope.spawn(self._large(incoming, device_id), name=f"message:{device_id}")
            return
        try:
            message = parse_message(request.body)
        except RemoteProtocolError as exc:
            self._malformed(incoming, device_id, exc)
            return
        self._take(incoming, device_id, message)

    async def _large(self, incoming: IncomingRequest, device_id: str) -> None:
        try:
            message = await asyncio.to_thread(parse_message, incoming.request.body)
        except RemoteProtocolError as exc:
            self._malformed(incoming, device_id, exc)
            return
        self._take(incoming, device_id, message)

    def _malformed(
        self, incoming: IncomingRequest, device_id: str, error: RemoteProtocolError
    ) -> None:
        self._metrics.messages_refused.labels("malformed").inc()
        self._registry.note(device_id, TimelineKind.MESSAGE_REJECTED, str(error))
        self._answer(incoming, error.status, detail=str(error))

    def _take(self, incoming: IncomingRequest, device_id: str, message: ManscdpMessage) -> None:
        self._answer(incoming, 200)
        handler = self._MESSAGES.get((message.root, message.cmd_type))
        if handler is None:
            # Answered, so that it is not sent again, and otherwise ignored (protocol 10.3).
            self._metrics.messages_refused.labels("not_understood").inc()
            self._unknown.add(device_id=device_id, message=f"{message.root}/{message.cmd_type}")
            return
        handler(self, device_id, message)

    def _keepalive(self, device_id: str, message: ManscdpMessage) -> None:
        content = message.content
        assert isinstance(content, Keepalive)
        self._take_keepalive(device_id, content)

    def _take_keepalive(self, device_id: str, content: Keepalive) -> None:
        (self._alive if content.is_ok else self._metrics.keepalives.labels("fault")).inc()
        self._registry.keepalive(
            device_id, ok=content.is_ok, faults=content.faults, now=self._now()
        )

    def _catalog(self, device_id: str, message: ManscdpMessage) -> None:
        assert isinstance(message.content, CatalogResponse)
        self._catalog_sync.feed(device_id, message.content)

    def _device_info(self, device_id: str, message: ManscdpMessage) -> None:
        content = message.content
        assert isinstance(content, DeviceInfoResponse)
        self._registry.set_info(
            device_id,
            name=content.device_name,
            manufacturer=content.manufacturer,
            model=content.model,
            firmware=content.firmware,
        )

    def _device_status(self, device_id: str, message: ManscdpMessage) -> None:
        content = message.content
        assert isinstance(content, DeviceStatusResponse)
        self._pending.resolve(device_id, "DeviceStatus", content.sn, content.raw)

    def _result(self, device_id: str, message: ManscdpMessage) -> None:
        content = message.content
        if isinstance(content, Response):
            fields = {"Result": content.result, "Reason": content.reason}
            self._pending.resolve(device_id, content.cmd_type, content.sn, fields)

    # Requests without a place yet: answered as the standard says, so that nobody waits

    def _invite(self, incoming: IncomingRequest) -> None:
        accepted = self._identify(incoming).accepted
        # To a stranger nothing is kept: his ACK need not be waited for.
        self._answer(incoming, 488 if accepted else 403, stateless=not accepted)

    def _subscribe(self, incoming: IncomingRequest) -> None:
        accepted = self._identify(incoming).accepted
        self._answer(incoming, 489 if accepted else 403, stateless=not accepted)

    def _notify(self, incoming: IncomingRequest) -> None:
        """Take a NOTIFY outside any dialog: matched by its sender and its body (protocol 7.1)."""
        device_id = incoming.request.from_.user
        if not self._identify(incoming).accepted:
            self._answer(incoming, 481, stateless=True)
            return
        self.notified(device_id, incoming)

    def notified(self, device_id: str, incoming: IncomingRequest) -> None:
        """Take a NOTIFY of a device that is known to be the sender, in a dialog or outside."""
        if not incoming.request.body.strip():
            self._answer(incoming, 200)
            return
        self._scope.spawn(self._read_notify(incoming, device_id), name=f"notify:{device_id}")

    async def _read_notify(self, incoming: IncomingRequest, device_id: str) -> None:
        body = incoming.request.body
        try:
            if len(body) > LARGE_BODY:
                message = await asyncio.to_thread(parse_message, body)
            else:
                message = parse_message(body)
        except RemoteProtocolError as exc:
            self._malformed(incoming, device_id, exc)
            return
        self._answer(incoming, 200)
        if not self._notices.notified(device_id, message):
            self._unknown.add(device_id=device_id, message=f"{message.root}/{message.cmd_type}")

    def _catalog_notice(self, device_id: str, message: ManscdpMessage) -> None:
        self._notices.catalog(device_id, message)

    def _alarm_notice(self, device_id: str, message: ManscdpMessage) -> None:
        self._notices.alarm(device_id, message)

    def _outside_dialog(self, incoming: IncomingRequest) -> None:
        self._answer(incoming, 481)

    def _identify(self, incoming: IncomingRequest) -> Identity:
        flow = incoming.flow
        identity = self._registry.identify(
            incoming.request.from_.user, _address(incoming), self._now()
        )
        if identity.accepted and flow.connection is not None:
            self._trust(flow.connection)
        return identity

    _METHODS: ClassVar[Mapping[str, Callable[["SipRouter", IncomingRequest], None]]] = (
        MappingProxyType(
            {
                "REGISTER": _register,
                "MESSAGE": _message,
                "INVITE": _invite,
                "SUBSCRIBE": _subscribe,
                "NOTIFY": _notify,
                "INFO": _outside_dialog,
            }
        )
    )
    _MESSAGES: ClassVar[
        Mapping[tuple[str, str], Callable[["SipRouter", str, ManscdpMessage], None]]
    ] = MappingProxyType(
        {
            ("Notify", "Keepalive"): _keepalive,
            ("Notify", "Catalog"): _catalog_notice,
            ("Notify", "Alarm"): _alarm_notice,
            ("Response", "Catalog"): _catalog,
            ("Response", "DeviceInfo"): _device_info,
            ("Response", "DeviceStatus"): _device_status,
            ("Response", "DeviceControl"): _result,
        }
    )


def _address(incoming: IncomingRequest) -> DeviceAddress:
    flow = incoming.flow
    return DeviceAddress(
        transport=flow.transport,
        host=flow.remote[0],
        port=flow.remote[1],
        local_host=flow.local[0],
        local_port=flow.local[1],
        connection=flow.connection,
    )
