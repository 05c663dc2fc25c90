"""H.264 and H.265 elementary streams in RTP (RFC 6184, RFC 7798) to access units.

::

    H.264 FU-A   | F NRI 28 | S E R type | ...      STAP-A  | F NRI 24 | size(16) NAL | size(16) NAL ...
    H.265 FU     | F 49 layer TID | S E type | ...  AP      | F 48 layer TID | size(16) NAL ...
"""

from gb28181.es.annexb import START_CODE
from gb28181.es.timeline import TrackClock, Unwrapper
from gb28181.es.unit import Codec, MediaUnit
from gb28181.es.video import Beginning, VideoTrack, beginning, has_picture
from gb28181.limits import MAX_FRAME, MAX_RTP_AGGREGATED

__all__ = ["VideoDepacketizer"]

_STAP_A, _STAP_B, _FU_A, _FU_B = 24, 25, 28, 29
_AP, _FU = 48, 49


class VideoDepacketizer:
    """Joins NAL units of one time stamp; a picture that lacks a packet is dropped."""

    def __init__(self, codec: Codec, clock: TrackClock) -> None:
        self.track = VideoTrack(codec)
        self.damaged_frames = 0
        self.oversized_frames = 0
        self._clock = clock
        self._unwrapper = Unwrapper(32)
        self._is_h264 = codec is Codec.H264
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self._timestamp: int | None = None
        self._fragmented = False
        self._damaged = True

    @property
    def codec(self) -> Codec:
        """The codec it was made for."""
        return self.track.codec

    def feed(self, payload: bytes | memoryview, *, timestamp: int, marker: bool) -> list[MediaUnit]:
        """Take the next payload in order."""
        timestamp = self._unwrapper.unwrap(timestamp)
        units: list[MediaUnit] = []
        if timestamp != self._timestamp or self._starts_over(payload):
            units = self.flush()
        self._timestamp = timestamp
        if self._damaged and self._begins(payload):
            self._damaged = False
        if len(payload) > 1 and not self._damaged:
            self._take(payload)
            if self._size > MAX_FRAME:
                self.oversized_frames += 1
                self._drop()
        if marker and not self._fragmented:
            units += self._finish(final=False)
        return units

    def flush(self) -> list[MediaUnit]:
        """Return what is held as the last access unit."""
        return self._finish(final=True)

    def loss(self) -> None:
        """Packets are missing before the next one: go on where a picture begins."""
        if self._parts:
            self._drop()
        self._damaged = True

    def _starts_over(self, payload: bytes | memoryview) -> bool:
        # A time stamp that stands still: the slice header tells where a picture begins.
        if not self._parts or self._fragmented or not self._begins(payload):
            return False
        return has_picture(self.codec, b"".join(self._parts))

    def _begins(self, payload: bytes | memoryview) -> bool:
        head = self._first_nal(bytes(payload[:8]))
        return bool(head) and beginning(self.codec, START_CODE + head) is Beginning.PICTURE

    def _first_nal(self, head: bytes) -> bytes:
        if len(head) < 2:
            return b""
        if self._is_h264:
            kind, at = head[0] & 0x1F, 1
            skip = {_STAP_A: 3, _STAP_B: 5}.get(kind, 0)
            fragment = kind in {_FU_A, _FU_B}
        else:
            kind, at = head[0] >> 1 & 0x3F, 2
            skip = 4 if kind == _AP else 0
            fragment = kind == _FU
        if not fragment:
            return head[skip:]
        return self._defragmented(head) if len(head) > at and head[at] & 0x80 else b""

    def _defragmented(self, head: bytes) -> bytes:
        if self._is_h264:
            return bytes((head[0] & 0xE0 | head[1] & 0x1F,)) + head[2:]
        return bytes((head[0] & 0x81 | (head[2] & 0x3F) << 1, head[1])) + head[3:]

    def _take(self, payload: bytes | memoryview) -> None:
        kind = payload[0] & 0x1F if self._is_h264 else payload[0] >> 1 & 0x3F
        fragments = (_FU_A, _FU_B) if self._is_h264 else (_FU,)
        aggregates = (_STAP_A, _STAP_B) if self._is_h264 else (_AP,)
        if kind in fragments:
            self._take_fragment(payload)
            return
        if self._fragmented:
            self._drop()  # the end of the fragmented NAL unit is missing
            return
        if kind in aggregates:
            skip = 1 if kind == _STAP_A else 3 if self._is_h264 else 2
            self._take_aggregate(payload, skip)
        elif kind < (_STAP_A if self._is_h264 else _AP):
            self._add(payload)

    def _take_aggregate(self, payload: bytes | memoryview, position: int) -> None:
        for _ in range(MAX_RTP_AGGREGATED):
            if position + 2 > len(payload):
                return
            size = payload[position] << 8 | payload[position + 1]
            position += 2
            if size == 0 or position + size > len(payload):
                return
            self._add(payload[position : position + size])
            position += size

    def _take_fragment(self, payload: bytes | memoryview) -> None:
        at = 1 if self._is_h264 else 2
        if len(payload) <= at + 1:
            return
        flags = payload[at]
        if flags & 0x80:
            if self._fragmented:
                self._drop()
                return
            self._parts += (START_CODE, self._defragmented(bytes(payload[: at + 1])))
            self._size += 4 + at
            self._fragmented = True
        elif not self._fragmented:
            self._drop()
            return
        self._parts.append(payload[at + 1 :])
        self._size += len(payload) - at - 1
        if flags & 0x40:
            self._fragmented = False

    def _add(self, nal: bytes | memoryview) -> None:
        self._parts += (START_CODE, nal)
        self._size += 4 + len(nal)

    def _drop(self) -> None:
        self.damaged_frames += 1
        self._clear()
        self._damaged = True

    def _clear(self) -> None:
        self._parts = []
        self._size = 0
        self._fragmented = False

    def _finish(self, *, final: bool) -> list[MediaUnit]:
        if self._fragmented:
            self._drop()
        if not self._parts or self._timestamp is None:
            return []
        data = b"".join(self._parts)
        if not final and not has_picture(self.codec, data):
            self._parts = [data]
            return []
        self._clear()
        finished = self.track.finish(data)
        if finished is None:
            return []
        payload, keyframe = finished
        pts, dts = self._clock.stamp(self._timestamp)
        return [MediaUnit(codec=self.codec, pts=pts, dts=dts, keyframe=keyframe, payload=payload)]
