"""Which other origins' pages may use the API and the streams: none, unless configured."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.http.problem import ApiError

__all__ = ["Origins"]

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept-Language, X-Gb-Key, X-Gb-Timestamp, X-Gb-Nonce, "
    "X-Gb-Signature, X-Gb-Purpose, X-Gb-Ticket, If-Match",
    "Access-Control-Max-Age": "600",
}


class Origins:
    """Cross-origin rules (Fetch standard, CORS).

    Args:
        allowed: Origins as browsers send them; `*` is any.
        public_url: Our own address behind a proxy.
    """

    def __init__(self, allowed: tuple[str, ...], public_url: str = "") -> None:
        self._any = "*" in allowed
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._own = _origin_of(public_url) if public_url else None

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """Return the headers that let the asking page read the answer."""
        origin = request.headers.get("Origin", "")
        if not origin or not self._allows(origin):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After, Location, ETag, X-Gb-Remark",
            "Vary": "Origin",
        }

    def require(self, request: web.BaseRequest) -> None:
        """Refuse a WebSocket from another origin's page: browsers do not check those themselves.

        Raises:
            ApiError: 403 `origin_refused`.
        """
        origin = request.headers.get("Origin", "")
        if not origin or self._allows(origin):
            return
        if not self._is_own(origin, request):
            raise ApiError(
                403, "origin_refused", f"Pages of {origin[:80]} are not in [http] cors_origins"
            )

    def require_own(self, request: web.BaseRequest) -> None:
        """Refuse what a page of another origin sends with the console's cookie, also one of the same host.

        SameSite keeps the cookie from other sites, but another port of this host is the same site. `*` in
        cors_origins is for credentials that pages hold themselves: here an origin must be named.

        Raises:
            ApiError: 403 `origin_refused`.
        """
        origin = request.headers.get("Origin", "")
        if origin:
            named = origin.lower() in self._allowed
            if named or self._is_own(origin, request):
                return
            raise ApiError(
                403,
                "origin_refused",
                f"This came from a page of {origin[:80]}, not from the console; behind a proxy set [http] public_url",
            )
        elsewhere = request.headers.get("Sec-Fetch-Site", "") in {"cross-site", "same-site"}
        # Browsers always say the origin of a WebSocket; without one it cannot be told whose it is.
        socket = "websocket" in request.headers.get("Upgrade", "").lower()
        if elsewhere or socket:
            raise ApiError(
                403,
                "origin_refused",
                "With the console's cookie only the console's own pages may ask",
            )

    def _is_own(self, origin: str, request: web.BaseRequest) -> bool:
        own = urlsplit(origin).netloc.lower() == request.host.lower()
        return own or origin.lower() == self._own

    def middleware(self) -> Middleware:
        """Return the middleware that answers preflights and adds the headers."""

        @web.middleware
        async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = self.headers(request)
            preflight = request.method == "OPTIONS" and (
                "Access-Control-Request-Method" in request.headers
            )
            if preflight and headers:
                return web.Response(status=204, headers={**headers, **_PREFLIGHT})
            response = await handler(request)
            if not response.prepared:
                response.headers.update(headers)
            return response

        return cors

    def _allows(self, origin: str) -> bool:
        return self._any or origin.lower() in self._allowed


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
