"""A model upper platform: registrar, querier, subscriber and viewer, on the library's own SIP driver.

    async with UpperPlatform() as upper:
        config = upper.config()             # what the gateway under test is to be given
        await upper.registered()
        items = await upper.query_catalog()
        sub = await upper.subscribe_catalog()
        notify = await sub.next()
        call = await upper.invite(items[-1].device_id, transport="tcp_passive")
        packets = await call.packets(50)
        await upper.ptz(items[-1].device_id, "A50F0108140000D1")
        await call.bye()

Everything that it answers can be changed while it runs (`grant`, `register_status`, `keepalive_status`, ...);
everything that came is kept (`registers`, `keepalives`, `messages`).
"""

import asyncio
import itertools
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from gateway.domain.platform import PlatformAddress, PlatformConfig
from gb28181.aio.clock import monotonic
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.flow.subject import build_subject
from gb28181.manscdp import (
    AlarmQuery,
    CatalogItem,
    CatalogQuery,
    CatalogResponse,
    Content,
    DeviceControl,
    ManscdpMessage,
    parse_message,
    serialize_message,
)
from gb28181.sdp.offer import build_live_offer, read_answer
from gb28181.sip.digest import Credential, DigestResult, DigestServer
from gb28181.sip.endpoint import Flow
from gb28181.sip.header.date import serialize_gb_date
from gb28181.sip.message import Request, Response
from gb28181.sip.transaction.flow import host_port
from tests.support.upper_late_offer import LateCall
from tests.support.upper_media import MediaSink
from tests.support.upper_parts import Register, UpperCall, UpperSub, until

__all__ = [
    "LOWER_ID",
    "PASSWORD",
    "UPPER_ID",
    "Register",
    "UpperCall",
    "UpperPlatform",
    "UpperSub",
    "until",
]

UPPER_ID = "37130000002000000001"
LOWER_ID = "37132600002000000001"
"""Code under which the gateway under test registers, unless told otherwise."""
PASSWORD = "upper-password"
MANSCDP = "Application/MANSCDP+xml"


