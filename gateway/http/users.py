"""Operations on users."""

from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.domain.audit import AuditKind
from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of
from gateway.http.route import Route, body_of, json_answer
from gateway.http.schemas.user import (
    LoginList,
    LoginOut,
    PasswordIn,
    UserChangeIn,
    UserIn,
    UserList,
    UserOut,
)
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.users_model import User

__all__ = ["UserApi"]

_USERS = "/api/v1/users"


class UserApi:
    """Handlers under `/api/v1/users`.

    Args:
        deps: What the handlers work with.
        open_by: How many streams a user has open.
        changes: Puts ended sessions on record.
    """

    def __init__(self, deps: HttpDeps, open_by: Callable[[str], int], changes: ChangeLog) -> None:
        self._users = deps.sharing.users
        self._logins = deps.sharing.logins
        self._open_by = open_by
        self._changes = changes

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._account_routes(), *self._login_routes())

    def _account_routes(self) -> Sequence[Route]:
        tag, one = "users", f"{_USERS}/{{name}}"
        return (
            Route(
                method="GET",
                path=_USERS,
                handler=self.list_users,
                name="list_users",
                summary="List users",
                tag=tag,
                answer=UserList,
            ),
            Route(
                method="POST",
                path=_USERS,
                handler=self.create_user,
                name="create_user",
                summary="Add a user",
                tag=tag,
                body=UserIn,
                answer=UserOut,
                status=201,
                errors=(404, 409, 503),
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get_user,
                name="get_user",
                summary="Show one user",
                tag=tag,
                answer=UserOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.change_user,
                name="change_user",
                summary="Change a user; what they have open and may not have any more ends",
                tag=tag,
                body=UserChangeIn,
                answer=UserOut,
                errors=(404, 409, 503),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.remove_user,
                name="remove_user",
                summary="Remove a user with their keys; what they have open ends",
                tag=tag,
                status=204,
                errors=(404, 409, 503),
            ),
        )

    def _login_routes(self) -> Sequence[Route]:
        tag, one = "users", f"{_USERS}/{{name}}"
        return (
            Route(
                method="POST",
                path=f"{one}/password",
                handler=self.set_password,
                name="set_user_password",
                summary="Give a user another password; their sessions end",
                tag=tag,
                body=PasswordIn,
                answer=UserOut,
                errors=(404, 503),
            ),
            Route(
                method="GET",
                path=f"{one}/sessions",
                handler=self.list_sessions,
                name="list_user_sessions",
                summary="Where a user is logged in",
                tag=tag,
                answer=LoginList,
                errors=(404,),
            ),
            Route(
                method="DELETE",
                path=f"{one}/sessions",
                handler=self.end_sessions,
                name="end_user_sessions",
                summary="Log a user out everywhere; their streams end",
                tag=tag,
                status=204,
                errors=(404,),
            ),
        )

    async def list_users(self, request: web.Request) -> web.Response:
        """Answer GET users."""
        sessions = self._logins.counts()
        items = [self._user_out(user, sessions[user.name]) for user in self._users.all()]
        return json_answer(UserList(items=items, total=len(items)))

    async def create_user(self, request: web.Request) -> web.Response:
        """Answer POST users."""
        body = await body_of(request, UserIn)
        user = await self._users.create(
            body.name,
            body.password,
            body.settings(),
            by=caller_of(request),
            source=request.remote or "",
        )
        return json_answer(self._user_out(user), 201)

    async def get_user(self, request: web.Request) -> web.Response:
        """Answer GET users/{name}."""
        return json_answer(self._user_out(self._named(request)))

    async def change_user(self, request: web.Request) -> web.Response:
        """Answer PATCH users/{name}."""
        body = await body_of(request, UserChangeIn)
        user = self._named(request)
        changed = await self._users.change(
            user.name,
            body.merged(user.settings),
            by=caller_of(request),
            source=request.remote or "",
        )
        return json_answer(self._user_out(changed))

    async def remove_user(self, request: web.Request) -> web.Response:
        """Answer DELETE users/{name}."""
        await self._users.remove(
            self._named(request).name, by=caller_of(request), source=request.remote or ""
        )
        return web.Response(status=204)

    async def set_password(self, request: web.Request) -> web.Response:
        """Answer POST users/{name}/password."""
        body = await body_of(request, PasswordIn)
        changed = await self._users.set_password(
            self._named(request).name,
            body.password,
            by=caller_of(request),
            must_change=body.must_change,
            source=request.remote or "",
        )
        return json_answer(self._user_out(changed))

    async def list_sessions(self, request: web.Request) -> web.Response:
        """Answer GET users/{name}/sessions."""
        found = self._logins.of(self._named(request).name)
        items = [LoginOut.model_validate(session) for session in found]
        return json_answer(LoginList(items=items, total=len(items)))

    async def end_sessions(self, request: web.Request) -> web.Response:
        """Answer DELETE users/{name}/sessions."""
        user = self._named(request)
        count = self._logins.end_all(user.name)
        self._changes.record(
            "logout",
            f"user:{user.name}",
            caller_of(request),
            detail=f"{count} sessions",
            source=request.remote or "",
            kind=AuditKind.USER,
        )
        return web.Response(status=204)

    def _named(self, request: web.Request) -> User:
        return self._users.get(request.match_info["name"])

    def _user_out(self, user: User, sessions: int | None = None) -> UserOut:
        return UserOut.of(
            user,
            sessions=self._logins.counts()[user.name] if sessions is None else sessions,
            open_streams=self._open_by(f"user:{user.name}"),
        )
