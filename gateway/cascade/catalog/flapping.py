"""Items that go on and off all the time are reported now and then only (2022 Annex N: filter)."""

from collections import OrderedDict
from typing import Final

__all__ = ["FLAPS_PER_MINUTE", "FlapFilter"]

FLAPS_PER_MINUTE: Final = 6
"""Changes of status told of one item in a minute; a camera that reboots makes two."""
MAX_WATCHED: Final = 100_000
"""Items watched; beyond, the one whose change was told longest ago is forgotten."""

_WINDOW: Final = 60.0


class FlapFilter:
    """Counts the changes of status told of each item.

    Args:
        limit: Changes told of one item in a minute.
    """

    def __init__(self, limit: int = FLAPS_PER_MINUTE) -> None:
        self._limit = limit
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def hold(self, code: str, now: float) -> bool:
        """Whether a change must wait; if not, it counts as told."""
        started, count = self._told.pop(code, (now, 0))
        if now - started >= _WINDOW:
            started, count = now, 0
        held = count >= self._limit
        self._told[code] = (started, count if held else count + 1)
        if len(self._told) > MAX_WATCHED:
            self._told.popitem(last=False)
        return held

    def release_at(self, code: str) -> float | None:
        """Return when a change of an item that is held may be told."""
        entry = self._told.get(code)
        return entry[0] + _WINDOW if entry is not None else None
