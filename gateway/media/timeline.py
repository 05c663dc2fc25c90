"""Repairs time stamps: every track's dts rises, audio and video stay in step."""

from dataclasses import dataclass

from gb28181.es.unit import MediaUnit

__all__ = ["Timeline"]

TICKS = 90_000
BACK = TICKS // 2
"""A step back by less is jitter or a B-frame without DTS; by more, the source's clock jumped."""
AHEAD = 2 * TICKS
"""A step ahead of what the arrival explains by more is a jump."""
APART = 5 * TICKS
"""A new track further than this from the others has a clock of its own."""
MAX_REORDER = 2 * TICKS
OFFSETS_KEPT = 4
WINDOW = 2.0
"""Seconds over which the source's clock is compared with ours."""
BAD_WINDOWS = 3
MAX_JUMPS = 10
JUMP_WINDOW = 10.0
"""A clock that jumps more often than that in so many seconds is none: each jump ahead would be kept, each back bridged."""


@dataclass(slots=True)
class _Track:
    offset: int
    source_dts: int
    dts: int
    arrival: float
    window_began: float
    window_source_dts: int
    bad_windows: int = 0
    by_arrival: bool = False
    jumps: int = 0
    jumps_began: float = 0.0


class Timeline:
    """Maps the source's time stamps of one stream to one clock that begins at 0.

    A source clock that jumps, wraps or restarts gets a new offset, shared by the tracks whose
    stamps jump the same way; one that stands still or runs at a senseless rate is replaced by
    arrival time (GB devices: constant stamps, wall-clock steps, stamps in milliseconds).
    """

    def __init__(self) -> None:
        self.repairs = 0
        """How often an offset had to be changed or arrival time used instead."""
        self._tracks: dict[bool, _Track] = {}
        self._offsets: list[int] = []

    def feed(self, unit: MediaUnit, now: float) -> MediaUnit:
        """Return the unit with repaired stamps."""
        track = self._tracks.get(unit.is_video)
        if track is None:
            placed = dts = self._first(unit.dts, now)
            track = _Track(dts - unit.dts, unit.dts, dts, now, now, unit.dts)
            self._tracks[unit.is_video] = track
        else:
            placed = self._next(track, unit.dts, now)
            dts = max(placed, track.dts + 1)
            self._watch_rate(track, unit.dts, now)
            track.source_dts = unit.dts
            track.dts = dts
            track.arrival = now
        reorder = unit.pts - unit.dts
        # A dts that was moved for the sake of order moves no picture: it is shown when its source says.
        pts = max(dts, placed + reorder) if 0 < reorder <= MAX_REORDER else dts
        return MediaUnit(unit.codec, pts, dts, unit.keyframe, unit.payload)

    def _first(self, source_dts: int, now: float) -> int:
        if not self._tracks:
            self._remember(-source_dts)
            return 0
        clock = max(t.dts + int((now - t.arrival) * TICKS) for t in self._tracks.values())
        for offset in self._offsets:
            dts = source_dts + offset
            if abs(dts - clock) <= APART:
                return max(dts, 0)
        self._remember(clock - source_dts)
        return clock

    def _next(self, track: _Track, source_dts: int, now: float) -> int:
        """Return where a stamp lies on our clock; it may lie before the last one."""
        elapsed = max(0, round((now - track.arrival) * TICKS))
        if track.by_arrival or source_dts == track.source_dts:
            return track.dts + max(1, elapsed)
        dts = source_dts + track.offset
        if not -BACK <= dts - track.dts <= elapsed + AHEAD:
            dts = self._reanchor(track, source_dts, elapsed)
        return dts

    def _reanchor(self, track: _Track, source_dts: int, elapsed: int) -> int:
        self.repairs += 1
        at = track.arrival + elapsed / TICKS
        if at - track.jumps_began > JUMP_WINDOW:
            track.jumps_began, track.jumps = at, 0
        track.jumps += 1
        track.by_arrival = track.jumps > MAX_JUMPS
        for offset in self._offsets:
            dts = source_dts + offset
            if -BACK <= dts - track.dts <= elapsed + AHEAD:
                track.offset = offset
                return dts
        dts = track.dts + max(1, elapsed)
        track.offset = dts - source_dts
        self._remember(track.offset)
        track.window_began, track.window_source_dts = track.arrival, source_dts
        return dts

    def _remember(self, offset: int) -> None:
        self._offsets.insert(0, offset)
        del self._offsets[OFFSETS_KEPT:]

    def _watch_rate(self, track: _Track, source_dts: int, now: float) -> None:
        elapsed = now - track.window_began
        if track.by_arrival or elapsed < WINDOW:
            return
        rate = (source_dts - track.window_source_dts) / (elapsed * TICKS)
        track.window_began, track.window_source_dts = now, source_dts
        # A stall and the burst after it spoil two windows; three in a row are the clock's fault.
        track.bad_windows = 0 if 0.25 <= rate <= 4 else track.bad_windows + 1
        if track.bad_windows >= BAD_WINDOWS:
            track.by_arrival = True
            self.repairs += 1
