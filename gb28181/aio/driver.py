"""Drives a SIP endpoint with sockets and the event loop's clock.

One object, one `transmit()` after each input: hand out the events, send what is to be sent, and
re-arm one timer if the deadline moved nearer.

Requests too long for one UDP packet (RFC 3261 18.1.1 asks for TCP above 1300 bytes) still go by UDP
on a UDP flow: nobody behind NAT can be dialled, devices fragment in the same way, and the requests
a platform sends to devices stay below that size.
"""

import asyncio
import ssl as tls
from collections.abc import Callable
from typing import assert_never

from gb28181.aio.client import SipClient
from gb28181.aio.clock import monotonic
from gb28181.aio.driver_stats import SipStats
from gb28181.aio.errors import SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tcp import ConnectionLimits, StreamConnections, StreamUser
from gb28181.aio.tokens import TokenSource
from gb28181.aio.udp import UdpListener, is_wildcard, local_host_towards
from gb28181.sip.dialog.incoming_invite import IncomingInvite, InviteCancelled
from gb28181.sip.dialog.invite_call import (
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRefused,
)
from gb28181.sip.dialog.invite_session import (
    ReinviteCancelled,
    ReinviteConfirmed,
    SessionConfirmed,
    SessionEnded,
)
from gb28181.sip.dialog.notifier import NotifierEnded
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.dialog.subscriber import SubscriberEnded
from gb28181.sip.endpoint import Event, Flow, MessageRefused, RequestReceived, SipEndpoint
from gb28181.sip.framer import FrameError
from gb28181.sip.timers import TimerConfig

__all__ = ["IncomingRequest", "SipDriver", "SipStats"]


