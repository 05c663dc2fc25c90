"""Live streams over HTTP and WebSocket: `/live/{device_id}/{channel_id}.flv` and its relatives."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import WSMsgType, web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, NotFound, Unavailable
from gateway.domain.media import OutputFormat, Viewer
from gateway.domain.policy import AccessContext, Action
from gateway.domain.session import stream_name
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.options import HttpOptions
from gateway.http.origin import Origins
from gateway.http.principal import (
    PRINCIPAL,
    Principal,
    authorise,
    context_of,
    principal_of,
)
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
from gateway.http.stream_token import StreamTokens
from gateway.http.tokens import StreamGrant
from gateway.sharing.keys import ApiKey, Scope

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
    """Handlers under `/live`.

    Args:
        deps: What the handlers work with.
        options: Values.
        gate: Asks the sharing policy.
        origins: Which pages may open WebSockets.
        tokens: Reads stream tokens.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        gate: ChannelGate,
        origins: Origins,
        tokens: StreamTokens,
    ) -> None:
        self._deps = deps
        self._options = options
        self._gate = gate
        self._tokens = tokens
        self._origins = origins
        self._sinks: set[Sink] = set()
        self._viewers: Counter[str] = Counter()
        self._of_key: dict[str, set[Sink]] = {}
        deps.sharing.keys.on_changed.append(self._key_changed)

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

    def open_by(self, key_id: str) -> int:
        """Return how many streams a key has open."""
        return len(self._of_key.get(key_id, ()))

    def close(self) -> None:
        """Tell every viewer that the gateway stops."""
        for sink in list(self._sinks):
            sink.close("shutdown", "The gateway is stopping")

    async def live(self, output: OutputFormat, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD of a stream."""
        principal, grant = self._caller(request)
        context = context_of(
            principal, self._deps.wall, request, purpose=grant.purpose, ticket=grant.ticket
        )
        device_id, channel_id = self._resolve(request, principal, grant, context)
        channel = self._gate.find(principal, device_id, channel_id, Action.LIVE, context)
        if request.method == "HEAD":
            self._gate.decide(principal, Action.LIVE, channel, context)
            return self._probe(channel, output)
        self._admit(f"{device_id}/{channel_id}")
        viewing = _Viewing(principal, channel, context, output, grant.stream)
        self._admit_key(viewing)
        try:
            self._tokens.use(grant)
        except ApiError as exc:
            self._gate.refuse(principal, Action.LIVE, channel, context, exc.code, exc.detail)
            raise
        if request.transport is None:
            raise ConnectionResetError("the viewer left before it was served")
        if "websocket" in request.headers.get("Upgrade", "").lower():
            self._origins.require(request)
            ws_sink = WsSink(request.transport, partial(self._ws_prologue, viewing))
            return await self._view(ws_sink, viewing, partial(self._serve_ws, request, ws_sink))
        headers = self._origins.headers(request)
        sink = HttpSink(
            request.transport, lambda: response_head(output, self._deps.wall(), headers)
        )
        return await self._view(sink, viewing, partial(self._serve_http, sink))

    async def _view(
        self,
        sink: Sink,
        viewing: "_Viewing",
        serve: Callable[[asyncio.Transport, "_Viewing"], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Open the access, serve it, and say how it ended."""
        channel, principal = viewing.channel, viewing.principal
        access = self._gate.open(principal, Action.LIVE, channel, viewing.context, stop=sink.forbid)
        if access.decision.obligations.sub_stream:
            viewing.stream = 1
        stream_id = f"{channel.device_id}/{channel.channel_id}"
        result, detail = "viewer_left", ""
        try:
            with self._counted(sink, stream_id, principal):
                return await serve(sink.transport, viewing)
        except GatewayError as exc:
            result, detail = exc.code, exc.detail
            raise
        finally:
            if sink.ended is not None:
                result, detail = sink.ended
            access.end(result, detail)
            log.info(
                "viewer_disconnected",
                stream_id=stream_id,
                format=f"{sink.framing}-{viewing.output}",
                name=principal.subject.label,
                bytes=sink.sent,
                reason=result,
            )

    @contextmanager
    def _counted(self, sink: Sink, stream_id: str, principal: Principal) -> Iterator[None]:
        """Count a viewer, and end it when its key expires."""
        key, expiry = principal.key, None
        self._sinks.add(sink)
        self._viewers[stream_id] += 1
        if key is not None:
            self._of_key.setdefault(key.key_id, set()).add(sink)
            if (at := key.settings.expires_at) is not None:
                wait = (at - self._deps.wall()).total_seconds()
                expiry = asyncio.get_running_loop().call_later(
                    max(0.0, wait), sink.forbid, "key_expired", "The key has expired"
                )
        try:
            yield
        finally:
            if expiry is not None:
                expiry.cancel()
            self._sinks.discard(sink)
            self._viewers[stream_id] -= 1
            if not self._viewers[stream_id]:
                del self._viewers[stream_id]
            if key is not None:
                mine = self._of_key[key.key_id]
                mine.discard(sink)
                if not mine:
                    del self._of_key[key.key_id]

    def _key_changed(self, key: ApiKey) -> None:
        why = key.unusable(self._deps.wall())
        if why is None and Scope.LIVE not in key.scopes:
            why = "scope_missing"
        if why is not None:
            for sink in list(self._of_key.get(key.key_id, ())):
                sink.forbid(why, "The key this stream was opened with may not open it any more")

    # Who may watch what

    def _caller(self, request: web.Request) -> tuple[Principal, StreamGrant]:
        if PRINCIPAL in request:
            return principal_of(request), StreamGrant()
        principal, grant = self._tokens.read(request)
        authorise(principal, Access.STREAM)
        request[PRINCIPAL] = principal
        return principal, grant

    def _resolve(
        self,
        request: web.Request,
        principal: Principal,
        grant: StreamGrant,
        context: AccessContext,
    ) -> tuple[str, str]:
        channel_id = request.match_info["channel_id"]
        device_id = request.match_info.get("device_id")
        if grant.stream_id:
            granted_device, _, granted_channel = grant.stream_id.partition("/")
            if channel_id != granted_channel or device_id not in {None, granted_device}:
                raise ApiError(
                    403, "token_for_other_stream", "This stream token was made for another stream"
                )
            return granted_device, granted_channel
        if device_id is not None:
            return device_id, channel_id
        return self._unique(channel_id, principal, context), channel_id

    def _unique(self, channel_id: str, principal: Principal, context: AccessContext) -> str:
        found = self._gate.named(principal, channel_id, context)
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
        if principal.is_local and self._deps.devices.get(channel_id) is None:
            raise NotFound("channel_unknown", f"No device has a channel {channel_id[:64]}")
        return channel_id

    def _probe(self, channel: Channel, output: OutputFormat) -> web.Response:
        device = self._deps.devices.get(channel.device_id)
        if device is None or not device.online:
            raise Unavailable("device_offline", f"Device {channel.device_id} is offline")
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

    def _admit_key(self, viewing: "_Viewing") -> None:
        key = viewing.principal.key
        if key is None or self.open_by(key.key_id) < key.settings.max_streams:
            return
        self._deps.metrics.viewers_refused.labels("too_many_streams").inc()
        detail = f"This key may have {key.settings.max_streams} streams open at once"
        self._gate.refuse(
            viewing.principal,
            Action.LIVE,
            viewing.channel,
            viewing.context,
            "too_many_streams",
            detail,
        )
        raise ApiError(429, "too_many_streams", detail, headers={"Retry-After": "10"})

    # HTTP

    async def _serve_http(
        self, sink: Sink, transport: asyncio.Transport, viewing: "_Viewing"
    ) -> web.StreamResponse:
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

    async def _watch(self, viewing: "_Viewing", sink: Sink) -> Viewer:
        channel = viewing.channel
        return await self._deps.sessions.watch(
            channel.device_id, channel.channel_id, viewing.output, sink, stream=viewing.stream
        )

    # WebSocket

    async def _serve_ws(
        self,
        request: web.Request,
        sink: WsSink,
        transport: asyncio.Transport,
        viewing: "_Viewing",
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
            await self._feed_ws(socket, sink, viewing)
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
        self, socket: web.WebSocketResponse, sink: WsSink, viewing: "_Viewing"
    ) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(
                _until_closed(socket), name=f"viewer-ws:{viewing.channel.channel_id}"
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

    def _ws_prologue(self, viewing: "_Viewing") -> bytes:
        # FLV players over WebSocket take a text message for an error.
        if viewing.output is not OutputFormat.MP4:
            return b""
        channel = viewing.channel
        name = stream_name(channel.device_id, channel.channel_id, viewing.stream)
        return info_frame(self._deps.media.stream(name))


@dataclass(slots=True)
class _Viewing:
    """Who watches what."""

    principal: Principal
    channel: Channel
    context: AccessContext
    output: OutputFormat
    stream: int
    """0 main, 1 first sub stream."""


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
