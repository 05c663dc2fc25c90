"""Audio PES payloads to units: G.711 as it comes, AAC cut at ADTS frames."""

from gb28181.es.aac import SAMPLES_PER_FRAME, split_adts
from gb28181.es.detect import detect_audio
from gb28181.es.g711 import duration
from gb28181.es.timeline import TICKS_PER_SECOND, TrackClock
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.counters import PsCounters

__all__ = ["AudioAssembler"]

_PES_BEFORE_GUESS = 25
"""Without a map G.711 A-law is assumed, but not before a map had a second to come."""
_MAX_CARRY = 8191
"""The longest ADTS frame."""


class AudioAssembler:
    """Makes one unit of each PES payload.

    Args:
        clock: Where the time stamps are placed.
        counters: Shared with the demuxer.
        override: Codec to assume whatever the map says, for devices that send mu-law as A-law.
    """

    def __init__(
        self, clock: TrackClock, counters: PsCounters, *, override: Codec | None = None
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._override = override
        self._codec: Codec | None = override
        self._declared: Codec | None = None
        self._carry = b""
        self._expected: int | None = None
        self._undeclared = 0
        self.problem: str | None = None
        """Why nothing comes out, or None."""

    @property
    def codec(self) -> Codec | None:
        """The codec in use, once known."""
        return self._codec

    def declare(self, codec: Codec | None) -> None:
        """Take the codec from the map."""
        if codec is None or codec is self._declared:
            return
        self._declared = codec
        if self._override is None or codec is Codec.AAC:
            self._codec = codec
        self._carry = b""

    def assume(self) -> None:
        """There will be no map: take the standard's default for what follows."""
        self._undeclared = _PES_BEFORE_GUESS

    def damage(self) -> None:
        """Bytes are missing."""
        self._carry = b""
        self._expected = None

    def add(self, payload: bytes, pts: int | None) -> list[MediaUnit]:
        """Take one PES payload."""
        if not payload:
            return []
        if self._codec is None and not self._guess(payload):
            self._counters.ignored_pes += 1
            return []
        if self._codec is Codec.AAC:
            return self._add_aac(payload, pts)
        return self._make(payload, pts, duration(len(payload)))

    def _guess(self, payload: bytes) -> bool:
        codec = detect_audio(payload)
        if codec is None and _is_mpeg_audio(payload):
            self.problem = "MPEG audio cannot be passed on"
            return False
        if codec is None:
            self._undeclared += 1
            if self._undeclared <= _PES_BEFORE_GUESS:
                return False
            codec = Codec.PCM_ALAW
        self._codec = codec
        return True

    def _add_aac(self, payload: bytes, pts: int | None) -> list[MediaUnit]:
        if self._carry:
            # The time stamp is that of the first frame that begins in this packet.
            payload, pts = self._carry + payload, self._expected
        frames, rest, skipped = split_adts(payload)
        self._counters.skipped_bytes += skipped
        self._carry = rest if len(rest) <= _MAX_CARRY else b""
        if not frames:
            return []
        rate = frames[0][0].config.sample_rate
        blocks = sum(header.blocks for header, _ in frames)
        ticks = blocks * SAMPLES_PER_FRAME * TICKS_PER_SECOND // rate
        return self._make(b"".join(frame for _, frame in frames), pts, ticks)

    def _make(self, payload: bytes, pts: int | None, ticks: int) -> list[MediaUnit]:
        if self._codec is None:
            return []
        if pts is None:
            pts = self._expected
        if pts is None:
            self._counters.bad_pes += 1
            return []
        self._expected = pts + ticks
        placed, _ = self._clock.stamp(pts)
        self._counters.audio_units += 1
        return [
            MediaUnit(codec=self._codec, pts=placed, dts=placed, keyframe=True, payload=payload)
        ]


def _is_mpeg_audio(payload: bytes) -> bool:
    """Whether there is a header of ISO/IEC 11172-3: what disc encoders send in place of G.711."""
    if len(payload) < 4 or payload[0] != 0xFF or payload[1] & 0xE0 != 0xE0:
        return False
    layer, bit_rate, rate = payload[1] >> 1 & 3, payload[2] >> 4, payload[2] >> 2 & 3
    return layer != 0 and bit_rate not in {0, 15} and rate != 3
