"""Which grammar each known header follows; what `Message.check` runs."""

import re
from collections.abc import Callable
from functools import partial

from gb28181.errors import SipParseError
from gb28181.sip.grammar import clip, parse_digits, split_list
from gb28181.sip.header.address import parse_name_addr, parse_name_addr_list
from gb28181.sip.header.auth import parse_auth
from gb28181.sip.header.cseq import parse_cseq
from gb28181.sip.header.date import parse_date
from gb28181.sip.header.reason import parse_reason
from gb28181.sip.header.value import (
    parse_event,
    parse_gb_version,
    parse_media_type,
    parse_param_value,
    parse_retry_after,
    parse_seconds,
    parse_subscription_state,
    parse_tokens,
    parse_warning,
)
from gb28181.sip.header.via import parse_via_line

__all__ = ["check_header", "parse_call_id", "parse_max_forwards"]

_BLANK = re.compile(r"[\x00-\x20\x7f]")


def check_header(key: str, value: str) -> None:
    """Parse the value of a known header; unknown ones pass.

    Raises:
        SipParseError: It is malformed.
    """
    check = _CHECKS.get(key)
    if check is not None:
        check(value)


def parse_call_id(value: str) -> str:
    """Check Call-ID: any text without blanks, since devices use characters outside `word`."""
    if not value or _BLANK.search(value) is not None:
        raise SipParseError(f"Call-ID is empty or has blanks: {clip(value)!r}", field="Call-ID")
    return value


def parse_max_forwards(value: str) -> int:
    """Parse Max-Forwards, 0 to 255."""
    return parse_digits(value, field="Max-Forwards", maximum=255)


def _check_contact(value: str) -> None:
    if value == "*":
        return
    for address in parse_name_addr_list(value, field="Contact"):
        expires = address.params.get("expires")
        if expires is not None:
            parse_seconds(expires, field="Contact")


def _check_accept(value: str) -> None:
    for part in split_list(value, field="Accept"):
        if part:
            parse_media_type(part, field="Accept")


# GB Subject is not checked: Mercury cameras swap its parts and others write free text (protocol 2.4).
_CHECKS: dict[str, Callable[[str], object]] = {
    "accept": _check_accept,
    "allow": partial(parse_tokens, field="Allow"),
    "allow-events": partial(parse_tokens, field="Allow-Events"),
    "authorization": partial(parse_auth, field="Authorization"),
    "call-id": parse_call_id,
    "contact": _check_contact,
    "content-disposition": partial(parse_param_value, field="Content-Disposition"),
    "content-encoding": partial(parse_tokens, field="Content-Encoding"),
    "content-length": partial(parse_seconds, field="Content-Length"),
    "content-type": parse_media_type,
    "cseq": parse_cseq,
    "date": parse_date,
    "event": parse_event,
    "expires": partial(parse_seconds, field="Expires"),
    "from": partial(parse_name_addr, field="From"),
    "max-forwards": parse_max_forwards,
    "min-expires": partial(parse_seconds, field="Min-Expires"),
    "note": partial(parse_auth, field="Note"),
    "proxy-authenticate": partial(parse_auth, field="Proxy-Authenticate"),
    "proxy-authorization": partial(parse_auth, field="Proxy-Authorization"),
    "proxy-require": partial(parse_tokens, field="Proxy-Require"),
    "reason": parse_reason,
    "record-route": partial(parse_name_addr_list, field="Record-Route"),
    "require": partial(parse_tokens, field="Require"),
    "retry-after": parse_retry_after,
    "route": partial(parse_name_addr_list, field="Route"),
    "subscription-state": parse_subscription_state,
    "supported": partial(parse_tokens, field="Supported"),
    "to": partial(parse_name_addr, field="To"),
    "unsupported": partial(parse_tokens, field="Unsupported"),
    "via": parse_via_line,
    "warning": parse_warning,
    "www-authenticate": partial(parse_auth, field="WWW-Authenticate"),
    "x-gb-ver": parse_gb_version,
}
