"""The RTMP server: accepts publishers, asks the door, and hands their tags on."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

import structlog

from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.source import Publication, PublishDoor
from gateway.observe.log import RateLimitedCounter
from gateway.rtmp.error import RtmpError
from gateway.rtmp.handshake import SIZE
from gateway.rtmp.session import Event, PublishAsked, PublishEnded, RtmpSession, TagReceived
from gateway.rtmp.target import read_target
from gb28181.aio.clock import monotonic

__all__ = ["RtmpServer"]

log = structlog.get_logger()

PUBLISH_WAIT = 10.0
"""Seconds from the connection to `publish`."""
SILENCE = 30.0
"""Seconds without a byte after which a publisher is gone; one that is replaced earlier is the door's business."""
TICK = 1.0
MAX_UNDECIDED = 8
"""Connections of one host that have not been let in yet."""
MAX_WAITING_OUT = 64 * 1024
"""Bytes that may wait for a peer who does not read."""
LINGER = 1.0
"""Seconds for a refusal to be read."""
_NOT_LET_IN = {
    "publish_taken": "NetStream.Publish.BadName",
    "publish_refused": "NetStream.Publish.Denied",
    "publish_throttled": "NetStream.Publish.Denied",
}


class RtmpServer:
    """Listens and holds the connections; use as an async context manager.

    Args:
        door: Tells who may publish.
        host: Local address.
        port: 0 takes any free one.
        max_connections: Publishers at once; one more is closed at once.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        door: PublishDoor,
        *,
        host: str,
        port: int,
        max_connections: int = 200,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.door = door
        self.clock = clock
        self.port = port
        """As bound, once entered."""
        self._host = host
        self._max_connections = max_connections
        self._connections: set[_Connection] = set()
        self._undecided: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._closed = False
        self._empty = asyncio.Event()
        self.odd = RateLimitedCounter(log.info, "rtmp_connection_refused")

    @property
    def connections(self) -> int:
        """Connections open."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self), self._host or None, self.port, backlog=128
            )
        except OSError as exc:
            raise Unavailable(
                "rtmp_not_listening",
                f"Cannot listen on {self._host}:{self.port} for RTMP: {exc.strerror or exc}",
            ) from exc
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._tick()
        log.info("rtmp_listening", local=f"{self._host}:{self.port}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort("shutdown", "The gateway is stopping")
        if self._server is not None:
            await self._server.wait_closed()
        # Lost connections are told on the next turn of the loop.
        if self._connections:
            await self._empty.wait()
        self.odd.close()

    # What connections ask

    def entered(self, connection: "_Connection") -> bool:
        """Count a connection; False if there is no room for it."""
        host = connection.host
        room = len(self._connections) < self._max_connections
        if self._closed or not room or self._undecided[host] >= MAX_UNDECIDED:
            self.odd.add(source=host, detail="too many connections")
            return False
        self._connections.add(connection)
        self._undecided[host] += 1
        return True

    def decided(self, connection: "_Connection") -> None:
        """Count it no longer among those that wait to be let in."""
        self._undecided[connection.host] -= 1
        if self._undecided[connection.host] <= 0:
            del self._undecided[connection.host]

    def left(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if self._closed and not self._connections:
            self._empty.set()

    def _tick(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick)
        now = self.clock()
        for connection in tuple(self._connections):
            connection.tick(now)
        self.odd.flush()


class _Connection(asyncio.Protocol):
    """One peer."""

    def __init__(self, server: RtmpServer) -> None:
        self._server = server
        self._session = RtmpSession(secrets.token_bytes(SIZE - 8))
        self._transport: asyncio.Transport | None = None
        self._publication: Publication | None = None
        self._undecided = False
        self._opened_at = self._heard_at = server.clock()
        self._source = ""
        self.host = ""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("?", 0)
        self.host, port = str(peer[0]), int(peer[1])
        self._source = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        if self._server.entered(self):
            self._undecided = True
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes; what goes wrong ends this connection alone."""
        self._heard_at = self._server.clock()
        try:
            self._take(data)
        except RtmpError as exc:
            self._server.odd.add(source=self.host, detail=str(exc)[:200])
            self.abort("protocol_error", f"The publisher sent what is no RTMP: {exc}")
        except Exception as exc:
            # A boundary between publishers.
            log.exception("rtmp_connection_failed", source=self.host)
            self.abort("internal_error", f"The gateway failed on this ({type(exc).__name__})")

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone: without a word, so it may come back."""
        self._transport = None
        self._end("", f"The publisher's connection was lost: {exc or 'closed'}")
        self._settle()
        self._server.left(self)

    # For the server

    def tick(self, now: float) -> None:
        """Look at the deadlines."""
        if self._publication is None:
            if now - self._opened_at >= PUBLISH_WAIT:
                self.abort("too_slow", f"It did not publish within {PUBLISH_WAIT:g} s")
        elif now - self._heard_at >= SILENCE:
            self.abort("", f"The publisher sent nothing for {SILENCE:g} s")

    def abort(self, code: str, detail: str) -> None:
        """Close at once."""
        self._end(code and "publisher_left", detail)
        if self._transport is not None:
            self._transport.abort()

    # Inside

    def _take(self, data: bytes) -> None:
        events = self._session.receive_data(data)
        while events:
            for event in events:
                self._handle(event)
            # What came behind the question, now that it is decided.
            events = self._session.receive_data(b"")
        self._flush()

    def _handle(self, event: Event) -> None:
        match event:
            case TagReceived():
                if self._publication is not None:
                    self._publication.tag(event.kind, event.timestamp, event.body)
            case PublishAsked():
                self._admit(event)
            case PublishEnded():
                self._end("publisher_left", event.detail)
                self._close_soon()

    def _admit(self, asked: PublishAsked) -> None:
        code, key = read_target(asked.app, asked.name)
        try:
            self._publication = self._server.door.admit(
                code, key, self._source, encoder=asked.encoder, stop=self._stop
            )
        except GatewayError as exc:
            flash = _NOT_LET_IN.get(exc.code, "NetStream.Publish.Failed")
            self._session.refuse(flash, exc.detail)
            self._close_soon()
            return
        self._settle()
        self._session.accept()
        log.info(
            "publisher_entered",
            channel_id=self._publication.source_id,
            source=self._source,
            detail=asked.encoder,
        )

    def _stop(self, code: str, detail: str) -> None:
        """The door wants it to end; the publication knows already."""
        self._publication = None
        self._session.refuse("NetStream.Publish.BadName", detail)
        self._close_soon()
        self._flush()

    def _end(self, code: str, detail: str) -> None:
        publication, self._publication = self._publication, None
        if publication is not None:
            publication.end(code, detail)
            log.info(
                "publisher_left",
                channel_id=publication.source_id,
                source=self._source,
                detail=detail,
            )

    def _settle(self) -> None:
        if self._undecided:
            self._undecided = False
            self._server.decided(self)

    def _close_soon(self) -> None:
        """Close once what is said has had time to be read; a reset would throw it away."""
        asyncio.get_running_loop().call_later(LINGER, self._close)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._session.data_to_send()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if data:
            transport.write(data)
        if transport.get_write_buffer_size() > MAX_WAITING_OUT:
            self.abort("too_slow", "The publisher does not read what it is told")
