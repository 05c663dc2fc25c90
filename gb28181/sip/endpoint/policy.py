"""Which requests are refused without asking anybody (RFC 3261 8.2.1 to 8.2.3, 16.3)."""

from dataclasses import dataclass

from gb28181.sip.grammar import split_list
from gb28181.sip.message import Request

__all__ = ["ACCEPT", "KNOWN_METHODS", "OWN_METHODS", "Refusal", "examine"]

OWN_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
"""Methods whose mechanics are the endpoint's; INVITE is decided on by its user all the same."""

KNOWN_METHODS = frozenset(
    (
        *OWN_METHODS,
        "INFO",
        "MESSAGE",
        "NOTIFY",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    )
)
"""Methods of any RFC: refused with 405 where they are not served, the rest with 501 (21.5.2)."""

ACCEPT = "application/sdp, Application/MANSCDP+xml, Application/MANSRTSP"
"""Body types of GB/T 28181."""

_SCHEMES = ("sip:", "sips:")
_FORWARDED = frozenset(("INVITE", "SUBSCRIBE"))
"""Requests a platform passes on to the next one, so that a ring of platforms would loop them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that goes no further."""

    status: int
    headers: tuple[tuple[str, str], ...]
    detail: str


def examine(request: Request, allow: str, served: frozenset[str]) -> Refusal | None:
    """Return why a request outside a dialog cannot be served by anybody here.

    Args:
        request: The request.
        allow: Value of the Allow header.
        served: Methods that are served.
    """
    method = request.method
    if method not in served:
        status = 405 if method in KNOWN_METHODS else 501
        return Refusal(status, (("Allow", allow),), f"method {method} is not served")
    if not request.uri.lower().startswith(_SCHEMES):
        return Refusal(416, (), f"Request-URI has no SIP scheme: {request.uri[:40]}")
    if method in _FORWARDED and request.max_forwards == 0:
        return Refusal(483, (), "Max-Forwards is used up")
    if "Require" in request.headers and method != "CANCEL":
        required = _options(request)
        if required:
            unsupported = (("Unsupported", ", ".join(required)),)
            return Refusal(420, unsupported, f"extensions required: {', '.join(required)[:100]}")
    if method == "INVITE":
        return _examine_invite(request)
    return None


def _options(request: Request) -> list[str]:
    options: list[str] = []
    for value in request.headers.get_all("Require"):
        options += [option for option in split_list(value, field="Require") if option]
    return options


def _examine_invite(request: Request) -> Refusal | None:
    kind = request.content_type
    if request.body and kind not in ("", "application/sdp") and not kind.startswith("multipart/"):
        return Refusal(
            415, (("Accept", "application/sdp"),), f"INVITE with a body of type {kind[:60]}"
        )
    return None
