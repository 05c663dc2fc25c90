"""Cuts a stream's chunks into segments and parts and keeps the latest; sans-IO (RFC 8216, RFC 8216bis).

Nothing is published before the first segment is complete: its frames tell how long parts and segments will be,
which a playlist must not take back later.
"""

from collections import deque
from dataclasses import dataclass
from math import ceil
from statistics import median_low

from gateway.media.hls.options import HlsOptions
from gateway.media.hls.playlist import PlaylistState, media_playlist
from gateway.media.hls.segment import TICKS, Part, Segment
from gateway.media.viewer import Chunk

__all__ = ["MAX_HELD_BYTES", "MAX_SEGMENT_BYTES", "MAX_SEGMENT_SECONDS", "Segmenter"]

MAX_SEGMENT_SECONDS = 30
"""A camera without key frames for this long gets a segment cut anywhere: players would otherwise wait forever."""
MAX_SEGMENT_BYTES = 16 * 1024 * 1024
"""The same in bytes: 30 s at 4 Mbit/s."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of one stream, segments that have left the playlist included: 30 s at 16 Mbit/s; the oldest go first."""
MAX_SOUND_BYTES = 1024 * 1024
"""Sound kept while no picture comes: minutes of it; what comes later is lost."""
WARM_UP = 3
"""Segments at the start that end with the first group of pictures, so that players can begin."""
ENOUGH = 0.9
"""Share of the wanted length that is enough: groups of pictures of 1.99 s must not be doubled."""
PART_SLACK = 1.05
"""Parts are whole frames, whose stamps jitter; far from the 85% that a part must have."""
DRIFT = 1.0
"""Seconds that the source's clock may run away before EXT-X-PROGRAM-DATE-TIME is set anew."""
FRAME = 3_600
"""Ticks a frame lasts if nobody knows."""
TARGETS_KEPT = 3
"""Target durations that a playlist must not fall below (RFC 8216 6.2.2)."""
WITH_SOUND = 1


@dataclass(slots=True)
class _Frame:
    data: bytes
    duration: int
    keyframe: bool


