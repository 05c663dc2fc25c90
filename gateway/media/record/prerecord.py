"""The last seconds of a stream, in memory, in case something happens."""

from collections import deque

from gateway.media.record.box import TICKS
from gateway.media.record.fragment import Fragment

__all__ = ["PreRecord"]


class PreRecord:
    """Keeps the last seconds, from a key frame on; at least the last group of pictures.

    Overflow rule: the oldest group of pictures goes first; a single one that takes more than twice the memory goes too.

    Args:
        seconds: How much is wanted.
        memory: Bytes.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self._wanted = int(seconds * TICKS)
        self._memory = memory
        self._kept: deque[Fragment] = deque()
        self._size = 0

    def keep(self, fragment: Fragment) -> None:
        """Take one more fragment."""
        kept = self._kept
        if kept and kept[-1].head is not fragment.head:
            self.take()
        if not kept and not fragment.keyframe:
            return
        kept.append(fragment)
        self._size += fragment.size
        while (second := self._second_group()) is not None:
            enough = fragment.end - kept[second].begin >= self._wanted
            if not enough and self._size <= self._memory:
                break
            for _ in range(second):
                self._size -= kept.popleft().size
        if self._size > 2 * self._memory:
            self.take()

    def take(self) -> list[Fragment]:
        """Return what is kept and forget it."""
        found = list(self._kept)
        self._kept.clear()
        self._size = 0
        return found

    def _second_group(self) -> int | None:
        for index, fragment in enumerate(self._kept):
            if index and fragment.keyframe:
                return index
        return None
