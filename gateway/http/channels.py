"""Operations on channels, and how a stream is asked for."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.policy import AccessContext, Action
from gateway.domain.signalling import Origin
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.options import HttpOptions
from gateway.http.principal import Principal, context_of, principal_of
from gateway.http.problem import ApiError
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.channel import (
    ChannelList,
    ChannelOut,
    ChannelQuery,
    PlayIn,
    PlayOut,
    UrlsOut,
)
from gateway.http.stream_token import StreamTokens
from gateway.http.visible import SeenChannel, VisibleChannels, masked, sliced

__all__ = ["ChannelApi"]

_BASE = "/api/v1/channels"
_ONE = f"{_BASE}/{{device_id}}/{{channel_id}}"


class ChannelApi:
    """Handlers under `/api/v1/channels`.

    Args:
        deps: What the handlers work with.
        options: Values.
        gate: Asks the sharing policy.
        visible: What people outside see.
        tokens: Makes stream tokens.
        open_by: How many streams a key or user has open.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        *,
        gate: ChannelGate,
        visible: VisibleChannels,
        tokens: StreamTokens,
        open_by: Callable[[str], int],
    ) -> None:
        self._deps = deps
        self._options = options
        self._gate = gate
        self._visible = visible
        self._tokens = tokens
        self._open_by = open_by
        self._asking: Counter[str] = Counter()
        """Streams being asked for, by key or user: their tokens are still to come."""

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag = "channels"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list_channels,
                name="list_channels",
                summary="List channels",
                tag=tag,
                access=Access.CATALOG,
                query=ChannelQuery,
                answer=ChannelList,
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.get_channel,
                name="get_channel",
                summary="Show one channel",
                tag=tag,
                access=Access.CATALOG,
                answer=ChannelOut,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/play",
                handler=self.play,
                name="play_channel",
                summary="Start a channel's stream, or join the running one",
                tag=tag,
                access=Access.LIVE,
                body=PlayIn,
                body_required=False,
                answer=PlayOut,
                errors=(404, 409, 413, 415, 422, 502, 503, 504),
            ),
        )

    async def list_channels(self, request: web.Request) -> web.Response:
        """Answer GET channels."""
        query = query_of(request, ChannelQuery)
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        if principal.is_local and query.may is None:
            answer = self._list_all(query)
        else:
            answer = await self._list_visible(principal, context, query)
        detail = f"{len(answer.items)} of {answer.total} items"
        self._gate.look(principal, "channels", context, detail)
        return json_answer(answer)

    async def get_channel(self, request: web.Request) -> web.Response:
        """Answer GET channels/{device_id}/{channel_id}."""
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        channel = self._gate.find(principal, *_named(request), Action.CATALOG, context)
        decision = self._gate.check(principal, Action.CATALOG, channel, context)
        if not principal.is_local:
            channel = masked(channel, decision.obligations)
        return json_answer(ChannelOut.model_validate(channel))

    async def play(self, request: web.Request) -> web.Response:
        """Answer POST channels/{device_id}/{channel_id}/play."""
        body = await body_of(request, PlayIn, required=False)
        principal = principal_of(request)
        context = context_of(
            principal, self._deps.wall, request, purpose=body.purpose, ticket=body.ticket
        )
        channel = self._gate.find(principal, *_named(request), Action.LIVE, context)
        decision = self._gate.decide(principal, Action.LIVE, channel, context)
        device_id, channel_id = channel.device_id, channel.channel_id
        stream = 1 if decision.obligations.sub_stream else body.stream
        with self._promised(principal, channel, context):
            record = await self._deps.sessions.play(
                device_id,
                channel_id,
                transport=body.transport,
                stream=stream,
                origin=Origin(asker=principal.subject.label),
            )
        token, expires = self._tokens.issue(principal, f"{device_id}/{channel_id}", stream, context)
        base = self._options.public_url or f"{request.scheme}://{request.host}"
        path = f"/live/{quote(device_id, safe='')}/{quote(channel_id, safe='')}"
        rtsp = self._deps.rtsp_base
        answer = PlayOut(
            session_id=record.session_id,
            stream=stream,
            urls=_urls(
                base + path,
                token,
                rtsp=None if rtsp is None else rtsp(urlsplit(base).hostname or "") + path,
                hls=self._deps.hls is not None,
                whep=self._deps.webrtc is not None,
            ),
            expires_at=datetime.fromtimestamp(expires, UTC),
            single_use=not principal.is_local,
        )
        return json_answer(answer)

    def _list_all(self, query: ChannelQuery) -> ChannelList:
        channels, total = self._deps.devices.search_channels(
            query.q,
            device_id=query.device_id,
            kind=query.kind,
            online=query.online,
            limit=query.limit,
            offset=query.offset,
        )
        items = [ChannelOut.model_validate(channel) for channel in channels]
        return ChannelList(items=items, total=total)

    async def _list_visible(
        self, principal: Principal, context: AccessContext, query: ChannelQuery
    ) -> ChannelList:
        subject, words = principal.subject, query.q.strip().lower()
        found = await self._visible.channels(subject, context, query.device_id)
        if words or query.kind is not None or query.online is not None:
            found = await sliced(found, lambda item: _matches(item, query, words))
        if (may := query.may) is not None:
            found = await sliced(
                found, lambda item: self._gate.allows(principal, may, item.channel, context)
            )
        page = found[query.offset : query.offset + query.limit]
        if principal.is_local:
            items = [ChannelOut.model_validate(item.channel) for item in page]
        else:
            now = (self._visible.shown(subject, context, item) for item in page)
            items = [ChannelOut.model_validate(channel) for channel in now if channel is not None]
        return ChannelList(items=items, total=len(found))

    @contextmanager
    def _promised(
        self, principal: Principal, channel: Channel, context: AccessContext
    ) -> Iterator[None]:
        """Promise no more streams than may be open, those included that are just being asked for.

        Raises:
            ApiError: 429 `too_many_streams`; recorded.
        """
        limit, holder = principal.max_streams, principal.holder
        if limit is None:
            yield
            return
        taken = self._open_by(holder) + self._tokens.pending(holder) + self._asking[holder]
        if taken >= limit:
            detail = f"You may have {limit} streams at once; {taken} are open or promised"
            self._gate.refuse(principal, Action.LIVE, channel, context, "too_many_streams", detail)
            raise ApiError(429, "too_many_streams", detail, headers={"Retry-After": "10"})
        self._asking[holder] += 1
        try:
            yield
        finally:
            self._asking[holder] -= 1
            if not self._asking[holder]:
                del self._asking[holder]


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["device_id"], request.match_info["channel_id"]


def _matches(item: SeenChannel, query: ChannelQuery, words: str) -> bool:
    channel = item.channel
    if query.kind is not None and channel.kind is not query.kind:
        return False
    if query.online is not None and channel.online is not query.online:
        return False
    return not words or item.matches(words)


def _urls(url: str, token: str, *, rtsp: str | None, hls: bool, whep: bool) -> UrlsOut:
    socket = "ws" + url.removeprefix("http")
    return UrlsOut(
        flv=f"{url}.flv?token={token}",
        mp4=f"{url}.mp4?token={token}",
        ws_flv=f"{socket}.flv?token={token}",
        ws_mp4=f"{socket}.mp4?token={token}",
        rtsp=f"{rtsp}?token={token}" if rtsp else None,
        hls=f"{url}/index.m3u8?token={token}" if hls else None,
        whep=f"{url.replace('/live/', '/whep/', 1)}?token={token}" if whep else None,
    )
