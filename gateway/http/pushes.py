"""Operations on push targets: channels re-published to servers elsewhere."""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.push import PushConfig
from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.push import PushChange, PushIn, PushList, PushOut, PushQuery
from gateway.sessions.pushes import PushService

__all__ = ["PushApi"]

_BASE = "/api/v1/pushes"
_ONE = f"{_BASE}/{{push_id}}"
_TAG = "pushes"


class PushApi:
    """Handlers under `/api/v1/pushes`.

    Args:
        deps: The clock.
        pushes: The owner of all pushes.
    """

    def __init__(self, deps: HttpDeps, pushes: PushService) -> None:
        self._wall = deps.wall
        self._pushes = pushes

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list,
                name="list_pushes",
                summary="List push targets and how they are",
                tag=_TAG,
                access=Access.LOCAL,
                query=PushQuery,
                answer=PushList,
            ),
            Route(
                method="POST",
                path=_BASE,
                handler=self.add,
                name="add_push",
                summary="Re-publish a channel to an RTMP, RTSP or SRT target",
                tag=_TAG,
                body=PushIn,
                answer=PushOut,
                status=201,
                errors=(404, 409, 422, 503),
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.show,
                name="get_push",
                summary="Show one push",
                tag=_TAG,
                access=Access.LOCAL,
                answer=PushOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=_ONE,
                handler=self.change,
                name="change_push",
                summary="Change a push; what runs begins anew",
                tag=_TAG,
                body=PushChange,
                answer=PushOut,
                errors=(404, 422, 503),
            ),
            Route(
                method="DELETE",
                path=_ONE,
                handler=self.remove,
                name="delete_push",
                summary="End a push and forget it",
                tag=_TAG,
                status=204,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/retry",
                handler=self.retry,
                name="retry_push",
                summary="Try a failed push again now",
                tag=_TAG,
                access=Access.OPERATOR,
                answer=PushOut,
                errors=(404,),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """Answer GET pushes."""
        query = query_of(request, PushQuery)
        found = [
            config
            for config in self._pushes.list()
            if query.device_id in {None, config.device_id}
            and query.channel_id in {None, config.channel_id}
        ]
        page = found[query.offset : query.offset + query.limit]
        return json_answer(PushList(items=[self._out(item) for item in page], total=len(found)))

    async def add(self, request: web.Request) -> web.Response:
        """Answer POST pushes."""
        body, caller = await body_of(request, PushIn), caller_of(request)
        config = PushConfig(
            push_id="", created_at=self._wall(), owner=caller.label, **body.model_dump()
        )
        added = await self._pushes.add(config, by=caller, source=request.remote or "")
        return json_answer(self._out(added), 201)

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET pushes/{push_id}."""
        return json_answer(self._out(self._pushes.get(request.match_info["push_id"])))

    async def change(self, request: web.Request) -> web.Response:
        """Answer PATCH pushes/{push_id}."""
        body = await body_of(request, PushChange)
        changed = await self._pushes.change(
            request.match_info["push_id"],
            body.model_dump(exclude_none=True),
            by=caller_of(request),
            source=request.remote or "",
        )
        return json_answer(self._out(changed))

    async def remove(self, request: web.Request) -> web.Response:
        """Answer DELETE pushes/{push_id}."""
        await self._pushes.remove(
            request.match_info["push_id"], by=caller_of(request), source=request.remote or ""
        )
        return web.Response(status=204)

    async def retry(self, request: web.Request) -> web.Response:
        """Answer POST pushes/{push_id}/retry."""
        push_id = request.match_info["push_id"]
        self._pushes.retry(push_id)
        return json_answer(self._out(self._pushes.get(push_id)))

    def _out(self, config: PushConfig) -> PushOut:
        return PushOut.of(config, self._pushes.status(config.push_id))
