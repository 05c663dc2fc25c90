"""Parameters after `;` (RFC 3261 7.3.1): names compare case-insensitively, values keep their case."""

from gb28181.sip.grammar import split_quoted, unquote

__all__ = ["Params", "parse_params", "serialize_params"]

Params = dict[str, str | None]
"""Lower-case name to value without quotes; None for a parameter without `=`."""


def parse_params(text: str, *, field: str, separator: str = ";") -> Params:
    """Parse `;name=value;name`; empty parts are skipped, of repeated names the first counts.

    Raises:
        SipParseError: A quote is left open.
    """
    params: Params = {}
    if not text:
        return params
    parts = text.split(separator) if '"' not in text else split_quoted(text, separator, field=field)
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip(" \t").lower()
        if name and name not in params:
            params[name] = unquote(value.strip(" \t")) if equals else None
    return params


def serialize_params(params: Params) -> str:
    """Serialize as `;name=value;name`; values are sent as they are."""
    return "".join(f";{n}" if v is None else f";{n}={v}" for n, v in params.items())
