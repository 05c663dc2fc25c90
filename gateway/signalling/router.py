"""What comes in over SIP: one table from method, then from (root element, CmdType), to a handler."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Protocol

import structlog

from gateway.domain.device import Identity, TimelineKind
from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.address import address_of
from gateway.signalling.answers import SipAnswers
from gateway.signalling.catalog import CatalogSync
from gateway.signalling.notices import DeviceNotices
from gateway.signalling.pending import PendingAnswers
from gateway.signalling.registration import DeviceRegistrations
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.flow.registrar import Registrar
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
        self._registry = registry
        self._catalog_sync = catalog
        self._pending = pending
        self._scope = scope
        self._now = now
        self._metrics = metrics
        self._trust = trust
        self._alive = metrics.keepalives.labels("ok")
        self._answers = SipAnswers(metrics)
        self._registrations = DeviceRegistrations(
            registrar=registrar,
            registry=registry,
            answers=self._answers,
            scope=scope,
            now=now,
            wall=wall,
            send_date=send_date,
            metrics=metrics,
            trust=trust,
        )
        self._unknown = RateLimitedCounter(log.info, "message_not_understood")

    def on_request(self, incoming: IncomingRequest) -> None:
        """Answer one request; called by the driver, must not block."""
        handler = self._METHODS.get(incoming.request.method)
        if self._uppers.handles(incoming):
            return
        if handler is None:
            self._answers.answer(incoming, 405, headers=[("Allow", ALLOW)])
            return
        handler(self, incoming)

    def _register(self, incoming: IncomingRequest) -> None:
        self._registrations.handle(incoming)

    # MESSAGE

    def _message(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        if incoming.dialog is not None:
            # MediaStatus: whoever From names (quirk 23), the dialog says whose it is.
            self._answers.answer(incoming, 200)
            return
        device_id = request.from_.user
        identity = self._identify(incoming)
        if not identity.accepted:
            # 403 makes a device that we forgot, or that moved, register again (protocol 3.6).
            self._metrics.messages_refused.labels(identity.value).inc()
            self._answers.answer(incoming, 403, detail=identity.value)
            return
        if not request.body.strip():
            self._registry.keepalive(device_id, ok=True, faults=(), now=self._now())
            self._answers.answer(incoming, 200)
            return
        alive = read_plain_keepalive(request.body)
        if alive is not None:
            self._answers.answer(incoming, 200)
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
        self._answers.answer(incoming, error.status, detail=str(error))

    def _take(self, incoming: IncomingRequest, device_id: str, message: ManscdpMessage) -> None:
        self._answers.answer(incoming, 200)
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
        self._answers.answer(incoming, 488 if accepted else 403, stateless=not accepted)

    def _subscribe(self, incoming: IncomingRequest) -> None:
        accepted = self._identify(incoming).accepted
        self._answers.answer(incoming, 489 if accepted else 403, stateless=not accepted)

    def _notify(self, incoming: IncomingRequest) -> None:
        """Take a NOTIFY outside any dialog: matched by its sender and its body (protocol 7.1)."""
        device_id = incoming.request.from_.user
        if not self._identify(incoming).accepted:
            self._answers.answer(incoming, 481, stateless=True)
            return
        self.notified(device_id, incoming)

    def notified(self, device_id: str, incoming: IncomingRequest) -> None:
        """Take a NOTIFY of a device that is known to be the sender, in a dialog or outside."""
        if not incoming.request.body.strip():
            self._answers.answer(incoming, 200)
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
        self._answers.answer(incoming, 200)
        if not self._notices.notified(device_id, message):
            self._unknown.add(device_id=device_id, message=f"{message.root}/{message.cmd_type}")

    def _catalog_notice(self, device_id: str, message: ManscdpMessage) -> None:
        self._notices.catalog(device_id, message)

    def _alarm_notice(self, device_id: str, message: ManscdpMessage) -> None:
        self._notices.alarm(device_id, message)

    def _outside_dialog(self, incoming: IncomingRequest) -> None:
        self._answers.answer(incoming, 481)

    def _identify(self, incoming: IncomingRequest) -> Identity:
        flow = incoming.flow
        identity = self._registry.identify(
            incoming.request.from_.user, address_of(incoming.flow), self._now()
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
