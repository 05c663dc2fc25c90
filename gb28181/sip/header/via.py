"""Via (RFC 3261 20.42, `rport` and `received` of RFC 3581)."""

import re

from gb28181.errors import SipParseError
from gb28181.sip.grammar import HOST, TOKEN, clip, split_list
from gb28181.sip.params import Params, parse_params

__all__ = ["MAGIC_COOKIE", "Via", "parse_via", "parse_via_line"]

MAGIC_COOKIE = "z9hG4bK"
"""A branch that begins so identifies a transaction (RFC 3261 8.1.1.7)."""

_FAST = re.compile(rf"SIP/2\.0/({TOKEN}) ({HOST})(?::([0-9]{{1,5}}))?((?:;[^;,\"<>\x00-\x20]*)*)")
_FULL = re.compile(
    rf"(?i:SIP)[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+({HOST})(?:[ \t]*:[ \t]*([0-9]{{1,5}}))?[ \t]*((?:;.*)?)"
)


class Via:
    """One hop: where its response goes to and by which branch it is known."""

    __slots__ = ("_params", "_params_text", "host", "port", "transport")

    def __init__(self, transport: str, host: str, port: int | None, params_text: str) -> None:
        self.transport = transport
        """Upper case: UDP, TCP, TLS or what the peer wrote."""
        self.host = host
        self.port = port
        self._params_text = params_text
        self._params: Params | None = None

    @property
    def params(self) -> Params:
        """Parameters by lower-case name."""
        if self._params is None:
            self._params = parse_params(self._params_text, field="Via")
        return self._params

    @property
    def branch(self) -> str:
        """The branch, '' when absent or nothing but the cookie: match as RFC 2543 then."""
        branch = self.params.get("branch") or ""
        return "" if branch == MAGIC_COOKIE else branch

    def with_source(self, host: str, port: int) -> "Via":
        """Return a copy that carries `received` and, if asked for, `rport` (RFC 3581 section 4)."""
        params = self.params
        text = self._params_text
        if "rport" in params:
            # Filled whatever the client wrote: a device that sends a value of its own is behind NAT too.
            text = _replace(text, "rport", str(port))
        if "rport" in params or host != self.host:
            text = _replace(text, "received", host)
        return Via(self.transport, self.host, self.port, text)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{self._params_text}"

    def __repr__(self) -> str:
        return f"Via({str(self)!r})"


def parse_via(value: str) -> Via:
    """Parse one Via header line and return its topmost hop; every hop of the line is checked.

    Raises:
        SipParseError: One of them is malformed.
    """
    match = _FAST.fullmatch(value)
    return _from_match(match) if match is not None else parse_via_line(value)[0]


def parse_via_line(value: str) -> list[Via]:
    """Parse all hops of one Via header line, topmost first."""
    hops = []
    for part in split_list(value, field="Via"):
        match = _FULL.fullmatch(part)
        if match is None:
            raise SipParseError(f"malformed Via {clip(part)!r}", field="Via")
        via = _from_match(match)
        if '"' in part:
            _ = via.params
        hops.append(via)
    return hops


def _from_match(match: re.Match[str]) -> Via:
    transport, host, port_text, params = match.groups()
    port = int(port_text) if port_text else None
    if port is not None and port > 65535:
        raise SipParseError(f"Via port {port} is above 65535", field="Via")
    return Via(transport.upper(), host, port, params)


def _replace(text: str, name: str, value: str) -> str:
    """Set one parameter in raw parameter text and keep the others as they were written."""
    replaced, count = re.subn(
        rf"(?i);[ \t]*{name}[ \t]*(?:=[^;]*)?(?=;|$)", f";{name}={value}", text, count=1
    )
    return replaced if count else f"{text};{name}={value}"
