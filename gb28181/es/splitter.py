"""Cutting an Annex B byte stream into access units by its NAL units alone."""

from dataclasses import dataclass

from gb28181.es.unit import Codec
from gb28181.es.video import Beginning, beginning
from gb28181.limits import MAX_FRAME

__all__ = ["AccessUnitSplitter", "TimedAccessUnit"]

_PREFIX = b"\x00\x00\x01"
_HEADER = 6
"""Prefix and as many bytes as tell whether a picture begins."""


@dataclass(slots=True)
class TimedAccessUnit:
    """Bytes of one access unit with the time stamp that came with it, if any."""

    payload: bytes
    time: tuple[int, int | None] | None
    """PTS and DTS."""


class AccessUnitSplitter:
    """Finds access units in bytes whose cuts mean nothing; a unit ends when the next begins."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._buffer = bytearray()
        self._scanned = 0
        self._start = -1
        self._has_slice = False
        self._times: list[tuple[int, tuple[int, int | None]]] = []
        self.discarded = 0
        """Access units dropped because they grew over the limit."""

    def feed(
        self, data: bytes, time: tuple[int, int | None] | None = None
    ) -> list[TimedAccessUnit]:
        """Take bytes; `time` belongs to the first access unit that begins in them."""
        if time is not None:
            # ISO/IEC 13818-1 2.4.3.7: of the first access unit that commences in the packet.
            self._times.append((len(self._buffer), time))
        self._buffer += data
        return self._scan(len(self._buffer) - _HEADER)

    def flush(self) -> list[TimedAccessUnit]:
        """Return what is left as the last unit."""
        units = self._scan(len(self._buffer))
        if self._start >= 0 and self._has_slice:
            units.append(self._cut(len(self._buffer)))
        self.reset()
        return units

    def reset(self) -> None:
        """Forget everything: bytes are missing."""
        self._buffer.clear()
        self._times.clear()
        self._scanned = 0
        self._start = -1
        self._has_slice = False

    def _scan(self, limit: int) -> list[TimedAccessUnit]:
        units: list[TimedAccessUnit] = []
        position = self._buffer.find(_PREFIX, self._scanned)
        while 0 <= position <= limit:
            self._scanned = position + 3
            nal = bytes(self._buffer[position : position + _HEADER])
            begins = beginning(self._codec, nal) is Beginning.PICTURE
            # The zero byte of a 4-byte start code belongs to the unit that it begins.
            start = position - 1 if position and self._buffer[position - 1] == 0 else position
            if begins and self._start < 0:
                self._start = start
            elif begins and self._has_slice:
                units.append(self._cut(start))
                position, start = position - start, 0
            if self._start >= 0 and self._is_slice(nal):
                self._has_slice = True
            position = self._buffer.find(_PREFIX, self._scanned)
        if position < 0:
            self._scanned = max(self._scanned, len(self._buffer) - 2)
        if len(self._buffer) > MAX_FRAME:
            self.discarded += 1
            self.reset()
        return units

    def _is_slice(self, nal: bytes) -> bool:
        if len(nal) < 4:
            return False
        if self._codec is Codec.H264:
            return 1 <= nal[3] & 0x1F <= 5
        return nal[3] >> 1 & 0x3F <= 31

    def _cut(self, end: int) -> TimedAccessUnit:
        time = None
        while self._times and self._times[0][0] <= self._start:
            time = self._times.pop(0)[1]
        payload = bytes(self._buffer[self._start : end])
        del self._buffer[:end]
        self._times = [(offset - end, time) for offset, time in self._times]
        self._scanned -= end
        self._start = 0
        self._has_slice = False
        return TimedAccessUnit(payload, time)
