"""Which language a reader wants (RFC 9110 12.5.4)."""

from typing import Literal

from aiohttp import web

__all__ = ["Language", "language_of"]

Language = Literal["en", "zh"]
_MOST = 20
"""Languages looked at; browsers send a handful."""


def language_of(request: web.BaseRequest) -> Language:
    """Return Chinese if the reader likes it better than English, else English."""
    likes = {"zh": 0.0, "en": 0.0}
    for item in request.headers.get("Accept-Language", "").split(",", _MOST)[:_MOST]:
        name, _, parameters = item.partition(";")
        main = name.strip().lower().partition("-")[0]
        if main in likes:
            likes[main] = max(likes[main], _quality(parameters))
    return "zh" if likes["zh"] > likes["en"] else "en"


def _quality(parameters: str) -> float:
    key, _, value = parameters.partition("=")
    if key.strip().lower() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
