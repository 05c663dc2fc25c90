"""What the head of a message in a stream says about the length of its body (RFC 3261 18.3, quirks 18 to 20)."""

import re
from dataclasses import dataclass

from gb28181.errors import SipParseError
from gb28181.limits import MAX_SIP_BODY

__all__ = ["BodyMeasure", "may_be_unmeasured", "measure_body", "with_length"]

_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)")
_TYPE = re.compile(rb"(?im)^(?:content-type|c)[ \t]*:(?:\r?\n[ \t]+)?([^\r\n]*)")
_UNMEASURED = frozenset({b"MESSAGE", b"NOTIFY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMeasure:
    """What is known of a body before it is here."""

    length: int | None
    """Bytes that Content-Length declares; None without one."""
    is_typed: bool
    """Whether there is a Content-Type."""
    is_xml: bool
    """Whether it names XML."""
    may_be_unmeasured: bool
    """Whether a body whose length is not declared is looked for all the same."""


def measure_body(head: bytes) -> BodyMeasure:
    """Read a head, start line and empty line included.

    Raises:
        SipParseError: Content-Length is missing where it must not be, no number, ambiguous, or above the bound.
    """
    kind = _TYPE.search(head)
    lengths = {value.strip() for value in _LENGTH.findall(head)}
    unmeasured = may_be_unmeasured(head)
    if not lengths and not unmeasured and (kind is not None or head[:4].upper() != b"SIP/"):
        raise SipParseError("Content-Length is missing", field="Content-Length", status=400)
    return BodyMeasure(
        length=_number(lengths) if lengths else None,
        is_typed=kind is not None,
        is_xml=kind is not None and b"xml" in kind[1].lower(),
        may_be_unmeasured=unmeasured,
    )


def may_be_unmeasured(head: bytes) -> bool:
    """Whether the method is one whose body some devices do not measure: MESSAGE and NOTIFY."""
    return head.split(None, 1)[0].upper() in _UNMEASURED


def with_length(head: bytes, length: int) -> bytes:
    """Return a head whose Content-Length is put right."""
    return _LENGTH.sub(b"Content-Length: %d" % length, head)


def _number(lengths: set[bytes]) -> int:
    if len(lengths) > 1:
        raise SipParseError("Content-Length has several values", field="Content-Length", status=400)
    (text,) = lengths
    if not text.isdigit():
        raise SipParseError("Content-Length is not a number", field="Content-Length", status=400)
    digits = text.lstrip(b"0") or b"0"
    if len(digits) > len(str(MAX_SIP_BODY)) or int(digits) > MAX_SIP_BODY:
        raise SipParseError(f"body is above {MAX_SIP_BODY}", field="Content-Length", status=413)
    return int(digits)
