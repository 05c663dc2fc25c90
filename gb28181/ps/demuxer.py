"""Program stream to media units, incremental and tolerant (GB Annex C.1; ISO/IEC 13818-1 2.5).

RTP tells where frames end only by hints (marker, time stamp, a pack header at the start of a
packet), and devices get each of them wrong. So packets are only collected until a hint, then
joined and read once; what is a frame is decided by the PES structure and the slice headers.
"""

import re

from gb28181.errors import PsError
from gb28181.es.timeline import Timeline, TrackClock
from gb28181.es.unit import AUDIO_CODECS, VIDEO_CODECS, Codec, MediaUnit
from gb28181.es.video import VideoTrack
from gb28181.limits import MAX_FRAME, MAX_PES_PACKETS_UNPARSED
from gb28181.ps.audio import AudioAssembler
from gb28181.ps.counters import PsCounters
from gb28181.ps.pes import parse_pes_header
from gb28181.ps.psm import STREAM_TYPES, UNSUPPORTED_TYPES, is_audio_type, is_video_type, parse_psm
from gb28181.ps.video import VideoAssembler

__all__ = ["PACK_START", "PsDemuxer"]

PACK_START = b"\x00\x00\x01\xba"
_PREFIX = b"\x00\x00\x01"
_SYSTEM_CODE = re.compile(rb"\x00\x00\x01[\xb9-\xff]", re.DOTALL)
"""NAL start codes are below B9, so this never matches inside video."""
_END, _PACK, _MAP = 0xB9, 0xBA, 0xBC
_UNUSED = frozenset(range(0xBB, 0xC0)) | frozenset(range(0xF0, 0x100))
"""System header, private 1 and 2, padding, and everything that is neither video nor audio."""
_SURPLUS_PATIENCE = 50
"""PES of a second video stream after which the first is taken for ended."""


