"""Basic rules of the SIP grammar (RFC 3261 section 25.1) as the rest of the package needs them.

Header text is `str`, decoded from the wire as UTF-8 with `surrogateescape`: any byte survives a round
trip, and devices that put GB 18030 into display names do no harm.
"""

import re

from gb28181.errors import SipParseError

__all__ = [
    "HEAD_END",
    "HOST",
    "TOKEN",
    "clip",
    "decode",
    "encode",
    "parse_digits",
    "quote",
    "split_list",
    "split_quoted",
    "unquote",
]

TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"  # noqa: S105
"""`token`, as a regular expression source."""

HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
"""`host`; underscores are allowed because devices use them in names."""

HEAD_END = re.compile(rb"\n\r?\n")
"""The empty line after the header section; bare LF line ends are accepted."""

_EXCERPT = 200
_SPECIAL = {",": re.compile(r'[,"<]'), ";": re.compile(r'[;"<]')}
_END_OF_QUOTE = re.compile(r'(?s)(?:[^"\\]|\\.)*"')
_END_OF_BRACKET = re.compile(r"[^>]*>")


def decode(data: bytes) -> str:
    """Decode header bytes without loss."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Encode header text; the inverse of `decode`."""
    return text.encode("utf-8", "surrogateescape")


def clip(text: str) -> str:
    """Cut an excerpt of peer input for an error message and make it printable."""
    shown = text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."
    return shown.encode("ascii", "backslashreplace").decode("ascii")


def quote(text: str) -> str:
    """Build a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Take the quotes and escapes off a quoted-string; other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return re.sub(r"(?s)\\(.)", r"\1", inner) if "\\" in inner else inner


def parse_digits(text: str, *, field: str, maximum: int) -> int:
    """Parse `1*DIGIT` not above `maximum`.

    Raises:
        SipParseError: Anything else, among it signs, blanks and digits outside ASCII.
    """
    if text.isascii() and text.isdigit():
        # Leading zeros are legal; the length is judged without them so that int() stays cheap.
        digits = text.lstrip("0") or "0"
        if len(digits) <= len(str(maximum)) and (value := int(digits)) <= maximum:
            return value
        raise SipParseError(f"{field} is above {maximum}: {clip(text)}", field=field)
    raise SipParseError(f"{field} is not a number: {clip(text)!r}", field=field)


def split_quoted(text: str, separator: str, *, field: str) -> list[str]:
    """Split at `separator` outside quoted strings and angle brackets.

    Raises:
        SipParseError: A quote or bracket is left open.
    """
    if '"' not in text and "<" not in text:
        return text.split(separator)
    parts: list[str] = []
    start = position = 0
    while (found := _SPECIAL[separator].search(text, position)) is not None:
        position = found.end()
        char = found[0]
        if char == separator:
            parts.append(text[start : position - 1])
            start = position
            continue
        closing = _END_OF_QUOTE if char == '"' else _END_OF_BRACKET
        end = closing.match(text, position)
        if end is None:
            kind = "quote" if char == '"' else "bracket"
            raise SipParseError(f"{field} has an open {kind}: {clip(text)!r}", field=field)
        position = end.end()
    parts.append(text[start:])
    return parts


def split_list(text: str, *, field: str) -> list[str]:
    """Split a comma list; commas inside quotes and brackets stay. Elements are stripped."""
    if "," not in text:
        return [text.strip(" \t")]
    return [part.strip(" \t") for part in split_quoted(text, ",", field=field)]
