"""Operations on sessions and streams."""

from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.domain.errors import NotFound
from gateway.domain.session import SessionRecord
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import context_of, principal_of
from gateway.http.route import Access, Route, json_answer, query_of
from gateway.http.schemas.session import (
    SessionList,
    SessionOut,
    SessionQuery,
    StreamList,
    StreamOut,
)
from gateway.http.visible import VisibleChannels

__all__ = ["SessionApi"]

_BASE = "/api/v1/sessions"


class SessionApi:
    """Handlers under `/api/v1/sessions` and `/api/v1/streams`."""

    def __init__(self, deps: HttpDeps, gate: ChannelGate, visible: VisibleChannels) -> None:
        self._deps = deps
        self._gate = gate
        self._visible = visible

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
                access=Access.CATALOG,
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
                access=Access.CATALOG,
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
                access=Access.OPERATOR,
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
                access=Access.CATALOG,
                answer=StreamList,
            ),
        )

    async def list_sessions(self, request: web.Request) -> web.Response:
        """Answer GET sessions."""
        query = query_of(request, SessionQuery)
        local, sees = principal_of(request).is_local, self._sees(request)
        found = [
            record
            for record in self._deps.sessions.sessions()
            if _matches(record, query) and (local or sees(record.device_id, record.channel_id))
        ]
        page = [SessionOut.of(item) for item in found[query.offset : query.offset + query.limit]]
        items = page if local else [item.outside() for item in page]
        return json_answer(SessionList(items=items, total=len(found)))

    async def get_session(self, request: web.Request) -> web.Response:
        """Answer GET sessions/{session_id}."""
        session_id = request.match_info["session_id"]
        if principal_of(request).is_local:
            return json_answer(SessionOut.of(self._deps.sessions.get(session_id)))
        sees = self._sees(request)
        for record in self._deps.sessions.sessions():
            if record.session_id == session_id and sees(record.device_id, record.channel_id):
                return json_answer(SessionOut.of(record).outside())
        raise NotFound("session_unknown", f"No session {session_id[:64]} is known here")

    async def stop(self, request: web.Request) -> web.Response:
        """Answer DELETE sessions/{session_id}."""
        record = await self._deps.sessions.stop(request.match_info["session_id"])
        return json_answer(SessionOut.of(record))

    async def list_streams(self, request: web.Request) -> web.Response:
        """Answer GET streams."""
        local, sees = principal_of(request).is_local, self._sees(request)
        items = []
        for stream in self._deps.media.streams():
            device_id, _, channel_id = stream.stream_id.partition("~")[0].partition("/")
            if local:
                items.append(StreamOut.model_validate(stream))
            elif sees(device_id, channel_id):
                items.append(StreamOut.model_validate(stream).outside())
        return json_answer(StreamList(items=items, total=len(items)))

    def _sees(self, request: web.Request) -> Callable[[str, str], bool]:
        """Return whether who asks may know of a channel; that somebody outside looks is put on record."""
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        if not principal.is_local:
            self._gate.look(principal, request.path.removeprefix("/api/v1/"), context, "")

        def sees(device_id: str, channel_id: str) -> bool:
            channel = self._deps.devices.channel(device_id, channel_id)
            if channel is None:
                return False
            return self._visible.one(principal.subject, context, channel) is not None

        return sees


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
