"""Requests of upper platforms: whose they are, then to the desk or the bridge (protocol 8.2, 10.2, 10.3)."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

import structlog

from gateway.cascade.desk import UpperDesk
from gateway.cascade.link import UpperPlatformLink
from gateway.cascade.links import Identified, UpperLinks
from gateway.cascade.ports import IncomingCall, SubscribeRequest, UpperLink, UpperRequester
from gateway.domain.errors import Forbidden
from gateway.domain.platform import Edition, PlatformConfig, PlatformEvent
from gateway.domain.policy import AccessContext, AccessControl, AccessRequest, Action, Subject
from gateway.observe.log import RateLimitedCounter
from gateway.sharing.identity import subject_of
from gateway.signalling.address import address_of
from gateway.signalling.upper import MANSCDP, serialize_for
from gateway.signalling.upper_dialogs import SipCall, SipSubscription
from gateway.signalling.upper_refusals import RefusalGates
from gb28181.aio.clock import monotonic
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.flow.identity import MonitorIdentity
from gb28181.manscdp import Response
from gb28181.manscdp.message import ManscdpMessage, parse_message
from gb28181.sip.message import Request
from gb28181.sip.uri import user_of

__all__ = ["BridgeDoor", "IdentityChecker", "UpperRequests"]

log = structlog.get_logger()

MAX_BODY: Final = 65_536
"""Bytes of a query, control or subscription; the longest of the standard has under 2 KiB."""
SETTLE_LOOK: Final = 0.02
SETTLE_LOOKS: Final = 50
"""A request that comes together with the 200 to our REGISTER is looked at so often before it is refused."""
MAX_DEFERRED: Final = 100
"""Requests waiting for that, of all platforms together."""
COUNTED_EVERY: Final = 60.0
"""Seconds after which refusals that were only counted are put on record in one."""
# The root element; a declaration and a comment do not begin with a letter.
_ROOT: Final = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.-]*)")
_ASKS: Final = frozenset({b"query", b"control"})
_NEEDED: Final = frozenset({"SN", "DeviceID"})
_MAYBE_BELOW: Final = frozenset({"other_id", "other_address", "disabled"})
_REFUSED_WITH: Final = {
    503: [("Retry-After", "60")],
    # RFC 6665 4.1.2.4 demands it; what counts is the body's CmdType all the same (protocol 7.2).
    489: [("Allow-Events", "Catalog, presence")],
}
_IDENTITY: Final = "Monitor-User-Identity"


class IdentityChecker(Protocol):
    """Reads and judges Monitor-User-Identity; `gateway.sharing.identity` implements it."""

    def check(self, config: PlatformConfig, value: str | None) -> MonitorIdentity | None:
        """Return the identity a request carries, None if it has none and needs none.

        Raises:
            Forbidden: `identity_required`, `identity_malformed`, `identity_loop`, `identity_untrusted`, ...
        """


class BridgeDoor(Protocol):
    """Takes INVITEs; `gateway.cascade.bridge` implements it."""

    def invite(self, link: UpperLink, call: IncomingCall, requester: UpperRequester) -> None:
        """Take an INVITE of a platform that has been identified; answers it sooner or later."""


class UpperRequests:
    """Takes what is an upper platform's, before the devices' side sees it.

    The same 20 digits may be a platform above and a device below: a MESSAGE that asks (Query, Control), an INVITE
    and a SUBSCRIBE come from above; one that tells (Notify, Response, or nothing readable) comes from below. From
    who is only a platform it comes from above all the same.

    Args:
        links: Knows the platforms.
        desk: Takes queries, controls and subscriptions.
        bridges: Takes INVITEs.
        access: Puts refusals on record.
        identities: Judges Monitor-User-Identity.
        own_id: Our code, where a platform's configuration names no other.
        is_device: Whether a code is a registered device's.
        trust: Called with the number of a connection on which a platform was recognised.
        scope: Owner of the few requests that must wait.
        wall: Wall clock, timezone-aware.
        timeout: Seconds to wait for the answer to a NOTIFY.
    """

    def __init__(
        self,
        *,
        links: UpperLinks,
        desk: UpperDesk,
        bridges: BridgeDoor,
        access: AccessControl,
        identities: IdentityChecker,
        own_id: str,
        is_device: Callable[[str], bool],
        trust: Callable[[int], None],
        scope: TaskScope,
        wall: Callable[[], datetime],
        timeout: float = 10.0,
    ) -> None:
        self._links = links
        self._desk = desk
        self._bridges = bridges
        self._access = access
        self._identities = identities
        self._own_id = own_id
        self._is_device = is_device
        self._trust = trust
        self._scope = scope
        self._wall = wall
        self._timeout = timeout
        self._deferred = 0
        self._gates = RefusalGates()
        self._counting = False
        self._unrecorded = RateLimitedCounter(log.warning, "upper_refusals_unrecorded")

    def handles(self, incoming: IncomingRequest) -> bool:
        """Take a request if it is an upper platform's; False leaves it to the devices' side."""
        request = incoming.request
        if incoming.dialog is not None or incoming.subscription is not None:
            return False
        if request.method not in {"MESSAGE", "INVITE", "SUBSCRIBE"}:
            return False
        name = request.from_.user
        told = request.method == "MESSAGE" and not _asks(request.body)
        if told and self._is_device(name):
            return False
        found = self._links.identify(name, address_of(incoming.flow))
        if found.reason == "unknown" or (told and found.reason == "other_id"):
            return False
        if found.reason in _MAYBE_BELOW and self._is_device(name):
            # A device at the same address as a platform, or with the code of one.
            return False
        self._take(incoming, found)
        return True

    # Whose it is

    def _take(self, incoming: IncomingRequest, found: Identified) -> None:
        link = found.link
        if found.accepted and link is not None:
            if incoming.flow.connection is not None:
                self._trust(incoming.flow.connection)
            self._admit(incoming, link)
        elif found.reason == "not_registered" and link is not None and link.settling:
            self._defer(incoming, found)
        else:
            self._refuse(incoming, found)

    def _defer(self, incoming: IncomingRequest, found: Identified) -> None:
        """Wait a moment for a registration under way: platforms ask as soon as they have granted it."""
        if self._deferred >= MAX_DEFERRED:
            self._refuse(incoming, found)
            return
        self._deferred += 1
        name = f"upper-settling:{incoming.request.from_.user[:20]}"
        self._scope.spawn(self._settle(incoming, found), name=name)

    async def _settle(self, incoming: IncomingRequest, found: Identified) -> None:
        try:
            for _ in range(SETTLE_LOOKS):
                await asyncio.sleep(SETTLE_LOOK)
                user, address = incoming.request.from_.user, address_of(incoming.flow)
                found = self._links.identify(user, address)
                if found.link is None or found.accepted or not found.link.settling:
                    break
        finally:
            self._deferred -= 1
        if incoming.cancelled or incoming.answered:
            return
        if found.accepted and found.link is not None:
            self._admit(incoming, found.link)
        else:
            self._refuse(incoming, found)

    def _refuse(self, incoming: IncomingRequest, found: Identified) -> None:
        """403 to whoever is not who it says; noted with the platform it concerns, and put on record."""
        link, request = found.link, incoming.request
        platform_id = link.config.platform_id if link is not None else request.from_.user[:20]
        if link is not None:
            link.note(PlatformEvent.REFUSED, f"{request.method}: {found.detail}")
        subject = Subject(platform=platform_id)
        zone = link.config.zone if link is not None else ""
        self._record(incoming, subject, zone, found.reason, found.detail)
        # To a stranger nothing is kept: his ACK need not be waited for.
        self._answer(incoming, 403, found.detail, stateless=True)

    def _admit(self, incoming: IncomingRequest, link: UpperPlatformLink) -> None:
        request, platform_id = incoming.request, link.config.platform_id
        source = incoming.flow.remote[0]
        try:
            identity = self._identities.check(link.config, _identity_of(request))
        except Forbidden as exc:
            link.note(PlatformEvent.REFUSED, f"{request.method}: {exc.detail}")
            subject = Subject(platform=platform_id)
            self._record(incoming, subject, link.config.zone, exc.code, exc.detail)
            self._answer(incoming, exc.status, exc.detail)
            return
        requester = UpperRequester(
            platform_id=platform_id,
            subject=subject_of(link.config, identity),
            source=source,
            identity=identity,
        )
        if request.method == "INVITE":
            incoming.respond(100)
            own_id = link.config.local_id or self._own_id
            self._bridges.invite(link, SipCall(incoming, own_id=own_id), requester)
        else:
            self._read(incoming, link, requester)

    # What it wants

    def _read(
        self, incoming: IncomingRequest, link: UpperPlatformLink, requester: UpperRequester
    ) -> None:
        body = incoming.request.body
        if len(body) > MAX_BODY:
            link.note(PlatformEvent.REFUSED, f"A body of {len(body)} bytes")
            self._answer(incoming, 413)
            return
        try:
            message = parse_message(body)
        except RemoteProtocolError as exc:
            link.note(PlatformEvent.REFUSED, f"{incoming.request.method}: {exc}")
            self._answer(incoming, exc.status, str(exc))
            return
        missing = [name for name in message.missing if name in _NEEDED]
        if missing:
            # SN begins at 1; an answer could not be matched with its question.
            what = f"{message.root}/{message.cmd_type}"[:80] + f" without {' and '.join(missing)}"
            link.note(PlatformEvent.REFUSED, f"{incoming.request.method}: {what}")
            self._answer(incoming, 400, what)
            return
        if incoming.request.method == "SUBSCRIBE":
            self._subscribe(incoming, link, message, requester)
        else:
            status = self._desk.message(link, message, requester)
            self._answer(incoming, status, f"{message.root}/{message.cmd_type}"[:80])

    def _subscribe(
        self,
        incoming: IncomingRequest,
        link: UpperPlatformLink,
        message: ManscdpMessage,
        requester: UpperRequester,
    ) -> None:
        home = _place(link)

        def accept(seconds: int) -> SipSubscription:
            first_edition = link.config.edition is Edition.V2011
            dialog = incoming.accept_subscribe(
                expires=seconds,
                # Protocol 2.3: the first edition wants an answer in the 200.
                body=serialize_for(link.config, _agreed(message)) if first_edition else b"",
                content_type=MANSCDP if first_edition else None,
            )
            held = SipSubscription(
                dialog,
                link.config,
                timeout=self._timeout,
                moved=lambda: _place(link) not in {home, None},
            )
            dialog.on_refresh = lambda again: self._refresh(link, held, again)
            dialog.on_end = lambda why: self._desk.subscription_ended(link, held, why)
            return held

        expires = incoming.request.expires
        request = SubscribeRequest(
            message=message,
            expires=-1 if expires is None else expires,
            identity=requester.identity,
        )
        status = self._desk.subscribe(link, request, requester, accept)
        if status == 200:
            self._log(incoming, 200, message.cmd_type[:40])
        else:
            headers = _REFUSED_WITH.get(status, [])
            self._answer(incoming, status, message.cmd_type[:40], headers=headers)

    def _refresh(
        self, link: UpperPlatformLink, held: SipSubscription, incoming: IncomingRequest
    ) -> None:
        status, seconds = self._desk.refresh(link, held, incoming.request.expires)
        headers = [("Expires", str(seconds))] if status == 200 else []
        self._answer(incoming, status, "refresh", headers=headers)

    # What is left of it

    def _record(
        self, incoming: IncomingRequest, subject: Subject, zone: str, reason: str, detail: str
    ) -> None:
        if not self._gates.passes(incoming.flow.remote[0], reason, monotonic()):
            self._unrecorded.add(reason=reason, source=incoming.flow.remote[0])
            if not self._counting:
                self._counting = True
                self._scope.spawn(self._record_counted(), name="upper-refusals-counted")
            return
        request = incoming.request
        live = request.method == "INVITE"
        self._access.refuse(
            AccessRequest(
                subject=subject,
                action=Action.LIVE if live else Action.CATALOG,
                channel=None,
                object_id=(user_of(request.uri) or request.to.user)[:64],
                context=AccessContext(at=self._wall(), zone=zone, source=incoming.flow.remote[0]),
                via="sip",
                detail=request.method,
            ),
            reason,
            detail,
        )

    async def _record_counted(self) -> None:
        """Put on record in one what was only counted, also when the gateway stops meanwhile."""
        try:
            await asyncio.sleep(COUNTED_EVERY)
        finally:
            self._counting = False
            request = AccessRequest(
                subject=Subject(),
                action=Action.CATALOG,
                channel=None,
                object_id="",
                context=AccessContext(at=self._wall()),
                via="sip",
            )
            detail = f"Refused and not recorded one by one: {self._gates.take_counted()}"
            self._access.refuse(request, "too_many_refusals", detail)

    def _answer(
        self,
        incoming: IncomingRequest,
        status: int,
        detail: str = "",
        *,
        headers: list[tuple[str, str]] | None = None,
        stateless: bool = False,
    ) -> None:
        incoming.respond(status, headers=headers or [], stateless=stateless)
        self._log(incoming, status, detail)

    def _log(self, incoming: IncomingRequest, status: int, detail: str) -> None:
        request = incoming.request
        usual = request.method == "MESSAGE" and status == 200
        (log.debug if usual else log.info)(
            "upper_request_handled",
            method=request.method,
            platform_id=request.from_.user[:40],
            source=incoming.flow.remote[0],
            transport=incoming.flow.transport,
            status=status,
            detail=detail,
        )


def _place(link: UpperPlatformLink) -> tuple[str, int] | None:
    """Return the address we are registered at, or are registering."""
    route = link.route
    return None if route is None else (route.host, route.port)


def _asks(body: bytes) -> bool:
    root = _ROOT.search(body, 0, 512)
    return root is not None and root[1].lower() in _ASKS


def _identity_of(request: Request) -> str | None:
    values = request.headers.get_all(_IDENTITY)
    if len(values) > 1:
        # Which of them counts would be anybody's guess.
        raise Forbidden("identity_malformed", f"{_IDENTITY} is there {len(values)} times")
    return values[0] if values else None


def _agreed(message: ManscdpMessage) -> Response:
    return Response(
        cmd_type=message.cmd_type, sn=message.sn or 0, device_id=message.device_id, result="OK"
    )
