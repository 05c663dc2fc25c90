"""One container format of one stream: muxed once, its bytes shared by all viewers of the format."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import av
import structlog

from gateway.domain.media import OutputFormat, ViewerSink
from gateway.media.audio import AacFrame, AacSource
from gateway.media.container import AacTemplate, MuxSet, VideoTemplate, open_muxers
from gateway.media.facts import parameter_sets
from gateway.media.hub import Hub, HubReader
from gateway.media.options import MediaOptions
from gateway.media.viewer import MIN_LIMIT, Chunk, ChunkFeed, ChunkSink, SinkFeed
from gateway.media.worker import MediaWorker
from gateway.observe.log import RateLimitedCounter
from gb28181.es.unit import Codec, MediaUnit

__all__ = ["Output", "OutputOwner"]

log = structlog.get_logger()

FRAME_TICKS = 3_600
MAX_FRAME_TICKS = 90_000
SOUND_ALONE = 0.06
"""Seconds without a picture after which sound goes out without one."""
SOUND_STEP = 90
"""Ticks between frames of sound, at least: FFmpeg counts in samples, and refuses two frames at the same one."""
PENDING_AUDIO = 1_024
OPEN_TRIES = 3
RATE_WINDOW = 2.0


@dataclass(frozen=True, slots=True)
class OutputOwner:
    """What an output tells the stream it belongs to."""

    viewers_changed: Callable[[], None]
    first_output: Callable[[], None]
    unusable: Callable[[str], None]
    """The video cannot be packed, whatever was tried."""
    ended: Callable[["Output"], None]
    """The output has closed itself and takes no more viewers."""


class Output:
    """Muxes from the last key frame on, as long as it has viewers.

    Args:
        format: The container.
        hub: Where the units come from.
        source: The stream's sound.
        owner: Callbacks.
    """

    def __init__(
        self,
        format: OutputFormat,  # noqa: A002 - the domain's word
        hub: Hub,
        source: AacSource,
        *,
        worker: MediaWorker,
        options: MediaOptions,
        clock: Callable[[], float],
        owner: OutputOwner,
    ) -> None:
        self.format = format
        self.closed = False
        self.opened_at: float | None = None
        """Clock time at which the tracks of the container were decided."""
        self._hub = hub
        self._source = source
        self._worker = worker
        self._options = options
        self._clock = clock
        self._owner = owner
        self._reader = HubReader(
            self._on_units, max_frames=options.reader_frames, max_bytes=options.reader_bytes
        )
        self._skipped_before = 0
        """Chunks that viewers lost who are gone."""
        self._feeds: tuple[SinkFeed | ChunkFeed, ...] = ()
        self._muxers: MuxSet | None = None
        self._codec: Codec | None = None
        self._sets: tuple[bytes, ...] = ()
        self._audio_config: bytes | None = None
        self._pending: deque[AacFrame] = deque(maxlen=PENDING_AUDIO)
        self._parts: list[bytes] = []
        self._gop: list[Chunk] = []
        self._gop_bytes = 0
        self._first: list[Chunk] | None = None
        """Collects chunks while the backlog is muxed."""
        self._base: int | None = None
        self._video_dts = 0
        self._audio_dts = -SOUND_STEP
        self._sound_lost = RateLimitedCounter(log.warning, "output_sound_lost")
        self._emitted_at = 0.0
        self._window = (clock(), 0)
        self._limit = options.viewer_bytes
        self._got_video = asyncio.Event()
        self._got_audio = asyncio.Event()

    @property
    def silent(self) -> bool:
        """Whether the container was opened without a sound track."""
        return self._muxers is not None and self._muxers.audio is None

    def viewers(self) -> Counter[str]:
        """Count the attached viewers by their kind."""
        return Counter(feed.kind for feed in self._feeds)

    def skipped(self) -> int:
        """Count the chunks that viewers lost because they were too slow."""
        return self._skipped_before + sum(feed.skipped for feed in self._feeds)

    def attach(self, sink: ViewerSink, *, audio: bool, kind: str = "") -> SinkFeed:
        """Add a viewer; it gets the header and the last group of pictures as soon as they exist."""
        feed = SinkFeed(
            sink,
            kind or self.format.value,
            audio=audio,
            options=self._options,
            on_detach=self._detached,
        )
        self._add(feed)
        return feed

    def tap(self, sink: ChunkSink, kind: str) -> ChunkFeed:
        """Add a taker of chunks within this process, as `attach`."""
        feed = ChunkFeed(sink, kind, on_detach=self._detached)
        self._add(feed)
        return feed

    def _add(self, feed: SinkFeed | ChunkFeed) -> None:
        self._feeds = (*self._feeds, feed)
        self._owner.viewers_changed()
        if self._muxers is not None:
            self._start(feed, self._muxers, self._gop)

    def close(self, code: str, detail: str) -> None:
        """End all viewers and free the muxers; idempotent."""
        if self.closed:
            return
        self._release()
        self._skipped_before = self.skipped()
        feeds, self._feeds = self._feeds, ()
        for feed in feeds:
            feed.end(code, detail)
        self._owner.ended(self)

    def start(self) -> None:
        """Begin to read; `run` must follow."""
        self._pending.extend(self._source.listen(self._on_audio))
        if self._pending:
            self._got_audio.set()
        self._hub.subscribe(self._reader)

    async def run(self, audio_deadline: Callable[[], float | None]) -> None:
        """Open the container; afterwards units are muxed as they come.

        Args:
            audio_deadline: Clock time until which sound may be waited for; None if there is none.
        """
        for _ in range(OPEN_TRIES):
            await self._got_video.wait()
            await self._wait_for_audio(audio_deadline())
            if self.closed or await self._open():
                return
        detail = f"No decoder can start: {OPEN_TRIES} key frames could not be read"
        self.close("codec_unsupported", detail)
        self._owner.unusable(detail)

    async def _wait_for_audio(self, deadline: float | None) -> None:
        if deadline is None or self.closed:
            return
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                await self._got_audio.wait()
        except TimeoutError:
            pass

    async def _open(self) -> bool:
        """Open the muxers from the first waiting key frame; False if FFmpeg does not take it."""
        keyframe = self._reader.queue[0] if self._reader.queue else None
        if keyframe is None:
            self._got_video.clear()
            return False
        self.opened_at = self._clock()
        sound = self._pending[-1] if self._pending else None
        config = None if sound is None else sound.config.serialize()
        audio = None if sound is None or config is None else AacTemplate(sound.adts, config)
        video = VideoTemplate(keyframe.codec, keyframe.payload)
        try:
            muxers = await self._worker.run(open_muxers, self.format, video, audio)
        except (av.FFmpegError, IndexError, ValueError) as exc:
            log.warning("output_open_failed", format=self.format.value, error=str(exc))
            self._drop_group()
            return False
        if self.closed:
            self._worker.dispose(muxers.close)
            return True
        self._codec = keyframe.codec
        self._sets = parameter_sets(keyframe.codec, keyframe.payload)
        self._audio_config = config
        self._muxers = muxers
        self._prime(muxers)
        return True

    def _prime(self, muxers: MuxSet) -> None:
        """Mux what waited, then give it to the viewers as a start, which may exceed their limit."""
        first: list[Chunk] = []
        self._first = first
        self._drain()
        self._first = None
        for feed in self._feeds:
            self._start(feed, muxers, first)

    def _drop_group(self) -> None:
        """Forget the first waiting group of pictures."""
        self._reader.take()
        queue = self._reader.queue
        while queue and not (queue[0].is_video and queue[0].keyframe):
            self._reader.take()
        if not queue:
            self._got_video.clear()

    def _on_units(self) -> None:
        if self._muxers is not None:
            self._drain()
        elif self._reader.queue[0].keyframe and self._reader.queue[0].is_video:
            self._got_video.set()
        else:
            # The rest of a group whose key frame could not be opened.
            self._reader.take()

    def _drain(self) -> None:
        while not self.closed and (unit := self._reader.take()) is not None:
            if not unit.is_video:
                continue
            try:
                self._mux_video(unit)
            except (av.FFmpegError, ValueError) as exc:
                log.warning("output_mux_failed", format=self.format.value, error=str(exc))
                self.close("codec_unsupported", f"The video cannot be packed: {exc}")

    def _mux_video(self, unit: MediaUnit) -> None:
        if unit.keyframe and self._changed(unit):
            self.close("codec_changed", "The source changed its video codec or picture size")
            return
        muxers = self._muxers
        assert muxers is not None
        if self._base is None:
            self._base = self._video_dts = unit.dts
        self._mux_audio(unit.dts)
        if self.closed:
            return
        duration = unit.dts - self._video_dts
        self._video_dts = unit.dts
        muxed = muxers.video.mux(
            unit.payload,
            pts=unit.pts - self._base,
            dts=unit.dts - self._base,
            duration=duration if 0 < duration <= MAX_FRAME_TICKS else FRAME_TICKS,
            keyframe=unit.keyframe,
        )
        if muxed is None:
            return
        if muxed.keyframe and self._parts:
            self._emit(Chunk(b"", self._take_parts(), keyframe=False, dts=self._audio_dts))
        audio = self._take_parts()
        video = muxers.numbered_part(muxed.data)
        # MP4 is one frame late, so it is known for how long the frame lasts.
        lasts = unit.dts - self._base - muxed.dts
        self._emit(
            Chunk(video, audio, keyframe=muxed.keyframe, dts=muxed.dts, duration=max(0, lasts))
        )

    def _changed(self, keyframe: MediaUnit) -> bool:
        if keyframe.codec is not self._codec:
            return True
        sets = parameter_sets(keyframe.codec, keyframe.payload)
        return bool(sets) and sets != self._sets

    def _on_audio(self, frame: AacFrame) -> None:
        self._pending.append(frame)
        self._got_audio.set()
        if self._muxers is None or self._base is None:
            return
        now = self._clock()
        if now - self._emitted_at >= SOUND_ALONE:
            self._mux_audio(frame.pts)
            if self._parts:
                self._emit(Chunk(b"", self._take_parts(), keyframe=False, dts=self._audio_dts))

    def _mux_audio(self, until: int) -> None:
        muxers, base = self._muxers, self._base
        if muxers is None or base is None or muxers.audio is None:
            self._pending.clear()
            return
        pending = self._pending
        while pending and pending[0].pts <= until:
            frame = pending.popleft()
            if frame.pts < base:
                continue
            if frame.config.serialize() != self._audio_config:
                self.close("codec_changed", "The source changed its audio codec")
                return
            self._audio_dts = dts = max(frame.pts - base, self._audio_dts + SOUND_STEP)
            try:
                muxed = muxers.audio.mux(
                    frame.payload, pts=dts, dts=dts, duration=frame.duration, keyframe=True
                )
            except (av.FFmpegError, ValueError) as exc:
                # A frame of sound is lost, and nothing else: the pictures go on.
                self._sound_lost.add(format=self.format.value, error=str(exc))
                continue
            if muxed is not None:
                self._parts.append(muxers.numbered_part(muxed.data))

    def _take_parts(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def _emit(self, chunk: Chunk) -> None:
        now = self._clock()
        self._emitted_at = now
        self._keep(chunk)
        self._measure(len(chunk), now)
        if self._first is not None:
            self._first.append(chunk)
            return
        limit = self._limit
        for feed in self._feeds:
            feed.offer(chunk, limit, now)
        if self._feeds:
            self._owner.first_output()

    def _keep(self, chunk: Chunk) -> None:
        if chunk.keyframe:
            self._gop = []
            self._gop_bytes = 0
        elif not self._gop:
            return
        self._gop.append(chunk)
        self._gop_bytes += len(chunk)
        options = self._options
        if len(self._gop) > options.gop_frames or self._gop_bytes > options.gop_bytes:
            self._gop = []

    def _measure(self, size: int, now: float) -> None:
        began, total = self._window
        total += size
        if now - began >= RATE_WINDOW:
            options = self._options
            wanted = int(total / (now - began) * options.viewer_seconds)
            self._limit = min(options.viewer_bytes, max(MIN_LIMIT, wanted))
            began, total = now, 0
        self._window = (began, total)

    def _start(self, feed: SinkFeed | ChunkFeed, muxers: MuxSet, chunks: list[Chunk]) -> None:
        feed.start(muxers.header if feed.audio else muxers.header_video, chunks)
        if chunks:
            self._owner.first_output()

    def _detached(self, feed: SinkFeed | ChunkFeed) -> None:
        if feed in self._feeds:
            self._skipped_before += feed.skipped
        self._feeds = tuple(other for other in self._feeds if other is not feed)
        self._owner.viewers_changed()
        if not self._feeds and not self.closed:
            self._release()
            self._owner.ended(self)

    def _release(self) -> None:
        self.closed = True
        self._hub.unsubscribe(self._reader)
        self._source.unlisten(self._on_audio)
        self._got_video.set()
        self._got_audio.set()
        if self._muxers is not None:
            self._muxers.retire()
            self._worker.dispose(self._muxers.close)
            self._muxers = None
        self._gop = []
        self._reader.queue.clear()
        self._pending.clear()
