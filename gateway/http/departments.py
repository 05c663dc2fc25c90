"""Operations on departments and their webhooks."""

from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.domain.errors import Invalid
from gateway.http.auth import USER_RATE
from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of, principal_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.department import (
    DepartmentIn,
    DepartmentList,
    DepartmentOut,
    KeyQuery,
    MeOut,
    WebhookChangeIn,
    WebhookCreatedOut,
    WebhookIn,
    WebhookList,
    WebhookOut,
)
from gateway.sharing.webhooks import Webhook

__all__ = ["DepartmentApi"]

_DEPARTMENTS = "/api/v1/departments"
_HOOKS = "/api/v1/webhooks"


class DepartmentApi:
    """Handlers under `/api/v1/departments`, `webhooks` and `me`.

    Args:
        deps: What the handlers work with.
        open_by: How many streams a key or user has open.
    """

    def __init__(self, deps: HttpDeps, open_by: Callable[[str], int]) -> None:
        self._departments = deps.sharing.departments
        self._hooks = deps.sharing.webhooks
        self._deliveries = deps.sharing.deliveries
        self._wall = deps.wall
        self._open_by = open_by

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._department_routes(), *self._hook_routes())

    def _department_routes(self) -> Sequence[Route]:
        tag, one = "departments", f"{_DEPARTMENTS}/{{department}}"
        return (
            Route(
                method="GET",
                path="/api/v1/me",
                handler=self.me,
                name="get_me",
                summary="Who calls, and what they may",
                tag=tag,
                access=Access.ANY,
                answer=MeOut,
            ),
            Route(
                method="GET",
                path=_DEPARTMENTS,
                handler=self.list_departments,
                name="list_departments",
                summary="List departments",
                tag=tag,
                access=Access.LOCAL,
                answer=DepartmentList,
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get_department,
                name="get_department",
                summary="Show one department",
                tag=tag,
                access=Access.LOCAL,
                answer=DepartmentOut,
                errors=(404,),
            ),
            Route(
                method="PUT",
                path=one,
                handler=self.put_department,
                name="put_department",
                summary="Add a department or change one",
                tag=tag,
                body=DepartmentIn,
                answer=DepartmentOut,
                errors=(409, 503),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete_department,
                name="delete_department",
                summary="Delete a department without keys and webhooks",
                tag=tag,
                status=204,
                errors=(404, 409, 503),
            ),
        )

    def _hook_routes(self) -> Sequence[Route]:
        tag, one = "webhooks", f"{_HOOKS}/{{hook_id}}"
        return (
            Route(
                method="GET",
                path=_HOOKS,
                handler=self.list_hooks,
                name="list_webhooks",
                summary="List webhooks; a department its own",
                tag=tag,
                access=Access.WEBHOOKS,
                query=KeyQuery,
                answer=WebhookList,
            ),
            Route(
                method="POST",
                path=_HOOKS,
                handler=self.create_hook,
                name="create_webhook",
                summary="Add a webhook; its secret is shown this once",
                tag=tag,
                access=Access.WEBHOOKS,
                body=WebhookIn,
                answer=WebhookCreatedOut,
                status=201,
                errors=(404, 409, 503),
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get_hook,
                name="get_webhook",
                summary="Show one webhook and how its deliveries go",
                tag=tag,
                access=Access.WEBHOOKS,
                answer=WebhookOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.change_hook,
                name="change_webhook",
                summary="Change a webhook, or take it up again",
                tag=tag,
                access=Access.WEBHOOKS,
                body=WebhookChangeIn,
                answer=WebhookOut,
                errors=(404, 503),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete_hook,
                name="delete_webhook",
                summary="Delete a webhook with what it has still to deliver",
                tag=tag,
                access=Access.WEBHOOKS,
                status=204,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{one}/test",
                handler=self.test_hook,
                name="test_webhook",
                summary="Send a test event",
                tag=tag,
                access=Access.WEBHOOKS,
                answer=WebhookOut,
                status=202,
                errors=(404, 409),
            ),
        )

    async def me(self, request: web.Request) -> web.Response:
        """Answer GET me."""
        principal = principal_of(request)
        key, user = principal.key, principal.user
        rate = key.settings.requests_per_minute if key else USER_RATE if user else None
        answer = MeOut(
            label=principal.subject.label,
            department=principal.subject.department,
            key_id=key.key_id if key else "",
            user=principal.subject.user,
            role=principal.subject.role,
            scopes=sorted(principal.scopes),
            zone=principal.zone,
            requests_per_minute=rate,
            max_streams=principal.max_streams,
            open_streams=self._open_by(principal.holder),
            expires_at=principal.expires_at,
            now=self._wall(),
        )
        return json_answer(answer)

    # Departments

    async def list_departments(self, request: web.Request) -> web.Response:
        """Answer GET departments."""
        items = [DepartmentOut.model_validate(item) for item in self._departments.all()]
        return json_answer(DepartmentList(items=items, total=len(items)))

    async def get_department(self, request: web.Request) -> web.Response:
        """Answer GET departments/{department}."""
        found = self._departments.get(request.match_info["department"])
        return json_answer(DepartmentOut.model_validate(found))

    async def put_department(self, request: web.Request) -> web.Response:
        """Answer PUT departments/{department}."""
        body = await body_of(request, DepartmentIn)
        saved = await self._departments.save(
            request.match_info["department"],
            name=body.name,
            zone=body.zone,
            contact=body.contact,
            by=caller_of(request),
        )
        return json_answer(DepartmentOut.model_validate(saved))

    async def delete_department(self, request: web.Request) -> web.Response:
        """Answer DELETE departments/{department}."""
        await self._departments.delete(request.match_info["department"], by=caller_of(request))
        return web.Response(status=204)

    # Webhooks

    async def list_hooks(self, request: web.Request) -> web.Response:
        """Answer GET webhooks."""
        query, own = query_of(request, KeyQuery), principal_of(request).department
        department = query.department if own is None else own
        items = [self._hook_out(hook) for hook in self._hooks.all(department)]
        return json_answer(WebhookList(items=items, total=len(items)))

    async def create_hook(self, request: web.Request) -> web.Response:
        """Answer POST webhooks."""
        body, own = await body_of(request, WebhookIn), principal_of(request).department
        if own is not None and body.department not in {"", own}:
            raise Invalid("not_your_department", "A key adds webhooks of its own department only")
        hook, secret = await self._hooks.create(
            own or body.department, body.url, body.events, by=caller_of(request)
        )
        answer = WebhookCreatedOut(webhook=self._hook_out(hook), secret=secret)
        return json_answer(answer, 201)

    async def get_hook(self, request: web.Request) -> web.Response:
        """Answer GET webhooks/{hook_id}."""
        return json_answer(self._hook_out(self._hook(request)))

    async def change_hook(self, request: web.Request) -> web.Response:
        """Answer PATCH webhooks/{hook_id}."""
        body = await body_of(request, WebhookChangeIn)
        hook = self._hook(request)
        changed = await self._hooks.change(
            hook.hook_id,
            url=hook.url if body.url is None else body.url,
            events=hook.events if body.events is None else body.events,
            enabled=hook.enabled if body.enabled is None else body.enabled,
            by=caller_of(request),
        )
        return json_answer(self._hook_out(changed))

    async def delete_hook(self, request: web.Request) -> web.Response:
        """Answer DELETE webhooks/{hook_id}."""
        await self._hooks.delete(self._hook(request).hook_id, by=caller_of(request))
        return web.Response(status=204)

    async def test_hook(self, request: web.Request) -> web.Response:
        """Answer POST webhooks/{hook_id}/test."""
        hook = self._hook(request)
        self._deliveries.ping(hook.hook_id)
        return json_answer(self._hook_out(hook), 202)

    def _hook_out(self, hook: Webhook) -> WebhookOut:
        return WebhookOut.of(hook, self._deliveries.status(hook.hook_id))

    def _hook(self, request: web.Request) -> Webhook:
        own = principal_of(request).department
        return self._hooks.get(request.match_info["hook_id"], own)
