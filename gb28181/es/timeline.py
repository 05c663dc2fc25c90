"""Media time without wraps, jumps and missing values, for several tracks of one stream."""

import heapq

__all__ = ["TICKS_PER_SECOND", "Timeline", "TrackClock", "Unwrapper"]

TICKS_PER_SECOND = 90_000
_MAX_BACK = TICKS_PER_SECOND
"""B frames and late audio go back by less; more is a restart of the sender's clock."""
_MAX_AHEAD = 10 * TICKS_PER_SECOND
"""A pause this long is taken over as silence of one frame."""
_FRAME = TICKS_PER_SECOND // 25
_REORDER_DEPTH = 2
"""GB Annex E: at most 2 B frames between P frames."""


class Unwrapper:
    """Counts on where a counter of some bits wraps."""

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the value nearest to the last one that is `value` in the counter's bits."""
        if self._last is None:
            self._last = value
        else:
            half = self._modulus >> 1
            self._last += (value - self._last + half) % self._modulus - half
        return self._last


class Timeline:
    """Maps wrapping time stamps of several tracks to one line that never jumps.

    A restart of the sender's clock is closed up: time goes on one frame later, and tracks that
    restart together stay in step.

    Args:
        bits: Width of the time stamps.
        shared: Whether the tracks have one clock; otherwise each begins where the others are.
    """

    def __init__(self, bits: int, *, shared: bool = True) -> None:
        self._shared = shared
        self._modulus = 1 << bits
        self._raw: dict[str, int] = {}
        self._placed: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._newest: int | None = None
        self.jumps = 0
        """Restarts of the clock that were closed up."""

    def place(self, track: str, value: int) -> int:
        """Return the place of a time stamp of `track` on the line."""
        raw = self._unwrap(track, value)
        last = self._placed.get(track, self._newest)
        placed = raw + self._offset(track, raw, last)
        self._placed[track] = placed
        if self._newest is None or placed > self._newest:
            self._newest = placed
        return placed

    @property
    def newest(self) -> int | None:
        """The latest time placed on any track."""
        return self._newest

    def align(self, newest: int | None) -> None:
        """Let tracks that have not begun yet begin at `newest`, the time of another timeline."""
        if newest is not None and (self._newest is None or newest > self._newest):
            self._newest = newest

    def _unwrap(self, track: str, value: int) -> int:
        reference = self._raw.get(track)
        if reference is None:
            reference = next(iter(self._raw.values()), value)
        half = self._modulus >> 1
        raw = reference + (value - reference + half) % self._modulus - half
        self._raw[track] = raw
        return raw

    def _offset(self, track: str, raw: int, last: int | None) -> int:
        own = self._offsets.get(track)
        if last is None:
            return self._offsets.setdefault(track, 0)
        if own is not None and -_MAX_BACK <= raw + own - last <= _MAX_AHEAD:
            return own
        for offset in self._offsets.values() if self._shared else ():
            if -_MAX_BACK <= raw + offset - last <= _MAX_AHEAD:
                self._offsets[track] = offset
                return offset
        if own is not None:
            self.jumps += 1
        offset = last - raw + (_FRAME if own is not None else 0)
        self._offsets[track] = offset
        return offset


class TrackClock:
    """PTS and DTS of one track on a timeline; DTS always grows and is never later than PTS.

    Args:
        timeline: Shared by the tracks of a stream.
        track: Name of this one.
        pictures: Whether units may come in another order than they are shown.
    """

    def __init__(self, timeline: Timeline, track: str, *, pictures: bool = False) -> None:
        self._timeline = timeline
        self._track = track
        self._pictures = pictures
        self._last: int | None = None
        self._has_dts = False
        self._reordered: list[int] | None = None

    def stamp(self, pts: int, dts: int | None = None) -> tuple[int, int]:
        """Return (pts, dts) on the timeline."""
        if dts is not None and dts != pts:
            self._has_dts = True
            placed = self._timeline.place(self._track, dts)
            ahead = pts - dts
            pts = placed + (ahead if 0 <= ahead <= _MAX_AHEAD else 0)
            return self._grow(pts, placed)
        placed = self._timeline.place(self._track, pts)
        return self._grow(placed, placed if self._has_dts else self._decoding_time(placed))

    def _decoding_time(self, pts: int) -> int:
        # Cameras with B frames that send no DTS: the n-th picture is decoded when the n-th
        # earliest is due, some frames late.
        if self._reordered is None:
            if self._last is None or pts > self._last or not self._pictures:
                return pts
            self._reordered = []
        heapq.heappush(self._reordered, pts)
        if len(self._reordered) > _REORDER_DEPTH:
            return heapq.heappop(self._reordered)
        return pts if self._last is None else self._last

    def _grow(self, pts: int, dts: int) -> tuple[int, int]:
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        self._last = dts
        return max(pts, dts), dts
