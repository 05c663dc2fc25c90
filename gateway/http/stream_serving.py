"""Serves one viewer: over plain HTTP, or over a WebSocket."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from gateway.domain.errors import GatewayError
from gateway.domain.media import OutputFormat, Viewer
from gateway.domain.session import stream_name
from gateway.http.deps import HttpDeps
from gateway.http.entry import Entry
from gateway.http.options import HttpOptions
from gateway.http.problem import END_STATUS, ApiError
from gateway.http.sink import ConnectionTap, Sink, WsSink, info_frame

__all__ = ["StreamServing", "Viewing"]

WS_HEARTBEAT = 30.0
"""Seconds between pings, so that a vanished page does not hold a camera open."""
CLOSE_PATIENCE = 3.0
"""Seconds a viewer gets to take its last bytes."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """Who watches what, and in which format."""

    entry: Entry
    output: OutputFormat


class _Sent(web.StreamResponse):
    """Stands for a response whose bytes went to the transport already."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class StreamServing:
    """Carries streams to viewers that were let in.

    Args:
        deps: Sessions and media.
        options: Values.
    """

    def __init__(self, deps: HttpDeps, options: HttpOptions) -> None:
        self._deps = deps
        self._options = options

    def prologue(self, viewing: Viewing) -> bytes:
        """Return what goes out over a WebSocket before the first chunk."""
        # FLV players over WebSocket take a text message for an error.
        if viewing.output is not OutputFormat.MP4:
            return b""
        channel = viewing.entry.channel
        name = stream_name(channel.device_id, channel.channel_id, viewing.entry.stream)
        return info_frame(self._deps.media.stream(name))

    async def http(
        self, sink: Sink, transport: asyncio.Transport, viewing: Viewing
    ) -> web.StreamResponse:
        """Serve a viewer until it leaves or the stream ends.

        Raises:
            GatewayError: there was no first byte.
        """
        tap = ConnectionTap(transport, forward=False)
        try:
            viewer = await self._watch(viewing, sink)
            try:
                await self._first_byte(sink)
                await sink.over.wait()
            finally:
                viewer.detach()
        finally:
            if not sink.started:
                tap.remove()
            tap.release()
        # Not started is handled by _first_byte, which raises.
        transport.close()
        await _until_lost(tap, transport)
        return _Sent()

    async def _first_byte(self, sink: Sink) -> None:
        try:
            async with asyncio.timeout(self._options.output_timeout):
                await sink.begun.wait()
        except TimeoutError:
            detail = f"The stream gave no output within {self._options.output_timeout:g} s"
            raise ApiError(504, "no_output", detail) from None
        if not sink.started:
            code, detail = sink.ended or ("stopped", "The stream ended")
            raise ApiError(403 if sink.forbidden else END_STATUS.get(code, 502), code, detail)

    async def _watch(self, viewing: Viewing, sink: Sink) -> Viewer:
        entry = viewing.entry
        return await self._deps.sessions.watch(
            entry.channel.device_id,
            entry.channel.channel_id,
            viewing.output,
            sink,
            stream=entry.stream,
            origin=entry.origin,
        )

    async def websocket(
        self,
        request: web.Request,
        sink: WsSink,
        transport: asyncio.Transport,
        viewing: Viewing,
    ) -> web.StreamResponse:
        """Serve a viewer until it leaves or the stream ends; what goes wrong is in the close frame."""
        socket = web.WebSocketResponse(
            heartbeat=WS_HEARTBEAT,
            compress=False,
            autoclose=False,
            max_msg_size=4096,
            timeout=CLOSE_PATIENCE,
        )
        await socket.prepare(request)
        tap = ConnectionTap(transport, forward=True)
        try:
            await self._feed_ws(socket, sink, viewing)
        finally:
            tap.release()
        code, reason = sink.closing(viewing.entry.told)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                await socket.close(code=code, message=reason)
        transport.close()
        await _until_lost(tap, transport)
        return socket

    async def _feed_ws(self, socket: web.WebSocketResponse, sink: WsSink, viewing: Viewing) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(
                _until_closed(socket), name=f"viewer-ws:{viewing.entry.channel.channel_id}"
            )
            try:
                viewer = await self._watch(viewing, sink)
                try:
                    await self._first_byte(sink)
                    await sink.over.wait()
                finally:
                    viewer.detach()
            except GatewayError as exc:
                # Too late for a problem: the reason goes into the close frame.
                sink.close(exc.code, exc.detail)
            finally:
                reader.cancel()


async def _until_closed(socket: web.WebSocketResponse) -> None:
    ending = {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}
    while (await socket.receive()).type not in ending:
        pass
    # Answers the close frame and closes the transport; its loss ends the viewer.
    await socket.close()


async def _until_lost(tap: ConnectionTap, transport: asyncio.Transport) -> None:
    try:
        async with asyncio.timeout(CLOSE_PATIENCE):
            await tap.lost.wait()
    except TimeoutError:
        transport.abort()
