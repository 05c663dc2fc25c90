"""Errors as RFC 9457 problem details, mapped in one place."""

import asyncio
import secrets
import traceback
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.domain.errors import Forbidden, GatewayError, Gone, SessionFailed, Unavailable
from gateway.domain.session import EndReason
from gateway.http.language import Language, language_of
from gateway.http.logged import logged_path
from gateway.http.words_zh import DENIED_ZH, FAILED_ZH, NOT_NOW_ZH, OTHER_ZH, REFUSED_ZH
from gateway.sharing.policy.error import PolicyError

__all__ = [
    "END_STATUS",
    "OUTSIDE",
    "REALM",
    "ApiError",
    "Refused",
    "end_words",
    "problem",
    "problem_middleware",
    "problem_of",
    "reason_words",
    "render",
    "stop_words",
    "words_of",
]

log = structlog.get_logger()

REALM = "gb28181-gateway"

END_STATUS = {
    "device_offline": 503,
    "internal_error": 500,
    "rtp_ports_exhausted": 503,
    "shutdown": 503,
    "stopped": 503,
    "invite_timeout": 504,
    "source_unreachable": 504,
    "too_many_pulls": 503,
    "no_publisher": 503,
    "publisher_left": 503,
}
"""Ends of a session that are not the device's bad answer (502)."""

_PLAIN = {
    404: ("not_found", "Nothing is served at this path; see /api/openapi.json"),
    405: ("method_not_allowed", "This path does not know the method; allowed: {allow}"),
    413: ("body_too_large", "The request body is larger than this path takes"),
    400: ("bad_request", "The request is malformed"),
}


_DENIED = {
    "denied": "A rule of the sharing policy denies this",
    "no_rule": "Nothing shared with you allows this",
    "not_yet_valid": "This is not shared yet",
    "expired": "What allowed this has expired",
    "outside_window": "This is shared at other times only",
    "zone": "This is not shared into your network zone",
    "identity_required": "This needs a user identity",
    "purpose_required": "This needs a purpose: say what it is for",
    "ticket_required": "This needs a ticket number",
    "too_many_streams": "As many streams as the policy allows are open",
    "stopped": "Sharing of this was stopped",
    "revoked": "What allowed this was revoked",
    "sub_stream_only": "Only the sub stream is shared now",
    "ended": "An operator has ended this",
    "audit_unavailable": "Nothing is shared while it cannot be put on record",
}

_FAILED = {
    "invite_timeout": "The camera did not answer in time",
    "invite_refused": "The camera refused to send",
    "answer_unusable": "The camera's answer cannot be used",
    "connect_failed": "The media connection with the camera failed",
    "no_packet": "The camera agreed and sent nothing",
    "not_decodable": "What the camera sends cannot be decoded",
    "codec_unsupported": "The camera's codec does not fit this format",
    "source_lost": "The camera has stopped sending",
    "source_unreachable": "The source of this channel cannot be reached",
    "too_many_pulls": "Too many sources are watched at once; try again later",
    "source_refused": "The source of this channel refused to send",
    "source_disabled": "The source of this channel is switched off",
    "no_publisher": "Nobody sends to this channel now",
    "publisher_left": "Whoever sent to this channel has ended",
    "not_controllable": "This camera cannot be controlled from here",
    "device_bye": "The camera ended the stream",
    "device_offline": "The camera is offline",
    "device_busy": "The camera is busy; try again later",
    "device_silent": "The camera did not answer in time",
    "device_unreachable": "The camera cannot be reached",
    "no_output": "The stream gave no output in time",
    "too_slow": "The connection is too slow for the stream",
    "device_refused": "The camera refused this",
    "unreachable": "The camera did not answer in time",
    "stopped": "An operator has ended this",
    "recording_unreadable": "A part of this recording cannot be read any more",
    "disk_full": "Nothing can be recorded at the moment",
    "disk_failed": "Nothing can be recorded at the moment",
    "shutdown": "The gateway is stopping",
    "shutting_down": "The gateway is stopping",
    "audit_unavailable": _DENIED["audit_unavailable"],
    "hls_late": "The camera has sent nothing new in time",
    "webrtc_ports_exhausted": "Too many watch by WebRTC; use another way or try again later",
    "webrtc_not_connected": "The browser did not come through by UDP; use another way",
    "viewing_ended": "Nobody asked for the playlist for some time; open index.m3u8 again",
    "no_picture": "The camera has sent no picture in time",
    "too_many_snapshots": "Too many pictures are being made; try again in a moment",
    "snapshot_too_late": "Too many pictures are being made; try again in a moment",
}
"""What people outside are told of streams and requests that failed."""

