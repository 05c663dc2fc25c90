"""Reading tables strictly: every key is known, of the right type and within its bounds, or a problem is noted."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from gateway.sharing.policy.error import MAX_PROBLEMS, Problem
from gateway.sharing.policy.locate import Path, Place
from gateway.sharing.policy.window import CHINA

__all__ = ["MAX_VALUES", "Report", "TableReader"]

MAX_VALUES = 10_000
"""Values of one list: the codes of a large county's cameras."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_Parsed = TypeVar("_Parsed")


@dataclass(slots=True)
class Report:
    """What was found wrong so far."""

    places: Mapping[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, key: str, reason: str) -> None:
        """Note that something cannot be used."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self._at(path, key, reason))

    def remark(self, path: Path, key: str, reason: str) -> None:
        """Note that something is probably not meant."""
        if len(self.remarks) < MAX_PROBLEMS:
            self.remarks.append(self._at(path, key, reason))

    def line(self, path: Path) -> int:
        """Return the line of something or, failing that, of what it is in; 0 without a text."""
        return self._place(path)[0]

    def _at(self, path: Path, key: str, reason: str) -> Problem:
        line, column = self._place(path)
        return Problem(line=line, column=column, key=key, reason=reason)

    def _place(self, path: Path) -> Place:
        for end in range(len(path), 0, -1):
            if (place := self.places.get(path[:end])) is not None:
                return place
        return (0, 0)


class TableReader:
    """One table; keys that nobody asked for are unknown ones.

    Args:
        table: As `tomllib` or JSON gave it.
        report: Takes the problems.
        path: Where it stands in the document.
        label: What people call what it belongs to, e.g. `rule "night-live"`.
        inner: Which part of that it is, e.g. `context`.
    """

    def __init__(
        self,
        table: Mapping[str, Any],
        report: Report,
        path: Path = (),
        label: str = "",
        inner: str = "",
    ) -> None:
        self._table = table
        self._report = report
        self._path = path
        self._asked: set[str] = set()
        self._label = label
        self._inner = inner

    def call(self, label: str) -> None:
        """Name the table after what it says of itself."""
        self._label, self._inner = label, ""

    @property
    def problem_count(self) -> int:
        """Problems found so far, in the whole document."""
        return len(self._report.problems)

    @property
    def line(self) -> int:
        """Line of the table."""
        return self._report.line(self._path)

    def has(self, key: str) -> bool:
        """Whether a key is given; null in JSON is as good as absent."""
        return self._table.get(key) is not None

    def problem(self, key: str, reason: str, index: int | None = None) -> None:
        """Note what is wrong with a key, or one value of its list."""
        path = (*self._path, key) if index is None else (*self._path, key, index)
        self._report.problem(path if key else self._path, self._name(key, index), reason)

    def remark(self, key: str, reason: str, index: int | None = None) -> None:
        """Note what is probably not meant."""
        path = (*self._path, key) if index is None else (*self._path, key, index)
        self._report.remark(path, self._name(key, index), reason)

    def text(self, key: str, *, limit: int, required: bool = False) -> str:
        """Return a text in one line; empty if it is absent or wrong."""
        value = self._take(key, str, "text in quotes", required=required)
        if value is None:
            return ""
        wrong = _text_problem(value, limit)
        if wrong:
            self.problem(key, wrong)
            return ""
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value; False if it is absent."""
        return bool(self._take(key, bool, "true or false"))

    def integer(self, key: str, low: int, high: int, *, required: bool = False) -> int | None:
        """Return a whole number within bounds, both included."""
        value = self._take(key, int, f"a whole number from {low} to {high}", required=required)
        if value is not None and not low <= value <= high:
            self.problem(key, f"expected a whole number from {low} to {high}, got {_shown(value)}")
            return None
        return value

    def moment(self, key: str, *, end: bool = False) -> datetime | None:
        """Return a point in time; without offset it is China's, a date alone is its first or last instant.

        Args:
            key: The key.
            end: A date means the end of that day.
        """
        value = self._raw(key)
        if isinstance(value, datetime):
            try:
                aware = value if value.tzinfo else value.replace(tzinfo=CHINA)
                aware.timestamp()
            except (OverflowError, ValueError):
                aware = None
        elif isinstance(value, date) and value < date.max:
            aware = datetime.combine(value + timedelta(days=1 if end else 0), time.min, CHINA)
        elif value is None:
            return None
        else:
            aware = None
        if aware is None or not 2000 <= aware.year <= 2200:
            expected = "a date or date-time of 2000-2200 without quotes, e.g. 2026-12-31T18:00:00"
            self.problem(key, f"expected {expected}, got {_shown(value)}")
            return None
        return aware

    def texts(
        self,
        key: str,
        parse: Callable[[str], _Parsed],
        *,
        limit: int = 64,
        count: int = MAX_VALUES,
        empty: bool = False,
    ) -> list[_Parsed]:
        """Return a list of texts, each made into a value.

        Args:
            key: The key.
            parse: Raises ValueError with what was expected and what came.
            limit: Characters of one text.
            count: Texts at most.
            empty: Whether the list may be; otherwise absent and empty mean opposite things.
        """
        values = self._take(key, list, "a list of texts in quotes")
        if values is None:
            return []
        if not values and not empty:
            self.problem(
                key, "the list is empty and would match nothing; leave the key out instead"
            )
        if len(values) > count:
            self.problem(key, f"expected at most {count} values, got {len(values)}")
            return []
        found = []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problem(key, f"expected text in quotes, got {_shown(value)}", index)
                continue
            if wrong := _text_problem(value, limit):
                self.problem(key, wrong, index)
                continue
            try:
                found.append(parse(value))
            except ValueError as exc:
                self.problem(key, str(exc), index)
        return found

    def table(self, key: str) -> "TableReader | None":
        """Return a table in this one."""
        value = self._take(key, dict, "a table")
        return None if value is None else self._child(value, key)

    def tables(self, key: str, *, count: int) -> "list[TableReader]":
        """Return an array of tables, or a single table as such an array."""
        value = self._raw(key)
        if isinstance(value, dict):
            return [self._child(value, key)]
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.problem(key, f"expected a table or a list of tables, got {_shown(value)}")
            return []
        if not value:
            self.problem(
                key, "the list is empty and would match nothing; leave the key out instead"
            )
        if len(value) > count:
            self.problem(key, f"expected at most {count} tables, got {len(value)}")
            return []
        return [self._child(item, key, index) for index, item in enumerate(value)]

    def finish(self) -> None:
        """Note every key that was never asked for."""
        for key in self._table:
            if key not in self._asked:
                near = difflib.get_close_matches(str(key)[:64], self._asked, n=1, cutoff=0.6)
                hint = f"; did you mean {near[0]}?" if near else ""
                self.problem(str(key), f"expected a known key, got {_shown(key)}{hint}")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given."""
        return not self._table

    def all_keys(self) -> list[str]:
        """Return all keys that are given, each of them asked for."""
        self._asked.update(self._table)
        return list(self._table)

    def _child(self, value: Mapping[str, Any], key: str, index: int | None = None) -> "TableReader":
        path = (*self._path, key) if index is None else (*self._path, key, index)
        return TableReader(value, self._report, path, self._label, self._part(key, index))

    def _name(self, key: str, index: int | None = None) -> str:
        return f"{self._label} {self._part(key, index)}".strip()

    def _part(self, key: str, index: int | None = None) -> str:
        part = key if len(key) <= 64 else key[:61] + "..."
        if index is not None:
            part += f"[{index}]"
        return f"{self._inner}.{part}".strip(".")

    def _raw(self, key: str) -> Any:  # noqa: ANN401 - TOML or JSON
        self._asked.add(key)
        return self._table.get(key)

    def _take(
        self, key: str, kind: type[_Parsed], expected: str, *, required: bool = False
    ) -> _Parsed | None:
        value = self._raw(key)
        if value is None:
            if required:
                self._report.problem(
                    self._path, self._name(key), f"expected {expected}, the key is missing"
                )
            return None
        # A bool is an int for Python, not for people.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.problem(key, f"expected {expected}, got {_shown(value)}")
            return None
        return value


def _text_problem(value: str, limit: int) -> str:
    if not value.strip():
        return f"expected a text, got {_shown(value)}"
    if len(value) > limit:
        return f"expected at most {limit} characters, got {len(value)}"
    if (bad := _CONTROL.search(value)) is not None:
        return f"expected one line of text, got the character {bad.group()!r}"
    return ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
