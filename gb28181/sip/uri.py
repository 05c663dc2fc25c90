"""SIP URIs (RFC 3261 section 19.1, GB/T 28181 section 6.1.2: `sip:ID@domain`)."""

import re
from dataclasses import dataclass, field

from gb28181.errors import SipParseError
from gb28181.sip.grammar import HOST, clip
from gb28181.sip.params import Params, parse_params, serialize_params

__all__ = ["SipUri", "parse_uri", "unescape", "user_of"]

_HOST_PORT = re.compile(rf"({HOST})(?::([0-9]{{1,5}}))?((?:;[^?\x00-\x20]*)?)(\?.*)?")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_FORBIDDEN = re.compile(r"[\x00-\x20<>\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUri:
    """A `sip:` or `sips:` URI; `user` and `password` are unescaped, `headers` is kept as text."""

    scheme: str = "sip"
    user: str = ""
    password: str | None = None
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict)
    headers: str = ""

    def __str__(self) -> str:
        user = _escape(self.user)
        if self.password is not None:
            user += ":" + _escape(self.password)
        at = "@" if user else ""
        port = "" if self.port is None else f":{self.port}"
        question = f"?{self.headers}" if self.headers else ""
        params = serialize_params(self.params)
        return f"{self.scheme}:{user}{at}{self.host}{port}{params}{question}"


def parse_uri(text: str, *, field: str = "uri") -> SipUri:  # noqa: A002, RUF100
    """Parse a SIP or SIPS URI.

    Raises:
        SipParseError: It is another scheme (status 416) or malformed.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in {"sip", "sips"}:
        raise SipParseError(f"expected a SIP URI, got {clip(text)!r}", field=field, status=416)
    userinfo, at, location = rest.partition("@")
    if not at:
        userinfo, location = "", rest
    match = _HOST_PORT.fullmatch(location)
    if match is None or _FORBIDDEN.search(userinfo) or (at and not userinfo):
        raise SipParseError(f"malformed SIP URI {clip(text)!r}", field=field)
    host, port_text, params, headers = match.groups()
    port = int(port_text) if port_text else None
    if port is not None and port > 65535:
        raise SipParseError(f"port {port} in SIP URI is above 65535", field=field)
    user, password_colon, password = userinfo.partition(":")
    return SipUri(
        scheme=scheme,
        user=unescape(user),
        password=unescape(password) if password_colon else None,
        host=host,
        port=port,
        params=parse_params(params, field=field),
        headers=headers[1:] if headers else "",
    )


def user_of(uri: str) -> str:
    """Return the unescaped user part of a SIP URI, '' where there is none; never raises."""
    scheme, _, rest = uri.partition(":")
    userinfo, at, _ = rest.partition("@")
    if not at or scheme.lower() not in {"sip", "sips"}:
        return ""
    user = userinfo.partition(":")[0]
    return unescape(user) if "%" in user else user


def unescape(text: str) -> str:
    """Decode %-escapes; what they spell is UTF-8, other bytes stay as surrogates."""
    if "%" not in text:
        return text
    raw = _ESCAPED.sub(
        lambda m: chr(int(m[1], 16)), text.encode("utf-8", "surrogateescape").decode("latin-1")
    )
    return raw.encode("latin-1").decode("utf-8", "surrogateescape")


def _escape(text: str) -> str:
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/"
    return "".join(
        chr(byte) if byte in safe else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
