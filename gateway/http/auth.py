"""Who may: a credential for every request, from loopback too."""

from aiohttp import web

from gateway.http.deps import HttpDeps
from gateway.http.problem import ApiError
from gateway.http.tokens import Tokens, TokenState

__all__ = ["REALM", "bearer_of", "require_bearer", "stream_grant"]

REALM = "gb28181-gateway"


def bearer_of(request: web.BaseRequest) -> str | None:
    """Return the bearer token in `Authorization`, None without the header.

    Raises:
        ApiError: 401: several headers, or another scheme.
    """
    headers = request.headers.getall("Authorization", [])
    if not headers:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("invalid_credential", "Expected one header Authorization: Bearer TOKEN")
    return token.strip()


def require_bearer(request: web.BaseRequest, tokens: Tokens) -> None:
    """Let only the admin and the CLI token pass.

    Raises:
        ApiError: 401.
    """
    bearer = bearer_of(request)
    if bearer is None:
        raise _unauthorized(
            "credential_missing", "Send the admin token as Authorization: Bearer TOKEN", error=None
        )
    if not tokens.accepts(bearer):
        raise _unauthorized(
            "credential_wrong", "This is neither the admin token nor this start's CLI token"
        )


def stream_grant(request: web.Request, tokens: Tokens, deps: HttpDeps) -> str | None:
    """Return the stream id that a `?token=` allows, or None if a bearer token allows any.

    Raises:
        ApiError: 401 without a usable credential, `token_expired` for one that was good.
    """
    if "Authorization" in request.headers:
        require_bearer(request, tokens)
        return None
    given = request.query.getall("token", [])
    if len(given) != 1 or not given[0]:
        raise _unauthorized(
            "credential_missing",
            "Send exactly one ?token= from POST .../play, or Authorization: Bearer TOKEN",
            error=None,
        )
    grant = tokens.streams.read(given[0], deps.wall().timestamp())
    if grant.state is TokenState.EXPIRED:
        raise _unauthorized(
            "token_expired", "This stream token has expired; POST .../play gives a new one"
        )
    if grant.state is TokenState.INVALID:
        raise _unauthorized("token_invalid", "This is not a stream token of this gateway")
    return grant.stream_id


def _unauthorized(code: str, detail: str, *, error: str | None = "invalid_token") -> ApiError:
    challenge = f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")
    return ApiError(401, code, detail, headers={"WWW-Authenticate": challenge})
