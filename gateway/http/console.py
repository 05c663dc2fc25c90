"""Operations on console sessions: first-run set-up, login, logout, one's own password."""

from collections.abc import Callable, Sequence
from math import ceil

from aiohttp import web

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Invalid, Unavailable
from gateway.domain.policy import Role, Subject
from gateway.http.auth import unauthorized
from gateway.http.cookie import clear_cookie, cookie_of, set_cookie
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.origin import Origins
from gateway.http.principal import Principal, principal_of
from gateway.http.problem import ApiError
from gateway.http.quota import network_of
from gateway.http.route import Access, Route, body_of, json_answer
from gateway.http.schemas.user import (
    ConsoleOut,
    ConsoleSessionOut,
    LoginIn,
    PasswordChangeIn,
    SetupIn,
)
from gateway.observe.log import RateLimitedCounter
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.users_model import User, UserSettings, canonical_name
from gateway.sharing.users_session import ConsoleSession, csrf_of
from gateway.sharing.users_throttle import LoginThrottle

__all__ = ["ConsoleApi"]

_BASE = "/api/v1/console"
_SESSION = f"{_BASE}/session"


class ConsoleApi:
    """Handlers under `/api/v1/console`.

    Args:
        deps: Users, sessions, clocks.
        options: Whether cookies are for https only.
        origins: Which pages may log in.
        is_admin_token: Whether a token is the admin's.
        changes: Puts logins on record.
        limited: Counts logins that had to wait.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        *,
        origins: Origins,
        is_admin_token: Callable[[str], bool],
        changes: ChangeLog,
        limited: RateLimitedCounter,
    ) -> None:
        self._deps = deps
        self._users = deps.sharing.users
        self._logins = deps.sharing.logins
        self._origins = origins
        self._is_admin_token = is_admin_token
        self._changes = changes
        self._limited = limited
        self._throttle = LoginThrottle()
        self._always_secure = options.public_url.lower().startswith("https:")

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag, body = "console", (401, 403, 409, 413, 415, 422, 429, 503)
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.console,
                name="get_console_state",
                summary="What a login page must know",
                tag=tag,
                access=Access.OPEN,
                answer=ConsoleOut,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/setup",
                handler=self.setup,
                name="set_up_console",
                summary="Make the first admin's account and log in; once, with the admin token",
                tag=tag,
                access=Access.OPEN,
                body=SetupIn,
                answer=ConsoleSessionOut,
                status=201,
                errors=body,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/login",
                handler=self.login,
                name="log_in",
                summary="Log in; the answer sets the cookie",
                tag=tag,
                access=Access.OPEN,
                body=LoginIn,
                answer=ConsoleSessionOut,
                errors=body,
            ),
            Route(
                method="GET",
                path=_SESSION,
                handler=self.session,
                name="get_console_session",
                summary="Who is logged in",
                tag=tag,
                access=Access.ANY,
                answer=ConsoleSessionOut,
            ),
            Route(
                method="DELETE",
                path=_SESSION,
                handler=self.logout,
                name="log_out",
                summary="Log out; streams opened in this session end",
                tag=tag,
                access=Access.ANY,
                status=204,
            ),
            Route(
                method="POST",
                path=f"{_BASE}/password",
                handler=self.password,
                name="change_own_password",
                summary="Change one's own password; one's other sessions end",
                tag=tag,
                access=Access.ANY,
                body=PasswordChangeIn,
                answer=ConsoleSessionOut,
                errors=(404, 503),
            ),
        )

    async def console(self, request: web.Request) -> web.Response:
        """Answer GET console."""
        return json_answer(
            ConsoleOut(setup_required=self._users.setup_required, version=self._deps.version)
        )

    async def setup(self, request: web.Request) -> web.Response:
        """Answer POST console/setup."""
        self._origins.require_own(request)
        body = await body_of(request, SetupIn)
        if not self._users.setup_required:
            raise ApiError(409, "setup_done", "The first admin's account was made already; log in")
        self._begin("", request)
        if not self._is_admin_token(body.admin_token):
            self._note("setup", "", Subject(), request, "credential_wrong")
            raise unauthorized("credential_wrong", "This is not the admin token")
        self._throttle.succeed("", _network(request))
        user = await self._users.create(
            body.name,
            body.password,
            UserSettings(role=Role.ADMIN),
            by=Subject(role=Role.ADMIN.value),
            source=request.remote or "",
            first=True,
        )
        return self._let_in(request, user, 201)

    async def login(self, request: web.Request) -> web.Response:
        """Answer POST console/login."""
        self._origins.require_own(request)
        body = await body_of(request, LoginIn)
        name = canonical_name(body.name)
        user = await self._proven(request, name, body.password)
        known = self._users.find(name)
        if user is None:
            # A name nobody has may be a password typed into the wrong field: it is not kept.
            subject = known.subject if known else Subject()
            self._note("login", known.name if known else "", subject, request, "login_failed")
            raise unauthorized("login_failed", "The name or the password is wrong")
        if user.settings.disabled:
            self._note("login", user.name, user.subject, request, "user_disabled")
            raise ApiError(403, "user_disabled", "This account is disabled")
        return self._let_in(request, user, 200)

    async def session(self, request: web.Request) -> web.Response:
        """Answer GET console/session."""
        user, session = _logged_in(principal_of(request))
        return json_answer(ConsoleSessionOut.of(user, session, _csrf(request)))

    async def logout(self, request: web.Request) -> web.Response:
        """Answer DELETE console/session."""
        user, session = _logged_in(principal_of(request))
        self._logins.end(session.session_id)
        self._note("logout", user.name, user.subject, request)
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        clear_cookie(response)
        return response

    async def password(self, request: web.Request) -> web.Response:
        """Answer POST console/password."""
        body = await body_of(request, PasswordChangeIn)
        user, session = _logged_in(principal_of(request))
        if await self._proven(request, user.name, body.old) is None:
            self._note("password", user.name, user.subject, request, "old_password_wrong")
            raise ApiError(403, "old_password_wrong", "The old password is wrong")
        if body.new == body.old:
            raise Invalid("password_unchanged", "The new password is the old one")
        changed = await self._users.set_password(
            user.name,
            body.new,
            by=user.subject,
            keep=session.session_id,
            source=request.remote or "",
        )
        return json_answer(ConsoleSessionOut.of(changed, session, _csrf(request)))

    # Inside

    async def _proven(self, request: web.Request, name: str, password: str) -> User | None:
        """Return whose name and password these are; a wrong one makes the next try wait longer."""
        self._begin(name, request)
        try:
            user = await self._users.authenticate(name, password)
        except Unavailable:
            self._throttle.take_back(name, _network(request))
            raise
        if user is not None:
            self._throttle.succeed(name, _network(request))
        return user

    def _begin(self, name: str, request: web.Request) -> None:
        wait = self._throttle.begin(name, _network(request), self._deps.now())
        if wait > 0:
            self._limited.add(source=request.remote or "")
            raise ApiError(
                429,
                "login_throttled",
                f"Too many tries with a wrong password: wait {ceil(wait)} s",
                headers={"Retry-After": str(ceil(wait))},
            )

    def _let_in(self, request: web.Request, user: User, status: int) -> web.Response:
        if (old := cookie_of(request)) and (found := self._logins.find(old)) is not None:
            self._logins.end(found[1].session_id)
        token, session = self._logins.begin(
            user, source=request.remote or "", agent=request.headers.get("User-Agent", "")
        )
        self._users.logged_in(user)
        self._note("login", user.name, user.subject, request)
        response = json_answer(ConsoleSessionOut.of(user, session, csrf_of(token)), status)
        set_cookie(response, token, secure=self._always_secure or request.secure)
        return response

    def _note(
        self, action: str, name: str, subject: Subject, request: web.Request, reason: str = ""
    ) -> None:
        self._changes.record(
            action,
            f"user:{name or '?'}",
            subject,
            source=request.remote or "",
            reason=reason,
            kind=AuditKind.USER,
            result="failed" if reason else "ok",
        )


def _logged_in(principal: Principal) -> tuple[User, ConsoleSession]:
    if principal.user is None or principal.session is None:
        raise ApiError(
            403, "session_missing", "This is for people who are logged in to the console"
        )
    return principal.user, principal.session


def _csrf(request: web.Request) -> str:
    return csrf_of(cookie_of(request) or "")


def _network(request: web.Request) -> str:
    return network_of(request.remote or "")
