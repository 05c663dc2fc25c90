"""Small grammars: `value;params` (Event, Content-Type, Subscription-State), token lists, numbers with a comment."""

import re
from dataclasses import dataclass

from gb28181.errors import SipParseError
from gb28181.sip.grammar import TOKEN, clip, parse_digits, split_list, split_quoted
from gb28181.sip.params import Params, parse_params

__all__ = [
    "MAX_SECONDS",
    "ParamValue",
    "parse_event",
    "parse_gb_version",
    "parse_media_type",
    "parse_param_value",
    "parse_retry_after",
    "parse_seconds",
    "parse_subscription_state",
    "parse_tokens",
    "parse_warning",
]

MAX_SECONDS = 2**32 - 1
"""Largest `delta-seconds` (RFC 3261 20.19)."""

_TOKEN = re.compile(TOKEN)
_MEDIA_TYPE = re.compile(rf"(?:{TOKEN}|\*)[ \t]*/[ \t]*(?:{TOKEN}|\*)?")
_WARNING = re.compile(r'[0-9]{3} [^" \t]+ "(?:[^"\\]|\\.)*"')
_RETRY_AFTER = re.compile(r"([0-9]+)[ \t]*(?:\(.*\))?[ \t]*((?:;.*)?)")
_GB_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class ParamValue:
    """A token with parameters."""

    value: str
    params: Params


def parse_param_value(text: str, *, field: str) -> ParamValue:
    """Parse `value;name=value`; the value must not be empty."""
    value, *rest = split_quoted(text, ";", field=field)
    value = value.strip(" \t")
    if not value:
        raise SipParseError(f"{field} has no value: {clip(text)!r}", field=field)
    return ParamValue(value, parse_params(";".join(rest), field=field))


def parse_event(text: str) -> ParamValue:
    """Parse Event; the package name keeps its case, `Catalog` and `presence` both occur."""
    event = parse_param_value(text, field="Event")
    if _TOKEN.fullmatch(event.value) is None:
        raise SipParseError(f"Event is not a token: {clip(text)!r}", field="Event")
    return event


def parse_subscription_state(text: str) -> ParamValue:
    """Parse Subscription-State; `expires` and `retry-after` must be numbers."""
    state = parse_param_value(text, field="Subscription-State")
    for name in ("expires", "retry-after"):
        value = state.params.get(name)
        if value is not None:
            parse_digits(value, field="Subscription-State", maximum=MAX_SECONDS)
    return ParamValue(state.value.lower(), state.params)


def parse_media_type(text: str, *, field: str = "Content-Type") -> ParamValue:
    """Parse Content-Type to lower case; a missing subtype is accepted (one GB sample has `Application/`)."""
    value = parse_param_value(text, field=field)
    if _MEDIA_TYPE.fullmatch(value.value) is None:
        raise SipParseError(f"expected type/subtype, got {clip(text)!r}", field=field)
    kind = value.value.replace(" ", "").replace("\t", "").lower()
    return ParamValue(kind, value.params)


def parse_tokens(text: str, *, field: str) -> list[str]:
    """Parse a comma list of tokens (Allow, Require, Supported); empty elements are skipped."""
    tokens = [part for part in split_list(text, field=field) if part]
    for token in tokens:
        if _TOKEN.fullmatch(token) is None:
            raise SipParseError(f"{field} lists {clip(token)!r}, not a token", field=field)
    return tokens


def parse_seconds(text: str, *, field: str) -> int:
    """Parse `delta-seconds`."""
    return parse_digits(text, field=field, maximum=MAX_SECONDS)


def parse_retry_after(text: str) -> int:
    """Parse Retry-After to seconds; a comment and parameters are dropped."""
    match = _RETRY_AFTER.fullmatch(text)
    if match is None:
        raise SipParseError(f"expected seconds, got {clip(text)!r}", field="Retry-After")
    return parse_digits(match[1], field="Retry-After", maximum=MAX_SECONDS)


def parse_warning(text: str) -> list[str]:
    """Check Warning: three digits, an agent and a quoted text each."""
    warnings = split_list(text, field="Warning")
    for warning in warnings:
        if _WARNING.fullmatch(warning) is None:
            raise SipParseError(f"malformed Warning {clip(warning)!r}", field="Warning")
    return warnings


def parse_gb_version(text: str) -> str:
    """Parse X-GB-Ver (GB/T 28181-2022 annex I): digits, a dot, digits."""
    if _GB_VERSION.fullmatch(text) is None:
        raise SipParseError(f"expected m.n in X-GB-Ver, got {clip(text)!r}", field="X-GB-Ver")
    return text
