"""Messages out of a stream (RFC 3261 7.5 and 18.3), tolerant of what devices do on TCP (quirks 18 to 20).

A message ends where Content-Length says. For XML bodies the closing root tag is a second witness:

* no Content-Length, or 0 with `<` next: MESSAGE and NOTIFY end at the closing root tag, others are refused;
* a Content-Length that is too short (characters counted instead of bytes): the body is taken to its root tag;
* one that is too long: the body is cut at its root tag when another message follows or nothing more comes.

Bytes between messages that start none (the rest of an odd body, NULs) are skipped up to the next start line. What
cannot be framed is a `FrameError`, after which the connection must be closed. However the input is cut, the
result is the same.
"""

import enum
import re
from dataclasses import dataclass

from gb28181.errors import SipParseError
from gb28181.limits import (
    MAX_SIP_BODY_UNMEASURED,
    MAX_SIP_HEAD,
    MAX_SIP_RESYNC,
    MAX_SIP_ROOT,
    SIP_BODY_WAIT,
    SIP_PEEK_WAIT,
    SIP_ROOT_WAIT,
)
from gb28181.sip.body_length import may_be_unmeasured, measure_body, with_length
from gb28181.sip.grammar import HEAD_END
from gb28181.sip.parser import is_start_line

__all__ = ["FrameError", "KeepAlive", "SipFramer"]