class SipDriver:
    """SIP for one process, on any number of sockets.

    Args:
        on_request: Called with each request that is somebody's to decide on. It must not block; an
            exception in it becomes a 500 and goes to `on_crash`.
        on_crash: Called with a name and the exception of a callback.
        on_event: Called with each message the stack refused by itself, for logs and timelines.
        user_agent: User-Agent of our requests; empty sends none.
        timers: Base values of all SIP timers.
        new_token: Returns a new unguessable token; None makes them of the kernel's randomness.
        methods: Methods beside INVITE, BYE, CANCEL and OPTIONS that `on_request` answers.
        advertise: Address and port for Via and Contact instead of each flow's own.
        limits: Bounds on stream connections.
    """

    def __init__(
        self,
        *,
        on_request: Callable[[IncomingRequest], None],
        on_crash: Callable[[str, Exception], None],
        on_event: Callable[[MessageRefused], None] | None = None,
        user_agent: str = "",
        timers: TimerConfig | None = None,
        new_token: Callable[[], str] | None = None,
        methods: tuple[str, ...] = ("REGISTER", "MESSAGE", "INFO", "SUBSCRIBE", "NOTIFY"),
        advertise: tuple[str, int] | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.endpoint = SipEndpoint(
            user_agent=user_agent,
            new_token=new_token or TokenSource(),
            methods=methods,
            advertise=advertise,
            timers=timers,
        )
        self.client = SipClient(self)
        self.on_connection_lost: Callable[[int, str], None] | None = None
        """Called with the number of a lost connection and the reason, after its requests failed."""
        self._on_request = on_request
        self._on_event = on_event
        self._on_crash = on_crash
        self._udp: dict[tuple[str, int], UdpListener] = {}
        self._streams = StreamConnections(
            StreamUser(
                receive=self._receive,
                refuse=self._refuse_frame,
                end_batch=self.transmit,
                lost=self._connection_lost,
            ),
            limits or ConnectionLimits(),
        )
        self._invites: dict[IncomingInvite, IncomingRequest] = {}
        self._dropped = 0
        self._transmitting = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def stats(self) -> SipStats:
        """How much went through, and how much is alive."""
        endpoint, transactions = self.endpoint.stats, self.endpoint.transactions
        return SipStats(
            received=endpoint.received,
            malformed=endpoint.malformed,
            refused=endpoint.refused,
            stray=endpoint.stray,
            overloaded=endpoint.overloaded,
            absorbed=transactions.absorbed,
            retransmitted=transactions.retransmitted,
            dropped=self._dropped + sum(listener.dropped for listener in self._udp.values()),
            connections_refused=self._streams.refused,
            transactions=len(transactions),
            pending=transactions.pending,
            dialogs=self.endpoint.dialogs.active,
            subscriptions=self.endpoint.dialogs.subscriptions,
            connections=len(self._streams),
        )

    async def listen_udp(self, host: str, port: int) -> tuple[str, int]:
        """Bind a UDP socket to a numeric address; return the address and port bound."""
        listener = UdpListener(host, port, receive=self._receive, end_batch=self.transmit)
        self._udp[listener.address] = listener
        return listener.address

    async def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Accept TCP connections; return the address and port bound."""
        return await self._streams.listen(host, port)

    async def listen_tls(
        self, host: str, port: int, ssl_context: tls.SSLContext
    ) -> tuple[str, int]:
        """Accept TLS connections; return the address and port bound."""
        return await self._streams.listen(host, port, ssl_context)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        local: tuple[str, int] | None = None,
        timeout: float | None = None,
    ) -> Flow:
        """Open a connection, with TLS if there is a context; return its flow, which names the connection.

        Requests go both ways on it: the peer's come to `on_request`. The kernel keeps it alive and tells
        within a minute when the peer has vanished; then `on_connection_lost` is called.

        Args:
            host: Name or address.
            port: Port.
            ssl: Settings for TLS.
            server_hostname: Name the certificate must have; `host` by default.
            local: Address and port to dial from.
            timeout: Seconds for the connection and the handshake; by default those of the limits.

        Raises:
            SipTransportError: It was refused or not answered in time; its cause is an OSError, for TLS
                an `ssl.SSLError`.
        """
        if self._closed:
            raise SipTransportError("the SIP driver is closed")
        try:
            return await self._streams.connect(
                host,
                port,
                context=ssl,
                server_hostname=server_hostname,
                local=local,
                timeout=timeout,
            )
        except OSError as error:
            detail = str(error) or type(error).__name__
            raise SipTransportError(f"no connection to {host}:{port}: {detail}") from error

    async def connect_tls(
        self,
        host: str,
        port: int,
        ssl_context: tls.SSLContext,
        *,
        server_hostname: str | None = None,
        local: tuple[str, int] | None = None,
        timeout: float | None = None,
    ) -> Flow:
        """Open a TLS connection; see `connect_tcp`."""
        return await self.connect_tcp(
            host,
            port,
            ssl=ssl_context,
            server_hostname=server_hostname,
            local=local,
            timeout=timeout,
        )

    def reaches_udp(self, host: str) -> bool:
        """Whether a UDP socket is open that can send to a numeric address: of its family, IPv4 or IPv6."""
        return any((":" in address[0]) == (":" in host) for address in self._udp)

    def flow_udp(self, remote: tuple[str, int], local: tuple[str, int] | None = None) -> Flow:
        """Return the flow to a UDP peer, from `local` or from the first socket fit for it."""
        if local is None:
            if not self._udp:
                raise SipTransportError("no UDP socket is open")
            six = ":" in remote[0]
            fit = [address for address in self._udp if (":" in address[0]) == six]
            local = (fit or list(self._udp))[0]
        if is_wildcard(local[0]):
            local = (local_host_towards(remote), local[1])
        return Flow(transport="UDP", remote=remote, local=local)

    def trust(self, connection: int) -> None:
        """Learn that a device has proved itself on a connection of a peer.

        Until then little of it is kept, and it is closed after a minute: see `ConnectionLimits`.
        """
        self._streams.trust(connection)

    def drop_connection(self, connection: int, reason: str = "dropped") -> None:
        """Close a connection of ours or of a peer."""
        self._streams.close_connection(connection, reason)

    async def close(self) -> None:
        """Close all sockets and fail what is waited for.

        Sends nothing: hang up first, and let `client.settle` see cancelled calls to their end.
        """
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.client.close()
        self._invites.clear()
        for listener in self._udp.values():
            listener.close()
        await self._streams.close()

    def now(self) -> float:
        """Return the endpoint's time."""
        return monotonic()

    def report_crash(self, name: str, error: Exception) -> None:
        """Report an error of a callback."""
        self._on_crash(name, error)

    def transmit(self) -> None:
        """Carry out what the last input to the endpoint brought about."""
        if self._transmitting or self._closed:
            return
        self._transmitting = True
        endpoint = self.endpoint
        try:
            while True:
                while (event := endpoint.next_event()) is not None:
                    self._dispatch(event)
                outgoing = endpoint.messages_to_send(monotonic())
                if not outgoing:
                    break
                for data, flow, transaction in outgoing:
                    if not self._send(data, flow):
                        self._dropped += 1
                        endpoint.send_failed(transaction, monotonic())
        finally:
            self._transmitting = False
        self._arm()

    def forget_invite(self, event: RequestReceived) -> None:
        """Learn that an INVITE has been answered: a CANCEL concerns nobody any more."""
        if event.invite is not None:
            self._invites.pop(event.invite, None)

    # Input

    def _receive(self, data: bytes, flow: Flow) -> None:
        self.endpoint.receive_message(data, flow, monotonic())

    def _refuse_frame(self, error: FrameError, flow: Flow) -> None:
        self.endpoint.receive_malformed(error.data, error.error, flow)

    def _connection_lost(self, connection: int, reason: str) -> None:
        if self._closed:
            return
        self.endpoint.connection_lost(connection, monotonic())
        self.transmit()
        if self.on_connection_lost is not None:
            try:
                self.on_connection_lost(connection, reason)
            except Exception as error:  # noqa: BLE001 - the owner's callback
                self._on_crash("on_connection_lost", error)

    def _timer_due(self) -> None:
        self._timer = None
        self.endpoint.handle_timer(monotonic())
        self.transmit()

    def _arm(self) -> None:
        deadline = self.endpoint.next_timer()
        if deadline is None:
            return
        if self._timer is not None:
            # One that comes too early only looks and is armed again.
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.0, deadline - monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._timer_due)

    # Output

    def _send(self, data: bytes, flow: Flow) -> bool:
        if flow.connection is not None:
            return self._streams.send(data, flow.connection)
        if flow.transport != "UDP":
            # A device's address on a stream transport is no place to dial.
            return False
        listener = self._listener(flow.local)
        return listener is not None and listener.send(data, flow.remote, flow.local[0])

    def _listener(self, local: tuple[str, int]) -> UdpListener | None:
        listener = self._udp.get(local)
        if listener is None:
            for other in self._udp.values():
                if other.wildcard and other.address[1] == local[1]:
                    return other
            # Flows outlive a restart with other ports.
            listener = next(iter(self._udp.values()), None)
        return listener

    def _dispatch(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._hand_over(event)
            case MessageRefused():
                if self._on_event is not None:
                    try:
                        self._on_event(event)
                    except Exception as error:  # noqa: BLE001 - the owner's callback
                        self._on_crash("on_event", error)
            case InviteCancelled():
                self._cancel(event)
            case (
                ResponseReceived()
                | RequestFailed()
                | InviteProgress()
                | InviteAccepted()
                | InviteRefused()
                | InviteFailed()
                | SessionConfirmed()
                | SessionEnded()
                | ReinviteCancelled()
                | ReinviteConfirmed()
            ):
                self.client.handle(event)
            case SubscriberEnded() | NotifierEnded():
                self.client.subscriptions.handle(event)
            case _:
                assert_never(event)

    def _hand_over(self, event: RequestReceived) -> None:
        incoming = IncomingRequest(self, self.client, event)
        handler = incoming.handler or self._on_request
        if event.invite is not None:
            self._invites[event.invite] = incoming
        if event.reinvite is not None and incoming.dialog is not None:
            incoming.dialog.reinvite = incoming
        try:
            handler(incoming)
        except Exception as error:  # noqa: BLE001 - the SIP router: one request must not end the rest
            self._on_crash(f"{event.request.method} from {event.flow.remote[0]}", error)
            if not incoming.answered:
                incoming.respond(500)

    def _cancel(self, event: InviteCancelled) -> None:
        incoming = self._invites.pop(event.invite, None)
        if incoming is None:
            return
        try:
            incoming.cancel(event.reason, lost=event.lost)
        except Exception as error:  # noqa: BLE001 - the owner's callback
            self._on_crash("on_cancel", error)
