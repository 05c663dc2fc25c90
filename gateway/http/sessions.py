"""Operations on sessions and streams."""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.session import SessionRecord
from gateway.http.deps import HttpDeps
from gateway.http.route import Route, json_answer, query_of
from gateway.http.schemas.session import (
    SessionList,
    SessionOut,
    SessionQuery,
    StreamList,
    StreamOut,
)

__all__ = ["SessionApi"]

_BASE = "/api/v1/sessions"


class SessionApi:
    """Handlers under `/api/v1/sessions` and `/api/v1/streams`."""

    def __init__(self, deps: HttpDeps) -> None:
        self._deps = deps

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list_sessions,
                name="list_sessions",
                summary="List sessions, running ones first",
                tag="sessions",
                query=SessionQuery,
                answer=SessionList,
            ),
            Route(
                method="GET",
                path=f"{_BASE}/{{session_id}}",
                handler=self.get_session,
                name="get_session",
                summary="Show one session with its stages",
                tag="sessions",
                answer=SessionOut,
                errors=(404,),
            ),
            Route(
                method="DELETE",
                path=f"{_BASE}/{{session_id}}",
                handler=self.stop,
                name="stop_session",
                summary="End a session for all its viewers",
                tag="sessions",
                answer=SessionOut,
                errors=(404,),
            ),
            Route(
                method="GET",
                path="/api/v1/streams",
                handler=self.list_streams,
                name="list_streams",
                summary="List running streams with their counters",
                tag="streams",
                answer=StreamList,
            ),
        )

    async def list_sessions(self, request: web.Request) -> web.Response:
        """Answer GET sessions."""
        query = query_of(request, SessionQuery)
        found = [record for record in self._deps.sessions.sessions() if _matches(record, query)]
        page = found[query.offset : query.offset + query.limit]
        return json_answer(
            SessionList(items=[SessionOut.of(record) for record in page], total=len(found))
        )

    async def get_session(self, request: web.Request) -> web.Response:
        """Answer GET sessions/{session_id}."""
        return json_answer(SessionOut.of(self._deps.sessions.get(request.match_info["session_id"])))

    async def stop(self, request: web.Request) -> web.Response:
        """Answer DELETE sessions/{session_id}."""
        record = await self._deps.sessions.stop(request.match_info["session_id"])
        return json_answer(SessionOut.of(record))

    async def list_streams(self, request: web.Request) -> web.Response:
        """Answer GET streams."""
        items = [StreamOut.model_validate(stream) for stream in self._deps.media.streams()]
        return json_answer(StreamList(items=items, total=len(items)))


def _matches(record: SessionRecord, query: SessionQuery) -> bool:
    if query.device_id is not None and record.device_id != query.device_id:
        return False
    if query.channel_id is not None and record.channel_id != query.channel_id:
        return False
    match query.state:
        case None:
            return True
        case "running":
            return record.ended is None
        case "ended":
            return record.ended is not None
        case "failed":
            return record.ended is not None and record.ended.reason.is_failure
