"""Operations on upper and neighbouring platforms."""

from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from gateway.domain.errors import Conflict
from gateway.domain.platform import PlatformConfig
from gateway.http.deps import HttpDeps
from gateway.http.platform_catalogs import PreviewCache
from gateway.http.principal import caller_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.device import TimelineList, TimelineOut, TimelineQuery
from gateway.http.schemas.platform import (
    CodeList,
    CodeOut,
    CodeQuery,
    ItemList,
    ItemOut,
    PlatformChangeIn,
    PlatformIn,
    PlatformList,
    PlatformOut,
    PlatformQuery,
    PreviewQuery,
    TestIn,
    TreeIn,
    TreeOut,
    TrialOut,
)

__all__ = ["PlatformApi"]

_BASE = "/api/v1/platforms"
_ONE = f"{_BASE}/{{platform_id}}"
MAX_TREE_BODY = 4 * 1024 * 1024
"""Bytes; a tree of five thousand nodes with their selectors."""


class PlatformApi:
    """Handlers under `/api/v1/platforms`."""

    def __init__(self, deps: HttpDeps) -> None:
        sharing = deps.sharing
        self._book = sharing.platforms
        self._links = sharing.links
        self._catalogs = sharing.catalogs
        self._devices = deps.devices
        self._previews = PreviewCache(sharing.catalogs, deps.now)
        sharing.access.on_changed.append(self._previews.clear)
        self._testing: set[str] = set()

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._configuring(), *self._looking(), *self._catalog_routes())

    def _configuring(self) -> Sequence[Route]:
        tag = "platforms"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list_platforms,
                name="list_platforms",
                summary="List upper platforms and how their links are",
                tag=tag,
                access=Access.LOCAL,
                query=PlatformQuery,
                answer=PlatformList,
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.get_platform,
                name="get_platform",
                summary="Show one platform",
                tag=tag,
                access=Access.LOCAL,
                answer=PlatformOut,
                errors=(404,),
            ),
            Route(
                method="PUT",
                path=_ONE,
                handler=self.put_platform,
                name="put_platform",
                summary="Add a platform, or replace all of its configuration",
                tag=tag,
                body=PlatformIn,
                answer=PlatformOut,
                errors=(409, 503),
                max_body=MAX_TREE_BODY,
            ),
            Route(
                method="PATCH",
                path=_ONE,
                handler=self.change_platform,
                name="change_platform",
                summary="Change a platform, or enable or disable it",
                tag=tag,
                body=PlatformChangeIn,
                answer=PlatformOut,
                errors=(404, 503),
                max_body=MAX_TREE_BODY,
            ),
            Route(
                method="DELETE",
                path=_ONE,
                handler=self.delete_platform,
                name="delete_platform",
                summary="Delete a platform and the codes it was given",
                tag=tag,
                status=204,
                errors=(404, 503),
            ),
        )

    def _looking(self) -> Sequence[Route]:
        tag = "platforms"
        return (
            Route(
                method="GET",
                path=f"{_ONE}/timeline",
                handler=self.timeline,
                name="get_platform_timeline",
                summary="Show what happened to a platform's link",
                tag=tag,
                access=Access.LOCAL,
                query=TimelineQuery,
                answer=TimelineList,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/test",
                handler=self.test,
                name="test_platform",
                summary="Try to register, with what is kept or with changes that are not",
                tag=tag,
                body=TestIn,
                body_required=False,
                answer=TrialOut,
                errors=(409, 503),
                max_body=MAX_TREE_BODY,
            ),
            Route(
                method="POST",
                path=f"{_ONE}/reconnect",
                handler=self.reconnect,
                name="reconnect_platform",
                summary="Register anew now",
                tag=tag,
                access=Access.OPERATOR,
                answer=PlatformOut,
                status=202,
                errors=(404, 503),
            ),
        )

    def _catalog_routes(self) -> Sequence[Route]:
        tag = "platforms"
        return (
            Route(
                method="GET",
                path=f"{_ONE}/preview",
                handler=self.preview,
                name="preview_catalog",
                summary="The catalogue the platform would get now",
                tag=tag,
                access=Access.OPERATOR,
                query=PreviewQuery,
                answer=ItemList,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/preview",
                handler=self.preview_changed,
                name="preview_changed_catalog",
                summary="The catalogue a platform would get with changes that are not kept",
                tag=tag,
                access=Access.OPERATOR,
                query=PreviewQuery,
                body=TestIn,
                answer=ItemList,
                errors=(503,),
                max_body=MAX_TREE_BODY,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/tree",
                handler=self.get_tree,
                name="get_platform_tree",
                summary="How the catalogue sent up is arranged",
                tag=tag,
                access=Access.LOCAL,
                answer=TreeOut,
                errors=(404,),
            ),
            Route(
                method="PUT",
                path=f"{_ONE}/tree",
                handler=self.put_tree,
                name="put_platform_tree",
                summary="Arrange the catalogue sent up",
                tag=tag,
                body=TreeIn,
                answer=TreeOut,
                errors=(404, 503),
                max_body=MAX_TREE_BODY,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/codes",
                handler=self.codes,
                name="list_platform_codes",
                summary="Under which codes the platform knows our items",
                tag=tag,
                access=Access.OPERATOR,
                query=CodeQuery,
                answer=CodeList,
                errors=(404, 503),
            ),
        )

    # Configuration

    async def list_platforms(self, request: web.Request) -> web.Response:
        """Answer GET platforms."""
        query = query_of(request, PlatformQuery)
        words = query.q.lower()
        found = [
            (config, self._links.status(config.platform_id))
            for config in self._book.list()
            if words in config.platform_id or words in config.name.lower()
        ]
        if query.state:
            found = [item for item in found if item[1].state.value == query.state]
        page = found[query.offset : query.offset + query.limit]
        items = [PlatformOut.of(config, status) for config, status in page]
        return json_answer(PlatformList(items=items, total=len(found)))

    async def get_platform(self, request: web.Request) -> web.Response:
        """Answer GET platforms/{platform_id}."""
        return self._answer(self._config(request))

    async def put_platform(self, request: web.Request) -> web.Response:
        """Answer PUT platforms/{platform_id}."""
        body = await body_of(request, PlatformIn)
        return await self._save(
            request, body.config(request.match_info["platform_id"]), body.password
        )

    async def change_platform(self, request: web.Request) -> web.Response:
        """Answer PATCH platforms/{platform_id}."""
        body = await body_of(request, PlatformChangeIn)
        return await self._save(request, body.merged(self._config(request)), body.password)

    async def delete_platform(self, request: web.Request) -> web.Response:
        """Answer DELETE platforms/{platform_id}."""
        await self._book.delete(
            self._config(request).platform_id, by=caller_of(request), source=request.remote or ""
        )
        return web.Response(status=204)

    # The link

    async def timeline(self, request: web.Request) -> web.Response:
        """Answer GET platforms/{platform_id}/timeline."""
        query = query_of(request, TimelineQuery)
        entries = self._links.status(self._config(request).platform_id).timeline
        items = [TimelineOut.model_validate(entry) for entry in entries[: query.limit]]
        return json_answer(TimelineList(items=items, total=len(entries)))

    async def test(self, request: web.Request) -> web.Response:
        """Answer POST platforms/{platform_id}/test."""
        body = await body_of(request, TestIn, required=False)
        config = body.merged(self._kept_or_new(request))
        platform_id = config.platform_id
        if platform_id in self._testing:
            raise Conflict(
                "test_running", f"A registration at {platform_id} is being tried already"
            )
        self._testing.add(platform_id)
        try:
            report = await self._links.test(config, body.password)
        finally:
            self._testing.discard(platform_id)
        return json_answer(TrialOut.of(report))

    async def reconnect(self, request: web.Request) -> web.Response:
        """Answer POST platforms/{platform_id}/reconnect."""
        config = self._config(request)
        self._links.reconnect(config.platform_id)
        return self._answer(config, 202)

    # The catalogue

    async def preview(self, request: web.Request) -> web.Response:
        """Answer GET platforms/{platform_id}/preview."""
        return await self._preview(request, self._config(request))

    async def preview_changed(self, request: web.Request) -> web.Response:
        """Answer POST platforms/{platform_id}/preview."""
        body = await body_of(request, TestIn)
        config = body.merged(self._kept_or_new(request))
        self._book.check(config)
        return await self._preview(request, config)

    async def get_tree(self, request: web.Request) -> web.Response:
        """Answer GET platforms/{platform_id}/tree."""
        return json_answer(TreeOut.of(self._config(request)))

    async def put_tree(self, request: web.Request) -> web.Response:
        """Answer PUT platforms/{platform_id}/tree."""
        body = await body_of(request, TreeIn)
        saved = await self._book.save(
            replace(self._config(request), **body.changes()),
            new=False,
            by=caller_of(request),
            source=request.remote or "",
        )
        return json_answer(TreeOut.of(saved))

    async def codes(self, request: web.Request) -> web.Response:
        """Answer GET platforms/{platform_id}/codes."""
        query, platform_id = query_of(request, CodeQuery), self._config(request).platform_id
        given = sorted(await self._catalogs.codes(platform_id), key=lambda item: item.shared_id)
        found = [
            item
            for item in given
            if not query.q or query.q in f"{item.shared_id} {item.device_id}/{item.channel_id}"
        ]
        items = []
        for item in found[query.offset : query.offset + query.limit]:
            channel = self._devices.channel(item.device_id, item.channel_id)
            shown = self._catalogs.shared_id(platform_id, item.device_id, item.channel_id)
            items.append(
                CodeOut(
                    shared_id=item.shared_id,
                    device_id=item.device_id,
                    channel_id=item.channel_id,
                    name=channel.name if channel else "",
                    shared=shown == item.shared_id,
                )
            )
        return json_answer(CodeList(items=items, total=len(found)))

    async def _preview(self, request: web.Request, config: PlatformConfig) -> web.Response:
        query = query_of(request, PreviewQuery)
        found = await self._previews.get(config, query.root)
        page = found[query.offset : query.offset + query.limit]
        items = [ItemOut.of(item, config.edition) for item in page]
        return json_answer(ItemList(items=items, total=len(found)))

    async def _save(
        self, request: web.Request, config: PlatformConfig, password: str | None
    ) -> web.Response:
        saved = await self._book.save(
            config, password, by=caller_of(request), source=request.remote or ""
        )
        return self._answer(saved)

    def _config(self, request: web.Request) -> PlatformConfig:
        return self._book.get(request.match_info["platform_id"])

    def _kept_or_new(self, request: web.Request) -> PlatformConfig:
        platform_id = request.match_info["platform_id"]
        return self._book.find(platform_id) or PlatformConfig(platform_id=platform_id)

    def _answer(self, config: PlatformConfig, status: int = 200) -> web.Response:
        return json_answer(PlatformOut.of(config, self._links.status(config.platform_id)), status)