class Segmenter:
    """Takes headers and chunks, gives playlists, segments and parts.

    Args:
        options: Lengths.
    """

    def __init__(self, options: HlsOptions) -> None:
        self.version = 0
        """Counts what changes the playlist."""
        self._options = options
        self._inits: dict[int, bytes] = {}
        self._segments: deque[Segment] = deque()
        self._expired: deque[Segment] = deque()
        self._open: Segment | None = None
        self._frames: list[_Frame] = []
        """Those that are in no part yet; of the first segment all."""
        self._pending = 0
        """Ticks they last."""
        self._size = 0
        """Bytes they have."""
        self._time = 0
        """Media time of the next frame."""
        self._last = FRAME
        self._target = 0
        self._part_target = 0
        self._discontinuities = 0
        self._peak = 0
        self._rendered: tuple[int, bytes] = (-1, b"")

    # What comes in

    def restart(self, init: bytes, now: float) -> None:
        """Begin with a new initialization segment; stamps begin anew if there was one before.

        Args:
            init: ftyp and moov.
            now: UNIX seconds.
        """
        opened, number = self._open, max(self._inits, default=-1) + 1
        if opened is not None and (opened.parts or self._pending):
            self._close_segment(now)
            opened = None
        self._frames, self._pending, self._size = [], 0, 0
        self._inits[number] = init
        if opened is not None:
            opened.init = number
        else:
            self._begin(now, init=number, discontinuity=bool(self._segments))
        self._trim()
        self.version += 1

    def feed(self, chunk: Chunk, now: float) -> None:
        """Take one more chunk; those before the first key frame are nothing to begin with.

        Args:
            chunk: From the fMP4 output.
            now: UNIX seconds.
        """
        opened, data = self._open, chunk.form(WITH_SOUND)
        if opened is None or not data:
            return
        empty = not (self._frames or opened.parts)
        if not chunk.video:
            if not empty and self._size < MAX_SOUND_BYTES:
                self._keep(_Frame(data, 0, keyframe=False))
            return
        if empty and not chunk.keyframe:
            return
        duration = chunk.duration or self._last
        self._last = duration
        if not empty and self._is_full(chunk.keyframe, len(data), duration):
            self._close_segment(now)
            self._begin(now)
            self._trim()
        elif self._frames and 0 < self._part_target < self._pending + duration:
            self._close_part()
        if empty and opened.discontinuity:
            opened.began_at = now
        self._keep(_Frame(data, duration, keyframe=chunk.keyframe))
        self._time += duration

    # What goes out

    @property
    def started(self) -> bool:
        """Whether there is a playlist."""
        return bool(self._segments)

    @property
    def target(self) -> int:
        """EXT-X-TARGETDURATION in seconds; 0 before the first segment."""
        return self._target

    @property
    def held(self) -> int:
        """Bytes kept."""
        kept = sum(segment.size for segment in (*self._expired, *self._segments))
        return kept + self._size + (self._open.size if self._open else 0)

    def rates(self) -> tuple[int, int]:
        """Return peak and average bit rate; from what there is while no segment is complete."""
        size = sum(segment.size for segment in self._segments)
        duration = sum(segment.duration for segment in self._segments)
        if not duration:
            rate = _rate(self._size, max(self._pending, FRAME))
            return rate, rate
        return self._peak, _rate(size, duration)

    def playlist(self) -> bytes:
        """Return the media playlist; made once for all who ask until something changes."""
        assert self._segments
        assert self._open is not None
        version, text = self._rendered
        if version != self.version:
            state = PlaylistState(
                segments=tuple(self._segments),
                open=self._open,
                target=self._target,
                part_target=self._part_target,
                discontinuities=self._discontinuities,
            )
            text = media_playlist(state).encode()
            self._rendered = (self.version, text)
        return text

    def has(self, number: int, part: int | None) -> bool:
        """Whether the playlist holds a segment, or a part of it or of a later one (RFC 8216bis 6.2.5.2)."""
        opened = self._open
        if opened is None or not self._segments or number > opened.number:
            return False
        if number == opened.number:
            return part is not None and part < len(opened.parts)
        if number == opened.number - 1 and part is not None:
            # Past the end of its segment it stands for the first part of the next.
            return part < len(self._segments[-1].parts) or bool(opened.parts)
        return True

    def is_beyond(self, number: int, part: int | None) -> bool:
        """Whether nobody may wait for that: two segments ahead, or parts of a second and a half."""
        opened = self._open
        if opened is None or not self._segments:
            return False
        ahead = 3 if self._part_target >= TICKS else ceil(3 * TICKS / self._part_target)
        if number > opened.number + 1:
            return True
        there = len(opened.parts) if number == opened.number else 0
        return number >= opened.number and part is not None and part > there + ahead

    def is_hinted(self, number: int, part: int) -> bool:
        """Whether the playlist announces that part."""
        opened = self._open
        return opened is not None and (number, part) == (opened.number, len(opened.parts))

    def init(self, number: int) -> bytes | None:
        """Return an initialization segment, None if nothing refers to it (any more)."""
        return self._inits.get(number)

    def segment(self, number: int) -> bytes | None:
        """Return a complete segment; also one that has left the playlist not long ago."""
        found = self._find(number)
        return found.data if found is not None else None

    def part(self, number: int, part: int) -> bytes | memoryview | None:
        """Return a part."""
        opened = self._open
        found = opened if opened and opened.number == number else self._find(number)
        if found is None or not 0 <= part < len(found.parts):
            return None
        return found.parts[part].data

    # Inside

    def _is_full(self, keyframe: bool, size: int, duration: int) -> bool:  # noqa: FBT001 - of a frame
        opened = self._open
        assert opened is not None
        lasts = opened.duration + self._pending
        enough = 0 if opened.number < WARM_UP else ENOUGH * self._options.segment * TICKS
        return (
            (keyframe and lasts >= enough)
            or lasts + duration > MAX_SEGMENT_SECONDS * TICKS
            or opened.size + self._size + size > MAX_SEGMENT_BYTES
        )

    def _keep(self, frame: _Frame) -> None:
        self._frames.append(frame)
        self._pending += frame.duration
        self._size += len(frame.data)

    def _begin(self, now: float, *, init: int | None = None, discontinuity: bool = False) -> None:
        before = self._segments[-1] if self._segments else None
        began = now
        if before is not None and not discontinuity:
            expected = before.began_at + before.duration / TICKS
            began = expected if abs(expected - now) <= DRIFT else now
        self._open = Segment(
            number=before.number + 1 if before else 0,
            start=self._time,
            init=max(self._inits) if init is None else init,
            discontinuity=discontinuity,
            began_at=began,
        )

    def _close_part(self) -> None:
        opened, frames = self._open, self._frames
        assert opened is not None
        opened.add(
            Part(self._pending, b"".join(frame.data for frame in frames), frames[0].keyframe)
        )
        self._frames, self._pending, self._size = [], 0, 0
        self.version += 1

    def _close_segment(self, now: float) -> None:
        opened = self._open
        assert opened is not None
        if not self._part_target:
            self._decide(self._frames)
            opened.began_at = now - self._pending / TICKS
            self._split()
        if self._frames:
            self._close_part()
        opened.complete()
        self._segments.append(opened)
        self._target = max(self._target, _rounded(opened.duration))
        self._peak = max(self._peak, _rate(opened.size, opened.duration))
        self.version += 1

    def _decide(self, frames: list[_Frame]) -> None:
        """Find lengths that suit the frames: parts of the same number of them, segments of whole groups."""
        frame = median_low([frame.duration for frame in frames if frame.duration])
        count = max(1, round(self._options.part * TICKS / frame))
        self._part_target = int(count * frame * PART_SLACK)
        wanted = self._options.segment * TICKS
        groups = ceil(ENOUGH * wanted / self._pending)
        self._target = max(1, _rounded(wanted), _rounded(groups * self._pending))

    def _split(self) -> None:
        """Make parts of the first segment's frames."""
        frames, self._frames, self._pending, self._size = self._frames, [], 0, 0
        for frame in frames:
            if (
                self._frames
                and frame.duration
                and self._pending + frame.duration > self._part_target
            ):
                self._close_part()
            self._keep(frame)

    def _trim(self) -> None:
        lasts = sum(segment.duration for segment in self._segments)
        least = TARGETS_KEPT * self._target * TICKS
        while len(self._segments) > self._options.window:
            if lasts - self._segments[0].duration < least:
                break
            # It can be had for as long as a player with an old playlist may ask (RFC 8216 6.2.2).
            gone_at = self._time + lasts + self._segments[0].duration
            lasts -= self._segments[0].duration
            self._expire(gone_at)
        while self._expired and (self._expired[0].gone_at or 0) <= self._time:
            self._expired.popleft()
        while self.held > MAX_HELD_BYTES and (self._expired or len(self._segments) > 1):
            if not self._expired:
                self._expire(0)
            self._expired.popleft()
        used = {segment.init for segment in (*self._expired, *self._segments)}
        used.add(max(self._inits))
        self._inits = {number: init for number, init in self._inits.items() if number in used}

    def _expire(self, gone_at: int) -> None:
        segment = self._segments.popleft()
        segment.gone_at = gone_at
        self._discontinuities += segment.discontinuity
        self._expired.append(segment)

    def _find(self, number: int) -> Segment | None:
        held = (*self._expired, *self._segments)
        position = number - held[0].number if held else -1
        return held[position] if 0 <= position < len(held) else None


def _rate(size: int, duration: int) -> int:
    return max(1, size * 8 * TICKS // max(duration, 1))


def _rounded(ticks: float) -> int:
    return int(ticks / TICKS + 0.5)
