"""Errors of the gateway.

GatewayError
 +-- Unauthorized         401  no credential that can be used
 +-- Forbidden            403  the sharing policy says no; carries the deciding rule
 +-- NotFound             404  no such device, channel, session or stream
 +-- Conflict             409  the request contradicts the present state
 +-- Gone                 410  it was there and has ended
 +-- Invalid              422  a value that cannot be used
 +-- Unavailable          503  something the request needs is missing now (device offline, ports, store)
 +-- SessionFailed        502  a session ended before its first output; carries the reason
"""

from gateway.domain.session import Ended

__all__ = [
    "Conflict",
    "Forbidden",
    "GatewayError",
    "Gone",
    "Invalid",
    "NotFound",
    "SessionFailed",
    "Unauthorized",
    "Unavailable",
]


class GatewayError(Exception):
    """Root of what the gateway itself reports.

    Args:
        code: Stable snake_case word for programs, e.g. `device_offline`.
        detail: A sentence for people: what was expected, what came, what to do.
    """

    status = 500

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Unauthorized(GatewayError):
    """There is no credential that can be used."""

    status = 401


class Forbidden(GatewayError):
    """The sharing policy says no.

    Args:
        code: Stable word, `Decision.reason`.
        detail: A sentence for people.
        rule: The deciding rule; empty if nothing matched.
    """

    status = 403

    def __init__(self, code: str, detail: str, *, rule: str = "") -> None:
        super().__init__(code, detail)
        self.rule = rule


class NotFound(GatewayError):
    """No such thing."""

    status = 404


class Conflict(GatewayError):
    """The request contradicts the present state."""

    status = 409


class Gone(GatewayError):
    """It was there and has ended."""

    status = 410


class Invalid(GatewayError):
    """A value that cannot be used."""

    status = 422


class Unavailable(GatewayError):
    """Something that the request needs is missing at the moment."""

    status = 503


class SessionFailed(GatewayError):
    """A session ended before it gave its first output."""

    status = 502

    def __init__(self, session_id: str, ended: Ended) -> None:
        super().__init__(ended.reason.value, ended.detail)
        self.session_id = session_id
        self.ended = ended
