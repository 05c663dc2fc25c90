"""Operations on the audit."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.domain.errors import Invalid
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import caller_of, context_of, principal_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.audit import (
    AuditPageOut,
    AuditSearchQuery,
    AuditStatusOut,
    ExportQuery,
    OwnAuditQuery,
    VerifyIn,
    VerifyOut,
)
from gateway.sharing.audit.checkpoint import Anchor
from gateway.sharing.changelog import subject_fields

__all__ = ["AuditApi"]

_BASE = "/api/v1/audit"
FOLLOWED = 600.0
"""Seconds after which whoever follows the audit is put on record again: else the audit would be full of its readers."""
MAX_FOLLOWERS = 100


class AuditApi:
    """Handlers under `/api/v1/audit`.

    Args:
        deps: The audit and clocks.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, gate: ChannelGate) -> None:
        self._audit = deps.sharing.audit
        self._gate = gate
        self._now = deps.now
        self._wall = deps.wall
        self._followers: dict[str, float] = {}

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag = "audit"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.search,
                name="search_audit",
                summary="Find records, newest first; the search is put on record, too",
                tag=tag,
                query=AuditSearchQuery,
                answer=AuditPageOut,
                errors=(503,),
            ),
            Route(
                method="GET",
                path=f"{_BASE}/own",
                handler=self.own,
                name="search_own_audit",
                summary="What stands in the audit about the caller's own department",
                tag=tag,
                access=Access.AUDIT_OWN,
                query=OwnAuditQuery,
                answer=AuditPageOut,
                errors=(503,),
            ),
            Route(
                method="GET",
                path=f"{_BASE}/status",
                handler=self.status,
                name="get_audit_status",
                summary="The audit in figures, with its last signed line and the name of its key",
                tag=tag,
                access=Access.LOCAL,
                answer=AuditStatusOut,
            ),
            Route(
                method="GET",
                path=f"{_BASE}/export",
                handler=self.export,
                name="export_audit",
                summary="The records of a period as a zip with all that is needed to verify them",
                tag=tag,
                query=ExportQuery,
                media=("application/zip",),
                errors=(404, 422, 503),
            ),
            Route(
                method="GET",
                path=f"{_BASE}/public-key",
                handler=self.public_key,
                name="get_audit_public_key",
                summary="The keys that signed, as a PEM file: keep a copy elsewhere",
                tag=tag,
                access=Access.LOCAL,
                media=("application/x-pem-file",),
                errors=(503,),
            ),
            Route(
                method="POST",
                path=f"{_BASE}/verify",
                handler=self.verify,
                name="verify_audit",
                summary="Verify everything up to now",
                tag=tag,
                body=VerifyIn,
                body_required=False,
                answer=VerifyOut,
                errors=(503,),
            ),
        )

    async def search(self, request: web.Request) -> web.Response:
        """Answer GET audit."""
        query, caller = query_of(request, AuditSearchQuery), caller_of(request)
        source, wanted = request.remote or "", query.query()
        by: Mapping[str, str] | None = subject_fields(caller)
        # Whoever looks for something else than before does not just follow.
        who = f"{caller.label} {source} {wanted.describe()}"
        if query.after is not None and not self._is_due(who):
            by = None
        page = await self._audit.search(wanted, by=by, source=source)
        answer = AuditPageOut.of(page)
        if query.after is not None:
            answer.items = [row for row in answer.items if row.seq > query.after]
        return json_answer(answer)

    def _is_due(self, who: str) -> bool:
        """Whether somebody who follows what comes, with the words looked for, is to be put on record again."""
        now = self._now()
        if now - self._followers.get(who, -FOLLOWED) < FOLLOWED:
            return False
        self._followers.pop(who, None)
        self._followers[who] = now
        if len(self._followers) > MAX_FOLLOWERS:
            del self._followers[next(iter(self._followers))]
        return True

    async def own(self, request: web.Request) -> web.Response:
        """Answer GET audit/own."""
        query, principal = query_of(request, OwnAuditQuery), principal_of(request)
        subject = principal.subject
        mine = f"department:{subject.department}" if subject.department else subject.label
        page = await self._audit.search(
            query.query(mine), by=subject_fields(subject), source=request.remote or ""
        )
        answer = AuditPageOut.of(page)
        if not principal.is_local:
            context = context_of(principal, self._wall, request)
            answer.items = [
                row.outside(
                    known=self._gate.may_know(principal, row.device_id, row.channel_id, context)
                )
                for row in answer.items
            ]
        return json_answer(answer)

    async def status(self, request: web.Request) -> web.Response:
        """Answer GET audit/status."""
        health = self._audit.health()
        answer = AuditStatusOut.of(self._audit.status(), ok=health.ok, detail=health.detail)
        return json_answer(answer)

    async def export(self, request: web.Request) -> web.Response:
        """Answer GET audit/export."""
        query = query_of(request, ExportQuery)
        data = await self._audit.export(
            query.since,
            query.until,
            by=subject_fields(caller_of(request)),
            source=request.remote or "",
        )
        return web.Response(
            body=data,
            content_type="application/zip",
            headers={
                "Content-Disposition": 'attachment; filename="audit.zip"',
                "Cache-Control": "no-store",
            },
        )

    async def public_key(self, request: web.Request) -> web.Response:
        """Answer GET audit/public-key."""
        return web.Response(body=self._audit.public_keys(), content_type="application/x-pem-file")

    async def verify(self, request: web.Request) -> web.Response:
        """Answer POST audit/verify."""
        body = await body_of(request, VerifyIn, required=False)
        try:
            expect = Anchor.parse(body.expect) if body.expect else None
        except ValueError as exc:
            raise Invalid("invalid_anchor", str(exc)) from None
        return json_answer(VerifyOut.of(await self._audit.verify(expect=expect)))
