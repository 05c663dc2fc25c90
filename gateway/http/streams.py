"""Live streams over HTTP and WebSocket: `/live/{device_id}/{channel_id}.flv` and its relatives."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
from aiohttp import WSMsgType, web

from gateway.domain.errors import GatewayError, NotFound, Unavailable
from gateway.domain.media import OutputFormat
from gateway.http.auth import stream_grant
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.origin import Origins
from gateway.http.problem import END_STATUS, ApiError
from gateway.http.route import Access, Route
from gateway.http.sink import (
    CONTENT_TYPES,
    ConnectionTap,
    HttpSink,
    Sink,
    WsSink,
    info_frame,
    response_head,
)
from gateway.http.tokens import Tokens

__all__ = ["StreamApi"]

log = structlog.get_logger()

WS_HEARTBEAT = 30.0
"""Seconds between pings, so that a vanished page does not hold a camera open."""
CLOSE_PATIENCE = 3.0
"""Seconds a viewer gets to take its last bytes."""


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


class StreamApi:
    """Handlers under `/live`."""

    def __init__(
        self, deps: HttpDeps, options: HttpOptions, tokens: Tokens, origins: Origins
    ) -> None:
        self._deps = deps
        self._options = options
        self._tokens = tokens
        self._origins = origins
        self._sinks: set[Sink] = set()
        self._viewers: Counter[str] = Counter()

    def routes(self) -> Sequence[Route]:
        """Return the operations; each GET also takes a WebSocket handshake."""
        found = []
        for output in OutputFormat:
            for prefix, words in (("{device_id}/", ""), ("", " by its unique channel id")):
                for method in ("GET", "HEAD"):
                    verb = "watch" if method == "GET" else "probe"
                    found.append(
                        Route(
                            method=method,
                            path=f"/live/{prefix}{{channel_id}}.{output}",
                            handler=partial(self.live, output),
                            name=f"{verb}_{output}" + ("_by_channel" if words else ""),
                            summary=f"{verb.capitalize()} a channel as {output.upper()}{words}, "
                            "over HTTP or WebSocket",
                            tag="live",
                            access=Access.STREAM,
                            media=(CONTENT_TYPES[output],),
                            errors=(403, 404, 409, 502, 503, 504),
                        )
                    )
        return found

    @property
    def viewers(self) -> int:
        """Viewers connected, those still waiting included."""
        return len(self._sinks)

    def close(self) -> None:
        """Tell every viewer that the gateway stops."""
        for sink in list(self._sinks):
            sink.close("shutdown", "The gateway is stopping")

    async def live(self, output: OutputFormat, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD of a stream."""
        grant = stream_grant(request, self._tokens, self._deps)
        device_id, channel_id = self._resolve(request, grant)
        if request.method == "HEAD":
            return self._probe(device_id, channel_id, output)
        stream_id = f"{device_id}/{channel_id}"
        self._admit(stream_id)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the viewer left before it was served")
        if "websocket" in request.headers.get("Upgrade", "").lower():
            self._origins.require(request)
            ws_sink = WsSink(transport, partial(self._ws_prologue, stream_id, output))
            sink: Sink = ws_sink
            serve = partial(self._serve_ws, request, ws_sink)
        else:
            headers = self._origins.headers(request)
            sink = HttpSink(transport, lambda: response_head(output, self._deps.wall(), headers))
            serve = partial(self._serve_http, sink)
        self._sinks.add(sink)
        self._viewers[stream_id] += 1
        try:
            return await serve(transport, device_id, channel_id, output)
        finally:
            self._sinks.discard(sink)
            self._viewers[stream_id] -= 1
            if not self._viewers[stream_id]:
                del self._viewers[stream_id]
            code = sink.ended[0] if sink.ended else "viewer_left"
            log.info(
                "viewer_disconnected",
                stream_id=stream_id,
                format=f"{sink.framing}-{output}",
                bytes=sink.sent,
                reason=code,
            )

    # Who may watch what

    def _resolve(self, request: web.Request, grant: str | None) -> tuple[str, str]:
        channel_id = request.match_info["channel_id"]
        device_id = request.match_info.get("device_id")
        if grant is not None:
            granted_device, _, granted_channel = grant.partition("/")
            if channel_id != granted_channel or device_id not in {None, granted_device}:
                raise ApiError(
                    403, "token_for_other_stream", "This stream token was made for another stream"
                )
            return granted_device, granted_channel
        if device_id is not None:
            return device_id, channel_id
        return self._unique(channel_id), channel_id

    def _unique(self, channel_id: str) -> str:
        found = self._deps.devices.find_channel(channel_id)
        if len(found) == 1:
            return found[0].device_id
        if found:
            candidates = sorted(f"{item.device_id}/{item.channel_id}" for item in found)
            raise ApiError(
                409,
                "channel_ambiguous",
                f"{len(found)} devices have a channel {channel_id}; ask for one of the candidates",
                extra={"candidates": candidates[:100]},
            )
        if self._deps.devices.get(channel_id) is None:
            raise NotFound("channel_unknown", f"No device has a channel {channel_id[:64]}")
        return channel_id

    def _probe(self, device_id: str, channel_id: str, output: OutputFormat) -> web.Response:
        device = self._deps.devices.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id[:64]} has ever registered here")
        known = self._deps.devices.channel(device_id, channel_id) is not None
        if not known and channel_id != device_id and device.channel_count:
            raise NotFound(
                "channel_unknown", f"Device {device_id} has no channel {channel_id[:64]}"
            )
        if not device.online:
            raise Unavailable("device_offline", f"Device {device_id} is offline")
        return web.Response(
            content_type=CONTENT_TYPES[output], headers={"Cache-Control": "no-store"}
        )

    def _admit(self, stream_id: str) -> None:
        limits = (
            (len(self._sinks), self._options.max_viewers, "in all"),
            (self._viewers[stream_id], self._options.max_viewers_per_stream, "of this stream"),
        )
        for count, limit, words in limits:
            if count >= limit:
                self._deps.metrics.viewers_refused.labels("too_many_viewers").inc()
                raise Unavailable(
                    "too_many_viewers", f"{count} viewers {words}, the limit is {limit}"
                )

    # HTTP

    async def _serve_http(
        self,
        sink: Sink,
        transport: asyncio.Transport,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
    ) -> web.StreamResponse:
        tap = ConnectionTap(transport, forward=False)
        try:
            viewer = await self._deps.sessions.watch(device_id, channel_id, output, sink)
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
            raise ApiError(END_STATUS.get(code, 502), code, detail)

    # WebSocket

    async def _serve_ws(
        self,
        request: web.Request,
        sink: WsSink,
        transport: asyncio.Transport,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
    ) -> web.StreamResponse:
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
            await self._feed_ws(socket, sink, device_id, channel_id, output)
        finally:
            tap.release()
        code, reason = sink.closing()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                await socket.close(code=code, message=reason)
        transport.close()
        await _until_lost(tap, transport)
        return socket

    async def _feed_ws(
        self,
        socket: web.WebSocketResponse,
        sink: WsSink,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(
                _until_closed(socket), name=f"viewer-ws:{device_id}/{channel_id}"
            )
            try:
                viewer = await self._deps.sessions.watch(device_id, channel_id, output, sink)
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

    def _ws_prologue(self, stream_id: str, output: OutputFormat) -> bytes:
        # FLV players over WebSocket take a text message for an error.
        if output is not OutputFormat.MP4:
            return b""
        return info_frame(self._deps.media.stream(stream_id))


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
