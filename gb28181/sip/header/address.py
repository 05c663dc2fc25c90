"""From, To, Contact, Route: `name-addr` and `addr-spec` with parameters (RFC 3261 20.10, 25.1)."""

import re

from gb28181.errors import SipParseError
from gb28181.sip.grammar import clip, split_list, split_quoted, unquote
from gb28181.sip.params import Params, parse_params
from gb28181.sip.uri import SipUri, parse_uri, user_of

__all__ = ["NameAddr", "parse_name_addr", "parse_name_addr_list"]

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_NAME_ADDR = re.compile(
    rf'(?s:("(?:[^"\\]|\\.)*")[ \t]*|([^"<>,;]*))<({_SCHEME}[^<>"\x00-\x20]+)>[ \t]*((?:;.*)?)'
)
# GB 18030 has trail bytes equal to a backslash, so a device's display name may seem to escape its closing quote.
_ODD_QUOTES = re.compile(rf'("[^"<>]*")[ \t]*()<({_SCHEME}[^<>"\x00-\x20]+)>[ \t]*((?:;.*)?)')
# Without brackets `;` starts a header parameter, and `,` and `?` are forbidden (RFC 3261 20.10).
_ADDR_SPEC = re.compile(rf'({_SCHEME}[^<>",;?\x00-\x20]+)[ \t]*((?:;.*)?)')
_PLAIN_PARAMS = re.compile(r'[^",<>]*')


class NameAddr:
    """An address with display name and header parameters."""

    __slots__ = ("_params", "_params_text", "_user", "display", "uri")

    def __init__(self, display: str, uri: str, params_text: str = "") -> None:
        self.display = display
        """Display name without quotes, '' without one."""
        self.uri = uri
        """The URI as written, of any scheme."""
        self._params_text = params_text
        self._params: Params | None = None
        self._user: str | None = None

    @property
    def params(self) -> Params:
        """Header parameters by lower-case name."""
        if self._params is None:
            self._params = parse_params(self._params_text, field="address")
        return self._params

    @property
    def tag(self) -> str | None:
        """The tag, None when absent or empty."""
        return (self.params.get("tag") or None) if self._params_text else None

    @property
    def user(self) -> str:
        """The user part of the URI, the device or platform id in GB messages; '' without one."""
        user = self._user
        if user is None:
            user = self._user = user_of(self.uri)
        return user

    @property
    def sip_uri(self) -> SipUri:
        """The URI, parsed; raises SipParseError if it is not a SIP URI."""
        return parse_uri(self.uri, field="address")

    def __str__(self) -> str:
        display = (
            '"' + self.display.replace("\\", "\\\\").replace('"', '\\"') + '" '
            if self.display
            else ""
        )
        return f"{display}<{self.uri}>{self._params_text}"

    def __repr__(self) -> str:
        return f"NameAddr({str(self)!r})"


def parse_name_addr(value: str, *, field: str) -> NameAddr:
    """Parse one address with its parameters; the brackets may be missing, as in GB samples.

    Raises:
        SipParseError: Malformed, among it an unquoted comma in a display name and blanks in brackets.
    """
    match = _NAME_ADDR.fullmatch(value)
    if match is None and '"' in value:
        match = _ODD_QUOTES.fullmatch(value)
    if match is not None:
        quoted, plain, uri, params = match.groups()
        display = unquote(quoted) if quoted else (plain or "").rstrip(" \t")
    elif (bare := _ADDR_SPEC.fullmatch(value)) is not None:
        display = ""
        uri, params = bare.groups()
    else:
        raise SipParseError(f"malformed address in {field}: {clip(value)!r}", field=field)
    if params and _PLAIN_PARAMS.fullmatch(params) is None:
        _check_params(params, field=field)
    return NameAddr(display, uri, params)


def parse_name_addr_list(value: str, *, field: str) -> list[NameAddr]:
    """Parse a comma list of addresses."""
    return [parse_name_addr(part, field=field) for part in split_list(value, field=field)]


def _check_params(text: str, *, field: str) -> None:
    """Refuse commas and brackets outside quotes: they would start another address."""
    for part in split_quoted(text, ";", field=field):
        value = part.partition("=")[2].strip(" \t")
        if not value.startswith('"') and _PLAIN_PARAMS.fullmatch(part) is None:
            raise SipParseError(f"malformed parameter in {field}: {clip(part)!r}", field=field)
