"""Requests and responses (RFC 3261 section 7): raw headers, typed values parsed when asked for."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, cast

from gb28181.errors import SipParseError
from gb28181.sip.grammar import parse_digits, split_list
from gb28181.sip.header.address import NameAddr, parse_name_addr
from gb28181.sip.header.cseq import CSeq, parse_cseq
from gb28181.sip.header.table import check_header, parse_call_id, parse_max_forwards
from gb28181.sip.header.value import MAX_SECONDS
from gb28181.sip.header.via import Via, parse_via
from gb28181.sip.headers import Headers
from gb28181.sip.uri import SipUri, parse_uri

__all__ = ["Headers", "Message", "Request", "Response"]

_T = TypeVar("_T")


class _Headed:
    """What requests and responses share: headers, body and the typed view of both.

    A typed value is cached beside the raw text it came from, so a changed header is parsed anew.
    """

    __slots__ = ("_cache", "body", "headers")

    def __init__(self, headers: Headers | None = None, body: bytes = b"") -> None:
        self.headers = Headers() if headers is None else headers
        self.body = body
        self._cache: dict[str, tuple[str, object]] = {}

    @property
    def via(self) -> Via:
        """The topmost Via; raises SipParseError if missing or malformed."""
        return self._typed("via", "Via", parse_via)

    @property
    def from_(self) -> NameAddr:
        """From: the source of a MANSCDP message; raises SipParseError if missing or malformed."""
        return self._typed("from", "From", _parse_from)

    @property
    def to(self) -> NameAddr:
        """To: the destination of a MANSCDP message; raises SipParseError if missing or malformed."""
        return self._typed("to", "To", _parse_to)

    @property
    def call_id(self) -> str:
        """Call-ID; raises SipParseError if missing or malformed."""
        return self._typed("call-id", "Call-ID", parse_call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq; raises SipParseError if missing or malformed."""
        return self._typed("cseq", "CSeq", parse_cseq)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, None without one; raises SipParseError if malformed."""
        values = self.headers.index.get("max-forwards")
        return None if values is None else parse_max_forwards(values[0])

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, None when missing or malformed; `*` has that as its URI."""
        values = self.headers.index.get("contact")
        if values is None:
            return None
        try:
            return self._typed("contact", "Contact", _shared_contact)
        except SipParseError:
            return None

    @property
    def expires(self) -> int | None:
        """Expires in seconds, None when missing or malformed."""
        values = self.headers.index.get("expires")
        if values is None:
            return None
        try:
            return parse_digits(values[0], field="Expires", maximum=MAX_SECONDS)
        except SipParseError:
            return None

    @property
    def content_type(self) -> str:
        """Lower-case `type/subtype` without parameters, '' without one."""
        values = self.headers.index.get("content-type")
        if values is None:
            return ""
        return values[0].partition(";")[0].replace(" ", "").replace("\t", "").lower()

    def check_essentials(self) -> None:
        """Parse those of Via, From, To, Call-ID, CSeq and Max-Forwards that are there.

        Raises:
            SipParseError: The first malformed one.
        """
        index, cache = self.headers.index, self._cache
        for key, parse in _ESSENTIALS:
            values = index.get(key)
            if values is not None:
                raw = values[0]
                cache[key] = (raw, parse(raw))

    def check(self) -> None:
        """Parse every known header.

        Raises:
            SipParseError: The first malformed one.
        """
        for key, values in self.headers.index.items():
            for value in values:
                check_header(key, value)

    def _typed(self, key: str, field: str, parse: Callable[[str], _T]) -> _T:
        values = self.headers.index.get(key)
        if values is None:
            raise SipParseError(f"{field} is missing", field=field)
        raw = values[0]
        cached = self._cache.get(key)
        if cached is not None and cached[0] is raw:
            return cast("_T", cached[1])
        value = parse(raw)
        self._cache[key] = (raw, value)
        return value


class Request(_Headed):
    """A SIP request."""

    __slots__ = ("method", "uri")

    def __init__(
        self, method: str, uri: str, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        """Upper case, whatever the device wrote."""
        self.uri = uri
        """The Request-URI as written, of any scheme."""

    @property
    def sip_uri(self) -> SipUri:
        """The Request-URI, parsed; raises SipParseError (status 416 for another scheme)."""
        return parse_uri(self.uri, field="start-line")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and (self.method, self.uri, self.headers, self.body) == (
            other.method,
            other.uri,
            other.headers,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri!r}, {len(self.body)} bytes of body>"


class Response(_Headed):
    """A SIP response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Response) and (
            (self.status, self.reason, self.headers, self.body)
            == (other.status, other.reason, other.headers, other.body)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason!r}, {len(self.body)} bytes of body>"


Message = Request | Response


def _parse_from(value: str) -> NameAddr:
    return parse_name_addr(value, field="From")


def _parse_to(value: str) -> NameAddr:
    return parse_name_addr(value, field="To")


def _parse_contact(value: str) -> NameAddr:
    first = split_list(value, field="Contact")[0]
    return NameAddr("", "*") if first == "*" else parse_name_addr(first, field="Contact")


def _shared(parse: Callable[[str], _T], size: int) -> Callable[[str], _T]:
    """Let messages share a value that a device writes alike in each: To, Contact, CSeq. It is never changed.

    The newest `size` are kept, and none of unusual length.
    """
    kept = lru_cache(maxsize=size)(parse)
    return lambda text: kept(text) if len(text) <= _SHARED_LENGTH else parse(text)


_SHARED_LENGTH = 160
_SHARED_DEVICES = 20_000
_shared_to = _shared(_parse_to, _SHARED_DEVICES)
_shared_contact = _shared(_parse_contact, _SHARED_DEVICES)
_shared_cseq = _shared(parse_cseq, 4_096)

_ESSENTIALS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("via", parse_via),
    ("from", _parse_from),
    ("to", _shared_to),
    ("call-id", parse_call_id),
    ("cseq", _shared_cseq),
    ("max-forwards", _shared(parse_max_forwards, 256)),
)