@dataclass(frozen=True, slots=True)
class FrameError:
    """The stream cannot be followed any further: answer if possible, then close."""

    error: SipParseError
    data: bytes
    """Head of the message at fault, for a best-effort answer."""

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A double CRLF between messages, to be answered by a single one (RFC 5626 4.4.1)."""


class _Stage(enum.Enum):
    IDLE = enum.auto()
    """Between messages."""
    HEAD = enum.auto()
    """In start line and headers."""
    BODY = enum.auto()
    """In a body of known length."""
    PEEK = enum.auto()
    """Content-Length 0 with a Content-Type: does `<` follow?"""
    ROOT = enum.auto()
    """In an XML body, looking for its closing root tag."""
    CLOSED = enum.auto()


_BLANKS = b"\r\n\x00 \t"
_PING = b"\r\n\r\n"
# Bounded repetitions: the peer chooses the text that is searched.
_START = re.compile(
    rb"(?:[A-Za-z]{1,20} sips?:[^ \r\n]{1,512} SIP/2\.0|SIP/2\.0 [1-6][0-9]{2}[^\r\n]{0,256})\r?\n"
)
_ROOT = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.:-]{0,63})(?:[ \t\r\n][^<>]{0,4096}?)?(/?)>")
_CLOSING_MARGIN = 80
"""Longest closing tag and longest start line, which may straddle two pieces of input."""
_START_MARGIN = 800


class SipFramer:
    """Cuts one stream into messages; not shared between connections."""

    __slots__ = (
        "_began", "_buffer", "_closing", "_deadline", "_garbage", "_head", "_length", "_ping", "_scan",
        "_stage", "_start_scan", "_xml", "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stage = _Stage.IDLE
        self._deadline: float | None = None
        self._ping = 0
        """Bytes of a double CRLF seen."""
        self._garbage = 0
        self.skipped = 0
        """Bytes thrown away in search of a start line, ever."""
        self._reset()

    def feed(self, data: bytes, now: float) -> list[bytes | FrameError | KeepAlive]:
        """Take bytes of the stream and return the messages they complete."""
        if self._stage is _Stage.CLOSED:
            return []
        self._buffer += data
        return self._run(now)

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` must run, None while nothing is awaited."""
        return self._deadline

    def handle_timer(self, now: float) -> list[bytes | FrameError | KeepAlive]:
        """Give up waiting for what is overdue."""
        if self._deadline is None or now < self._deadline:
            return []
        self._deadline = None
        output: list[bytes | FrameError | KeepAlive] = []
        match self._stage:
            case _Stage.PEEK:
                self._emit(0, output)
            case _Stage.ROOT if self._length:
                self._emit(self._length, output)
            case _Stage.ROOT:
                self._fail(
                    output, "Content-Length is missing and the body has no end", "Content-Length"
                )
            case _Stage.BODY:
                self._body_overdue(now, output)
            case _:
                pass
        return output + self._run(now)

    def _reset(self) -> None:
        self._stage = _Stage.IDLE
        self._deadline = None
        self._head = 0
        """Length of the head with its empty line."""
        self._length: int | None = None
        """Declared length of the body."""
        self._xml = False
        self._closing: re.Pattern[bytes] | None = None
        self._scan = 0
        self._start_scan = 0
        self._began = 0.0

    def _run(self, now: float) -> list[bytes | FrameError | KeepAlive]:
        output: list[bytes | FrameError | KeepAlive] = []
        while self._advance(now, output):
            pass
        return output

    def _advance(self, now: float, output: list[bytes | FrameError | KeepAlive]) -> bool:
        """Do one step; False when more input is needed."""
        match self._stage:
            case _Stage.IDLE:
                return self._skip_blanks(output)
            case _Stage.HEAD:
                return self._read_head(now, output)
            case _Stage.BODY:
                return self._read_body(now, output)
            case _Stage.PEEK:
                return self._peek(now, output)
            case _Stage.ROOT:
                return self._read_root(output)
            case _Stage.CLOSED:
                return False

    def _skip_blanks(self, output: list[bytes | FrameError | KeepAlive]) -> bool:
        buffer = self._buffer
        position = 0
        for byte in buffer:
            if byte not in _BLANKS:
                break
            position += 1
            if byte != _PING[self._ping]:
                self._ping = int(byte == _PING[0])
                continue
            self._ping += 1
            if self._ping == len(_PING):
                self._ping = 0
                if not self._garbage:
                    output.append(KeepAlive())
        del buffer[:position]
        if not buffer:
            return False
        self._ping = 0
        self._scan = 0
        self._stage = _Stage.HEAD
        return True

    def _read_head(self, now: float, output: list[bytes | FrameError | KeepAlive]) -> bool:
        buffer = self._buffer
        if self._scan == 0:
            line_end = buffer.find(b"\n")
            if max(line_end, len(buffer) if line_end < 0 else 0) > MAX_SIP_HEAD:
                return self._fail(output, f"no line end within {MAX_SIP_HEAD} bytes", "start-line")
            if line_end < 0:
                return False
            if not is_start_line(bytes(buffer[:line_end]).removesuffix(b"\r")):
                return self._skip_line(line_end + 1, output)
            self._garbage = 0
            self._scan = line_end
        match = HEAD_END.search(buffer, self._scan)
        if (match.end() if match is not None else len(buffer)) > MAX_SIP_HEAD:
            return self._fail(
                output, f"headers are longer than {MAX_SIP_HEAD} bytes", "headers", 513
            )
        if match is None:
            self._scan = max(self._scan, len(buffer) - 2)
            return False
        self._head = match.end()
        self._scan = self._head
        return self._measure(bytes(buffer[: self._head]), now, output)

    def _skip_line(self, size: int, output: list[bytes | FrameError | KeepAlive]) -> bool:
        self._garbage += size
        self.skipped += size
        if self._garbage > MAX_SIP_RESYNC:
            return self._fail(output, f"no SIP message within {MAX_SIP_RESYNC} bytes", "start-line")
        del self._buffer[:size]
        self._stage = _Stage.IDLE
        return True

    def _measure(
        self, head: bytes, now: float, output: list[bytes | FrameError | KeepAlive]
    ) -> bool:
        """Decide from the head how the end of the message is found."""
        try:
            measure = measure_body(head)
        except SipParseError as error:
            return self._refuse(output, error)
        self._length, self._xml = measure.length, measure.is_xml
        self._began = now
        if measure.length is None:
            if measure.may_be_unmeasured:
                return self._await(_Stage.ROOT, now + SIP_ROOT_WAIT)
            return self._emit(0, output)
        if measure.length:
            return self._await(_Stage.BODY, now + (SIP_ROOT_WAIT if self._xml else SIP_BODY_WAIT))
        if not measure.is_typed:
            return self._emit(0, output)
        return self._await(_Stage.PEEK, now + SIP_PEEK_WAIT)

    def _await(self, stage: _Stage, deadline: float) -> bool:
        self._stage = stage
        self._deadline = deadline
        return True

    def _peek(self, now: float, output: list[bytes | FrameError | KeepAlive]) -> bool:
        rest = self._buffer[self._head :].lstrip(_BLANKS)
        if not rest:
            # A run of blanks that long is no introduction to a body.
            return len(self._buffer) - self._head > MAX_SIP_HEAD and self._emit(0, output)
        if rest[0] != ord("<"):
            return self._emit(0, output)
        if not may_be_unmeasured(bytes(self._buffer[:32])):
            return self._fail(output, "Content-Length is 0, but a body follows", "Content-Length")
        return self._await(_Stage.ROOT, now + SIP_ROOT_WAIT)

    def _read_body(self, now: float, output: list[bytes | FrameError | KeepAlive]) -> bool:
        length = self._length or 0
        if len(self._buffer) < self._head + length:
            return False
        if not self._xml:
            return self._emit(length, output)
        body = bytes(self._buffer[self._head : self._head + length])
        if body.lstrip(_BLANKS)[:1] != b"<":
            return self._emit(length, output)
        root = _ROOT.search(body)
        end = None if root is None else _end_of_root(body, root)
        if end is None:
            return self._await(_Stage.ROOT, now + SIP_ROOT_WAIT)
        # Too long a Content-Length has swallowed the start of the next message.
        swallowed = body[end:].lstrip(_BLANKS)[:1].isalpha()
        return self._emit(end if swallowed else length, output)

    def _body_overdue(self, now: float, output: list[bytes | FrameError | KeepAlive]) -> None:
        body = bytes(self._buffer[self._head :])
        root = _ROOT.search(body) if self._xml else None
        end = None if root is None else _end_of_root(body, root)
        if end is not None:
            self._emit(end, output)
        elif now < self._began + SIP_BODY_WAIT:
            self._deadline = self._began + SIP_BODY_WAIT
        else:
            text = f"Content-Length is {self._length}, but {len(body)} bytes came in {SIP_BODY_WAIT:g} s"
            self._fail(output, text, "Content-Length")

    def _read_root(self, output: list[bytes | FrameError | KeepAlive]) -> bool:
        """Look for the end of the root element, or of what can be one."""
        buffer, declared = self._buffer, self._length or 0
        if not declared and self._closing is None:
            first = buffer[self._head :].lstrip(_BLANKS)[:1]
            if first and first != b"<":
                return self._fail(output, "Content-Length is missing", "Content-Length")
        end = self._find_root_end()
        rootless = end is None and self._closing is None and not declared
        if rootless and len(buffer) - self._head >= MAX_SIP_ROOT:
            text = f"no Content-Length, and no root tag within {MAX_SIP_ROOT} bytes"
            return self._fail(output, text, "Content-Length")
        start = self._find_next_start(declared) if declared else None
        if start is not None and (end is None or start.end() < end):
            return self._emit(declared, output)
        limit = self._head + max(MAX_SIP_BODY_UNMEASURED, declared)
        if (len(buffer) if end is None else end) > limit:
            if declared:
                return self._emit(declared, output)
            text = f"body without Content-Length is longer than {MAX_SIP_BODY_UNMEASURED}"
            return self._fail(output, text, "Content-Length", 413)
        return end is not None and self._emit(end - self._head, output)

    def _find_next_start(self, declared: int) -> re.Match[bytes] | None:
        self._start_scan = max(self._start_scan, self._head + declared)
        start = _START.search(self._buffer, self._start_scan)
        if start is None:
            self._start_scan = max(self._start_scan, len(self._buffer) - _START_MARGIN)
        return start

    def _find_root(self) -> re.Match[bytes] | None:
        """Look for the root tag where it must be, and where it was not looked for before."""
        buffer, limit = self._buffer, self._head + MAX_SIP_ROOT
        if buffer.find(b">", self._scan, limit) < 0:
            return None
        root = _ROOT.search(buffer, self._scan, limit)
        if root is None:
            # No tag reaches across the end of another.
            self._scan = buffer.rfind(b">", self._scan, limit) + 1
        return root

    def _find_root_end(self) -> int | None:
        buffer = self._buffer
        if self._closing is None:
            root = self._find_root()
            if root is None:
                return None
            if root[2]:
                return root.end()
            self._closing = _closing_tag(root[1])
            self._scan = root.end()
        match = self._closing.search(buffer, self._scan)
        if match is not None:
            return match.end()
        self._scan = max(self._scan, len(buffer) - _CLOSING_MARGIN)
        return None

    def _emit(self, length: int, output: list[bytes | FrameError | KeepAlive]) -> bool:
        """Hand out the message with a body of this length and go on behind it."""
        end = self._head + length
        frame = bytes(self._buffer[:end])
        if self._length is not None and length != self._length:
            frame = with_length(frame[: self._head], length) + frame[self._head :]
        output.append(frame)
        del self._buffer[:end]
        self._reset()
        return True

    def _fail(
        self,
        output: list[bytes | FrameError | KeepAlive],
        text: str,
        field: str,
        status: int = 400,
    ) -> bool:
        return self._refuse(output, SipParseError(text, field=field, status=status))

    def _refuse(self, output: list[bytes | FrameError | KeepAlive], error: SipParseError) -> bool:
        head = bytes(self._buffer[: self._head or MAX_SIP_HEAD])
        output.append(FrameError(error, head))
        self._buffer.clear()
        self._reset()
        self._stage = _Stage.CLOSED
        return False


def _closing_tag(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)</" + re.escape(name) + rb"[ \t\r\n]{0,8}>")


def _end_of_root(body: bytes, root: re.Match[bytes]) -> int | None:
    if root[2]:
        return root.end()
    match = _closing_tag(root[1]).search(body, root.end())
    return None if match is None else match.end()
