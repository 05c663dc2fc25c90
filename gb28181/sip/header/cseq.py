"""CSeq (RFC 3261 20.16)."""

import re
from typing import NamedTuple

from gb28181.errors import SipParseError
from gb28181.sip.grammar import TOKEN, clip, parse_digits

__all__ = ["CSeq", "parse_cseq"]

_CSEQ = re.compile(rf"([0-9]+)[ \t]+({TOKEN})")
_MAXIMUM = 2**32 - 1


class CSeq(NamedTuple):
    """Sequence number and method, upper case: devices write `1 Register`."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(value: str) -> CSeq:
    """Parse a CSeq value.

    Raises:
        SipParseError: It is not a 32-bit number and a method.
    """
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipParseError(
            f"expected a number and a method in CSeq, got {clip(value)!r}", field="CSeq"
        )
    digits, method = match.groups()
    number = (
        int(digits) if len(digits) < 10 else parse_digits(digits, field="CSeq", maximum=_MAXIMUM)
    )
    return CSeq(number, method.upper())