_NOT_NOW = "This is not to be had at the moment; try again later"

OUTSIDE: web.RequestKey[bool] = web.RequestKey("gateway.outside", bool)
"""Under which a request knows that it comes from outside our own domain."""


class ApiError(GatewayError):
    """What HTTP itself finds wrong with a request.

    Args:
        status: HTTP status.
        code: Stable word.
        detail: A sentence for people.
        headers: Further headers of the answer.
        extra: Further members of the problem.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.status = status
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class Refused(ApiError):
    """401: a credential that is not accepted.

    Args:
        code: Stable word.
        detail: A sentence for people.
        challenge: WWW-Authenticate of the answer.
        key_id: The key, if it is certain that its holder sent this.
    """

    def __init__(self, code: str, detail: str, *, challenge: str, key_id: str = "") -> None:
        super().__init__(401, code, detail, headers={"WWW-Authenticate": challenge})
        self.key_id = key_id


def words_of(error: GatewayError, *, outside: bool, language: Language = "en") -> str:
    """Return the sentence of an error.

    People outside are not told what is behind a denial, nor which device, port or answer a stream failed for.

    Args:
        error: What went wrong.
        outside: Whether somebody outside our own domain reads it.
        language: Theirs; Chinese for the codes that :mod:`gateway.http.words_zh` knows.
    """
    denied, failed = isinstance(error, Forbidden), _is_failure(error)
    if language == "zh":
        generic = (REFUSED_ZH if denied else NOT_NOW_ZH) if outside and (denied or failed) else ""
        if words := _chinese(error.code, generic, denied=_status(error) == 403):
            return words
    if outside and denied:
        return reason_words(error.code)
    if outside and failed:
        return _FAILED.get(error.code, _NOT_NOW)
    return error.detail


def reason_words(reason: str) -> str:
    """Return what people outside are told about a denial or a stop."""
    return _DENIED.get(reason, "The sharing policy denies this")


def stop_words(code: str, detail: str, *, outside: bool, language: Language = "en") -> str:
    """Return what a viewer is told who may not watch any more, or because the gateway stops."""
    shutdown = code == EndReason.SHUTDOWN
    outside = outside and not shutdown
    if language == "zh":
        found = _chinese(code, REFUSED_ZH if outside else "", denied=not shutdown)
        return found or detail
    return reason_words(code) if outside else detail


def end_words(code: str, detail: str, *, outside: bool, language: Language = "en") -> str:
    """Return what a viewer is told about the end of a stream, or that it did not come."""
    if language == "zh":
        return _chinese(code, NOT_NOW_ZH if outside else "") or detail
    return _FAILED.get(code, _NOT_NOW) if outside else detail


def _is_failure(error: GatewayError) -> bool:
    if isinstance(error, SessionFailed | Unavailable | Gone):
        return True
    return isinstance(error, ApiError) and error.status >= 500 and error.code in _FAILED


def _chinese(code: str, generic: str = "", *, denied: bool = False) -> str:
    # Some codes are a denial's and a failure's: `stopped`, `too_many_streams`.
    tables = (DENIED_ZH, FAILED_ZH, OTHER_ZH) if denied else (FAILED_ZH, OTHER_ZH, DENIED_ZH)
    return next((table[code] for table in tables if code in table), generic)


def problem(
    error: GatewayError, path: str, *, outside: bool = False, language: Language = "en"
) -> dict[str, Any]:
    """Return the problem object of an error.

    Args:
        error: What went wrong.
        path: Of the request.
        outside: Whether somebody outside our own domain reads it.
        language: Theirs.
    """
    status = _status(error)
    words = words_of(error, outside=outside, language=language)
    english = words_of(error, outside=outside)
    body: dict[str, Any] = {
        "type": f"urn:gb28181-gateway:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _encodable(words),
        "code": error.code,
        "instance": path,
    }
    if words != english:
        # It names what the other can only say in general.
        body["detail_en"] = _encodable(english)
    if isinstance(error, SessionFailed):
        body["session_id"] = error.session_id
        if error.ended.sip_status is not None and not outside:
            body["sip_status"] = error.ended.sip_status
    if isinstance(error, Forbidden):
        body["reason"] = error.code
        if not outside:
            body["rule"] = error.rule
    if isinstance(error, PolicyError):
        body["errors"] = [
            {
                "line": item.line,
                "column": item.column,
                "key": item.key,
                "reason": item.reason,
                "message": sentence,
            }
            for item, sentence in zip(error.problems, error.sentences, strict=True)
        ]
    if isinstance(error, ApiError):
        body |= error.extra
    return body


def render(error: GatewayError, request: web.BaseRequest) -> web.Response:
    """Return the answer to a request that met an error."""
    language = language_of(request)
    body = problem(error, request.path, outside=request.get(OUTSIDE, False), language=language)
    response = web.json_response(
        body, status=body["status"], content_type="application/problem+json"
    )
    response.headers["Cache-Control"] = "no-store"
    chinese = language == "zh" and not body["detail"].isascii()
    response.headers["Content-Language"] = "zh" if chinese else "en"
    if isinstance(error, ApiError):
        response.headers.update(error.headers)
    if body["status"] == 503:
        response.headers.setdefault("Retry-After", "5")
    if body["status"] >= 400 and request.can_read_body:
        # What is left of a refused body would be read as the next request.
        response.force_close()
    return response


def problem_of(exc: BaseException) -> GatewayError | None:
    """Return the gateway's error in an exception, also inside groups; None if there is another one."""
    leaves = list(_leaves(exc))
    if leaves and all(isinstance(leaf, GatewayError) for leaf in leaves):
        first = leaves[0]
        return first if isinstance(first, GatewayError) else None
    if len(leaves) == 1 and isinstance(leaves[0], web.HTTPException):
        return _plain(leaves[0])
    return None


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem."""
    try:
        return await handler(request)
    except web.HTTPException as exc:
        return render(_plain(exc), request)
    # The boundary of a request: a bug in one must not end the connection without an answer.
    except Exception as exc:  # noqa: BLE001
        known = problem_of(exc)
        if known is not None:
            return render(known, request)
        reference = secrets.token_hex(4)
        # Formatting reads source files, which must not happen on the loop.
        trace = await asyncio.to_thread(traceback.format_exception, exc)
        log.error(  # noqa: TRY400 - the trace is there already
            "http_request_crashed",
            method=request.method,
            path=logged_path(request),
            name=reference,
            error=repr(exc),
            exception="".join(trace),
        )
        detail = f"The gateway met an error of its own; its log has it under {reference}"
        return render(ApiError(500, "internal_error", detail), request)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            yield from _leaves(inner)
    else:
        yield exc


def _plain(exc: web.HTTPException) -> ApiError:
    fallback = (
        HTTPStatus(exc.status).name.lower(),
        HTTPStatus(exc.status).description or exc.reason,
    )
    code, detail = _PLAIN.get(exc.status, fallback)
    headers = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else {}
    return ApiError(
        exc.status, code, detail.format(allow=headers.get("Allow", "")), headers=headers
    )


def _status(error: GatewayError) -> int:
    if isinstance(error, SessionFailed):
        return END_STATUS.get(error.code, error.status)
    return error.status
