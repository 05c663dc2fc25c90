"""The test sound: a beep at each full second over a quiet hum, as G.711 or AAC from FFmpeg's encoders."""

import array
import math
from fractions import Fraction
from typing import Protocol

import av
from av.audio.codeccontext import AudioCodecContext

from gb28181.es.unit import Codec, MediaUnit

__all__ = ["AacSound", "G711Sound", "Sound", "open_sound"]

_TICKS = 90_000
_BEEP_HZ = 1000
_BEEP_SECONDS = 0.1
_BEEP_LEVEL = 0.5
_HUM_HZ = 200
_HUM_LEVEL = 0.02
_G711_RATE = 8000
_G711_SAMPLES = 320
_AAC_RATE = 16_000
_AAC_RATE_INDEX = 8
_AAC_SAMPLES = 1024
_AAC_BITRATE = 32_000


class Sound(Protocol):
    """Makes the units of one audio track."""

    def until(self, pts: int) -> list[MediaUnit]:
        """Return the units that start before `pts`, in order, each once."""


def open_sound(codec: Codec, *, start: int, phase: float) -> Sound:
    """Open the encoder of an audio codec.

    Args:
        codec: G.711 A-law or mu-law, or AAC.
        start: Time of the first sample in 90 kHz ticks.
        phase: Fraction of a second that the wall clock shows at `start`, so that the beep falls on full seconds.
    """
    if codec is Codec.AAC:
        return AacSound(start=start, phase=phase)
    return G711Sound(codec, start=start, phase=phase)


class G711Sound:
    """G.711 in runs of 40 ms; one second is encoded at the start and repeated."""

    def __init__(self, codec: Codec, *, start: int, phase: float) -> None:
        self._codec = codec
        self._start = start
        self._position = round(phase * _G711_RATE)
        self._count = 0
        context = av.CodecContext.create(codec.value, "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = _G711_RATE
        context.layout = "mono"
        context.format = "s16"
        context.time_base = Fraction(1, _G711_RATE)
        samples = array.array("h", (round(32_000 * level) for level in _one_second(_G711_RATE)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=_G711_RATE)
        frame.sample_rate = _G711_RATE
        frame.planes[0].update(samples.tobytes())
        second = b"".join(bytes(packet) for packet in context.encode(frame))
        self._loop = second + second[:_G711_SAMPLES]

    def until(self, pts: int) -> list[MediaUnit]:
        """Return the units that start before `pts`."""
        units = []
        while (time := self._start + self._count * _G711_SAMPLES * _TICKS // _G711_RATE) < pts:
            offset = (self._position + self._count * _G711_SAMPLES) % _G711_RATE
            payload = self._loop[offset : offset + _G711_SAMPLES]
            units.append(
                MediaUnit(codec=self._codec, pts=time, dts=time, keyframe=True, payload=payload)
            )
            self._count += 1
        return units


class AacSound:
    """AAC-LC at 16 kHz, one ADTS frame of 64 ms a unit."""

    def __init__(self, *, start: int, phase: float) -> None:
        self._start = start
        self._position = round(phase * _AAC_RATE)
        self._encoded = 0
        # FFmpeg's encoder begins with one frame of silence ahead of the first sample.
        self._next = -1
        context = av.CodecContext.create("aac", "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = _AAC_RATE
        context.layout = "mono"
        context.format = "fltp"
        context.time_base = Fraction(1, _AAC_RATE)
        context.bit_rate = _AAC_BITRATE
        self._context = context
        second = array.array("f", _one_second(_AAC_RATE))
        self._loop = (second + second[:_AAC_SAMPLES]).tobytes()

    def until(self, pts: int) -> list[MediaUnit]:
        """Return the units that start before `pts`."""
        units = []
        while (time := self._start + self._next * _AAC_SAMPLES * _TICKS // _AAC_RATE) < pts:
            for data in self._encode():
                if self._next >= 0:
                    payload = _adts_header(len(data)) + data
                    units.append(
                        MediaUnit(
                            codec=Codec.AAC, pts=time, dts=time, keyframe=True, payload=payload
                        )
                    )
                self._next += 1
        return units

    def _encode(self) -> list[bytes]:
        offset = (self._position + self._encoded * _AAC_SAMPLES) % _AAC_RATE * 4
        frame = av.AudioFrame(format="fltp", layout="mono", samples=_AAC_SAMPLES)
        frame.sample_rate = _AAC_RATE
        frame.time_base = Fraction(1, _AAC_RATE)
        frame.pts = self._encoded * _AAC_SAMPLES
        frame.planes[0].update(self._loop[offset : offset + _AAC_SAMPLES * 4])
        self._encoded += 1
        return [bytes(packet) for packet in self._context.encode(frame)]


def _one_second(rate: int) -> list[float]:
    beep = int(rate * _BEEP_SECONDS)
    return [
        _BEEP_LEVEL * math.sin(2 * math.pi * _BEEP_HZ * n / rate)
        if n < beep
        else _HUM_LEVEL * math.sin(2 * math.pi * _HUM_HZ * n / rate)
        for n in range(rate)
    ]


def _adts_header(payload: int) -> bytes:
    """Return the seven bytes before an AAC-LC mono frame (ISO/IEC 14496-3 1.A.2.2)."""
    length = payload + 7
    return bytes(
        (
            0xFF,
            0xF1,
            1 << 6 | _AAC_RATE_INDEX << 2,
            1 << 6 | length >> 11,
            length >> 3 & 0xFF,
            (length & 7) << 5 | 0x1F,
            0xFC,
        )
    )
