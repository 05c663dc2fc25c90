"""Live streams over HTTP and WebSocket: `/live/{device_id}/{channel_id}.flv` and its relatives."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog
from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, NotFound, Unavailable
from gateway.domain.media import OutputFormat
from gateway.domain.policy import AccessContext, Action
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
    received_from,
)
from gateway.http.problem import ApiError, reason_words
from gateway.http.route import Access, Route
from gateway.http.sink import (
    CONTENT_TYPES,
    HttpSink,
    Sink,
    WsSink,
    response_head,
)
from gateway.http.stream_serving import StreamServing, Viewing
from gateway.http.stream_token import StreamTokens
from gateway.http.tokens import StreamGrant
from gateway.sharing.keys import ApiKey, Scope

__all__ = ["StreamApi"]

log = structlog.get_logger()


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
        self._serving = StreamServing(deps, options)
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
        viewing = Viewing(principal, channel, context, output, grant.stream)
        self._admit_key(viewing)
        websocket = "websocket" in request.headers.get("Upgrade", "").lower()
        if websocket:
            self._origins.require(request)
        if request.transport is None:
            raise ConnectionResetError("the viewer left before it was served")
        # From here on nothing waits until the viewer is counted: of several at once each is judged by those before.
        try:
            self._tokens.use(grant)
        except ApiError as exc:
            self._gate.refuse(principal, Action.LIVE, channel, context, exc.code, exc.detail)
            raise
        if websocket:
            ws_sink = WsSink(request.transport, partial(self._serving.prologue, viewing))
            return await self._view(
                ws_sink, viewing, partial(self._serving.websocket, request, ws_sink)
            )
        headers = self._origins.headers(request)
        sink = HttpSink(
            request.transport, lambda: response_head(output, self._deps.wall(), headers)
        )
        return await self._view(sink, viewing, partial(self._serving.http, sink))

    async def _view(
        self,
        sink: Sink,
        viewing: Viewing,
        serve: Callable[[asyncio.Transport, Viewing], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Open the access, serve it, and say how it ended."""
        channel, principal = viewing.channel, viewing.principal

        stopped: list[tuple[str, str]] = []

        def stop(code: str, detail: str) -> None:
            # The viewer is told less than the record.
            stopped.append((code, detail))
            sink.forbid(code, detail if principal.is_local else reason_words(code))

        access = self._gate.open(principal, Action.LIVE, channel, viewing.context, stop)
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
                result, detail = stopped[0] if stopped and sink.forbidden else sink.ended
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
        received_from(request, principal)
        authorise(principal, Access.STREAM)
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

    def _admit_key(self, viewing: Viewing) -> None:
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
