"""How many denials of one party go on record one by one: nobody may fill the audit by asking."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.domain.audit import AuditEntry

__all__ = ["MAX_PARTIES", "PER_MINUTE", "SUMMARY_RULE", "WINDOW", "DenialGate"]

PER_MINUTE = 600
"""Denials of one party and address put on record one by one in a minute."""
WINDOW = 60.0
"""Seconds after which what was only counted is put on record in one."""
MAX_PARTIES = 1_000
"""Parties and addresses told apart within a minute; the rest share one number, or addresses made up fill memory."""

SUMMARY_RULE = "builtin:denials"
"""Stands for the rule in the record of denials that were only counted."""

_REST = ("", "")


@dataclass(slots=True)
class _Window:
    until: float
    recorded: int = 0
    more: Counter[str] = field(default_factory=Counter)
    """Denials only counted, by reason."""
    latest: AuditEntry | None = None


class DenialGate:
    """Lets denials through to the audit, or counts them and puts them on record in one.

    Args:
        record: Takes records.
        new_id: Makes identifiers of records.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        record: Callable[[AuditEntry], None],
        *,
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        self._put = record
        self._wall = wall
        self._new_id = new_id
        self._now = now
        self._windows: dict[tuple[str, str], _Window] = {}
        """In the order in which they end."""

    def record(self, party: str, entry: AuditEntry) -> None:
        """Put a denial on record, or count it."""
        self.flush()
        key = (party, entry.source)
        window = self._windows.get(key)
        if window is None and len(self._windows) >= MAX_PARTIES:
            key = _REST
            window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(self._now() + WINDOW)
        if window.recorded < PER_MINUTE:
            window.recorded += 1
            self._put(entry)
            return
        window.more[entry.reason] += 1
        # Of many parties no single one can be named.
        window.latest = replace(entry, subject={}, source="") if key == _REST else entry

    def flush(self, *, everything: bool = False) -> None:
        """Put on record what was counted in minutes that are over, or until now."""
        now = self._now()
        while self._windows:
            key = next(iter(self._windows))
            window = self._windows[key]
            if now < window.until and not everything:
                return
            del self._windows[key]
            if window.latest is not None:
                self._put(self._summary(window, window.latest))

    def _summary(self, window: _Window, latest: AuditEntry) -> AuditEntry:
        counts = ", ".join(f"{count} more of reason {name}" for name, count in window.more.items())
        return replace(
            latest,
            at=self._wall(),
            entry_id=self._new_id(),
            object_id="",
            device_id="",
            channel_id="",
            rule=SUMMARY_RULE,
            reason=next(iter(window.more)) if len(window.more) == 1 else "several",
            detail=f"Within {WINDOW:.0f} s, not recorded one by one: {counts}"[:500],
            purpose="",
            ticket="",
        )
