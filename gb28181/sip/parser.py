"""One datagram or one framed message to a `Message` (RFC 3261 section 7 and 18.3).

`parse` reads the start line and the headers a transaction needs: Via, From, To, Call-ID, CSeq,
Max-Forwards and Content-Length. All others stay text until somebody asks (`Message.check` asks for all).
"""

import re

from gb28181.errors import SipParseError
from gb28181.limits import MAX_SIP_BODY, MAX_SIP_HEAD
from gb28181.sip.grammar import HEAD_END, TOKEN, clip, decode, parse_digits
from gb28181.sip.headers import SINGLE_VALUED, Headers
from gb28181.sip.message import Message, Request, Response

__all__ = ["is_start_line", "parse", "split_head"]

_REQUEST = re.compile(rf'({TOKEN}) ([A-Za-z][A-Za-z0-9+.-]*:[^<>"\x00-\x20]+) (?i:SIP)/2\.0')
_RESPONSE = re.compile(r"(?i:SIP)/2\.0 ([0-9]{3})(?: (.*))?")
_OTHER_VERSION = re.compile(rf"{TOKEN} [^ ]+ (?i:SIP)/(?!2\.0)[0-9]+\.[0-9]+")
# Loose: a damaged start line must still be framed, so that it can be answered.
_START_LINE = re.compile(
    rb"(?i:SIP)/[0-9]\.[0-9][ \t]|[A-Za-z0-9.!%*_+`'~-]+[ \t].*[ \t](?i:SIP)/[0-9]\.[0-9][ \t]*$"
)
_FOLD = re.compile(r"\n[ \t]+")
_BLANK = b"\r\n\x00 \t"


def parse(data: bytes, *, complete: bool = True) -> Message:
    """Parse one message.

    Args:
        data: A datagram, or what `SipFramer` cut from a stream.
        complete: Also refuse messages that lack a header every message has, or repeat one that may occur
            once. Without it those faults are left to the caller (RFC 4475 counts them as semantics).

    Raises:
        SipParseError: The bytes are not a SIP message; nothing else is raised whatever they are.
    """
    text, rest = split_head(data)
    lines = _split_lines(text)
    start_line = lines[0]
    del lines[0]
    match = _REQUEST.fullmatch(start_line)
    if match is not None:
        method, uri = match.groups()
        if "?" in uri:
            _refuse_uri_headers(uri)
        message: Message = Request(method.upper(), uri, Headers.parse(lines))
    else:
        status, reason = _parse_status_line(start_line)
        message = Response(status, reason, Headers.parse(lines))
    _check_essentials(message, complete=complete)
    message.body = _cut_body(rest, message.headers.index.get("content-length"))
    return message


def is_start_line(line: bytes) -> bool:
    """Tell whether a line without its line end looks like the start of a SIP message."""
    return _START_LINE.match(line) is not None


def split_head(data: bytes) -> tuple[str, bytes]:
    """Split a message into the text of its head, without the empty line, and the bytes after it.

    Raises:
        SipParseError: There is no end of the head, or it is too long.
    """
    if data[:1] in (b"\r", b"\n", b"\x00", b" ", b"\t", b""):
        data = data.lstrip(_BLANK)
        if not data:
            raise SipParseError("empty message", field="start-line")
    match = HEAD_END.search(data)
    if match is not None:
        head, rest = data[: match.start()], data[match.end() :]
    elif data.endswith(b"\n"):
        # The empty line was forgotten, all other lines are whole.
        head, rest = data[:-1], b""
    else:
        raise SipParseError("the header section has no end", field="headers", position=len(data))
    if len(head) > MAX_SIP_HEAD:
        raise SipParseError(
            f"header section is longer than {MAX_SIP_HEAD} bytes", field="headers", status=513
        )
    return decode(head.removesuffix(b"\r")), rest


def _split_lines(text: str) -> list[str]:
    lines = text.split("\r\n")
    ends = len(lines) - 1
    if (
        text.count("\n") == ends
        and text.count("\r") == ends
        and "\n " not in text
        and "\n\t" not in text
    ):
        return lines
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        raise SipParseError(
            "bare CR in the header section", field="headers", position=text.index("\r")
        )
    return _FOLD.sub(" ", text).split("\n")


def _parse_status_line(line: str) -> tuple[int, str]:
    match = _RESPONSE.fullmatch(line)
    if match is not None:
        status = int(match[1])
        if 100 <= status < 700:
            return status, match[2] or ""
        raise SipParseError(f"status code {status} is not within 100 to 699", field="start-line")
    if _OTHER_VERSION.fullmatch(line) is not None:
        raise SipParseError(
            f"unsupported version in {clip(line)!r}", field="start-line", status=505
        )
    raise SipParseError(f"malformed start line {clip(line)!r}", field="start-line")


def _refuse_uri_headers(uri: str) -> None:
    """Refuse `?headers` in a Request-URI (RFC 3261 19.1.1); a `?` in the user part is legal."""
    if uri[:4].lower() in {"sip:", "sips"} and "?" in uri.rpartition("@")[2]:
        raise SipParseError(f"headers in the Request-URI {clip(uri)!r}", field="start-line")


def _check_essentials(message: Message, *, complete: bool) -> None:
    index = message.headers.index
    if complete:
        _check_presence(index, repeated=len(index) < len(message.headers))
    message.check_essentials()
    if isinstance(message, Request) and "cseq" in index:
        method = message.cseq.method
        if method != message.method:
            raise SipParseError(
                f"CSeq method {clip(method)} does not match request method {clip(message.method)}",
                field="CSeq",
            )


def _check_presence(index: dict[str, list[str]], *, repeated: bool) -> None:
    for key, field in _MANDATORY:
        if key not in index:
            raise SipParseError(f"{field} is missing", field=field)
    if not repeated:
        return
    for key, field in SINGLE_VALUED.items():
        values = index.get(key)
        # The same value twice is sloppy, not ambiguous.
        if values is not None and len(values) > 1 and len(set(values)) > 1:
            raise SipParseError(f"{field} occurs {len(values)} times", field=field)


def _cut_body(rest: bytes, lengths: list[str] | None) -> bytes:
    if len(rest) > MAX_SIP_BODY:
        raise SipParseError(f"body is longer than {MAX_SIP_BODY} bytes", field="body", status=513)
    if lengths is None:
        # Devices pad datagrams with NUL (quirk 19).
        return rest.rstrip(b"\x00")
    length = parse_digits(lengths[0], field="Content-Length", maximum=2**32 - 1)
    if length == len(rest):
        return rest
    if length > len(rest):
        raise SipParseError(
            f"Content-Length is {length}, but {len(rest)} bytes follow", field="Content-Length"
        )
    if length == 0 and rest.lstrip(_BLANK)[:1] == b"<":
        # Quirk 19: Content-Length 0 in front of an XML body.
        return rest.strip(_BLANK)
    return rest[:length]


_MANDATORY = (
    ("via", "Via"),
    ("from", "From"),
    ("to", "To"),
    ("call-id", "Call-ID"),
    ("cseq", "CSeq"),
)
