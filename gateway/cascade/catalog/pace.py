"""Long work on the event loop, cut into short stretches."""

import asyncio
from collections.abc import Callable, Generator
from typing import Final, TypeVar

__all__ = ["SLICE", "Pace", "drained"]

SLICE: Final = 0.004
"""Seconds of work at a stretch."""

_T = TypeVar("_T")


def drained(steps: Generator[None, None, _T]) -> _T:
    """Go through the steps of a generator in one stretch and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: _T = stop.value
            return result


class Pace:
    """Lets others have the loop when the time of a stretch is over.

    Args:
        now: Monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until = 0.0

    async def breathe(self) -> None:
        """Pause if it is time to; call it between steps of well under a millisecond."""
        if self._now() >= self._until:
            await asyncio.sleep(0)
            self._until = self._now() + SLICE

    async def run(self, steps: Generator[None, None, _T]) -> _T:
        """Go through the steps of a generator and return its result."""
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                result: _T = stop.value
                return result
            await self.breathe()
