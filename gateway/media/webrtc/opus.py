"""A stream's AAC as Opus for its WebRTC viewers, made once and only while somebody listens.

Browsers take Opus and G.711 only. AAC of cameras has 16 to 48 kHz: as Opus it keeps what G.711 would cut off.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from fractions import Fraction
from typing import Any

import av
import structlog

from gateway.media.audio import AacFrame, AacSource
from gateway.media.worker import MediaWorker
from gb28181.es import aac

__all__ = ["RATE", "OpusSource", "OpusTranscoder"]

log = structlog.get_logger()

RATE = 48_000
"""Of Opus in RTP, whatever it was made from (RFC 7587 4.1)."""
SAMPLES = RATE // 50
"""One packet of 20 ms."""
BIT_RATE = 48_000
TICKS = 90_000
JITTER = TICKS // 10
"""Sound whose stamp is off by less simply continues."""
QUEUE = 128
"""AAC frames that may wait: 8 s at 16 kHz."""

OpusPacket = tuple[int, bytes]
"""Time stamp on the stream's timeline in ticks of `RATE`, and payload."""


class OpusTranscoder:
    """AAC to Opus; every call belongs in a worker thread, one at a time."""

    def __init__(self) -> None:
        encoder = av.CodecContext.create("libopus", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate = RATE
        encoder.layout = "mono"
        encoder.format = "s16"
        encoder.bit_rate = BIT_RATE
        encoder.time_base = Fraction(1, RATE)
        encoder.options = {"application": "audio", "frame_duration": "20"}
        self._encoder = encoder
        self._config: aac.AudioSpecificConfig | None = None
        self._decoder: av.AudioCodecContext | None = None
        self._resampler: av.AudioResampler | None = None
        self._samples = bytearray()
        self._at = 0
        """Time of the first sample in `_samples`, in ticks of `RATE`."""

    def transcode(self, frames: Sequence[AacFrame]) -> list[OpusPacket]:
        """Encode as many whole packets as the samples so far give."""
        packets: list[OpusPacket] = []
        for frame in frames:
            self._append(frame)
            while len(self._samples) >= 2 * SAMPLES:
                packets += self._encode()
        return packets

    def _append(self, frame: AacFrame) -> None:
        if frame.config != self._config or self._decoder is None or self._resampler is None:
            self._config = frame.config
            decoder = av.CodecContext.create("aac", "r")
            assert isinstance(decoder, av.AudioCodecContext)
            self._decoder = decoder
            self._resampler = av.AudioResampler("s16", "mono", RATE)
            self._samples.clear()
        at = frame.pts * RATE // TICKS
        if abs(at - (self._at + len(self._samples) // 2)) > JITTER * RATE // TICKS:
            self._samples.clear()
        if not self._samples:
            self._at = at
        for decoded in self._decoder.decode(av.Packet(frame.adts)):
            for converted in self._resampler.resample(decoded):
                self._samples += bytes(converted.planes[0])[: 2 * converted.samples]

    def _encode(self) -> list[OpusPacket]:
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(bytes(self._samples[: 2 * SAMPLES]))
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = at = self._at
        del self._samples[: 2 * SAMPLES]
        self._at = at + SAMPLES
        return [(at, bytes(packet)) for packet in self._encoder.encode(frame)]


class OpusSource:
    """Turns one stream's AAC into Opus for the viewers that listen.

    Overflow rule: when the worker cannot keep up, the oldest waiting sound is lost.

    Args:
        source: The stream's AAC.
        worker: Threads for decoder and encoder.
        spawn: Starts the transcoding task.
    """

    def __init__(
        self,
        source: AacSource,
        *,
        worker: MediaWorker,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._source = source
        self._worker = worker
        self._spawn = spawn
        self._listeners: tuple[Callable[[list[OpusPacket]], None], ...] = ()
        self._waiting: deque[AacFrame] = deque(maxlen=QUEUE)
        self._work = asyncio.Event()
        self._running = False
        self.closed = False
        """Whether this source is used up."""

    def listen(self, listener: Callable[[list[OpusPacket]], None]) -> None:
        """Deliver packets from now on."""
        self._listeners = (*self._listeners, listener)
        if not self._running:
            self._running = True
            self._source.listen(self._take)
            self._spawn(self._run(), "webrtc:opus")

    def unlisten(self, listener: Callable[[list[OpusPacket]], None]) -> None:
        """Stop; with the last listener the work stops too."""
        self._listeners = tuple(other for other in self._listeners if other != listener)
        if not self._listeners and not self.closed:
            self.closed = True
            self._source.unlisten(self._take)
            self._work.set()

    def _take(self, frame: AacFrame) -> None:
        self._waiting.append(frame)
        self._work.set()

    async def _run(self) -> None:
        transcoder = await self._worker.run(OpusTranscoder)
        while not self.closed:
            await self._work.wait()
            self._work.clear()
            frames = list(self._waiting)
            self._waiting.clear()
            try:
                packets = await self._worker.run(transcoder.transcode, frames)
            except av.FFmpegError as exc:
                log.warning("audio_transcoding_failed", error=str(exc))
                transcoder = await self._worker.run(OpusTranscoder)
                continue
            if packets:
                for listener in self._listeners:
                    listener(packets)
