"""G.711 and AAC in RTP (RFC 3551, RFC 3640)."""

from gb28181.es import aac, g711
from gb28181.es.timeline import TICKS_PER_SECOND, TrackClock, Unwrapper
from gb28181.es.unit import Codec, MediaUnit
from gb28181.limits import MAX_FRAME, MAX_RTP_AGGREGATED

__all__ = ["AacDepacketizer", "G711Depacketizer"]


class G711Depacketizer:
    """One unit a packet."""

    def __init__(self, codec: Codec, clock: TrackClock) -> None:
        self.codec = codec
        self._clock = clock
        self._unwrapper = Unwrapper(32)

    def feed(self, payload: bytes | memoryview, *, timestamp: int, marker: bool) -> list[MediaUnit]:
        """Take the next payload in order."""
        if not payload:
            return []
        pts, dts = self._clock.stamp(g711.duration(self._unwrapper.unwrap(timestamp)))
        return [
            MediaUnit(codec=self.codec, pts=pts, dts=dts, keyframe=True, payload=bytes(payload))
        ]

    def flush(self) -> list[MediaUnit]:
        """Return nothing: no packet is held."""
        return []

    def loss(self) -> None:
        """Nothing is held."""


class AacDepacketizer:
    """AAC-hbr: a table of 16-bit frame headers, then the frames; also whole ADTS frames.

    ::

        | AU-headers-length(16), in bits | { AU-size(13) AU-Index(3) } ... | frame | frame ...

    Args:
        clock: Where time stamps are placed.
        config: From `config=` of the SDP.
        clock_rate: RTP clock in Hz.
    """

    def __init__(
        self, clock: TrackClock, config: aac.AudioSpecificConfig, *, clock_rate: int
    ) -> None:
        self.codec = Codec.AAC
        self._clock = clock
        self._unwrapper = Unwrapper(32)
        self._config = config
        self._clock_rate = clock_rate
        self._fragment: list[bytes] = []
        self._missing = 0

    def feed(self, payload: bytes | memoryview, *, timestamp: int, marker: bool) -> list[MediaUnit]:
        """Take the next payload in order."""
        data = bytes(payload)
        if data[:1] == b"\xff" and (frames := aac.iter_adts(data)):
            return self._make(b"".join(frames), timestamp)
        headers = int.from_bytes(data[:2]) // 16
        position = 2 + 2 * headers
        if not 0 < headers <= MAX_RTP_AGGREGATED or position > len(data):
            return []
        sizes = [int.from_bytes(data[at : at + 2]) >> 3 for at in range(2, 2 + 2 * headers, 2)]
        if headers == 1 and position + sizes[0] > len(data):
            return self._take_fragment(data[position:], sizes[0], timestamp)
        raw: list[bytes] = []
        for size in sizes:
            if position + size > len(data):
                break
            raw.append(data[position : position + size])
            position += size
        return self._make(b"".join(self._frame(one) for one in raw if one), timestamp)

    def flush(self) -> list[MediaUnit]:
        """Return nothing: a frame in pieces is not complete."""
        return []

    def loss(self) -> None:
        """Drop a frame in pieces."""
        self._fragment, self._missing = [], 0

    def _take_fragment(self, piece: bytes, size: int, timestamp: int) -> list[MediaUnit]:
        if not self._fragment:
            self._missing = size
        self._fragment.append(piece)
        self._missing -= len(piece)
        if self._missing > 0:
            return []
        whole = b"".join(self._fragment) if self._missing == 0 else b""
        self.loss()
        return self._make(self._frame(whole) if whole else b"", timestamp)

    def _frame(self, raw: bytes) -> bytes:
        try:
            return aac.build_adts_header(self._config, len(raw)) + raw
        except ValueError:
            return b""

    def _make(self, payload: bytes, timestamp: int) -> list[MediaUnit]:
        if not 0 < len(payload) <= MAX_FRAME:
            return []
        ticks = self._unwrapper.unwrap(timestamp) * TICKS_PER_SECOND // self._clock_rate
        pts, dts = self._clock.stamp(ticks)
        return [MediaUnit(codec=Codec.AAC, pts=pts, dts=dts, keyframe=True, payload=payload)]
