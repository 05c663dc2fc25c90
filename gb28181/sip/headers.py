"""The header fields of a message, in order, as they were spelled (RFC 3261 7.3)."""

import re
from collections.abc import Iterable

from gb28181.errors import SipParseError
from gb28181.limits import MAX_SIP_HEADERS, MAX_SIP_LINE
from gb28181.sip.grammar import TOKEN, clip

__all__ = ["COMPACT", "SINGLE_VALUED", "Headers", "key_of"]

COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""Compact forms (RFC 3261 7.3.3 and the IANA list): accepted, never sent."""

SINGLE_VALUED = {
    "call-id": "Call-ID",
    "content-length": "Content-Length",
    "cseq": "CSeq",
    "from": "From",
    "max-forwards": "Max-Forwards",
    "to": "To",
}
"""Headers that may occur once; a second one makes the message ambiguous (RFC 4475 3.3.8, 3.3.9)."""

_COMMON = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Contact",
    "Expires",
    "Content-Length",
    "Content-Type",
    "Authorization",
    "WWW-Authenticate",
    "User-Agent",
    "Server",
    "Date",
    "Subject",
    "Event",
    "Subscription-State",
    "Allow",
    "Supported",
    "Require",
    "Accept",
    "Route",
    "Record-Route",
    "X-GB-Ver",
    "Note",
    "Monitor-User-Identity",
    "Retry-After",
    "Min-Expires",
    "Reason",
]

_KEYS: dict[str, str] = {
    spelling: name.lower()
    for name in [*_COMMON, *COMPACT.values()]
    for spelling in (name, name.lower(), name.upper(), name.title())
}
_KEYS.update({spelling: long.lower() for c, long in COMPACT.items() for spelling in (c, c.upper())})

_NAME = re.compile(TOKEN)


def key_of(name: str) -> str:
    """Return the lower-case long form under which a header name is looked up."""
    key = _KEYS.get(name)
    if key is None:
        key = name.lower()
        key = _KEYS.get(key, key)
    return key


class Headers:
    """Ordered (name, value) pairs; lookup ignores case and compact forms, the spelling is kept."""

    # `index` is asked for forty times per request, so it is a plain attribute, made when it is missing.
    __slots__ = ("_items", "index")

    index: dict[str, list[str]]
    """Values by key, in order; made anew after a change. Read only."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = list(items)

    @classmethod
    def parse(cls, lines: list[str]) -> "Headers":
        """Parse unfolded header lines without their line ends.

        Raises:
            SipParseError: A line without colon or with a bad name, too many lines or too long a line.
        """
        if len(lines) > MAX_SIP_HEADERS:
            raise SipParseError(f"more than {MAX_SIP_HEADERS} header lines", field="headers")
        items: list[tuple[str, str]] = []
        index: dict[str, list[str]] = {}
        known = _KEYS
        for line in lines:
            name, colon, value = line.partition(":")
            key = known.get(name)
            if key is None or not colon:
                name = name.rstrip(" \t")
                if not colon or _NAME.fullmatch(name) is None:
                    raise SipParseError(
                        f"expected a header line, got {clip(line)!r}", field="headers"
                    )
                key = key_of(name)
            if len(line) > MAX_SIP_LINE:
                raise SipParseError(f"{clip(name)} is longer than {MAX_SIP_LINE}", field=clip(name))
            value = value.strip(" \t")
            items.append((name, value))
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        headers = cls()
        headers._items = items
        headers.index = index
        return headers

    def __getattr__(self, name: str) -> dict[str, list[str]]:
        if name != "index":
            raise AttributeError(name)
        index: dict[str, list[str]] = {}
        for spelling, value in self._items:
            index.setdefault(key_of(spelling), []).append(value)
        self.index = index
        return index

    def get(self, name: str) -> str | None:
        """Return the first value of a header, None without one."""
        values = self.index.get(key_of(name))
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """Return one value per header line; comma lists stay together."""
        return list(self.index.get(key_of(name), ()))

    def add(self, name: str, value: str) -> None:
        """Append a header line."""
        self._items.append((name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Replace all lines of a header by one, at the place of the first, else at the end."""
        key = key_of(name)
        kept: list[tuple[str, str]] = []
        placed = False
        for item in self._items:
            if key_of(item[0]) != key:
                kept.append(item)
            elif not placed:
                kept.append((name, value))
                placed = True
        if not placed:
            kept.append((name, value))
        self._items = kept
        self._changed()

    def insert_first(self, name: str, value: str) -> None:
        """Insert a header line before all others, as a new topmost Via needs."""
        self._items.insert(0, (name, value))
        self._changed()

    def replace_first(self, name: str, value: str) -> None:
        """Replace the value of the first line of a header; its spelling and other lines stay."""
        key = key_of(name)
        for position, (spelling, _) in enumerate(self._items):
            if key_of(spelling) == key:
                self._items[position] = (spelling, value)
                self.index[key][0] = value
                return
        self.add(name, value)

    def remove(self, name: str) -> None:
        """Drop all lines of a header."""
        key = key_of(name)
        self._items = [item for item in self._items if key_of(item[0]) != key]
        self._changed()

    def items(self) -> list[tuple[str, str]]:
        """Return the lines in order."""
        return list(self._items)

    def copy(self) -> "Headers":
        """Return an independent copy."""
        return Headers(self._items)

    def _changed(self) -> None:
        if hasattr(self, "index"):
            del self.index

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and key_of(name) in self.index

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"
