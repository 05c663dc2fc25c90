"""Live streams over HTTP and WebSocket: `/live/{device_id}/{channel_id}.flv` and its relatives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.media import OutputFormat
from gateway.domain.policy import Action
from gateway.http.deps import HttpDeps
from gateway.http.entrance import StreamEntrance, Visit
from gateway.http.gate import ChannelGate
from gateway.http.options import HttpOptions
from gateway.http.origin import Origins
from gateway.http.route import Access, Route
from gateway.http.sink import (
    CONTENT_TYPES,
    HttpSink,
    Sink,
    WsSink,
    response_head,
)
from gateway.http.stream_serving import StreamServing, Viewing

__all__ = ["StreamApi"]


class StreamApi:
    """Handlers under `/live`.

    Args:
        deps: What the handlers work with.
        options: Values.
        gate: Asks the sharing policy.
        origins: Which pages may open WebSockets.
        entrance: Lets viewers in.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        gate: ChannelGate,
        origins: Origins,
        entrance: StreamEntrance,
    ) -> None:
        self._deps = deps
        self._gate = gate
        self._entrance = entrance
        self._origins = origins
        self._serving = StreamServing(deps, options)

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

    async def live(self, output: OutputFormat, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD of a stream."""
        visit = self._entrance.visit(request)
        channel = visit.find(request.match_info.get("device_id"), request.match_info["channel_id"])
        if request.method == "HEAD":
            self._gate.decide(visit.principal, Action.LIVE, channel, visit.context)
            return self._probe(channel, output)
        if "websocket" in request.headers.get("Upgrade", "").lower():
            self._origins.require(request)
            return await self._websocket(request, visit, channel, output)
        if request.transport is None:
            raise ConnectionResetError("the viewer left before it was served")
        headers = self._origins.headers(request)
        sink = HttpSink(
            request.transport, lambda: response_head(output, self._deps.wall(), headers)
        )
        with self._viewing(sink, visit, channel, output) as viewing:
            return await self._serving.http(sink, sink.transport, viewing)

    async def _websocket(
        self, request: web.Request, visit: Visit, channel: Channel, output: OutputFormat
    ) -> web.StreamResponse:
        if request.transport is None:
            raise ConnectionResetError("the viewer left before it was served")

        def prologue() -> bytes:
            return self._serving.prologue(viewing)

        sink = WsSink(request.transport, prologue)
        with self._viewing(sink, visit, channel, output) as viewing:
            return await self._serving.websocket(request, sink, sink.transport, viewing)

    @contextmanager
    def _viewing(
        self, sink: Sink, visit: Visit, channel: Channel, output: OutputFormat
    ) -> Iterator[Viewing]:
        """Let a viewer in, and say how it ended."""
        entry = visit.enter(
            channel, via="http", format=f"{sink.framing}-{output}", stop=sink.forbid
        )
        code, detail = "viewer_left", ""
        try:
            yield Viewing(entry, output)
        except GatewayError as exc:
            code, detail = exc.code, exc.detail
            raise
        finally:
            if sink.ended is not None:
                code, detail = sink.ended
            entry.end(code, detail, sent=sink.sent)

    def _probe(self, channel: Channel, output: OutputFormat) -> web.Response:
        device = self._deps.devices.get(channel.device_id)
        if device is None or not device.online:
            raise Unavailable("device_offline", f"Device {channel.device_id} is offline")
        return web.Response(
            content_type=CONTENT_TYPES[output], headers={"Cache-Control": "no-store"}
        )
