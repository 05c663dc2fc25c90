"""Cuts the bytes of an RTSP connection into requests and interleaved packets (RFC 2326 10.12)."""

import re
from dataclasses import dataclass

from gateway.rtsp.limits import MAX_BODY, MAX_HEAD
from gateway.rtsp.message import RtspParseError, RtspRequest, parse_head

__all__ = ["Interleaved", "RtspFramer", "Unframed"]

DOLLAR = 0x24
HEAD_END = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Interleaved:
    """A packet between the requests."""

    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Unframed:
    """What cannot be read; nothing after it can be either."""

    detail: str
    status: int
    cseq: int | None
    """Of the request, if that much was readable."""


class RtspFramer:
    """Incremental: the same result however the bytes are cut. Holds at most one unfinished request or packet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._broken = False

    @property
    def holding(self) -> bool:
        """Whether part of something has come."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[RtspRequest | Interleaved | Unframed]:
        """Take bytes; return what is complete now. After an `Unframed` nothing more is taken."""
        found: list[RtspRequest | Interleaved | Unframed] = []
        if self._broken:
            return found
        self._buffer += data
        while (item := self._next()) is not None:
            found.append(item)
            if isinstance(item, Unframed):
                self._broken = True
                self._buffer.clear()
                break
        return found

    def _next(self) -> RtspRequest | Interleaved | Unframed | None:
        buffer = self._buffer
        if self._searched == 0 and buffer.startswith((b"\r", b"\n")):
            # Players may send empty lines between requests, to keep the connection.
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
        if buffer[:1] == b"$":
            return self._packet()
        end = HEAD_END.search(buffer, max(0, self._searched - 3))
        if (len(buffer) if end is None else end.start()) > MAX_HEAD:
            return Unframed(f"no end of the headers within {MAX_HEAD} bytes", 400, None)
        if end is None:
            self._searched = len(buffer)
            return None
        return self._request(end.start(), end.end())

    def _packet(self) -> Interleaved | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        end = 4 + int.from_bytes(buffer[2:4])
        if len(buffer) < end:
            return None
        packet = Interleaved(buffer[1], bytes(buffer[4:end]))
        del buffer[:end]
        return packet

    def _request(self, head_end: int, body_start: int) -> RtspRequest | Unframed | None:
        head = bytes(self._buffer[:head_end])
        try:
            request = parse_head(head)
        except RtspParseError as exc:
            return Unframed(exc.detail, exc.status, _cseq_in(head))
        text = request.get("Content-Length")
        if text is not None and not LENGTH.fullmatch(text):
            return Unframed("expected a number as Content-Length", 400, _cseq_in(head))
        size = int(text or 0)
        if size > MAX_BODY:
            detail = f"a body of {size} bytes is over {MAX_BODY}"
            return Unframed(detail, 413, _cseq_in(head))
        if len(self._buffer) < body_start + size:
            # The head is found again with the next bytes, which costs little: bodies are rare and short.
            self._searched = head_end
            return None
        body = bytes(self._buffer[body_start : body_start + size])
        del self._buffer[: body_start + size]
        self._searched = 0
        if body:
            request = RtspRequest(
                method=request.method, url=request.url, headers=request.headers, body=body
            )
        return request


def _cseq_in(head: bytes) -> int | None:
    match = re.search(rb"(?im)^cseq[ \t]*:[ \t]*([0-9]{1,10})[ \t]*\r?$", head)
    return int(match[1]) if match else None
