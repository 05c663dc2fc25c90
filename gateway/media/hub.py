"""One source, many readers, and the group of pictures that a late reader starts with."""

from collections import deque
from collections.abc import Callable

from gb28181.es.unit import Codec, MediaUnit

__all__ = ["Hub", "HubReader"]


class HubReader:
    """A bounded queue of units for one reader.

    Overflow rule: what waits is dropped and everything up to the next key frame with it, audio
    too; other readers do not notice.

    Args:
        on_units: Called after units were queued; it may drain the queue at once.
        max_frames: Units that may wait.
        max_bytes: Bytes of payload that may wait.
    """

    def __init__(self, on_units: Callable[[], None], *, max_frames: int, max_bytes: int) -> None:
        self.queue: deque[MediaUnit] = deque()
        self.dropped = 0
        """Video frames lost because this reader was too slow."""
        self._on_units = on_units
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._bytes = 0
        self._await_keyframe = True
        self._started = False

    def take(self) -> MediaUnit | None:
        """Return the next unit, or none."""
        if not self.queue:
            return None
        unit = self.queue.popleft()
        self._bytes -= len(unit.payload)
        return unit

    def offer(self, unit: MediaUnit) -> None:
        """Queue one unit and tell the reader."""
        if self._queue(unit):
            self._on_units()

    def preload(self, units: list[MediaUnit]) -> None:
        """Queue a whole group of pictures, then tell the reader."""
        for unit in units:
            self._queue(unit)
        if self.queue:
            self._on_units()

    def restart(self) -> None:
        """Drop what waits and everything up to the next key frame."""
        self.queue.clear()
        self._bytes = 0
        self._await_keyframe = True

    def admit_sound(self) -> None:
        """Wait for no key frame: there are no pictures."""
        self._await_keyframe = False

    def _queue(self, unit: MediaUnit) -> bool:
        video = unit.is_video
        if self._await_keyframe:
            if not (video and unit.keyframe):
                self.dropped += video and self._started
                return False
            self._await_keyframe = False
            self._started = True
        if len(self.queue) >= self._max_frames or self._bytes >= self._max_bytes:
            self.dropped += sum(waiting.is_video for waiting in self.queue) + video
            self.queue.clear()
            self._bytes = 0
            if not (video and unit.keyframe):
                self._await_keyframe = True
                return False
        self.queue.append(unit)
        self._bytes += len(unit.payload)
        return True


class Hub:
    """Hands every unit to every reader and keeps the units since the last key frame.

    A group of pictures over a limit is not kept: a reader then waits for the next key frame.
    """

    def __init__(self, *, max_frames: int, max_bytes: int) -> None:
        self.frames = 0
        """Video frames so far."""
        self.keyframes = 0
        self.sound: Codec | None = None
        """Codec of the last sound."""
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._gop: list[MediaUnit] = []
        self._gop_bytes = 0
        self._readers: tuple[HubReader, ...] = ()

    @property
    def gop(self) -> list[MediaUnit]:
        """Units since the last key frame, that one first; empty if there was none or it grew too big."""
        return self._gop

    def publish(self, unit: MediaUnit) -> None:
        """Keep one unit and hand it on."""
        if unit.is_video:
            self.frames += 1
            if unit.keyframe:
                self.keyframes += 1
                self._gop = []
                self._gop_bytes = 0
                self._keep(unit)
            elif self._gop:
                self._keep(unit)
        else:
            self.sound = unit.codec
            if self._gop:
                self._keep(unit)
        for reader in self._readers:
            reader.offer(unit)

    def subscribe(self, reader: HubReader) -> None:
        """Give the reader the last group of pictures and everything from now on."""
        self._readers = (*self._readers, reader)
        reader.preload(self._gop)

    def unsubscribe(self, reader: HubReader) -> None:
        """Stop; idempotent."""
        self._readers = tuple(other for other in self._readers if other is not reader)

    def interrupt(self) -> None:
        """Forget the pictures so far, which came from elsewhere; all readers wait for the next key frame."""
        self._gop = []
        self._gop_bytes = 0
        for reader in self._readers:
            reader.restart()

    def clear(self) -> None:
        """Forget the readers and the cache."""
        self._readers = ()
        self._gop = []

    def _keep(self, unit: MediaUnit) -> None:
        self._gop.append(unit)
        self._gop_bytes += len(unit.payload)
        if len(self._gop) > self._max_frames or self._gop_bytes > self._max_bytes:
            self._gop = []
