"""Operations on streams given to upper platforms."""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.bridge import BridgeRecord
from gateway.http.deps import HttpDeps
from gateway.http.route import Access, Route, json_answer, query_of
from gateway.http.schemas.bridge import BridgeList, BridgeOut, BridgeQuery

__all__ = ["BridgeApi"]


class BridgeApi:
    """Handlers under `/api/v1/bridges`."""

    def __init__(self, deps: HttpDeps) -> None:
        self._bridges = deps.sharing.bridges

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path="/api/v1/bridges",
                handler=self.list_bridges,
                name="list_bridges",
                summary="List streams given to upper platforms, running ones first",
                tag="platforms",
                access=Access.LOCAL,
                query=BridgeQuery,
                answer=BridgeList,
            ),
        )

    async def list_bridges(self, request: web.Request) -> web.Response:
        """Answer GET bridges."""
        query = query_of(request, BridgeQuery)
        found = [record for record in self._bridges() if _matches(record, query)]
        page = found[query.offset : query.offset + query.limit]
        items = [BridgeOut.of(record) for record in page]
        return json_answer(BridgeList(items=items, total=len(found)))


def _matches(record: BridgeRecord, query: BridgeQuery) -> bool:
    if query.platform_id not in {None, record.platform_id}:
        return False
    if query.device_id not in {None, record.device_id}:
        return False
    match query.state:
        case None:
            return True
        case "running":
            return record.end is None
        case "ended":
            return record.end is not None
        case "failed":
            return record.end is not None and record.end.is_failure
