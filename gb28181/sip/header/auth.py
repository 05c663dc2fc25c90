"""Authorization and WWW-Authenticate (RFC 3261 20.7, 20.44; RFC 2617 3.2; schemes of GB/T 28181 and GB 35114)."""

import re
from typing import NamedTuple

from gb28181.errors import SipParseError
from gb28181.sip.grammar import TOKEN, clip, unquote
from gb28181.sip.params import Params

__all__ = ["AuthValue", "parse_auth"]

_SCHEME = re.compile(rf"({TOKEN})[ \t]+(.+)")
# Samples of the standard separate parameters by a blank only, some devices leave out quotes.
_PARAM = re.compile(
    rf'[ \t,]*({TOKEN})[ \t]*=[ \t]*(?:("(?:[^"\\]|\\.)*")[ \t,]*|([^",]*)(?:[ \t,]+|$))'
)

# What nearly all devices write, read in two calls.
_PLAIN_PARAM = rf'({TOKEN})=(?:"([^"\\]*)"|([^"\\, \t]*))(?:,[ \t]*|$)'
_PLAIN = re.compile(f"(?:{_PLAIN_PARAM})+")
_PLAIN_ITEMS = re.compile(_PLAIN_PARAM)
_DIGEST = "Digest "


class AuthValue(NamedTuple):
    """A challenge or credentials: lower-case scheme, parameters without quotes."""

    scheme: str
    params: Params


def parse_auth(value: str, *, field: str) -> AuthValue:
    """Parse one challenge or set of credentials of any scheme.

    Raises:
        SipParseError: There is no scheme, or a parameter is malformed.
    """
    if value.startswith(_DIGEST) and _PLAIN.fullmatch(value, len(_DIGEST)) is not None:
        return AuthValue("digest", _read_plain(value, len(_DIGEST)))
    match = _SCHEME.fullmatch(value)
    if match is None:
        raise SipParseError(f"{field} has no scheme and parameters: {clip(value)!r}", field=field)
    scheme, rest = match.groups()
    params: Params = {}
    position = 0
    while position < len(rest):
        param = _PARAM.match(rest, position)
        if param is None:
            raise SipParseError(
                f"malformed parameter in {field}", field=field, position=match.start(2) + position
            )
        name, quoted, plain = param.groups()
        params.setdefault(name.lower(), unquote(quoted) if quoted else plain.rstrip(" \t"))
        position = param.end()
    return AuthValue(scheme.lower(), params)


def _read_plain(value: str, start: int) -> Params:
    params: Params = {}
    for name, quoted, plain in _PLAIN_ITEMS.findall(value, start):
        params.setdefault(name.lower(), quoted or plain)
    return params
