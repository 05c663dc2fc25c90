"""HTTP Live Streaming: `/live/.../index.m3u8` opens a viewing, `/hls/{viewing_id}/...` carries it."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, Gone, Invalid, NotFound, Unavailable
from gateway.domain.hls import HlsPlane, HlsStream
from gateway.domain.policy import Action
from gateway.domain.session import SessionRecord
from gateway.http.cookie import cookie_of
from gateway.http.deps import HttpDeps
from gateway.http.entrance import StreamEntrance, Visit
from gateway.http.gate import ChannelGate
from gateway.http.hls_viewing import HlsViewing, HlsViewings
from gateway.http.origin import Origins
from gateway.http.problem import END_STATUS, OUTSIDE, ApiError, words_of
from gateway.http.route import Access, Route
from gateway.http.sending import send_bytes

__all__ = ["HlsApi"]

PLAYLIST = "application/vnd.apple.mpegurl"
INIT = "video/mp4"
SEGMENT = "video/iso.segment"

_NO_STORE = "no-store"
_KEPT = "private, max-age=60, immutable"
"""What has a number never changes; nobody asks for it after a minute."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")
"""More digits than that no segment's number has in ten thousand years."""

_Take = Callable[[HlsStream, web.Request], "bytes | memoryview | None"]


class HlsApi:
    """Handlers of `index.m3u8` and of what its playlists name.

    Args:
        deps: Sessions and devices.
        plane: Makes the segments.
        gate: Asks the sharing policy.
        origins: Which pages may read answers.
        entrance: Lets viewers in.
    """

    def __init__(
        self,
        deps: HttpDeps,
        plane: HlsPlane,
        gate: ChannelGate,
        origins: Origins,
        entrance: StreamEntrance,
    ) -> None:
        self._deps = deps
        self._plane = plane
        self._gate = gate
        self._origins = origins
        self._entrance = entrance
        self._viewings = HlsViewings()

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        found = []
        for method in ("GET", "HEAD"):
            verb = "watch" if method == "GET" else "probe"
            for prefix, words in (("{device_id}/", ""), ("", " by its unique channel id")):
                found.append(
                    Route(
                        method=method,
                        path=f"/live/{prefix}{{channel_id}}/index.m3u8",
                        handler=self.index,
                        name=f"{verb}_hls" + ("_by_channel" if words else ""),
                        summary=f"{verb.capitalize()} a channel as HLS{words}: opens a viewing that "
                        "ends when nobody asks for its playlist any more",
                        tag="live",
                        access=Access.STREAM,
                        media=(PLAYLIST,),
                        errors=(403, 404, 409, 502, 503, 504),
                    )
                )
            found += self._viewing_routes(method, verb)
        return found

    def _viewing_routes(self, method: str, verb: str) -> list[Route]:
        rows = (
            ("live.m3u8", self.playlist, "playlist", "media playlist; may block", PLAYLIST),
            (
                "init-{number}.mp4",
                partial(self.kept, _init, INIT),
                "init",
                "initialization segment",
                INIT,
            ),
            (
                "seg-{number}.m4s",
                partial(self.kept, _segment, SEGMENT),
                "segment",
                "segment",
                SEGMENT,
            ),
            (
                "part-{number}.{part}.m4s",
                self.part,
                "part",
                "partial segment; waits for one that is announced",
                SEGMENT,
            ),
        )
        return [
            Route(
                method=method,
                path=f"/hls/{{viewing_id}}/{file}",
                handler=handler,
                name=f"{verb}_hls_{name}",
                summary=f"A viewing's {words}",
                tag="live",
                access=Access.VIEWING,
                media=(kind,),
                errors=(403, 404, 410, 429, 503),
            )
            for file, handler, name, words, kind in rows
        ]

    # Opening

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD of a channel's multivariant playlist."""
        visit = self._entrance.visit(request)
        device_id = request.match_info.get("device_id")
        channel = visit.find(device_id, request.match_info["channel_id"])
        if request.method == "HEAD":
            self._gate.decide(visit.principal, Action.LIVE, channel, visit.context)
            return self._probe(channel)
        session = visit.principal.session
        viewing = self._viewings.new(
            outside=not visit.is_local,
            source=request.remote or "",
            session_id="" if session is None else session.session_id,
        )
        up = "../../.." if device_id is not None else "../.."
        try:
            body = await self._open(viewing, visit, channel, f"{up}/hls/{viewing.key}/live.m3u8")
        except Gone as exc:
            # There was no first picture: as for every other format.
            code, detail = exc.code, words_of(exc, outside=viewing.outside)
            raise ApiError(END_STATUS.get(code, 502), code, detail) from None
        return await self._send(request, viewing, body, PLAYLIST, _NO_STORE)

    async def _open(self, viewing: HlsViewing, visit: Visit, channel: Channel, uri: str) -> bytes:
        def attach(record: SessionRecord) -> HlsStream:
            viewing.check()
            return self._plane.join(record.stream_id, viewing.over)

        try:
            entry = visit.enter(channel, via="http", format="hls", stop=viewing.forbid)
            viewing.entered(entry)
            _, stream = await self._deps.sessions.join(
                channel.device_id,
                channel.channel_id,
                attach,
                stream=entry.stream,
                origin=entry.origin,
            )
            viewing.carry(stream)
            with viewing.asked():
                return await stream.master(uri)
        except GatewayError as exc:
            viewing.end(exc.code, exc.detail, exc)
            raise
        except BaseException:
            viewing.end("viewer_left", "", Gone("viewing_ended", "The viewer left"))
            raise

    def _probe(self, channel: Channel) -> web.Response:
        device = self._deps.devices.get(channel.device_id)
        if device is None or not device.online:
            raise Unavailable("device_offline", f"Device {channel.device_id} is offline")
        return web.Response(content_type=PLAYLIST, headers={"Cache-Control": _NO_STORE})

    # Carrying

    async def playlist(self, request: web.Request) -> web.StreamResponse:
        """Answer GET of a media playlist; blocks until it holds `_HLS_msn` and `_HLS_part`."""
        viewing = self._viewing(request)
        number, part = _directive(request, "_HLS_msn"), _directive(request, "_HLS_part")
        if part is not None and number is None:
            raise ApiError(400, "invalid_parameter", "_HLS_part needs _HLS_msn")
        with viewing.asked() as stream:
            try:
                body = await stream.playlist(number, part)
            except Invalid as exc:
                # RFC 8216bis 6.2.5.2 asks for this status.
                raise ApiError(400, exc.code, exc.detail) from None
            return await self._send(request, viewing, body, PLAYLIST, _NO_STORE)

    async def part(self, request: web.Request) -> web.StreamResponse:
        """Answer GET of a part; waits for the one that the playlist announces."""
        viewing = self._viewing(request)
        with viewing.asked() as stream:
            body = await stream.part(_number(request, "number"), _number(request, "part"))
            return await self._send(request, viewing, _there(body), SEGMENT, _KEPT)

    async def kept(self, take: _Take, kind: str, request: web.Request) -> web.StreamResponse:
        """Answer GET of what is there or not."""
        viewing = self._viewing(request)
        with viewing.asked() as stream:
            return await self._send(request, viewing, _there(take(stream, request)), kind, _KEPT)

    def _viewing(self, request: web.Request) -> HlsViewing:
        viewing = self._viewings.find(request.match_info["viewing_id"])
        if viewing is None:
            raise NotFound(
                "viewing_unknown", "No viewing has this address; open the channel's index.m3u8"
            )
        request[OUTSIDE] = viewing.outside
        if not (viewing.serves(request.remote or "") or self._is_of_session(request, viewing)):
            raise ApiError(
                403,
                "viewing_elsewhere",
                "This was opened from another address; open the channel's index.m3u8 from this one",
            )
        return viewing

    def _is_of_session(self, request: web.Request, viewing: HlsViewing) -> bool:
        """Whether a browser sends the cookie of the session that opened it."""
        token = cookie_of(request)
        if not viewing.session_id or token is None:
            return False
        found = self._deps.sharing.logins.find(token)
        return found is not None and found[1].session_id == viewing.session_id

    async def _send(
        self,
        request: web.Request,
        viewing: HlsViewing,
        body: bytes | memoryview,
        kind: str,
        cache: str,
    ) -> web.StreamResponse:
        headers = {
            "Content-Type": kind,
            "Cache-Control": cache,
            "X-Content-Type-Options": "nosniff",
            **self._origins.headers(request),
        }
        response, sent = await send_bytes(request, body, headers)
        viewing.sent += sent
        return response


def _directive(request: web.Request, name: str) -> int | None:
    values = request.query.getall(name, [])
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        raise ApiError(400, "invalid_parameter", f"{name} must be one decimal number")
    return int(values[0])


def _number(request: web.Request, name: str) -> int:
    with suppress(ValueError):
        text = request.match_info[name]
        if _NUMBER.fullmatch(text):
            return int(text)
    raise _missing()


def _init(stream: HlsStream, request: web.Request) -> bytes | None:
    return stream.init(_number(request, "number"))


def _segment(stream: HlsStream, request: web.Request) -> bytes | None:
    return stream.segment(_number(request, "number"))


def _there(body: bytes | memoryview | None) -> bytes | memoryview:
    if body is None:
        raise _missing()
    return body


def _missing() -> NotFound:
    return NotFound("segment_unknown", "There is no such segment, not yet or not any more")