class UpperPlatform:
    """See the module.

    Args:
        platform_id: Its code.
        password: What lower platforms must prove; empty: registrations are granted without credentials.
        transport: `UDP`, `TCP` or `TLS`.
        host: Address to listen on.
        port: Port; 0 any.
        tls: Server context for `TLS`.
        lower_id: Code of the platform below.
    """

    def __init__(
        self,
        platform_id: str = UPPER_ID,
        *,
        password: str = PASSWORD,
        transport: str = "UDP",
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        lower_id: str = LOWER_ID,
    ) -> None:
        self.platform_id = platform_id
        self.domain = platform_id[:10]
        self.lower_id = lower_id
        self.transport = transport
        self.host, self.port = host, port
        self._tls = tls
        self._answer_well(password)
        self._remember()
        self._digest = DigestServer(realm=self.domain, secret=b"secret of the model upper")
        self._sn = itertools.count(1000)
        self._ssrcs = itertools.count(100_000_001)
        self._calls: list[UpperCall | LateCall] = []
        self._timers: list[asyncio.TimerHandle] = []
        self.driver = SipDriver(
            on_request=self._take,
            on_crash=lambda name, error: self.crashes.append((name, error)),
            user_agent="model upper platform",
        )

    def _answer_well(self, password: str) -> None:
        """What it answers, until the test says otherwise."""
        self.password = password
        self.grant: str | None = None
        """Expires of its 200; None is what was asked for, empty leaves the header out."""
        self.username = ""
        """Digest user expected; empty: the user of From."""
        self.wrong_status = 403
        """Answer to wrong credentials: 403, or 401 as some platforms do."""
        self.min_expires = 0
        """Shorter registrations are refused with 423."""
        self.register_status: int | None = None
        """Answers every REGISTER with this instead of deciding."""
        self.register_headers: list[tuple[str, str]] = []
        self.date: Callable[[], datetime] | None = lambda: datetime.now(UTC)
        self.keepalive_status: int | None = 200
        """None: keepalives are not answered."""
        self.message_status: int | None = 200
        """Answer to other MESSAGEs; None: none."""
        self.answer_delay = 0.0
        """Seconds before a MESSAGE is answered."""

    def _remember(self) -> None:
        """What came."""
        self.registers: list[Register] = []
        self.keepalives: list[float] = []
        """Monotonic seconds of each keepalive."""
        self.messages: list[ManscdpMessage] = []
        self.sizes: list[int] = []
        """Bytes of the bodies in `messages`."""
        self.others: list[IncomingRequest] = []
        self.crashes: list[tuple[str, Exception]] = []
        self.flow: Flow | None = None
        """Where the lower platform's newest granted REGISTER came from."""
        self.contact = ""

    async def __aenter__(self) -> Self:
        driver = self.driver
        if self.transport == "UDP":
            bound = await driver.listen_udp(self.host, self.port)
        elif self.transport == "TCP":
            bound = await driver.listen_tcp(self.host, self.port)
        else:
            assert self._tls is not None
            bound = await driver.listen_tls(self.host, self.port, self._tls)
        self.port = bound[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        for call in self._calls:
            await call.sink.close()
        await self.driver.close()
        if exc is None:
            assert self.crashes == [], self.crashes

    def config(self, **changes: Any) -> PlatformConfig:
        """What the gateway is to be configured with."""
        values: dict[str, Any] = {
            "platform_id": self.platform_id,
            "name": "Model upper",
            "addresses": (PlatformAddress(self.host, self.port),),
            "transport": self.transport,
            "local_id": self.lower_id,
        }
        return PlatformConfig(**(values | changes))

    # Registration

    @property
    def is_registered(self) -> bool:
        """Whether the lower platform holds a registration here."""
        return self.flow is not None

    async def registered(self, timeout: float = 5.0) -> None:
        """Wait until the lower platform is registered."""
        await until(lambda: self.flow is not None, timeout, "a registration")

    async def deregistered(self, timeout: float = 5.0) -> None:
        """Wait until it is not."""
        await until(lambda: self.flow is None, timeout, "a deregistration")

    def statuses(self) -> list[int]:
        """What the REGISTERs were answered with, in order."""
        return [item.status for item in self.registers]

    def drop_connections(self) -> None:
        """Close the lower platform's connection."""
        assert self.flow is not None
        assert self.flow.connection is not None
        self.driver.drop_connection(self.flow.connection)

    # Messages

    async def send(
        self,
        content: Content | bytes,
        *,
        from_user: str = "",
        headers: Iterable[tuple[str, str]] = (),
        charset: str = "GB2312",
        edition: str = "2016",
    ) -> Response:
        """Send a MESSAGE down and return the answer."""
        body = (
            content
            if isinstance(content, bytes)
            else serialize_message(content, charset, edition=edition)
        )
        return await self.driver.client.request(
            "MESSAGE",
            self._uri(self.lower_id),
            flow=self._flow,
            from_=self._name(from_user or self.platform_id),
            to=self._name(self.lower_id),
            headers=headers,
            body=body,
            content_type=MANSCDP,
            timeout=8.0,
        )

    def next_sn(self) -> int:
        """An SN not used yet."""
        return next(self._sn)

    async def query_catalog(
        self, device_id: str = "", *, timeout: float = 10.0, **send: Any
    ) -> list[CatalogItem]:
        """Query the catalogue and return its items once as many came as SumNum says."""
        parts = await self.query_catalog_parts(device_id, timeout=timeout, **send)
        return [item for part in parts for item in part.items]

    async def query_catalog_parts(
        self, device_id: str = "", *, timeout: float = 10.0, **send: Any
    ) -> list[CatalogResponse]:
        """As `query_catalog`, but the messages themselves, checked: one SN, one SumNum, no item twice."""
        sn = self.next_sn()
        target = device_id or self.lower_id
        response = await self.send(CatalogQuery(sn=sn, device_id=target), **send)
        assert response.status == 200, response
        await until(lambda: _is_complete(self.answers(sn)), timeout, f"catalogue SN {sn}")
        parts = self.answers(sn)
        codes = [item.device_id for part in parts for item in part.items]
        assert len(set(codes)) == len(codes), "an item came twice"
        assert {part.sum_num for part in parts} == {len(codes)}
        assert {part.device_id for part in parts} == {target}
        return parts

    def answers(self, sn: int) -> list[CatalogResponse]:
        """Catalogue messages with this SN so far."""
        return [
            message.content
            for message in self.messages
            if isinstance(message.content, CatalogResponse) and message.sn == sn
        ]

    async def ask(self, query: Content, timeout: float = 5.0) -> ManscdpMessage:
        """Send a query and return the business answer with its SN."""
        sn: int = query.sn  # type: ignore[assignment]
        response = await self.send(query)
        assert response.status == 200, response
        return await self.answer(sn, timeout)

    async def answer(self, sn: int, timeout: float = 5.0) -> ManscdpMessage:
        """The Response with this SN."""

        def found() -> list[ManscdpMessage]:
            return [m for m in self.messages if m.root == "Response" and m.sn == sn]

        await until(found, timeout, f"an answer with SN {sn}")
        return found()[0]

    async def control(self, device_id: str, **fields: Any) -> Response:
        """Send a DeviceControl down."""
        sn = fields.pop("sn", None) or self.next_sn()
        return await self.send(DeviceControl(sn=sn, device_id=device_id, **fields))

    async def ptz(self, device_id: str, frame: str) -> Response:
        """Send a PTZ frame (16 hexadecimal digits) down."""
        return await self.control(device_id, ptz_cmd=frame)

    # Subscriptions

    async def subscribe_catalog(self, device_id: str = "", **options: Any) -> UpperSub:
        """Subscribe to changes of the catalogue."""
        query = CatalogQuery(sn=self.next_sn(), device_id=device_id or self.lower_id)
        return await self.subscribe(query, "Catalog", event=f"Catalog;id={query.sn}", **options)

    async def subscribe_alarm(self, device_id: str = "", **options: Any) -> UpperSub:
        """Subscribe to alarms; `priority` and the like are fields of AlarmQuery in `fields`."""
        fields = options.pop("fields", {})
        query = AlarmQuery(sn=self.next_sn(), device_id=device_id or self.lower_id, **fields)
        return await self.subscribe(query, "Alarm", event="presence", **options)

    async def subscribe(
        self,
        query: Content | bytes,
        cmd_type: str,
        *,
        event: str,
        expires: int = 600,
        headers: Iterable[tuple[str, str]] = (),
        from_user: str = "",
    ) -> UpperSub:
        """Subscribe; raises SubscribeRefused."""
        sub = UpperSub(cmd_type)
        sub.dialog = await self.driver.client.subscribe(
            self._uri(self.lower_id),
            flow=self._flow,
            from_=self._name(from_user or self.platform_id),
            to=self._name(self.lower_id),
            event=event,
            expires=expires,
            body=query if isinstance(query, bytes) else serialize_message(query),
            content_type=MANSCDP,
            headers=headers,
            timeout=8.0,
            on_notify=sub.take,
        )
        return sub

    # Calls

    async def invite(
        self,
        shared_id: str,
        transport: str = "udp",
        *,
        sdp: bool = True,
        ssrc: int | None = None,
        streamnumber: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        from_user: str = "",
        timeout: float = 15.0,
        offer: bytes | None = None,
    ) -> UpperCall:
        """Watch a channel; raises InviteRefused.

        Args:
            shared_id: The channel's code.
            transport: Our own role: `udp`, `tcp_passive` (we listen), `tcp_active` (we dial).
            sdp: False: INVITE without an offer, the answer goes in the ACK (UDP signalling, UDP media).
            ssrc: y=; None makes one.
            streamnumber: Stream asked for.
            headers: Further headers.
            from_user: Instead of our own code.
            timeout: Seconds to the final response.
            offer: SDP instead of a sound one.
        """
        if not sdp:
            return await self._invite_late(shared_id, headers, timeout)  # type: ignore[return-value]
        number = next(self._ssrcs) if ssrc is None else ssrc
        sink = await MediaSink(transport, self.host).open()
        ended = asyncio.Event()
        body = offer or build_live_offer(
            owner_id=self.platform_id,
            host=self.host,
            port=sink.port,
            transport=transport,
            ssrc=number,
            payloads=(96,),
            streamnumber=streamnumber,
        )
        try:
            dialog = await self.driver.client.invite(
                self._uri(shared_id),
                flow=self._flow,
                from_=self._name(from_user or self.platform_id),
                to=self._name(shared_id),
                sdp=body,
                headers=[("Subject", build_subject(shared_id, number, self.platform_id)), *headers],
                timeout=timeout,
                on_bye=lambda _: ended.set(),
            )
        except BaseException:
            await sink.close()
            raise
        answer = read_answer(dialog.response.body, transport=transport, ssrc=number)
        call = UpperCall(shared_id, number, sink, dialog, answer, ended)
        self._calls.append(call)
        if transport == "tcp_active":
            await sink.dial(answer.host, answer.port)
        return call

    async def _invite_late(
        self, shared_id: str, headers: Iterable[tuple[str, str]], timeout: float
    ) -> LateCall:
        flow = self._flow
        call = LateCall(
            lower=flow.remote,
            from_uri=f"sip:{self.platform_id}@{self.domain}",
            to_uri=f"sip:{shared_id}@{self.domain}",
            owner_id=self.platform_id,
            host=self.host,
        )
        self._calls.append(call)
        await call.establish(headers, timeout)
        return call

    # Inside

    @property
    def _flow(self) -> Flow:
        assert self.flow is not None, "the lower platform is not registered"
        return self.flow

    def _uri(self, user: str) -> str:
        return f"sip:{user}@{host_port(self._flow.remote)}"

    def _name(self, user: str) -> str:
        return f"<sip:{user}@{self.domain}>"

    def _take(self, incoming: IncomingRequest) -> None:
        match incoming.request.method:
            case "REGISTER":
                self._register(incoming)
            case "MESSAGE":
                self._message(incoming)
            case _:
                self.others.append(incoming)
                incoming.respond(481 if incoming.request.method == "NOTIFY" else 200)

    def _register(self, incoming: IncomingRequest) -> None:
        request, flow = incoming.request, incoming.flow
        if flow.connection is not None:
            self.driver.trust(flow.connection)
        status, headers = self._judge(request)
        self.registers.append(Register(request, flow, monotonic(), status))
        if status == 200:
            self._granted(request, flow)
        incoming.respond(status, headers=[*headers, *self.register_headers])

    def _judge(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        if self.register_status is not None:
            return self.register_status, []
        if 0 < (request.expires or 0) < self.min_expires:
            return 423, [("Min-Expires", str(self.min_expires))]
        if self.password:
            challenge = self._examine(request)
            if challenge is not None:
                return challenge
        headers = []
        expires = str(request.expires) if self.grant is None or request.expires == 0 else self.grant
        if expires:
            headers.append(("Expires", expires))
        if self.date is not None:
            headers.append(("Date", serialize_gb_date(self.date())))
        return 200, headers

    def _examine(self, request: Request) -> tuple[int, list[tuple[str, str]]] | None:
        """The answer to credentials that are missing (401) or wrong (`wrong_status`); None for right ones."""
        user = self.username or request.from_.user
        value = request.headers.get("Authorization")
        if value is None:
            return 401, self._digest.challenge(user, monotonic())
        credential = Credential.from_password(user, self.domain, self.password)
        result = self._digest.verify(value, "REGISTER", user, credential, monotonic())
        if result is DigestResult.OK:
            return None
        if self.wrong_status == 401 or result.retry:
            return 401, self._digest.challenge(user, monotonic(), stale=result.retry)
        return self.wrong_status, []

    def _granted(self, request: Request, flow: Flow) -> None:
        self.flow = None if request.expires == 0 else flow
        self.contact = request.contact.uri if request.contact else ""

    def _message(self, incoming: IncomingRequest) -> None:
        message = parse_message(incoming.request.body)
        if message.cmd_type == "Keepalive":
            self.keepalives.append(monotonic())
            status = self.keepalive_status
        else:
            self.messages.append(message)
            self.sizes.append(len(incoming.request.body))
            status = self.message_status
        if status is None:
            return
        if self.answer_delay:
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(self.answer_delay, incoming.respond, status))
        else:
            incoming.respond(status)


def _is_complete(parts: list[CatalogResponse]) -> bool:
    return bool(parts) and sum(len(part.items) for part in parts) >= (parts[0].sum_num or 0)
