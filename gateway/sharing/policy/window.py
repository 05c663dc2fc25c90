"""Weekly windows such as `Mon-Fri 08:00-18:00`, in China's time, which has no summer time."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Self

__all__ = ["CHINA", "MAX_WINDOWS", "WeeklyWindows"]

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Asia/Shanghai; a fixed offset, so that no time zone data is needed."""
MAX_WINDOWS = 32
"""Windows of one rule; a different one each day comes to seven."""

_DAY = 86_400
_WEEK = 7 * _DAY
# 1970-01-01 was a Thursday; weeks here begin on Monday, China's time.
_SHIFT = 8 * 3600 + 3 * _DAY

_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_DAYS |= {f"周{character}": day for day, character in enumerate("一二三四五六日")}
_EVERY_DAY = frozenset({"daily", "每天"})
_WINDOW = re.compile(
    r"(?P<days>[^\s,]+(?:\s*,\s*[^\s,]+)*)\s+"
    r"(?P<h1>[0-9]{2}):(?P<m1>[0-9]{2})\s*-\s*(?P<h2>[0-9]{2}):(?P<m2>[0-9]{2})"
)
_EXAMPLE = '"Mon-Fri 08:00-18:00"'


@dataclass(frozen=True, slots=True)
class WeeklyWindows:
    """When in the week something holds.

    Args:
        texts: The windows as written.
        edges: Seconds of the week, rising, at which it opens and closes in turn.
    """

    texts: tuple[str, ...]
    edges: tuple[int, ...]
    _changes: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = self.edges
        # Sunday 24:00 followed by Monday 00:00 is no change.
        through = bool(edges) and edges[0] == 0 and edges[-1] == _WEEK
        object.__setattr__(self, "_changes", edges[1:-1] if through else edges)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read windows; the end is not included, one that ends before it begins goes past midnight.

        Raises:
            ValueError: with what was expected and what came.
        """
        kept = tuple(texts)
        spans: list[tuple[int, int]] = []
        for text in kept:
            spans += _spans(text)
        return cls(kept, _merged(spans))

    def is_open(self, at: float) -> bool:
        """Whether it holds at a time (POSIX seconds)."""
        return bisect_right(self.edges, (at + _SHIFT) % _WEEK) % 2 == 1

    def next_edge(self, at: float) -> float | None:
        """Return when it opens or closes next, after `at`; None if it always holds."""
        changes = self._changes
        if not changes:
            return None
        moment = (at + _SHIFT) % _WEEK
        index = bisect_right(changes, moment)
        edge = changes[index] if index < len(changes) else changes[0] + _WEEK
        return float(round(at + (edge - moment)))

    def next_open(self, at: float) -> float:
        """Return the first time from `at` on at which it holds."""
        if self.is_open(at):
            return at
        edge = self.next_edge(at)
        assert edge is not None, "windows hold at some time"
        return edge


def _spans(text: str) -> list[tuple[int, int]]:
    parsed = _WINDOW.fullmatch(text.strip())
    if parsed is None:
        raise ValueError(f"expected a window such as {_EXAMPLE}, got {text[:60]!r}")
    start = _time_of_day(text, parsed["h1"], parsed["m1"])
    end = _time_of_day(text, parsed["h2"], parsed["m2"])
    if start in {end, _DAY}:
        raise ValueError(f"the window {text[:60]!r} is empty; a whole day is 00:00-24:00")
    if end < start:
        end += _DAY
    spans = []
    for day in _days(text, parsed["days"]):
        first, last = day * _DAY + start, day * _DAY + end
        if last <= _WEEK:
            spans.append((first, last))
        else:
            spans += [(first, _WEEK), (0, last - _WEEK)]
    return spans


def _time_of_day(text: str, hour: str, minute: str) -> int:
    seconds = int(hour) * 3600 + int(minute) * 60
    if int(minute) > 59 or seconds > _DAY:
        raise ValueError(
            f"expected times from 00:00 to 24:00, got {hour}:{minute} in {text[:60]!r}"
        )
    return seconds


def _days(text: str, days: str) -> list[int]:
    if days.lower() in _EVERY_DAY:
        return list(range(7))
    found: list[int] = []
    for part in days.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(
                f"expected days such as Mon, Mon-Fri, Sat,Sun or daily, got {part.strip()[:20]!r} in {text[:60]!r}"
            )
        count = (_DAYS[last] - _DAYS[first]) % 7 + 1 if dash else 1
        found += [(_DAYS[first] + step) % 7 for step in range(count)]
    return found


def _merged(spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    edges: list[int] = []
    for start, end in sorted(spans):
        if edges and start <= edges[-1]:
            edges[-1] = max(edges[-1], end)
        else:
            edges += [start, end]
    return tuple(edges)
