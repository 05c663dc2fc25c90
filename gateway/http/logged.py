"""What of a request may be written to the log."""

from aiohttp import web

__all__ = ["is_viewing", "logged_path"]

_VIEWINGS = "/hls/"
_WHEP_SESSIONS = "/whep/sessions/"


def is_viewing(request: web.BaseRequest) -> bool:
    """Whether a request is one of the many of a viewing, whose address is its credential."""
    return request.path.startswith(_VIEWINGS)


def logged_path(request: web.BaseRequest) -> str:
    """Return a request's path without the query, which may hold a token, and without the key of a viewing."""
    if is_viewing(request):
        return f"{_VIEWINGS}.../{request.path.rpartition('/')[2][:40]}"
    if request.path.startswith(_WHEP_SESSIONS):
        return f"{_WHEP_SESSIONS}..."
    return request.path
