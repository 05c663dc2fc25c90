"""Lexical types of MANSCDP values (GB/T 28181-2022 A.2.1) and the slack that devices need.

An empty element and the text ``null`` are absent values (quirk 45). A number that is none is absent
too, and its record is kept (quirk 50). GB times are Beijing time without a zone: here, and nowhere
else, they become UTC.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from gb28181.limits import MAX_XML_FIELD

__all__ = [
    "BEIJING",
    "format_float",
    "format_time",
    "parse_float",
    "parse_int",
    "parse_text",
    "parse_time",
]

BEIJING: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

_DECIMALS: Final = 12
"""Far beyond what a coordinate means, and within what we read."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT: Final = re.compile(
    r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,2})?"
)
# 2026-11-21T10:15:00, without zero padding, with a blank, slashes, milliseconds or a zone (quirk 51).
_TIME: Final = re.compile(
    r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})"
    r"(?:[T ]\s*([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)


def parse_text(text: str | None) -> str | None:
    """Trim a value; None for an absent, empty or ``null`` one. Cut beyond the cap."""
    if text is None:
        return None
    value = text.strip()
    if not value or (len(value) == 4 and value.lower() == "null"):
        return None
    return value if len(value) <= MAX_XML_FIELD else value[:MAX_XML_FIELD]


def parse_int(text: str) -> int | None:
    """Read an integer; None if it is not one."""
    return int(text) if _INTEGER.fullmatch(text) else None


def parse_float(text: str) -> float | None:
    """Read a finite number; None if it is not one."""
    if not _FLOAT.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def parse_time(text: str) -> datetime | None:
    """Read a time as UTC; Beijing time unless it carries a zone. None if it is not one."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        local = datetime(
            year, month, day, hour, minute, second, microsecond, tzinfo=_zone(match[8])
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_time(value: datetime) -> str:
    """Write a time as the standard wants it: Beijing time, whole seconds, no zone."""
    local = value.astimezone(BEIJING)
    return local.replace(tzinfo=None, microsecond=0).isoformat()


def format_float(value: float) -> str:
    """Write a number without exponent and without digits nobody gave, at most 12 decimals."""
    return format(Decimal(repr(round(value, _DECIMALS) + 0.0)), "f").removesuffix(".0")


def _zone(text: str | None) -> timezone:
    if text is None:
        return BEIJING
    if text in {"Z", "z"}:
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
