"""Messages for people to read: one line for a log, a full dump without secrets."""

import re

from gb28181.errors import SipParseError
from gb28181.limits import MAX_TRACE_DUMP
from gb28181.sip.message import Message, Request

__all__ = ["dump", "summary"]

_SECRET = re.compile(
    rb'(?i)((?:^|[ ,\t])(?:response|cnonce|sign1|sign2|cryptkey)[ \t]*=[ \t]*)("[^"\r\n]*"|[^,\r\n]*)',
    re.MULTILINE,
)
_CREDENTIALS = re.compile(rb"(?im)^(?:proxy-)?authorization[ \t]*:.*(?:\r?\n[ \t].*)*")


def summary(message: Message) -> str:
    """Describe a message in one line: what it is, from whom to whom, which transaction."""
    what = message.method if isinstance(message, Request) else f"{message.status} {message.reason}"
    try:
        text = (
            f"{what} {message.from_.user or message.from_.uri} -> {message.to.user or message.to.uri} "
            f"{message.cseq} {message.call_id}"
        )
    except SipParseError as error:
        text = f"{what} ({error})"
    if message.body:
        text += f" {message.content_type or 'body'} {len(message.body)} bytes"
    return text.encode("ascii", "backslashreplace").decode("ascii")


def dump(data: bytes) -> str:
    """Return a message as text with the digest answers in it blacked out, cut to `MAX_TRACE_DUMP` bytes."""
    cut = data[:MAX_TRACE_DUMP]
    masked = _CREDENTIALS.sub(lambda match: _SECRET.sub(rb"\1***", match[0]), cut)
    text = masked.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return text if len(data) <= MAX_TRACE_DUMP else f"{text}... ({len(data)} bytes)"
