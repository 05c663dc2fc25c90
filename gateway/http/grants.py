"""Operations on grants."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.domain.errors import Invalid, NotFound
from gateway.http.deps import HttpDeps
from gateway.http.principal import Principal, caller_of, principal_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.grant import (
    ApplicationIn,
    ApproveIn,
    EmergencyIn,
    GrantList,
    GrantOut,
    GrantQuery,
    RemarkIn,
)
from gateway.http.schemas.subject import SubjectIn
from gateway.sharing.grants import Grant
from gateway.sharing.policy.clause import parse_selector

__all__ = ["GrantApi"]

_BASE = "/api/v1/grants"
_ONE = f"{_BASE}/{{grant_id}}"


class GrantApi:
    """Handlers under `/api/v1/grants`."""

    def __init__(self, deps: HttpDeps) -> None:
        self._grants = deps.sharing.grants
        self._departments = deps.sharing.departments
        self._wall = deps.wall

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._asking(), *self._answering())

    def _asking(self) -> Sequence[Route]:
        tag = "grants"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list_grants,
                name="list_grants",
                summary="List grants and applications; a department those for itself",
                tag=tag,
                access=Access.GRANTS,
                query=GrantQuery,
                answer=GrantList,
            ),
            Route(
                method="POST",
                path=_BASE,
                handler=self.apply,
                name="apply_for_grant",
                summary="Apply for access",
                tag=tag,
                access=Access.GRANTS,
                body=ApplicationIn,
                answer=GrantOut,
                status=201,
                errors=(409, 503),
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.get_grant,
                name="get_grant",
                summary="Show one grant",
                tag=tag,
                access=Access.GRANTS,
                answer=GrantOut,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/withdraw",
                handler=self.withdraw,
                name="withdraw_application",
                summary="Take an application back",
                tag=tag,
                access=Access.GRANTS,
                answer=GrantOut,
                errors=(404, 409, 503),
            ),
        )

    def _answering(self) -> Sequence[Route]:
        tag = "grants"
        answers = (
            ("approve", self.approve, ApproveIn, "Approve an application, as asked or for less"),
            ("refuse", self.refuse, RemarkIn, "Refuse an application"),
            ("revoke", self.revoke, RemarkIn, "End a grant at once, streams included"),
            ("review", self.review, RemarkIn, "Note that an emergency grant was looked at"),
        )
        return (
            Route(
                method="POST",
                path="/api/v1/emergency-grants",
                handler=self.emergency,
                name="grant_emergency",
                summary="Grant at once, for minutes; it is listed until somebody has reviewed it",
                tag=tag,
                body=EmergencyIn,
                answer=GrantOut,
                status=201,
                errors=(409, 503),
            ),
            *(
                Route(
                    method="POST",
                    path=f"{_ONE}/{word}",
                    handler=handler,
                    name=f"{word}_grant",
                    summary=summary,
                    tag=tag,
                    body=body,
                    body_required=False,
                    answer=GrantOut,
                    errors=(404, 409, 503),
                )
                for word, handler, body, summary in answers
            ),
        )

    async def list_grants(self, request: web.Request) -> web.Response:
        """Answer GET grants."""
        query, principal = query_of(request, GrantQuery), principal_of(request)
        found = [
            grant
            for grant in self._grants.list(state=query.state, overdue=query.overdue)
            if _is_for(grant, principal)
            and query.emergency in {None, grant.emergency}
            and query.reviewed in {None, bool(grant.reviewed_by)}
        ]
        now = self._wall()
        page = found[query.offset : query.offset + query.limit]
        items = [GrantOut.of(grant, now) for grant in page]
        return json_answer(GrantList(items=items, total=len(found)))

    async def get_grant(self, request: web.Request) -> web.Response:
        """Answer GET grants/{grant_id}."""
        return self._answer(self._grant(request))

    async def apply(self, request: web.Request) -> web.Response:
        """Answer POST grants."""
        body = await body_of(request, ApplicationIn)
        application = body.application(self._subject(request, body.subject))
        grant = await self._grants.apply(
            application, caller_of(request), source=request.remote or ""
        )
        return self._answer(grant, 201)

    async def withdraw(self, request: web.Request) -> web.Response:
        """Answer POST grants/{grant_id}/withdraw."""
        grant = self._grant(request)
        done = await self._grants.withdraw(
            grant.grant_id, caller_of(request), source=request.remote or ""
        )
        return self._answer(done)

    async def approve(self, request: web.Request) -> web.Response:
        """Answer POST grants/{grant_id}/approve."""
        body = await body_of(request, ApproveIn, required=False)
        objects = None if body.objects is None else parse_selector(body.objects.given())
        done = await self._grants.approve(
            request.match_info["grant_id"],
            caller_of(request),
            until=body.until,
            actions=None if body.actions is None else frozenset(body.actions),
            objects=objects,
            obligations=body.obligations.obligations(),
            remark=body.remark,
            source=request.remote or "",
        )
        return self._answer(done)

    async def refuse(self, request: web.Request) -> web.Response:
        """Answer POST grants/{grant_id}/refuse."""
        body = await body_of(request, RemarkIn, required=False)
        done = await self._grants.refuse(
            request.match_info["grant_id"],
            caller_of(request),
            remark=body.remark,
            source=request.remote or "",
        )
        return self._answer(done)

    async def revoke(self, request: web.Request) -> web.Response:
        """Answer POST grants/{grant_id}/revoke."""
        body = await body_of(request, RemarkIn, required=False)
        done = await self._grants.revoke(
            request.match_info["grant_id"],
            caller_of(request),
            remark=body.remark,
            source=request.remote or "",
        )
        return self._answer(done)

    async def review(self, request: web.Request) -> web.Response:
        """Answer POST grants/{grant_id}/review."""
        body = await body_of(request, RemarkIn, required=False)
        done = await self._grants.review(
            request.match_info["grant_id"],
            caller_of(request),
            remark=body.remark,
            source=request.remote or "",
        )
        return self._answer(done)

    async def emergency(self, request: web.Request) -> web.Response:
        """Answer POST emergency-grants."""
        body = await body_of(request, EmergencyIn)
        subject = self._subject(request, body.subject)
        done = await self._grants.emergency(
            body.application(subject, self._wall()),
            caller_of(request),
            minutes=body.minutes,
            obligations=body.obligations.obligations(),
            source=request.remote or "",
        )
        return self._answer(done, 201)

    def _subject(self, request: web.Request, given: SubjectIn | None) -> dict[str, Any]:
        """Return for whom is asked: people outside ask for their own department only."""
        own = {"departments": [principal_of(request).department]}
        said = given.given() if given is not None else {}
        if principal_of(request).is_local:
            if not said:
                raise Invalid("subject_missing", "Say for whom: subject")
            return said
        if said and said != own:
            raise Invalid("not_your_department", "A key applies for its own department only")
        return own

    def _grant(self, request: web.Request) -> Grant:
        grant = self._grants.get(request.match_info["grant_id"])
        if not _is_for(grant, principal_of(request)):
            raise NotFound("grant_unknown", f"There is no grant {grant.grant_id}")
        return grant

    def _answer(self, grant: Grant, status: int = 200) -> web.Response:
        return json_answer(GrantOut.of(grant, self._wall()), status)


def _is_for(grant: Grant, principal: Principal) -> bool:
    if principal.is_local:
        return True
    subject, clause = principal.subject, grant.application.subject
    named = clause.departments.exact
    return subject.department in named or subject.key in clause.keys.exact
