"""RTSP requests and responses (RFC 2326 4 to 7, 12).

::

    DESCRIBE rtsp://host/live/channel RTSP/1.0      RTSP/1.0 200 OK
    CSeq: 2                                         CSeq: 2
    Accept: application/sdp                         Content-Length: 460
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from gateway.rtsp.limits import MAX_FIELD, MAX_HEADERS, MAX_URL

__all__ = [
    "Header",
    "RtspParseError",
    "RtspRequest",
    "RtspResponse",
    "parse_head",
    "phrase",
    "refusal",
]

Header = tuple[str, str]

VERSION = "RTSP/1.0"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +(\S+) +(RTSP/[0-9]\.[0-9])")
CSEQ = re.compile(r"[0-9]{1,10}")
SHOWN = 80
PHRASE = 160
"""Characters of a reason phrase: some players show it and nothing else."""

_PHRASES = {
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid In This State",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    505: "RTSP Version Not Supported",
    551: "Option Not Supported",
}


class RtspParseError(Exception):
    """What came is not an RTSP request.

    Args:
        detail: What was expected and what came.
        status: To answer.
    """

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspRequest:
    """One request."""

    method: str
    url: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""

    def get(self, name: str) -> str | None:
        """Return a header's value, the first one; None if it is not there."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def cseq(self) -> int:
        """The request's number.

        Raises:
            RtspParseError: there is none.
        """
        text = self.get("CSeq")
        if text is None or not CSEQ.fullmatch(text):
            raise RtspParseError(f"expected a header CSeq with a number, got {_shown(text)}")
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspResponse:
    """One response."""

    status: int = 200
    words: str = ""
    """For the status line; empty: the usual ones."""
    headers: Sequence[Header] = ()
    body: bytes = b""

    def serialize(self, cseq: int | None) -> bytes:
        """Return the response to the request of this number; None if it could not be read."""
        lines = [f"{VERSION} {self.status} {_one_line(self.words) or phrase(self.status)}"]
        if cseq is not None:
            lines.append(f"CSeq: {cseq}")
        lines += [f"{name}: {_one_line(value, MAX_FIELD)}" for name, value in self.headers]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace") + self.body


def refusal(
    status: int, code: str, sentence: str, *, headers: Sequence[Header] = ()
) -> RtspResponse:
    """Return a response that says why not: in the status line, in a body, and as a word for programs."""
    return RtspResponse(
        status=status,
        words=sentence,
        headers=[*headers, ("X-Gb-Code", code), ("Content-Type", "text/plain; charset=utf-8")],
        body=(sentence + "\n").encode("utf-8", "replace"),
    )


def phrase(status: int) -> str:
    """Return the usual words of a status."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def parse_head(head: bytes) -> RtspRequest:
    """Parse a request line and the headers behind it, without the empty line.

    Raises:
        RtspParseError: with what is wrong and the status to answer.
    """
    lines = head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    match = REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise RtspParseError(f"expected METHOD URL RTSP/1.0, got {_shown(lines[0])}")
    method, url, version = match.groups()
    if version != VERSION:
        raise RtspParseError(f"expected {VERSION}, got {version}", status=505)
    if len(url) > MAX_URL:
        raise RtspParseError(f"a URL of {len(url)} characters is over {MAX_URL}", status=414)
    return RtspRequest(method=method, url=url, headers=_parse_headers(lines[1:]))


def _parse_headers(lines: list[str]) -> tuple[Header, ...]:
    headers: list[Header] = []
    for line in lines:
        if line[:1] in {" ", "\t"}:
            if not headers:
                raise RtspParseError("a header begins with a blank")
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}"))
        else:
            name, colon, value = line.partition(":")
            if not colon or not TOKEN.fullmatch(name.rstrip(" \t")):
                raise RtspParseError(f"expected NAME: VALUE, got {_shown(line)}")
            headers.append((name.rstrip(" \t"), value.strip()))
        if len(headers) > MAX_HEADERS:
            raise RtspParseError(f"more than {MAX_HEADERS} headers")
        if len(headers[-1][1]) > MAX_FIELD:
            raise RtspParseError(f"header {headers[-1][0]} is longer than {MAX_FIELD} characters")
    return tuple(headers)


def _shown(text: str | None) -> str:
    # What came may hold a token, and goes back to whoever sent it only.
    if text is None:
        return "none"
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _one_line(text: str, limit: int = PHRASE) -> str:
    plain = "".join(char if " " <= char <= "~" else "?" for char in " ".join(text.split()))
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."
