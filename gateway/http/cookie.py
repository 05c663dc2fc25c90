"""The console's cookie (RFC 6265)."""

from aiohttp import web

__all__ = ["COOKIE", "clear_cookie", "clearing_cookie", "cookie_of", "set_cookie"]

COOKIE = "gbgw_session"


def cookie_of(request: web.BaseRequest) -> str | None:
    """Return the session's token, None without one."""
    return request.cookies.get(COOKIE) or None


def set_cookie(response: web.Response, token: str, *, secure: bool) -> None:
    """Give a browser a session: no script reads it, no other site's page sends it, its end is the browser's."""
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="Strict", path="/", secure=secure or None
    )


def clear_cookie(response: web.Response) -> None:
    """Take it back."""
    response.headers["Set-Cookie"] = clearing_cookie()


def clearing_cookie() -> str:
    """Return the header's value that takes it back."""
    return f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict"
