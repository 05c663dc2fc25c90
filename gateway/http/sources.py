"""Operations on foreign sources: RTSP and RTMP from elsewhere that become channels."""

from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web

from gateway.domain.source import SourceConfig
from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.source import (
    SourceChange,
    SourceIn,
    SourceIssuedOut,
    SourceList,
    SourceOut,
    SourceQuery,
    SourceTestOut,
)
from gateway.sessions.source_book import IssuedSource
from gateway.sessions.sources import ForeignSources

__all__ = ["SourceApi"]

_BASE = "/api/v1/sources"
_ONE = f"{_BASE}/{{source_id}}"
_TAG = "sources"


class SourceApi:
    """Handlers under `/api/v1/sources`.

    Whoever adds a source chooses an address that the gateway then connects to, also inside its own network: that is
    for admins only.

    Args:
        deps: The clock, and where publishers find us.
        sources: The owner of all sources.
    """

    def __init__(self, deps: HttpDeps, sources: ForeignSources) -> None:
        self._wall = deps.wall
        self._rtmp_base = deps.rtmp_base
        self._sources = sources

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list,
                name="list_sources",
                summary="List foreign sources and how they are",
                tag=_TAG,
                access=Access.LOCAL,
                query=SourceQuery,
                answer=SourceList,
            ),
            Route(
                method="POST",
                path=_BASE,
                handler=self.add,
                name="add_source",
                summary="Make an RTSP or RTMP source a channel; a stream key is shown this once",
                tag=_TAG,
                body=SourceIn,
                answer=SourceIssuedOut,
                status=201,
                errors=(409, 422, 503),
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.show,
                name="get_source",
                summary="Show one source",
                tag=_TAG,
                access=Access.LOCAL,
                answer=SourceOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=_ONE,
                handler=self.change,
                name="change_source",
                summary="Change a source; with another address it begins anew",
                tag=_TAG,
                body=SourceChange,
                answer=SourceOut,
                errors=(404, 422, 503),
            ),
            Route(
                method="DELETE",
                path=_ONE,
                handler=self.remove,
                name="delete_source",
                summary="Delete a source and its channel; who watches or publishes is ended",
                tag=_TAG,
                status=204,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/key",
                handler=self.rotate,
                name="rotate_source_key",
                summary="Give a source a new stream key; who publishes with the old one is ended",
                tag=_TAG,
                answer=SourceIssuedOut,
                errors=(404, 422, 503),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/test",
                handler=self.test,
                name="test_source",
                summary="Try a source now and say what is there",
                tag=_TAG,
                access=Access.OPERATOR,
                answer=SourceTestOut,
                errors=(404, 503),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """Answer GET sources."""
        query = query_of(request, SourceQuery)
        words = query.q.strip().lower()
        found = [
            (config, status)
            for config, status in self._sources.all()
            if (words in config.source_id or words in config.name.lower())
            and query.state in {None, status.state}
        ]
        page = found[query.offset : query.offset + query.limit]
        items = [self._out(request, config) for config, _ in page]
        return json_answer(SourceList(items=items, total=len(found)))

    async def add(self, request: web.Request) -> web.Response:
        """Answer POST sources."""
        body = await body_of(request, SourceIn)
        issued = await self._sources.create(body.config(self._wall()), by=caller_of(request))
        return json_answer(self._issued(request, issued), 201)

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET sources/{source_id}."""
        return json_answer(self._out(request, self._named(request)))

    async def change(self, request: web.Request) -> web.Response:
        """Answer PATCH sources/{source_id}."""
        body = await body_of(request, SourceChange)
        changed = await self._sources.change(
            body.merged(self._named(request)), by=caller_of(request)
        )
        return json_answer(self._out(request, changed))

    async def remove(self, request: web.Request) -> web.Response:
        """Answer DELETE sources/{source_id}."""
        await self._sources.delete(request.match_info["source_id"], by=caller_of(request))
        return web.Response(status=204)

    async def rotate(self, request: web.Request) -> web.Response:
        """Answer POST sources/{source_id}/key."""
        issued = await self._sources.rotate(request.match_info["source_id"], by=caller_of(request))
        return json_answer(self._issued(request, issued))

    async def test(self, request: web.Request) -> web.Response:
        """Answer POST sources/{source_id}/test."""
        report = await self._sources.test(request.match_info["source_id"])
        return json_answer(SourceTestOut.of(report))

    def _named(self, request: web.Request) -> SourceConfig:
        return self._sources.book.get(request.match_info["source_id"])

    def _issued(self, request: web.Request, issued: IssuedSource) -> SourceIssuedOut:
        source = self._out(request, issued.config)
        base = source.publish_url
        url = f"{base}?key={quote(issued.key)}" if base and issued.key else None
        return SourceIssuedOut(source=source, key=issued.key or None, publish_url=url)

    def _out(self, request: web.Request, config: SourceConfig) -> SourceOut:
        base = self._rtmp_base
        url = None
        if base is not None:
            url = f"{base(request.url.host or '')}/{config.source_id}"
        return SourceOut.of(
            config,
            self._sources.status(config.source_id),
            device_id=self._sources.device_id,
            publish_url=url,
        )
