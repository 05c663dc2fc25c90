"""The RTSP server: listens, counts, and looks at deadlines (RFC 2326)."""

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from gateway.domain.errors import Unavailable
from gateway.domain.rtp_out import RtpPublisher
from gateway.domain.viewing import StreamDoor
from gateway.observe.log import RateLimitedCounter
from gateway.rtsp.digest import RtspDigest
from gateway.rtsp.opener import StreamOpener
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.packets import PacketBook
from gateway.rtsp.peer import PeerNeeds, RtspPeer
from gateway.rtsp.ports import StreamSessions
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.ports import PortPool
from gb28181.aio.tasks import TaskScope

__all__ = ["RtspServer"]

log = structlog.get_logger()

TICK = 0.5
BACKLOG = 512
CLOSE_WAIT = 3.0
"""Seconds for the players to take their good-byes when the gateway stops."""


class RtspServer:
    """Streams by RTSP; an async context manager.

    Args:
        door: Tells who may watch.
        sessions: Starts cameras.
        outputs: Gives streams as RTP.
        options: Values.
        on_crash: Told of crashed tasks.
        clock: Monotonic seconds.
        wall: Wall clock, timezone-aware.

    Raises:
        Unavailable: on entering: `rtsp_port_taken`.
    """

    def __init__(
        self,
        *,
        door: StreamDoor,
        sessions: StreamSessions,
        outputs: RtpPublisher,
        options: RtspOptions,
        on_crash: Callable[[str, Exception], None],
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self.port = 0
        """As bound."""
        self._options = options
        self._clock = clock
        self._scope = TaskScope(on_crash)
        self._stack = AsyncExitStack()
        self._peers: set[RtspPeer] = set()
        self._per_host: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._refused = RateLimitedCounter(log.warning, "rtsp_connection_refused")
        self._stopping = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._packets = PacketBook(new_number=secrets.randbelow, wall=wall)
        self._ports: PortPool | None = None
        if options.udp_ports is not None:
            self._ports = PortPool(options.host, *options.udp_ports, drain=options.udp_drain)
        self._needs = PeerNeeds(
            opener=StreamOpener(
                door=door,
                sessions=sessions,
                outputs=outputs,
                digest=RtspDigest(secrets.token_bytes(32), door.secret_of),
                options=options,
                clock=clock,
            ),
            packets=self._packets,
            ports=self._ports,
            scope=self._scope,
            options=options,
            clock=clock,
            new_id=lambda: secrets.token_hex(16),
            admitted=self._admit,
            gone=self._forget,
        )

    async def __aenter__(self) -> Self:
        options = self._options
        await self._stack.enter_async_context(self._scope)
        self._stack.callback(self._close_ports)
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: RtspPeer(self._needs, next(self._numbers)),
                options.host,
                options.port,
                backlog=BACKLOG,
            )
        except OSError as exc:
            await self._stack.aclose()
            raise Unavailable(
                "rtsp_port_taken",
                f"RTSP cannot listen on {options.host}:{options.port}: {exc.strerror or exc}; "
                "stop what uses it or set [rtsp] port",
            ) from exc
        self.port = server.sockets[0].getsockname()[1]
        self._stack.push_async_callback(self._close, server)
        self._scope.spawn(self._tend(), name="rtsp:tend")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def connections(self) -> int:
        """Connections now."""
        return len(self._peers)

    def held(self) -> int:
        """Return what must be nothing after the end: connections, streams, UDP ports."""
        ports = 0 if self._ports is None else self._ports.in_use()[0]
        return len(self._peers) + len(self._packets) + ports

    # Inside

    def _admit(self, peer: RtspPeer) -> bool:
        options = self._options
        self._peers.add(peer)
        self._empty.clear()
        self._per_host[peer.host] += 1
        if (
            self._stopping.is_set()
            or len(self._peers) > options.max_connections
            or self._per_host[peer.host] > options.max_connections_per_host
        ):
            self._refused.add(source=peer.host)
            return False
        return True

    def _forget(self, peer: RtspPeer) -> None:
        if peer in self._peers:
            self._peers.discard(peer)
            self._per_host[peer.host] -= 1
            if not self._per_host[peer.host]:
                del self._per_host[peer.host]
        if not self._peers:
            self._empty.set()

    async def _tend(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
            except TimeoutError:
                self._tick()

    def _tick(self) -> None:
        now = self._clock()
        for peer in tuple(self._peers):
            try:
                peer.tick(now)
            except Exception:
                # A boundary: the other players have no other watchdog.
                log.exception("rtsp_peer_failed", source=peer.host)
                peer.close("internal_error", "The gateway failed on this player; its log says more")

    async def _close(self, server: asyncio.Server) -> None:
        self._stopping.set()
        server.close()
        for peer in tuple(self._peers):
            peer.close("shutdown", "The gateway is stopping")
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._empty.wait()
        except TimeoutError:
            for peer in tuple(self._peers):
                peer.abort()
            await asyncio.sleep(0)
        await server.wait_closed()

    def _close_ports(self) -> None:
        if self._ports is not None:
            self._ports.close()
