"""OpenAPI 3.1, generated from the route table and the schemas."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway.http.cookie import COOKIE
from gateway.http.route import Access, Route
from gateway.http.schemas.base import ProblemOut

__all__ = ["describe", "describe_bytes"]

_Models = tuple[tuple[type[BaseModel], JsonSchemaMode], ...]

_REF = "#/components/schemas/{model}"
_PLAIN = frozenset({Access.OPEN, Access.VIEWING})
"""Without a credential of their own."""
_TOKEN: dict[str, list[str]] = {"bearer": []}
_COOKIE: dict[str, list[str]] = {"session": []}
_CSRF: dict[str, list[str]] = {"csrf": []}
_SIGNED: dict[str, list[str]] = {"key": [], "timestamp": [], "nonce": [], "signature": []}
_ERROR_WORDS = {
    400: "The request is malformed",
    401: "No usable credential",
    403: "The key or token is not for this, or the sharing policy says no",
    404: "No such thing, or none that may be known",
    406: "Nothing that is on offer can be taken",
    408: "The body came too slowly",
    409: "The request contradicts the present state",
    410: "It has ended",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "A value cannot be used",
    429: "Too many requests, streams or refused credentials; Retry-After says when to come back",
    426: "A WebSocket handshake is needed",
    500: "The gateway met an error of its own",
    502: "The device gave no usable stream",
    503: "Something that the request needs is missing now",
    504: "The device did not answer in time",
}


_HEADERS = (
    ("key", "X-Gb-Key", "Identifier of the key that signs"),
    ("timestamp", "X-Gb-Timestamp", "UNIX seconds"),
    ("nonce", "X-Gb-Nonce", "8 to 64 of A-Z a-z 0-9 _ -, never used twice"),
    (
        "signature",
        "X-Gb-Signature",
        (
            "Hex HMAC-SHA256, keyed with the secret, over these lines joined by line feeds: METHOD, path?query as sent, "
            "timestamp, nonce, hex SHA-256 of the body; and if X-Gb-Purpose or X-Gb-Ticket is sent, both as sent"
        ),
    ),
)


def describe(routes: Sequence[Route], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of a route table."""
    models = _models(routes)
    refs, schemas = _schemas(models)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, {model: refs[(model, mode)] for model, mode in models})
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GB/T 28181 gateway",
            "version": version,
            "description": "Devices, channels, live streams and their diagnosis.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The admin token, this start's CLI token, or the bearer form of a key",
                },
                **{name: _header(header, text) for name, header, text in _HEADERS},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "Of the console: `POST /api/v1/console/login` sets it",
                },
                "csrf": _header(
                    "X-CSRF-Token", "Beside the cookie, as GET /api/v1/console/session tells it"
                ),
                "stream_token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "Bound to one stream and an expiry; in the URLs that `play` returns",
                },
            },
        },
    }


def _header(name: str, text: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": name, "description": text}


def describe_bytes(routes: Sequence[Route], *, version: str) -> bytes:
    """Return the document as JSON."""
    return json.dumps(describe(routes, version=version), ensure_ascii=False).encode()


@lru_cache(maxsize=1)
def _schemas(models: _Models) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """References and schemas, which are only read; made once, for it takes longer than all else of a gateway's start."""
    refs, definitions = models_json_schema(models, ref_template=_REF)
    return refs, definitions.get("$defs", {})


def _models(routes: Sequence[Route]) -> _Models:
    found: dict[type[BaseModel], JsonSchemaMode] = {ProblemOut: "serialization"}
    for route in routes:
        if route.body is not None:
            found[route.body] = "validation"
        if route.answer is not None:
            found[route.answer] = "serialization"
    return tuple(found.items())


def _operation(route: Route, refs: dict[type[BaseModel], Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "security": _security(route),
        "x-access": route.access.value,
        "responses": {str(route.status): _answer(route, refs)},
    }
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": refs[route.body]}},
        }
    always = (400, 500) if route.access in _PLAIN else (400, 401, 403, 429, 500)
    bodies = (408, 413, 415, 422) if route.body is not None else ()
    for status in sorted({*always, *bodies, *route.errors}):
        operation["responses"][str(status)] = _problem(status, refs)
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access in _PLAIN:
        return []
    cookie = _COOKIE if route.method in {"GET", "HEAD"} else _COOKIE | _CSRF
    if route.access is Access.STREAM:
        return [{"stream_token": []}, _TOKEN, _SIGNED, cookie]
    return [_TOKEN, _SIGNED, cookie]


def _answer(route: Route, refs: dict[type[BaseModel], Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        answer["content"] = {"application/json": {"schema": refs[route.answer]}}
    elif route.media:
        answer["content"] = {kind: _media_schema(kind) for kind in route.media}
    return answer


def _media_schema(kind: str) -> dict[str, Any]:
    if kind == "application/json":
        return {"schema": {"type": "object"}}
    return {"schema": {"type": "string"}} if kind.startswith("text/") else {}


def _problem(status: int, refs: dict[type[BaseModel], Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _ERROR_WORDS.get(status, HTTPStatus(status).phrase),
        "content": {"application/problem+json": {"schema": refs[ProblemOut]}},
    }
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    definitions = schema.get("$defs", {})
    parameters = []
    for name, field in schema["properties"].items():
        text = field.pop("description", None)
        parameter = {"name": name, "in": "query", "schema": _inlined(field, definitions)}
        if text:
            parameter["description"] = text
        parameters.append(parameter)
    return parameters


def _inlined(value: object, definitions: dict[str, Any]) -> object:
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(item, definitions) for key, item in value.items()}
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    return value