class PsDemuxer:
    """Feeds on RTP payloads of one program stream in order; never raises on any bytes.

    Args:
        audio_override: Codec of the audio whatever the map says (devices send mu-law as type 0x90).
    """

    def __init__(self, *, audio_override: Codec | None = None) -> None:
        self.counters = PsCounters()
        self.audio_problem: str | None = None
        """Why the audio cannot be passed on, or None."""
        self.timeline = Timeline(33)
        """Where the time stamps of its tracks are placed."""
        self._video = VideoAssembler(
            TrackClock(self.timeline, "video", pictures=True), self.counters
        )
        self._audio = AudioAssembler(
            TrackClock(self.timeline, "audio"), self.counters, override=audio_override
        )
        self._ready: list[MediaUnit] = []
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self._need = 0
        self._packets = 0
        self._scan_from = 0
        self._unbounded = False
        self._timestamp: int | None = None
        self._marker_trusted = True
        self._marker_selective = False
        self._types: dict[int, int] = {}
        self._map_bytes = b""
        self._video_id: int | None = None
        self._audio_id: int | None = None
        self._video_type: int | None = None
        self._audio_type: int | None = None
        self._video_problem: str | None = None
        self._surplus = 0
        self._in_sync = False

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Codecs found so far, video first."""
        return tuple(c for c in (self._video.codec, self._audio.codec) if c is not None)

    @property
    def problem(self) -> str | None:
        """Why the stream cannot be passed on, or None: its video, or its audio if that is all."""
        if self._video_problem is not None or self._video.codec is not None:
            return self._video_problem
        return self.audio_problem

    @property
    def video(self) -> VideoTrack | None:
        """The video track with its last sequence parameter set, once known."""
        return self._video.track

    def feed(
        self, payload: bytes | memoryview, *, timestamp: int | None = None, marker: bool = False
    ) -> list[MediaUnit]:
        """Take the payload of the next RTP packet, return the units it completes.

        Payloads may be views, but must stay unchanged until the frame is complete.
        """
        units, self._ready = self._ready, []
        look = False
        if payload[:4] == PACK_START:
            if self._parts:
                self._run(units, to_boundary=True)
            look = self._video.is_open
        elif timestamp != self._timestamp and self._size >= self._need and self._parts:
            self._run(units)
        self._timestamp = timestamp
        self._parts.append(payload)
        self._size += len(payload)
        self._packets += 1
        if marker and self._marker_trusted:
            self._take_marker(units)
            return units
        self._marker_selective = self._marker_selective or not marker
        if look or (self._packets >= MAX_PES_PACKETS_UNPARSED and self._size >= self._need):
            self._run(units)
        return units

    def flush(self) -> list[MediaUnit]:
        """Return what is complete at the end of the stream."""
        units, self._ready = self._ready, []
        self._run(units, to_boundary=True)
        units += self._video.finish()
        return units

    def loss(self) -> None:
        """Tell that packets are missing before the next one: what is unfinished is dropped."""
        # What came before the gap is whole as far as it goes: a map, sound, the last picture.
        self._run(self._ready)
        self._drop()

    def _drop(self) -> None:
        self._parts, self._size = [], 0
        self._reset_scan()
        self._video.damage()
        self._audio.damage()
        self._in_sync = False

    def _take_marker(self, units: list[MediaUnit]) -> None:
        if self._size >= self._need or (self._unbounded and self._marker_selective):
            self._run(units, end_unbounded=self._marker_selective)
        if self._parts and not self._unbounded:
            # In the middle of a PES: this device does not mean the end of a frame.
            self._marker_trusted = False
            self.counters.false_markers += 1
        elif not self._parts:
            units += self._video.finish_if_complete()

    def _run(
        self, units: list[MediaUnit], *, to_boundary: bool = False, end_unbounded: bool = False
    ) -> None:
        """Read the system layer of what was collected; keep an incomplete rest."""
        parts = self._parts
        data = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
        self._packets = 0
        position = self._read(data, units, final=to_boundary, end_unbounded=end_unbounded)
        if to_boundary and position < len(data):
            # A pack header follows, so the rest will never be completed.
            self._cut_off(data[position:])
            position = len(data)
        if position == len(data):
            self._parts, self._size = [], 0
            self._reset_scan()
        else:
            rest = data[position:] if position else data
            self._parts, self._size = [rest], len(rest)
            self._need -= position
            self._scan_from = max(0, self._scan_from - position)
            if self._size > MAX_FRAME:
                self.counters.oversized_frames += 1
                self._drop()
        if self._video.cut_short:
            self._video.cut_short = False
            self._marker_trusted = False
            self.counters.false_markers += 1

    def _cut_off(self, rest: bytes) -> None:
        if not rest.strip(b"\x00"):
            return
        self.counters.bad_pes += 1
        if rest[:3] == _PREFIX and len(rest) > 3 and 0xC0 <= rest[3] <= 0xDF:
            self._audio.damage()
        else:
            self._video.damage()

    def _reset_scan(self) -> None:
        self._need = 0
        self._scan_from = 0
        self._unbounded = False

    def _read(
        self, data: bytes, units: list[MediaUnit], *, final: bool, end_unbounded: bool
    ) -> int:
        position, size = 0, len(data)
        while size - position >= 4:
            if data[position : position + 3] != _PREFIX or data[position + 3] < _END:
                position = self._resync(data, position)
                continue
            self._in_sync = True
            stream = data[position + 3]
            if stream <= _PACK:
                end = position + 4 if stream == _END else self._pack_end(data, position)
                if end > size:
                    self._need = end
                    break
                self.counters.packs += stream == _PACK
                position = end
                continue
            end = self._pes_end(data, position, final=final, end_unbounded=end_unbounded)
            if end > size:
                self._need = end
                self._look_ahead(data, position, units)
                break
            self._reset_scan()
            self._take(data, position, end, stream, units)
            position = end
        else:
            self._need = 0
        return position

    @staticmethod
    def _pack_end(data: bytes, position: int) -> int:
        if len(data) < position + 14:
            return position + 14
        if data[position + 4] >> 6 == 1:
            return position + 14 + (data[position + 13] & 7)
        return position + 12  # MPEG-1: 0010 and no stuffing

    def _pes_end(self, data: bytes, position: int, *, final: bool, end_unbounded: bool) -> int:
        size = len(data)
        if size < position + 6:
            return position + 6
        length = data[position + 4] << 8 | data[position + 5]
        end = position + 6 + length
        if not 0xE0 <= data[position + 3] <= 0xEF or length > 13:
            return end
        if length:
            if end > size or not self._is_bare_header(data, position, end):
                return end
            # An empty PES with the time stamp, and perhaps behind it the data without a PES.
            if size < end + 5 and not (final or end_unbounded):
                return end + 5
            if not self._is_nal(data, end):
                return end
        return self._unbounded_end(data, end, final=final or end_unbounded)

    def _unbounded_end(self, data: bytes, start: int, *, final: bool) -> int:
        found = _SYSTEM_CODE.search(data, max(start, self._scan_from))
        if found:
            return found.start()
        if final:
            return len(data)
        self._unbounded = True
        self._scan_from = max(start, len(data) - 3)
        return 2 * len(data)  # look again when twice as much is here: linear in all

    @staticmethod
    def _is_bare_header(data: bytes, position: int, end: int) -> bool:
        return end - position >= 9 and position + 9 + data[position + 8] == end

    @staticmethod
    def _is_nal(data: bytes, position: int) -> bool:
        head = data[position : position + 5].ljust(5, b"\xff")
        code = head[3] if head[:3] == _PREFIX else head[4] if head[:4] == b"\0\0\0\1" else 0xFF
        return code < 0x80

    def _resync(self, data: bytes, position: int) -> int:
        found = _SYSTEM_CODE.search(data, position)
        following = found.start() if found else len(data) - 3
        if following <= position:
            following = position + 1
        if data[position:following].strip(b"\x00"):
            self.counters.skipped_bytes += following - position
            if self._in_sync:
                # The length of the last PES was wrong, or bytes are missing: either way the
                # picture is not whole.
                self._video.damage()
                self._audio.damage()
                self._in_sync = False
        return following

    def _look_ahead(self, data: bytes, position: int, units: list[MediaUnit]) -> None:
        # The next picture's first PES tells by its PTS that the last picture is complete.
        if data[position + 3] != self._video_id or len(data) < position + 19:
            return
        try:
            pts, _, _ = parse_pes_header(data, position, len(data))
        except PsError:
            return
        if self._video.begins_another(pts):
            units += self._video.finish_if_complete()

    def _take(
        self, data: bytes, position: int, end: int, stream: int, units: list[MediaUnit]
    ) -> None:
        if stream == _MAP:
            units += self._take_map(data[position:end])
            return
        if stream in _UNUSED:
            self.counters.ignored_pes += stream != 0xBB
            return
        self.counters.pes += 1
        is_video = stream >= 0xE0
        try:
            pts, dts, start = parse_pes_header(data, position, end)
        except PsError:
            self.counters.bad_pes += 1
            if is_video:
                self._video.damage()
            return
        if is_video:
            if self._is_wanted_video(stream):
                units += self._video.add(data[start:end], pts, dts, self._timestamp)
        elif self._is_wanted_audio(stream):
            if not self._types and self.counters.keyframes:
                self._audio.assume()
            units += self._audio.add(data[start:end], pts)
            self.audio_problem = self._audio.problem

    def _is_wanted_video(self, stream: int) -> bool:
        if stream == self._video_id:
            self._surplus = 0
        elif self._video_id is None or self._surplus >= _SURPLUS_PATIENCE:
            self._video_id = stream
            self._surplus = 0
        else:
            self._surplus += 1
            self.counters.ignored_pes += 1
            return False
        # Some maps list other ids than the packets have: the only video there is meant.
        kind = self._types.get(stream, self._video_type)
        self._video_problem = self._problem_of(kind, VIDEO_CODECS)
        return self._video_problem is None

    def _is_wanted_audio(self, stream: int) -> bool:
        if self._audio_id is None:
            self._audio_id = stream
        if stream != self._audio_id:
            self.counters.ignored_pes += 1
            return False
        kind = self._types.get(stream, self._audio_type)
        self.audio_problem = self._problem_of(kind, AUDIO_CODECS)
        return self.audio_problem is None

    def _problem_of(self, kind: int | None, wanted: frozenset[Codec]) -> str | None:
        if kind is None or STREAM_TYPES.get(kind) in wanted:
            return None
        self.counters.unsupported_pes += 1
        name = UNSUPPORTED_TYPES.get(kind, "unknown codec")
        return f"{name} (stream type 0x{kind:02X}) cannot be passed on"

    def _take_map(self, data: bytes) -> list[MediaUnit]:
        self.counters.maps += 1
        if data == self._map_bytes:
            return []
        self._map_bytes = data
        program = parse_psm(data)
        self.counters.psm_crc_errors += not program.crc_ok
        self._types = program.types
        self._video_id = self._audio_id = None
        self._video_type = self._audio_type = None
        for stream, kind in program.types.items():
            if self._video_type is None and is_video_type(stream, kind):
                self._video_type = kind
            elif self._audio_type is None and is_audio_type(stream, kind):
                self._audio_type = kind
        units: list[MediaUnit] = []
        if self._video_type in STREAM_TYPES:
            units = self._video.declare(STREAM_TYPES[self._video_type])
        if self._audio_type in STREAM_TYPES:
            self._audio.declare(STREAM_TYPES[self._audio_type])
        return units
