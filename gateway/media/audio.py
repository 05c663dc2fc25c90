"""One stream's sound as AAC, whatever the device sends.

FLV and MP4 players know AAC only; G.711 is transcoded in a worker thread, once per stream and
only while an output needs it.
"""

import asyncio
from array import array
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import structlog

from gateway.media.hub import Hub, HubReader
from gateway.media.options import MediaOptions
from gateway.media.worker import MediaWorker
from gb28181.es import aac, g711
from gb28181.es.unit import Codec, MediaUnit

__all__ = ["AacFrame", "AacSource", "G711Transcoder"]

log = structlog.get_logger()

TICKS = 90_000
BIT_RATE = 24_000
FRAME = aac.SAMPLES_PER_FRAME
FRAME_BYTES = 2 * FRAME
RATE = g711.SAMPLE_RATE
FRAME_TICKS = FRAME * TICKS // RATE
RATE_BASE = Fraction(1, RATE)
JITTER = TICKS // 10
"""Sound whose stamp is off by less simply continues."""
PADDING = TICKS
"""A gap up to this long is filled with silence, which keeps the encoder's state."""
QUEUE = 256
"""Runs of G.711 that may wait for the encoder: 5 s at the usual 20 ms."""
RECENT = 2_000
"""AAC frames kept since the last key frame: 20 s at 96 kHz."""


@dataclass(slots=True)
class AacFrame:
    """One raw AAC frame; treated as frozen."""

    config: aac.AudioSpecificConfig
    pts: int
    """In 90 kHz ticks of the stream."""
    duration: int
    payload: bytes

    @property
    def adts(self) -> bytes:
        """The frame with its ADTS header."""
        return aac.build_adts_header(self.config, len(self.payload)) + self.payload


class G711Transcoder:
    """G.711 to AAC at 8 kHz mono; every call belongs in a worker thread, one at a time."""

    config = aac.AudioSpecificConfig(sample_rate=RATE, channels=1)

    def __init__(self) -> None:
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate = RATE
        encoder.layout = "mono"
        encoder.format = "fltp"
        encoder.bit_rate = BIT_RATE
        encoder.time_base = RATE_BASE
        self._encoder = encoder
        self._resampler = av.AudioResampler("fltp", "mono", RATE)
        self._samples = bytearray()
        self._pts = 0
        """Time of the first sample in `_samples`."""
        self._encoded = 0
        self._pending: deque[int] = deque()

    def transcode(self, units: list[MediaUnit]) -> list[AacFrame]:
        """Encode as many whole AAC frames as the samples so far give."""
        frames: list[AacFrame] = []
        for unit in units:
            self._append(unit)
            while len(self._samples) >= FRAME_BYTES:
                frames.extend(self._encode())
        return frames

    def _append(self, unit: MediaUnit) -> None:
        gap = unit.pts - (self._pts + len(self._samples) // 2 * TICKS // RATE)
        if JITTER < gap <= PADDING and self._encoded:
            self._samples += bytes(gap * RATE // TICKS * 2)
        elif abs(gap) > JITTER or not self._samples:
            self._samples.clear()
            self._pts = unit.pts
        samples: array[int] = g711.decode(unit.payload, unit.codec)
        self._samples += samples.tobytes()

    def _encode(self) -> list[AacFrame]:
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(bytes(self._samples[:FRAME_BYTES]))
        frame.sample_rate = RATE
        frame.time_base = RATE_BASE
        frame.pts = self._encoded * FRAME
        del self._samples[:FRAME_BYTES]
        # The encoder is one frame behind: its first packet is only there to prime the decoder.
        self._pending.append(self._pts - FRAME_TICKS)
        self._pts += FRAME_TICKS
        self._encoded += 1
        return [
            AacFrame(self.config, self._pending.popleft(), FRAME_TICKS, bytes(packet))
            for converted in self._resampler.resample(frame)
            for packet in self._encoder.encode(converted)
        ]


class AacSource:
    """Turns the hub's audio units into AAC frames for the outputs that listen.

    Overflow rule: when the encoder cannot keep up, the oldest waiting sound is lost.

    Args:
        hub: Where the units come from.
        worker: Threads for the encoder.
        spawn: Starts the transcoding task.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        worker: MediaWorker,
        options: MediaOptions,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self.lost = 0
        """Runs of sound lost before the encoder."""
        self._hub = hub
        self._worker = worker
        self._spawn = spawn
        self._reader = HubReader(
            self._drain, max_frames=options.reader_frames, max_bytes=options.reader_bytes
        )
        self._listeners: tuple[Callable[[AacFrame], None], ...] = ()
        self._recent: deque[AacFrame] = deque(maxlen=RECENT)
        self._waiting: deque[MediaUnit] = deque(maxlen=QUEUE)
        self._samples = 0
        self._work = asyncio.Event()
        self._listening = False
        self._transcoding = False
        self._closed = False

    def listen(self, listener: Callable[[AacFrame], None]) -> list[AacFrame]:
        """Deliver frames from now on; returns those since the last key frame."""
        if not self._listening:
            self._listening = True
            self._hub.subscribe(self._reader)
        self._listeners = (*self._listeners, listener)
        return list(self._recent)

    def unlisten(self, listener: Callable[[AacFrame], None]) -> None:
        """Stop; with the last listener the work stops too."""
        self._listeners = tuple(other for other in self._listeners if other != listener)
        if not self._listeners:
            self.close()

    def close(self) -> None:
        """Stop for good."""
        self._closed = True
        self._hub.unsubscribe(self._reader)
        self._work.set()

    @property
    def closed(self) -> bool:
        """Whether this source is used up."""
        return self._closed

    def _drain(self) -> None:
        while (unit := self._reader.take()) is not None:
            if unit.is_video:
                if unit.keyframe:
                    self._forget_before(unit.dts)
            elif unit.codec is Codec.AAC:
                self._pass_through(unit)
            else:
                self._queue(unit)

    def _forget_before(self, dts: int) -> None:
        while self._recent and self._recent[0].pts < dts:
            self._recent.popleft()

    def _pass_through(self, unit: MediaUnit) -> None:
        pts = unit.pts
        for header, frame in aac.split_adts(unit.payload)[0]:
            duration = header.blocks * FRAME * TICKS // header.config.sample_rate
            payload = frame[header.header_length :]
            self._deliver(AacFrame(header.config, pts, duration, payload))
            pts += duration

    def _queue(self, unit: MediaUnit) -> None:
        self.lost += len(self._waiting) == QUEUE
        self._waiting.append(unit)
        # A thread is woken only for a whole AAC frame: waking costs more than encoding.
        self._samples += len(unit.payload)
        if self._samples >= FRAME:
            self._samples %= FRAME
            self._work.set()
        if not self._transcoding:
            self._transcoding = True
            self._spawn(self._transcode(), "aac")

    async def _transcode(self) -> None:
        transcoder = await self._worker.run(G711Transcoder)
        while not self._closed:
            await self._work.wait()
            self._work.clear()
            units = list(self._waiting)
            self._waiting.clear()
            try:
                frames = await self._worker.run(transcoder.transcode, units)
            except av.FFmpegError as exc:
                log.warning("audio_transcoding_failed", error=str(exc))
                transcoder = await self._worker.run(G711Transcoder)
                continue
            for frame in frames:
                self._deliver(frame)

    def _deliver(self, frame: AacFrame) -> None:
        self._recent.append(frame)
        for listener in self._listeners:
            listener(frame)
