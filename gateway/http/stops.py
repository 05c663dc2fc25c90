"""Operations on forced stops, and on who watches what now."""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.errors import NotFound
from gateway.domain.policy import Access as LastingAccess
from gateway.domain.policy import AccessRequest, Decision
from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.grant import (
    AccessList,
    AccessOut,
    AccessQuery,
    LiftIn,
    StopIn,
    StopList,
    StopOut,
    StopQuery,
    UsageList,
    UsageOut,
)
from gateway.sharing.access_open import OpenAccess
from gateway.sharing.policy.clause import parse_selector, parse_subjects

__all__ = ["StopApi"]

_STOPS = "/api/v1/stops"
_ACCESSES = "/api/v1/accesses"


class StopApi:
    """Handlers under `/api/v1/stops`, `accesses` and `usage`."""

    def __init__(self, deps: HttpDeps) -> None:
        self._stops = deps.sharing.stops
        self._access = deps.sharing.access

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._stop_routes(), *self._access_routes())

    def _stop_routes(self) -> Sequence[Route]:
        tag = "stops"
        return (
            Route(
                method="GET",
                path=_STOPS,
                handler=self.list_stops,
                name="list_stops",
                summary="List forced stops",
                tag=tag,
                access=Access.LOCAL,
                query=StopQuery,
                answer=StopList,
            ),
            Route(
                method="POST",
                path=_STOPS,
                handler=self.order,
                name="order_stop",
                summary="Stop at once (强制停止): streams end, catalogues lose the channels",
                tag=tag,
                access=Access.OPERATOR,
                body=StopIn,
                answer=StopOut,
                status=201,
                errors=(409, 503),
            ),
            Route(
                method="GET",
                path=f"{_STOPS}/{{stop_id}}",
                handler=self.get_stop,
                name="get_stop",
                summary="Show one forced stop",
                tag=tag,
                access=Access.LOCAL,
                answer=StopOut,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{_STOPS}/{{stop_id}}/lift",
                handler=self.lift,
                name="lift_stop",
                summary="Lift a forced stop",
                tag=tag,
                body=LiftIn,
                body_required=False,
                answer=StopOut,
                errors=(404, 409, 503),
            ),
        )

    def _access_routes(self) -> Sequence[Route]:
        tag = "accesses"
        return (
            Route(
                method="GET",
                path=_ACCESSES,
                handler=self.list_accesses,
                name="list_accesses",
                summary="Who watches what now",
                tag=tag,
                access=Access.LOCAL,
                query=AccessQuery,
                answer=AccessList,
            ),
            Route(
                method="DELETE",
                path=f"{_ACCESSES}/{{access_id}}",
                handler=self.stop_access,
                name="stop_access",
                summary="End one access; it may be asked for again",
                tag=tag,
                access=Access.OPERATOR,
                answer=AccessOut,
                errors=(404,),
            ),
            Route(
                method="GET",
                path="/api/v1/usage",
                handler=self.usage,
                name="get_usage",
                summary="How much each department and platform uses",
                tag=tag,
                access=Access.LOCAL,
                answer=UsageList,
            ),
        )

    async def list_stops(self, request: web.Request) -> web.Response:
        """Answer GET stops."""
        query = query_of(request, StopQuery)
        found = self._stops.list(lifted=query.lifted)
        page = found[query.offset : query.offset + query.limit]
        return json_answer(StopList(items=[StopOut.of(order) for order in page], total=len(found)))

    async def get_stop(self, request: web.Request) -> web.Response:
        """Answer GET stops/{stop_id}."""
        return json_answer(StopOut.of(self._stops.get(request.match_info["stop_id"])))

    async def order(self, request: web.Request) -> web.Response:
        """Answer POST stops."""
        body = await body_of(request, StopIn)
        said = body.subject.given() if body.subject else None
        objects = body.objects.given() if body.objects else None
        running = [item for item in self._access.accesses() if isinstance(item, OpenAccess)]
        order = await self._stops.order(
            reason=body.reason,
            by=caller_of(request),
            subject=parse_subjects(said)[0] if said else None,
            objects=parse_selector(objects) if objects else None,
            everything=body.everything,
            source=request.remote or "",
        )
        rules = [access.stopped_by.rule for access in running if access.stopped_by is not None]
        return json_answer(StopOut.of(order, rules.count(order.rule_id)), 201)

    async def lift(self, request: web.Request) -> web.Response:
        """Answer POST stops/{stop_id}/lift."""
        body = await body_of(request, LiftIn, required=False)
        order = await self._stops.lift(
            request.match_info["stop_id"],
            caller_of(request),
            reason=body.reason,
            source=request.remote or "",
        )
        return json_answer(StopOut.of(order))

    async def list_accesses(self, request: web.Request) -> web.Response:
        """Answer GET accesses."""
        query = query_of(request, AccessQuery)
        found = [access for access in self._access.accesses() if _matches(access, query)]
        page = found[query.offset : query.offset + query.limit]
        return json_answer(AccessList.of(page, len(found)))

    async def stop_access(self, request: web.Request) -> web.Response:
        """Answer DELETE accesses/{access_id}."""
        access_id = request.match_info["access_id"]
        for access in self._access.accesses():
            if access.access_id == access_id and isinstance(access, OpenAccess):
                answer = AccessOut.of(access)
                detail = f"Ended by {caller_of(request).label}"
                access.stop(Decision(allowed=False, rule="operator", reason="ended", detail=detail))
                return json_answer(answer)
        raise NotFound("access_unknown", f"No access {access_id[:64]} is open")

    async def usage(self, request: web.Request) -> web.Response:
        """Answer GET usage."""
        items = [UsageOut.model_validate(item) for item in self._access.usage()]
        return json_answer(UsageList(items=items, total=len(items)))


def _matches(access: LastingAccess, query: AccessQuery) -> bool:
    request = access.request
    channel, subject = request.channel, request.subject
    if query.via and request.via != query.via:
        return False
    if query.q and query.q.strip().lower() not in _said(request):
        return False
    if query.device_id is not None and (channel is None or channel.device_id != query.device_id):
        return False
    if query.channel_id is not None and (channel is None or channel.channel_id != query.channel_id):
        return False
    known = {subject.label, subject.platform, subject.department, subject.key, subject.user}
    return not query.subject or query.subject in known | {
        f"department:{subject.department}",
        f"platform:{subject.platform}",
    }


def _said(request: AccessRequest) -> str:
    """Return all that people may look for in an access, in small letters."""
    channel, context = request.channel, request.context
    about = (channel.name, channel.channel_id, channel.device_id) if channel else ()
    subject = request.subject
    who = (subject.label, subject.user, subject.department, subject.identity)
    asked = (request.object_id, context.source, context.purpose, context.ticket)
    return "\n".join((*who, *about, *asked)).lower()
