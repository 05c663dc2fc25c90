"""Operations on the sharing policy."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.http.deps import HttpDeps
from gateway.http.dryrun import DryRun
from gateway.http.principal import caller_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.policy import (
    ActivateIn,
    ApplyIn,
    ChangesIn,
    ChangesOut,
    DiffOut,
    DiffQuery,
    ExplainIn,
    ExplanationOut,
    PolicyOut,
    PolicyTextOut,
    PolicyVersionList,
    PolicyVersionOut,
    ProblemLine,
    RuleChangeOut,
    SeeIn,
    SightList,
    ValidateIn,
    ValidationOut,
    VersionQuery,
)
from gateway.sharing.grants import GrantState
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.load import load_policy

__all__ = ["PolicyApi"]

_BASE = "/api/v1/policy"
MAX_POLICY_BODY = 4 * 1024 * 1024
"""Bytes; a policy of a megabyte with every line feed and quote escaped."""


class PolicyApi:
    """Handlers under `/api/v1/policy`."""

    def __init__(self, deps: HttpDeps) -> None:
        self._sharing = deps.sharing
        self._dry_run = DryRun(deps)

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._reading(), *self._changing(), *self._trying())

    def _reading(self) -> Sequence[Route]:
        tag = "policy"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.show,
                name="get_policy",
                summary="What is in force",
                tag=tag,
                access=Access.LOCAL,
                answer=PolicyOut,
            ),
            Route(
                method="GET",
                path=f"{_BASE}/text",
                handler=self.text,
                name="get_policy_text",
                summary="The text of a version",
                tag=tag,
                access=Access.OPERATOR,
                query=VersionQuery,
                answer=PolicyTextOut,
                errors=(404,),
            ),
            Route(
                method="GET",
                path=f"{_BASE}/versions",
                handler=self.versions,
                name="list_policy_versions",
                summary="The versions kept, newest first",
                tag=tag,
                access=Access.LOCAL,
                answer=PolicyVersionList,
            ),
            Route(
                method="GET",
                path=f"{_BASE}/diff",
                handler=self.diff,
                name="compare_policies",
                summary="What differs between two versions",
                tag=tag,
                access=Access.OPERATOR,
                query=DiffQuery,
                answer=DiffOut,
                errors=(404, 422),
            ),
        )

    def _changing(self) -> Sequence[Route]:
        tag = "policy"
        return (
            Route(
                method="PUT",
                path=_BASE,
                handler=self.apply,
                name="apply_policy",
                summary="Put a policy file into force, all of it or nothing",
                tag=tag,
                body=ApplyIn,
                answer=PolicyVersionOut,
                errors=(409, 503),
                max_body=MAX_POLICY_BODY,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/activate",
                handler=self.activate,
                name="activate_policy",
                summary="Put an older version into force again",
                tag=tag,
                body=ActivateIn,
                answer=PolicyVersionOut,
                errors=(404, 409, 503),
            ),
        )

    def _trying(self) -> Sequence[Route]:
        tag = "policy"
        return (
            Route(
                method="POST",
                path=f"{_BASE}/validate",
                handler=self.validate,
                name="validate_policy",
                summary="Look for mistakes in a policy file",
                tag=tag,
                access=Access.OPERATOR,
                body=ValidateIn,
                answer=ValidationOut,
                max_body=MAX_POLICY_BODY,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/would-see",
                handler=self.would_see,
                name="would_see",
                summary="What somebody would see, under this or another policy",
                tag=tag,
                access=Access.OPERATOR,
                body=SeeIn,
                answer=SightList,
                errors=(404, 503),
                max_body=MAX_POLICY_BODY,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/explain",
                handler=self.explain,
                name="explain_decision",
                summary="Why something is allowed or refused: every rule and what it says",
                tag=tag,
                access=Access.OPERATOR,
                body=ExplainIn,
                answer=ExplanationOut,
                errors=(404, 409, 503),
                max_body=MAX_POLICY_BODY,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/changes",
                handler=self.changes,
                name="policy_changes",
                summary="Which channels change for whom between two policies",
                tag=tag,
                access=Access.OPERATOR,
                body=ChangesIn,
                answer=ChangesOut,
                errors=(404, 409, 503),
                max_body=MAX_POLICY_BODY,
            ),
        )

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET policy."""
        policies = self._sharing.policies
        current = policies.current
        answer = PolicyOut(
            version=current.version,
            digest=current.digest,
            rules=len(current.rules),
            tags=sorted({tag.name for tag in current.tags}),
            owners=sorted({owner.department for owner in current.owners}),
            remarks=[ProblemLine.model_validate(item) for item in current.remarks],
            problem=policies.problem,
            grants=len(self._sharing.grants.list(state=GrantState.ACTIVE)),
            stops=len(self._sharing.stops.list(lifted=False)),
        )
        return json_answer(answer)

    async def text(self, request: web.Request) -> web.Response:
        """Answer GET policy/text."""
        query, policies = query_of(request, VersionQuery), self._sharing.policies
        version = policies.current.version if query.version is None else query.version
        return json_answer(PolicyTextOut(version=version, text=policies.text(version)))

    async def versions(self, request: web.Request) -> web.Response:
        """Answer GET policy/versions."""
        found = self._sharing.policies.versions()
        items = [PolicyVersionOut.model_validate(version) for version in found]
        return json_answer(PolicyVersionList(items=items, total=len(items)))

    async def diff(self, request: web.Request) -> web.Response:
        """Answer GET policy/diff."""
        query, policies = query_of(request, DiffQuery), self._sharing.policies
        current = policies.current.version
        before = current if query.before is None else query.before
        after = current if query.after is None else query.after
        found = await policies.diff(before, after)
        answer = DiffOut(
            before=before,
            after=after,
            added=list(found.added),
            removed=list(found.removed),
            changed=[RuleChangeOut.model_validate(change) for change in found.changed],
        )
        return json_answer(answer)

    async def apply(self, request: web.Request) -> web.Response:
        """Answer PUT policy."""
        body = await body_of(request, ApplyIn)
        version = await self._sharing.policies.apply(
            body.text,
            caller_of(request),
            body.comment,
            expected=body.expected,
            source=body.source,
            host=request.remote or "",
        )
        return json_answer(PolicyVersionOut.model_validate(version))

    async def activate(self, request: web.Request) -> web.Response:
        """Answer POST policy/activate."""
        body = await body_of(request, ActivateIn)
        version = await self._sharing.policies.activate(
            body.version,
            caller_of(request),
            body.comment,
            expected=body.expected,
            host=request.remote or "",
        )
        return json_answer(PolicyVersionOut.model_validate(version))

    async def validate(self, request: web.Request) -> web.Response:
        """Answer POST policy/validate."""
        body = await body_of(request, ValidateIn)
        try:
            policy = await asyncio.to_thread(load_policy, body.text, source=body.source)
        except PolicyError as exc:
            answer = ValidationOut(
                ok=False,
                problems=[ProblemLine.model_validate(item) for item in exc.problems],
                sentences=list(exc.sentences),
                remarks=[],
                rules=0,
                digest="",
            )
        else:
            answer = ValidationOut(
                ok=True,
                problems=[],
                sentences=[],
                remarks=[ProblemLine.model_validate(item) for item in policy.remarks],
                rules=len(policy.rules),
                digest=policy.digest,
            )
        return json_answer(answer)

    async def would_see(self, request: web.Request) -> web.Response:
        """Answer POST policy/would-see."""
        return json_answer(await self._dry_run.would_see(await body_of(request, SeeIn)))

    async def explain(self, request: web.Request) -> web.Response:
        """Answer POST policy/explain."""
        return json_answer(await self._dry_run.explain(await body_of(request, ExplainIn)))

    async def changes(self, request: web.Request) -> web.Response:
        """Answer POST policy/changes."""
        return json_answer(await self._dry_run.changes(await body_of(request, ChangesIn)))
