"""Reason (RFC 3326): why a session was ended, in a BYE or CANCEL.

    Reason: SIP ;cause=480 ;text="Temporarily Unavailable"

What a peer writes is for people only, so reading it never fails: whatever cannot be parsed is shown as it came.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gb28181.errors import SipParseError
from gb28181.sip.grammar import TOKEN, clip, encode, quote, split_list
from gb28181.sip.header.value import parse_param_value

__all__ = ["Reason", "parse_reason", "readable_reason"]

MAX_REASONS: Final = 4
"""Reasons of one request that are shown; RFC 3326 allows one per protocol, and there are two."""
MAX_READABLE: Final = 200
"""Characters of all of them together: it goes into records that are kept."""

_TOKEN: Final = re.compile(TOKEN)
_CAUSE: Final = re.compile(r"[0-9]{1,4}")
_UNPRINTABLE: Final = re.compile(
    # Marks of direction, too: what follows them would read as something else.
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason."""

    cause: int | None
    """For `SIP` a status code, for `Q.850` one of its causes."""
    text: str = ""
    protocol: str = "SIP"

    def serialize(self) -> str:
        """Return the header value."""
        value = self.protocol
        if self.cause is not None:
            value += f";cause={self.cause}"
        if self.text:
            value += f";text={quote(_UNPRINTABLE.sub(' ', self.text))}"
        return value

    def __str__(self) -> str:
        cause = "" if self.cause is None else f" {self.cause}"
        return f"{self.protocol}{cause}" + (f' "{self.text}"' if self.text else "")


def parse_reason(value: str) -> list[Reason]:
    """Parse a Reason line.

    Raises:
        SipParseError: A protocol is no token, or a quote is left open.
    """
    found = []
    for part in split_list(value, field="Reason"):
        if not part:
            continue
        each = parse_param_value(part, field="Reason")
        if _TOKEN.fullmatch(each.value) is None:
            raise SipParseError(f"Reason names no protocol: {clip(part)!r}", field="Reason")
        cause = each.params.get("cause") or ""
        found.append(
            Reason(
                cause=int(cause) if _CAUSE.fullmatch(cause) else None,
                text=each.params.get("text") or "",
                protocol=each.value,
            )
        )
    return found


def readable_reason(values: Iterable[str]) -> str:
    """Return the Reason lines of a request for people and records; empty if it has none. Never raises."""
    shown: list[str] = []
    for value in values:
        try:
            shown += map(str, parse_reason(value))
        except SipParseError:
            shown.append(value)
    return _clean(", ".join(shown[:MAX_REASONS]))


def _clean(text: str) -> str:
    """Free of what could forge a line of a record; bytes that are no UTF-8 are read as GB 18030."""
    if not text.isascii():
        data = encode(_drop_strays(text))
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("gb18030", "replace")
    text = _UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= MAX_READABLE else f"{text[: MAX_READABLE - 3]}..."


def _drop_strays(text: str) -> str:
    """Drop surrogates that no byte from the wire can have become."""
    return re.sub(r"[\ud800-\udc7f\udd00-\udfff]", " ", text)
