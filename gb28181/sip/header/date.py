"""Date, in RFC 1123 form (RFC 3261 20.17) and in the GB form: Beijing time without zone (GB/T 28181 9.10)."""

import re
from datetime import UTC, datetime, timedelta, timezone

from gb28181.errors import SipParseError
from gb28181.sip.grammar import clip

__all__ = ["BEIJING", "parse_date", "serialize_gb_date"]

BEIJING = timezone(timedelta(hours=8), "CST")
"""China has one time zone and no summer time."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC1123 = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_GB = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T ]([0-9]{1,2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,6})[0-9]*)?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def parse_date(value: str) -> datetime:
    """Parse a Date value of either form to timezone-aware UTC.

    Raises:
        SipParseError: It is neither, or not a date of the calendar.
    """
    try:
        if (match := _RFC1123.fullmatch(value)) is not None and match[2] in _MONTHS:
            day, _, year, *clock = match.groups()
            month = _MONTHS.index(match[2]) + 1
            hour, minute, second = map(int, clock)
            return datetime(int(year), month, int(day), hour, minute, second, tzinfo=UTC)
        if (match := _GB.fullmatch(value)) is not None:
            return _from_gb(match)
    except (ValueError, OverflowError):
        pass
    raise SipParseError(f"expected an RFC 1123 or GB date, got {clip(value)!r}", field="Date")


def serialize_gb_date(moment: datetime) -> str:
    """Serialize as the final answer to REGISTER carries it, with milliseconds."""
    return moment.astimezone(BEIJING).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _from_gb(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, utc, sign, offset_hours, offset_minutes = match.groups()[6:]
    zone: timezone = BEIJING
    if utc is not None:
        zone = UTC
    elif sign is not None:
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
        zone = timezone(offset if sign == "+" else -offset)
    microsecond = int((fraction or "0").ljust(6, "0"))
    local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=zone)
    return local.astimezone(UTC)
