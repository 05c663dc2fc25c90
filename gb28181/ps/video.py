"""Video PES payloads to access units (GB Annex C.1; reassembly rules of devices)."""

from gb28181.es.detect import detect_video
from gb28181.es.splitter import AccessUnitSplitter, TimedAccessUnit
from gb28181.es.timeline import TICKS_PER_SECOND, TrackClock
from gb28181.es.unit import Codec, MediaUnit
from gb28181.es.video import Beginning, VideoTrack, beginning, has_picture
from gb28181.limits import MAX_FRAME
from gb28181.ps.counters import PsCounters

__all__ = ["VideoAssembler"]

_DEFAULT_INTERVAL = TICKS_PER_SECOND // 25
_LONGEST_INTERVAL = 10 * TICKS_PER_SECOND
_FROZEN_PICTURES = 3
"""Two fields or a repeated picture may share a time stamp; this many do not."""
_UNALIGNED_PES = 2


class VideoAssembler:
    """Joins the PES payloads of a picture and makes the unit when the next begins.

    After `damage()` everything up to the next picture is dropped, so two halves never meet.
    """

    def __init__(self, clock: TrackClock, counters: PsCounters) -> None:
        self._clock = clock
        self._counters = counters
        self._track: VideoTrack | None = None
        self._splitter: AccessUnitSplitter | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._open = False
        self._hunting = True
        self._unaligned_pes = 0
        self._pts: int | None = None
        self._dts: int | None = None
        self._stamp: int | None = None
        self._previous_pts: int | None = None
        self._previous_stamp: int | None = None
        self._previous_time: int | None = None
        self._repeats = 0
        self._declared: Codec | None = None
        self.cut_short = False
        """Set when more of a picture came after it was thought complete."""

    @property
    def codec(self) -> Codec | None:
        """The codec in use, once known."""
        return self._track.codec if self._track else None

    @property
    def track(self) -> VideoTrack | None:
        """The track with its parameter sets."""
        return self._track

    @property
    def is_open(self) -> bool:
        """Whether bytes of an unfinished picture are held."""
        return self._open

    def declare(self, codec: Codec | None) -> list[MediaUnit]:
        """Take the codec from the map; a change ends the picture at hand."""
        if codec is self._declared:
            return []
        self._declared = codec
        if codec is None or codec is self.codec:
            return []
        units = self.finish()
        self._use(codec)
        return units

    def _use(self, codec: Codec) -> None:
        self._track = VideoTrack(codec)
        if self._splitter is not None:
            self._splitter = AccessUnitSplitter(codec)

    def begins_another(self, pts: int | None) -> bool:
        """Whether a PES with this PTS cannot belong to the picture at hand."""
        return self._open and pts is not None and pts != self._pts

    def add(
        self, payload: bytes, pts: int | None, dts: int | None, stamp: int | None
    ) -> list[MediaUnit]:
        """Take one PES payload; `stamp` is the RTP time stamp it came with."""
        if self._splitter is not None:
            return self._add_unaligned(payload, pts, dts, stamp)
        units: list[MediaUnit] = []
        if not self._open and payload:
            self._track_for(payload)
        if self._open:
            if self._is_unaligned(payload, pts):
                return self._go_unaligned(payload, pts, dts, stamp)
            if not self._belongs(payload, pts):
                units = self.finish()
        elif not self._may_begin(payload, pts):
            return self._reject(payload, pts, dts, stamp)
        if not self._open:
            self._open = True
            self._hunting = False
            self._unaligned_pes = 0
            self._pts, self._dts, self._stamp = pts, dts, stamp
        elif self._pts is None:
            self._pts, self._dts = pts, dts
        self._parts.append(payload)
        self._size += len(payload)
        if self._size > MAX_FRAME:
            self._counters.oversized_frames += 1
            self.damage()
        return units

    def _belongs(self, payload: bytes, pts: int | None) -> bool:
        if not payload:
            return not self.begins_another(pts)
        if self._size == 0:
            return pts is None or self._pts is None or pts == self._pts
        if self.begins_another(pts):
            return False
        codec = self.codec
        if codec is None or beginning(codec, payload) is not Beginning.PICTURE:
            return True
        # GB leaves it open whether PES of equal PTS are slices or pictures: the slice header says.
        return not has_picture(codec, b"".join(self._parts))

    def _may_begin(self, payload: bytes, pts: int | None) -> bool:
        if not payload:
            return pts is not None
        codec = self.codec
        if not self._hunting and pts is not None and pts != self._previous_pts:
            return codec is None or beginning(codec, payload) is not Beginning.NO_START_CODE
        if codec is None:
            return detect_video(payload) is not None or (
                pts is not None and payload[:3] in {b"\x00\x00\x00", b"\x00\x00\x01"}
            )
        return beginning(codec, payload) is Beginning.PICTURE

    def _is_unaligned(self, payload: bytes, pts: int | None) -> bool:
        # Either another picture's time, or no times at all to tell pictures apart by.
        timeless = pts is None and self._pts is None
        return (
            (timeless or self.begins_another(pts))
            and self._size > 0
            and payload[:3] not in {b"\x00\x00\x00", b"\x00\x00\x01", b""}
        )

    def _reject(
        self, payload: bytes, pts: int | None, dts: int | None, stamp: int | None
    ) -> list[MediaUnit]:
        if not self._hunting:
            self.cut_short = True
            self._hunting = True
            self._counters.damaged_frames += 1
        if pts is not None and pts != self._previous_pts and self.codec is not None:
            self._previous_pts = pts
            self._unaligned_pes += 1
            if self._unaligned_pes > _UNALIGNED_PES:
                return self._go_unaligned(payload, pts, dts, stamp)
        return []

    def damage(self) -> None:
        """Drop the picture at hand: a part of it is missing, or might be."""
        if self._open:
            self._counters.damaged_frames += 1
            self._previous_pts = self._pts
        if self._splitter is not None:
            self._splitter.reset()
        self._clear()
        self._hunting = True

    def _clear(self) -> None:
        self._parts = []
        self._size = 0
        self._open = False

    def finish_if_complete(self) -> list[MediaUnit]:
        """Make a unit at a frame's end told by RTP, if there is a picture in what is held."""
        codec = self.codec
        if not self._open or self._size == 0 or self._splitter is not None:
            return []
        data = b"".join(self._parts)
        self._parts = [data]
        codec = codec or detect_video(data)
        return self.finish() if codec is not None and has_picture(codec, data) else []

    def finish(self) -> list[MediaUnit]:
        """Make a unit of what is held."""
        if self._splitter is not None:
            return self._make_cuts(self._splitter.flush())
        if not self._open:
            return []
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        pts, dts, stamp = self._pts, self._dts, self._stamp
        self._clear()
        return self._make(data, pts, dts, stamp)

    def _make(
        self, data: bytes, pts: int | None, dts: int | None, stamp: int | None
    ) -> list[MediaUnit]:
        track = self._track_for(data)
        finished = track.finish(data) if track is not None else None
        if track is None or finished is None:
            if data and track is None:
                self._counters.undetected_frames += 1
            return []
        payload, keyframe = finished
        raw, raw_dts = self._time(pts, dts, stamp)
        placed_pts, placed_dts = self._clock.stamp(raw, raw_dts)
        self._counters.frames += 1
        self._counters.keyframes += keyframe
        return [
            MediaUnit(
                codec=track.codec,
                pts=placed_pts,
                dts=placed_dts,
                keyframe=keyframe,
                payload=payload,
            )
        ]

    def _track_for(self, data: bytes) -> VideoTrack | None:
        track = self._track
        # Only bytes that would be a parameter set of the other codec are looked at closely.
        head = data[3] if data[:3] == b"\x00\x00\x01" else data[4] if len(data) > 4 else 0
        suspicious = track is None or (
            head in {0x40, 0x42} if track.codec is Codec.H264 else head in {0x67, 0x47, 0x27}
        )
        if not suspicious:
            return track
        codec = detect_video(data)
        if codec is not None and (track is None or codec is not track.codec):
            self._counters.codec_mismatches += track is not None
            self._use(codec)
        return self._track

    def _time(self, pts: int | None, dts: int | None, stamp: int | None) -> tuple[int, int | None]:
        if pts is not None and pts == self._previous_pts:
            self._repeats += 1
        else:
            self._repeats = 0
        self._previous_pts = pts if pts is not None else self._previous_pts
        if pts is None or self._repeats >= _FROZEN_PICTURES:
            pts, dts = self._invent_time(stamp), None
        self._previous_time = pts
        self._previous_stamp = stamp
        return pts, dts

    def _invent_time(self, stamp: int | None) -> int:
        if self._previous_time is None:
            return stamp or 0
        interval = 0
        if stamp is not None and self._previous_stamp is not None:
            interval = stamp - self._previous_stamp & 0xFFFF_FFFF
        if not 0 < interval <= _LONGEST_INTERVAL:
            fps = self._track.sps.fps if self._track and self._track.sps else None
            interval = round(TICKS_PER_SECOND / fps) if fps else _DEFAULT_INTERVAL
        return self._previous_time + interval

    def _go_unaligned(
        self, payload: bytes, pts: int | None, dts: int | None, stamp: int | None
    ) -> list[MediaUnit]:
        # Encoders for discs (ffmpeg -f vob) fill PES packets without regard to pictures.
        held, time = b"".join(self._parts), None
        codec = self.codec or detect_video(held)
        if codec is None:
            self.damage()
            return []
        if self._track is None:
            self._use(codec)
        if self._open and self._pts is not None:
            time = (self._pts, self._dts)
        self._clear()
        self._splitter = AccessUnitSplitter(codec)
        units = self._cut(held, time)
        return units + self._add_unaligned(payload, pts, dts, stamp)

    def _add_unaligned(
        self, payload: bytes, pts: int | None, dts: int | None, stamp: int | None
    ) -> list[MediaUnit]:
        return self._cut(payload, None if pts is None else (pts, dts))

    def _cut(self, payload: bytes, time: tuple[int, int | None] | None) -> list[MediaUnit]:
        if self._splitter is None:
            return []
        return self._make_cuts(self._splitter.feed(payload, time))

    def _make_cuts(self, cuts: list[TimedAccessUnit]) -> list[MediaUnit]:
        units: list[MediaUnit] = []
        for cut in cuts:
            pts, dts = cut.time or (None, None)
            units += self._make(cut.payload, pts, dts, None)
        return units
