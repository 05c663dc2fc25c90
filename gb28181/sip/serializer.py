"""A `Message` to bytes (RFC 3261 section 7)."""

from gb28181.errors import LocalProtocolError
from gb28181.sip.grammar import encode
from gb28181.sip.headers import COMPACT
from gb28181.sip.message import Message, Request

__all__ = ["serialize"]


def serialize(message: Message) -> bytes:
    """Serialize with long header names and the right Content-Length, which always comes last.

    Raises:
        LocalProtocolError: A value holds a line end, which would let it smuggle in another header.
    """
    if isinstance(message, Request):
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.status} {message.reason}"]
    for name, value in message.headers.items():
        if len(name) == 1:
            name = COMPACT.get(name.lower(), name)  # noqa: PLW2901
        if len(name) != 14 or name.lower() != "content-length":
            lines.append(f"{name}: {value}")
    body = message.body
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    text = "\r\n".join(lines)
    ends = len(lines) + 1
    if text.count("\n") != ends or text.count("\r") != ends:
        raise LocalProtocolError("a header value contains a line end")
    return encode(text) + body
