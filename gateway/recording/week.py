"""Weekly windows in the wall time of any time zone."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from gateway.sharing.policy.window import CHINA, MAX_WINDOWS, WeeklyWindows

__all__ = ["RecordWeek", "zone_of"]


def zone_of(name: str) -> tzinfo:
    """Return a time zone; China's needs no time zone data.

    Raises:
        ValueError: there is none of that name, or no data about it on this machine.
    """
    if name == "Asia/Shanghai":
        return CHINA
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as exc:
        # ZoneInfoNotFoundError is a KeyError; a name such as `..` is a ValueError, a directory an OSError.
        raise ValueError(f"no time zone {name[:60]!r} is known on this machine") from exc


@dataclass(frozen=True, slots=True)
class RecordWeek:
    """When in the week something is recorded; a clock on the wall decides.

    In the hour that summer time leaves out nothing is open, the hour that comes twice counts twice.
    """

    zone: tzinfo
    edges: tuple[int, ...]
    """Seconds of the week from Monday 00:00, rising, at which it opens and closes in turn."""

    @classmethod
    def parse(cls, windows: Sequence[str], zone: str) -> "RecordWeek":
        """Read windows.

        Raises:
            ValueError: with what was expected and what came.
        """
        if len(windows) > MAX_WINDOWS:
            raise ValueError(f"{MAX_WINDOWS} windows at most, got {len(windows)}")
        return cls(zone_of(zone), WeeklyWindows.parse(windows).edges)

    def is_open(self, at: datetime) -> bool:
        """Whether it is to be recorded at an instant."""
        local = at.astimezone(self.zone)
        second = local.weekday() * 86_400 + local.hour * 3600 + local.minute * 60 + local.second
        return bisect_right(self.edges, second) % 2 == 1
