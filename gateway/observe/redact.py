"""Removing secrets and personal data from log records."""

import re
from collections.abc import MutableMapping
from typing import Any

__all__ = ["REDACTED", "redact", "redact_text"]

REDACTED = "[redacted]"

_SECRET_KEYS = frozenset({
    "admin_token", "authorization", "cnonce", "cookie", "credential", "digest", "digest_response",
    "ha1", "nonce", "passwd", "password", "private_key", "proxy_authorization", "secret", "snapshot_url",
    "token", "www_authenticate",
})  # fmt: skip
_SECRET_ENDINGS = ("_password", "_secret", "_token", "_ha1", "_nonce")
_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{32}(?:[0-9a-fA-F]{32})?")
_MAX_DEPTH = 4

# Quick test: without one of these words no pattern below can match.
_SUSPICIOUS = re.compile(
    r"(?i)nonce|response\s*=|passw|token|secret|bearer|authoriz|authentic|://[^/\s]*@"
)
_PATTERNS = (
    # Whole headers that carry credentials.
    (
        re.compile(
            r"(?im)^((?:proxy-)?(?:authorization|www-authenticate|authenticate)\s*:\s*)[^\r\n]*"
        ),
        r"\1" + REDACTED,
    ),
    # Digest parameters, URL parameters, key=value and JSON pairs.
    (
        re.compile(
            r"(?i)(\b(?:c?nonce|response|passw(?:or)?d|(?:[a-z]+_)?token|(?:[a-z]+_)?secret)[\"']?\s*[=:]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"'}]+)"
        ),
        r"\1" + REDACTED,
    ),
    (re.compile(r"(?i)(<password>)[^<]*"), r"\1" + REDACTED),
    (re.compile(r"(?i)(\bbearer\s+)\S+"), r"\1" + REDACTED),
    # user:password@ in URLs.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"), r"\1" + REDACTED),
)


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace secrets by `[redacted]`; a structlog processor."""
    for key, value in event.items():
        event[key] = _clean(key, value, _MAX_DEPTH)
    return event


def redact_text(text: str) -> str:
    """Return a text with digest parameters, tokens and passwords in it replaced."""
    if _SUSPICIOUS.search(text):
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
    return text


def _clean(key: str, value: object, depth: int) -> object:
    if isinstance(value, int | float | None):
        return value
    if (_is_secret(key) and value != "") or (key == "response" and _is_digest(value)):
        return REDACTED
    match value:
        case str() | bytes():
            return redact_text(
                value if isinstance(value, str) else value[:2000].decode("utf-8", "replace")
            )
        case dict() | list() | tuple():
            return _clean_inside(value, depth - 1) if depth else "..."
        case BaseException():
            return redact_text(f"{type(value).__name__}: {value}")
        case _:
            return value


def _clean_inside(
    value: dict[object, object] | list[object] | tuple[object, ...], depth: int
) -> dict[object, object] | list[object]:
    if isinstance(value, dict):
        return {name: _clean(str(name), item, depth) for name, item in value.items()}
    return [_clean("", item, depth) for item in value]


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _HEX_DIGEST.fullmatch(value) is not None


def _is_secret(key: str) -> bool:
    lowered = key.lower().replace("-", "_")
    return lowered in _SECRET_KEYS or lowered.endswith(_SECRET_ENDINGS)
