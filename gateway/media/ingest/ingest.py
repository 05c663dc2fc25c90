"""A foreign source as a stream: units from FFmpeg's thread or from an inlet, into one `LiveStream`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from gateway.domain.media import StreamInfo
from gateway.domain.session import EndReason
from gateway.domain.source import IngestEvents, IngestSpec
from gateway.media.fan import RelayFan
from gateway.media.ingest.inlet import PushInlet
from gateway.media.ingest.pull import PullThread
from gateway.media.options import MediaOptions
from gateway.media.rate import RateMeter
from gateway.media.stream import LiveStream
from gb28181.es.unit import MediaUnit

__all__ = ["MediaIngest"]

log = structlog.get_logger()

STOP_WAIT = 2.0
"""Seconds for a thread to end; one that waits for a silent peer ends later, by itself."""


class MediaIngest:
    """Implements `gateway.domain.source.Ingest`, and `StreamSource` for the plane.

    Args:
        stream: Gets the units.
        on_closed: Called when closing begins, with the reason in words.
    """

    def __init__(
        self,
        spec: IngestSpec,
        events: IngestEvents,
        stream: LiveStream,
        *,
        options: MediaOptions,
        clock: Callable[[], float],
        on_closed: Callable[["MediaIngest", str], None],
    ) -> None:
        self.spec = spec
        self.stream = stream
        self._events = events
        self._options = options
        self._clock = clock
        self._on_closed = on_closed
        self.fan = RelayFan(
            stream.hub, reliable=True, options=options, clock=clock, on_crash=self.fail, made=True
        )
        self._opened_at = clock()
        self._rates = RateMeter()
        self._units = self._bytes = self._dropped = 0
        self._source = ""
        self._remark = ""
        self._last: float | None = None
        self._over = False
        """Nothing more is taken: lost, failed or closed."""
        self._closed = False
        self._end = (EndReason.STOPPED.value, "The stream was stopped")
        self._inlet: PushInlet | None = None
        self._thread: PullThread | None = None

    @property
    def stream_id(self) -> str:
        """Under which name it is found."""
        return self.spec.stream_id

    def start(self) -> None:
        """Begin; the events tell how it goes."""
        if self.spec.pull is not None:
            loop = asyncio.get_running_loop()
            self._thread = PullThread(self.spec.stream_id, self.spec.pull, self, loop)
            self._thread.start()
            return
        inlet = self.spec.inlet
        assert isinstance(inlet, PushInlet)
        self._inlet = inlet
        if not inlet.publishing:
            self._fail(EndReason.NO_PUBLISHER, "Nobody publishes to this channel now")
            return
        self._source = inlet.info().source
        self._events.media_connected()
        inlet.attach(self)

    async def close(self, code: str = "", detail: str = "") -> None:
        """Stop fetching and end all viewers with this reason (or its own); idempotent."""
        if code:
            self._end = (code, detail)
        if not self._closed:
            self._closed = self._over = True
            self._let_go()
            self._on_closed(self, self._end[1])
            self.fan.close()
        await self.stream.close(*self._end)
        if self._thread is not None:
            try:
                async with asyncio.timeout(STOP_WAIT):
                    await self._thread.ended.wait()
            except TimeoutError:
                log.info("pull_ends_later", stream_id=self.stream_id)

    def fail(self, exc: Exception) -> None:
        """End this stream for a fault of the gateway's own; never raises."""
        if self._over:
            return
        try:
            self._lose(
                f"The gateway failed on this stream ({type(exc).__name__}); its log says more"
            )
        except Exception:
            # A boundary: what the session does wrong must not reach other streams.
            log.exception("media_event_failed", stream=self.stream_id)
        log.error("media_ingest_failed", stream=self.stream_id, exc_info=exc)

    def tick(self, now: float) -> None:
        """Watch for silence."""
        if self._over:
            return
        self._rates.mark(now, self._bytes, self.stream.hub.frames)
        self.fan.tick(now)
        if self._inlet is not None:
            self._remark = self._inlet.remark
            if self._inlet.problem and not self.stream.hub.frames:
                self._fail(EndReason.CODEC_UNSUPPORTED, self._inlet.problem)
                return
        if self._last is not None and now - self._last >= self._options.source_timeout:
            self._lose(f"The source sent nothing for {self._options.source_timeout:g} s")

    def info(self) -> StreamInfo:
        """Facts and counters of the stream."""
        stream, fps = self.stream, self._rates.fps()
        video = stream.video
        if video is not None and video.fps is None and fps:
            video = replace(video, fps=fps)
        return StreamInfo(
            stream_id=self.stream_id,
            session_id=self.spec.session_id,
            video=video,
            audio=stream.audio,
            source=self._source,
            remark=self._remark,
            payload="flv" if self._inlet is not None else "ffmpeg",
            packets=self._units,
            bytes=self._bytes,
            lost=self._dropped,
            bitrate_kbps=self._rates.kbps(),
            frames=stream.hub.frames,
            keyframes=stream.hub.keyframes,
            viewers=stream.viewers(),
            skipped=stream.skipped(),
            started_s=self._clock() - self._opened_at,
        )

    # Puller

    def pull_connected(self, source: str, remarks: Sequence[str]) -> None:
        """Note that the streams are known."""
        if self._over:
            return
        self._source = source
        self._remark = "; ".join(remarks)
        self._events.media_connected()

    def pull_units(self, units: Sequence[MediaUnit], dropped: int) -> None:
        """Take what FFmpeg read."""
        if dropped > self._dropped:
            self._dropped = dropped
            self.stream.hub.interrupt()
        self._take(units, sum(len(unit.payload) for unit in units))

    def pull_failed(self, code: str, detail: str) -> None:
        """End with FFmpeg's reason."""
        if self._last is not None and code == EndReason.SOURCE_LOST:
            self._lose(detail)
        else:
            self._fail(EndReason(code), detail)

    # Taker

    def take(self, units: Sequence[MediaUnit], size: int, source: str) -> None:
        """Take what a publisher sent."""
        self._source = source
        self._take(units, size)

    def interrupted(self) -> None:
        """Another publisher begins in the place of one that fell silent."""
        self._last = self._clock()
        self.stream.hub.interrupt()

    def ended(self, code: str, detail: str) -> None:
        """End: the publisher said so."""
        self._fail(EndReason(code), detail)

    # Inside

    def _take(self, units: Sequence[MediaUnit], size: int) -> None:
        if self._over:
            return
        now = self._clock()
        first = self._last is None
        self._last = now
        self._bytes += size
        self._units += len(units)
        try:
            if first:
                self._events.media_first_packet(0, self._source)
            self.stream.feed(units, now)
        except Exception as exc:  # noqa: BLE001 - boundary between streams
            self.fail(exc)

    def _lose(self, detail: str) -> None:
        self._finish(EndReason.SOURCE_LOST, detail)
        self._events.media_lost(detail)

    def _fail(self, code: EndReason, detail: str) -> None:
        if not self._over:
            self._finish(code, detail)
            self._events.ingest_failed(code.value, detail)

    def _finish(self, code: EndReason, detail: str) -> None:
        self._over = True
        self._end = (code.value, detail)
        self._let_go()

    def _let_go(self) -> None:
        if self._inlet is not None:
            self._inlet.detach(self)
        if self._thread is not None:
            self._thread.stop()
