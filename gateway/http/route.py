"""One table row per operation: what is served, documented, checked and tested comes from it."""

import asyncio
import enum
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.http.problem import ApiError
from gateway.sharing.keys import Scope

__all__ = ["MAX_BODY", "ROUTE", "Access", "Route", "body_of", "json_answer", "query_of", "raw_body"]

MAX_BODY = 64 * 1024
"""Bytes of a JSON body; the largest legitimate one has a few hundred."""
BODY_TIMEOUT = 10.0
"""Seconds for a body to arrive."""

_Model = TypeVar("_Model", bound=BaseModel)


class Access(enum.Enum):
    """Who may call a route; what is then shown or done there is for the sharing policy to say.

    Who comes with          | may call
    ------------------------|------------------------------------------------------------------------------
    admin or CLI token      | all
    key of a department     | `ANY`, and what its scopes name
    key of our own people   | `ANY`, what its scopes name within `ROLE_SCOPES`, and `LOCAL`, `OPERATOR` by its role;
                            | never more than the account it names may
    cookie, our own people  | `ANY`, what `ROLE_SCOPES` names, and `LOCAL`, `OPERATOR`, `ADMIN` by the role
    cookie, a department's  | `ANY`, and what `DEPARTMENT_SCOPES` names for the role
    stream token            | `STREAM`, the one stream it was made for, as whoever asked for it
    nothing                 | `OPEN`, and `VIEWING` by its address

    Whoever must change their password may call `ANY` only. The one function that decides is
    `gateway.http.principal.authorise`; streams of every face go through `gateway.http.entrance` besides.
    """

    OPEN = "open"
    """Everybody, without a credential."""
    STREAM = "stream"
    """As `LIVE`, or a stream token in `?token=`."""
    VIEWING = "viewing"
    """Whoever knows the address, which nobody can guess; any other is not found (404)."""
    ANY = "any"
    """Whoever has a credential."""
    LOCAL = "local"
    """Our own people: `viewer`, `operator`, `admin`."""
    OPERATOR = "operator"
    """Our own operators and admins."""
    ADMIN = "admin"
    """Admins only."""
    CATALOG = "catalog"
    """From here on: the scope of that name."""
    LIVE = "live"
    PLAYBACK = "playback"
    DOWNLOAD = "download"
    PTZ = "ptz"
    CONFIG = "config"
    ALARM = "alarm"
    GRANTS = "grants"
    AUDIT_OWN = "audit.own"
    WEBHOOKS = "webhooks"

    @property
    def scope(self) -> Scope | None:
        """The scope a key needs; None where none is enough."""
        if self is Access.STREAM:
            return Scope.LIVE
        return Scope(self.value) if self.value in set(Scope) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation."""

    method: str
    path: str
    """As aiohttp and OpenAPI both write it: `/devices/{device_id}`."""
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    name: str
    """operationId."""
    summary: str
    tag: str
    access: Access = Access.ADMIN
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_required: bool = True
    answer: type[BaseModel] | None = None
    """None: no JSON body, or one of `media`."""
    media: tuple[str, ...] = ()
    """Content types of an answer that is not JSON."""
    status: int = 200
    errors: tuple[int, ...] = ()
    """Beyond 400, 401, 403, 429 and 500, which all may give that need a credential."""
    max_body: int = MAX_BODY
    """Bytes of a request body."""


ROUTE: web.RequestKey[Route | None] = web.RequestKey("gateway.route", Route)
"""Under which a request knows its row of the table."""
_RAW: web.RequestKey[bytes] = web.RequestKey("gateway.raw_body", bytes)


def json_answer(model: BaseModel, status: int = 200) -> web.Response:
    """Return a model as JSON."""
    return web.Response(
        body=model.model_dump_json().encode(),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )


def query_of(request: web.Request, model: type[_Model]) -> _Model:
    """Check the query string; unknown and repeated parameters are refused.

    Raises:
        ApiError: 400 `invalid_parameter`.
    """
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise ApiError(400, "invalid_parameter", f"Parameter {name[:40]} was given twice")
        values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise _invalid(400, "invalid_parameter", exc) from None


async def body_of(request: web.Request, model: type[_Model], *, required: bool = True) -> _Model:
    """Read and check a JSON body, strictly.

    Raises:
        ApiError: 400 `malformed_json`, 408 `body_too_slow`, 413 `body_too_large`, 415 `not_json`, 422 `invalid_body`.
    """
    raw = await raw_body(request)
    if not raw and not required:
        return model()
    if request.content_type != "application/json":
        raise ApiError(
            415,
            "not_json",
            f"Expected Content-Type application/json, got {request.content_type[:80]}",
        )
    try:
        json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise ApiError(400, "malformed_json", f"The body is not JSON: {reason[:200]}") from None
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as exc:
        raise _invalid(422, "invalid_body", exc) from None


async def raw_body(request: web.Request) -> bytes:
    """Read the whole body, as sent; a second call returns the same.

    Raises:
        ApiError: 408 `body_too_slow`, 413 `body_too_large`.
    """
    known: bytes | None = request.get(_RAW)
    if known is not None:
        return known
    route = request.get(ROUTE)
    limit, size = route.max_body if route else MAX_BODY, 0
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise ApiError(
                        413, "body_too_large", f"This path takes bodies of up to {limit} bytes"
                    )
                chunks.append(chunk)
    except TimeoutError:
        raise ApiError(
            408, "body_too_slow", f"The body did not arrive within {BODY_TIMEOUT:g} s"
        ) from None
    raw = b"".join(chunks)
    request[_RAW] = raw
    return raw


def _invalid(status: int, code: str, exc: ValidationError) -> ApiError:
    errors = [
        {"field": ".".join(map(str, error["loc"])) or "(body)", "message": _message(error)}
        for error in exc.errors(include_url=False, include_input=False)[:20]
    ]
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return ApiError(status, code, detail[:500], extra={"errors": errors})


def _message(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known here"
    return error["msg"]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
