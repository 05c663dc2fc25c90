"""Operations on channels, and how a stream is asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from aiohttp import web

from gateway.domain.errors import NotFound
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.route import Route, body_of, json_answer, query_of
from gateway.http.schemas.channel import (
    ChannelList,
    ChannelOut,
    ChannelQuery,
    PlayIn,
    PlayOut,
    UrlsOut,
)
from gateway.http.tokens import StreamSigner

__all__ = ["ChannelApi"]

_BASE = "/api/v1/channels"
_ONE = f"{_BASE}/{{device_id}}/{{channel_id}}"


class ChannelApi:
    """Handlers under `/api/v1/channels`."""

    def __init__(self, deps: HttpDeps, options: HttpOptions, signer: StreamSigner) -> None:
        self._deps = deps
        self._options = options
        self._signer = signer

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
                body=PlayIn,
                body_required=False,
                answer=PlayOut,
                errors=(404, 409, 413, 415, 422, 502, 503, 504),
            ),
        )

    async def list_channels(self, request: web.Request) -> web.Response:
        """Answer GET channels."""
        query = query_of(request, ChannelQuery)
        channels, total = self._deps.devices.search_channels(
            query.q,
            device_id=query.device_id,
            kind=query.kind,
            online=query.online,
            limit=query.limit,
            offset=query.offset,
        )
        items = [ChannelOut.model_validate(channel) for channel in channels]
        return json_answer(ChannelList(items=items, total=total))

    async def get_channel(self, request: web.Request) -> web.Response:
        """Answer GET channels/{device_id}/{channel_id}."""
        device_id, channel_id = request.match_info["device_id"], request.match_info["channel_id"]
        channel = self._deps.devices.channel(device_id, channel_id)
        if channel is None:
            raise NotFound(
                "channel_unknown",
                f"Device {device_id[:64]} has no channel {channel_id[:64]} in its catalogue",
            )
        return json_answer(ChannelOut.model_validate(channel))

    async def play(self, request: web.Request) -> web.Response:
        """Answer POST channels/{device_id}/{channel_id}/play."""
        body = await body_of(request, PlayIn, required=False)
        record = await self._deps.sessions.play(
            request.match_info["device_id"],
            request.match_info["channel_id"],
            transport=body.transport,
        )
        expires = int(self._deps.wall().timestamp()) + self._options.token_ttl
        token = self._signer.sign(record.stream_id, expires)
        base = self._options.public_url or f"{request.scheme}://{request.host}"
        path = f"/live/{quote(record.device_id, safe='')}/{quote(record.channel_id, safe='')}"
        answer = PlayOut(
            session_id=record.session_id,
            urls=_urls(base + path, token),
            expires_at=datetime.fromtimestamp(expires, UTC),
        )
        return json_answer(answer)


def _urls(url: str, token: str) -> UrlsOut:
    socket = "ws" + url.removeprefix("http")
    return UrlsOut(
        flv=f"{url}.flv?token={token}",
        mp4=f"{url}.mp4?token={token}",
        ws_flv=f"{socket}.flv?token={token}",
        ws_mp4=f"{socket}.mp4?token={token}",
    )
