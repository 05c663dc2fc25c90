"""What a platform's answer to REGISTER says about time: how long it lasts, and its clock (protocol 3.1, 3.3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from gb28181.errors import SipParseError
from gb28181.sip.header.date import parse_date
from gb28181.sip.message import Response

__all__ = ["CLOCK_TOLERANCE", "Registered"]

CLOCK_TOLERANCE: Final = 1.0
"""Seconds of difference that clock synchronisation by SIP allows (GB/T 28181-2022 7.10)."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The times in a 200 to REGISTER."""

    said: int | None
    """Expires as sent, None if absent or unreadable."""
    clock_offset: float | None
    """Seconds by which the platform's clock is ahead of ours; None without a usable Date."""
    uncertainty: float
    """Seconds by which that may be wrong: the answer was under way for some of them."""

    @classmethod
    def read(cls, response: Response, *, wall: datetime, round_trip: float) -> Self:
        """Read a response.

        Args:
            response: The 200.
            wall: Our own wall clock when it came.
            round_trip: Seconds since its request was sent.
        """
        half = max(0.0, round_trip) / 2
        offset = None
        value = response.headers.get("Date")
        if value is not None:
            try:
                offset = (parse_date(value) - wall).total_seconds() + half
            except (SipParseError, OverflowError):
                offset = None
        return cls(response.expires, offset, half)

    def expires_at(self, wall: datetime, granted: float) -> datetime:
        """Return when the registration ends unless refreshed."""
        return wall + timedelta(seconds=granted)

    def remarks(self, granted: float, *, before: float | None) -> list[str]:
        """Return what is odd, one sentence each.

        Args:
            granted: Seconds the registration is taken to last.
            before: Difference of the clocks found last time; what has not changed is not repeated.
        """
        found = []
        if self.said is not None and self.said != granted:
            found.append(f"It grants {self.said} s, taken as {granted:g} s")
        offset = self.clock_offset
        if offset is not None and abs(offset) > CLOCK_TOLERANCE + self.uncertainty:
            changed = before is None or abs(offset - before) > CLOCK_TOLERANCE + self.uncertainty
            if changed:
                way = "ahead of" if offset > 0 else "behind"
                found.append(f"Its clock is {abs(offset):.1f} s {way} ours")
        return found
