"""Streams as RTP payloads: packetized once, shared by all RTSP and WebRTC viewers of a stream."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType

import structlog

from gateway.domain.rtp_out import RtpFrame, RtpSink, RtpTrack
from gateway.media.facts import parameter_sets, video_facts
from gateway.media.hub import HubReader
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.rtp_tracks import RtpTracks, is_sound
from gateway.media.stream import LiveStream
from gb28181.aio.clock import monotonic
from gb28181.es.unit import MediaUnit

__all__ = ["RtpFeed", "RtpOutput", "RtpOutputs"]

log = structlog.get_logger()

SOUND_ALONE = 0.06
"""Seconds without a picture after which sound goes out without one."""


class RtpFeed:
    """One viewer of an output.

    Args:
        sink: Where the frames go.
        kind: Under which name it counts as a viewer.
        awaiting: Whether it begins with the next key frame.
        gop: Returns the frames since the last key frame.
        on_detach: Called once when it is gone.
    """

    def __init__(
        self,
        sink: RtpSink,
        kind: str,
        *,
        awaiting: bool,
        gop: Callable[[], Sequence[RtpFrame]],
        on_detach: Callable[["RtpFeed"], None],
    ) -> None:
        self.kind = kind
        self.lost = 0
        """Frames it was too slow for."""
        self._sink = sink
        self._awaiting = awaiting
        self._gop = gop
        self._on_detach: Callable[[RtpFeed], None] | None = on_detach

    def detach(self) -> None:
        """Stop; idempotent."""
        if self._on_detach is not None:
            on_detach, self._on_detach = self._on_detach, None
            on_detach(self)

    def skipped(self, frames: int) -> None:
        """Count frames that this viewer was too slow for."""
        self.lost += frames

    def replay(self) -> None:
        """Hand over the frames since the last key frame, again; without any, go on with the next key frame."""
        self._begin(self._gop())

    def end(self, code: str, detail: str) -> None:
        """Stop and tell the sink why."""
        if self._on_detach is not None:
            self.detach()
            with _Guard(self):
                self._sink.close(code, detail)

    def start(self, tracks: tuple[RtpTrack, ...]) -> None:
        """Tell the tracks, and hand over the frames since the last key frame."""
        with _Guard(self):
            self._sink.start(tracks)
        self._begin(() if self._awaiting else self._gop())

    def _begin(self, frames: Sequence[RtpFrame]) -> None:
        self._awaiting = not frames
        if frames:
            self._hand_on(frames)

    def offer(self, frames: Sequence[RtpFrame]) -> None:
        """Hand on what goes out together."""
        if self._awaiting:
            for position, frame in enumerate(frames):
                if frame.keyframe:
                    self._awaiting = False
                    self._hand_on(frames[position:])
                    return
            return
        self._hand_on(frames)

    def _hand_on(self, frames: Sequence[RtpFrame]) -> None:
        if self._on_detach is not None:
            with _Guard(self):
                self._sink.frames(frames)


class _Guard:
    """A boundary: one viewer's fault must not end the stream of all."""

    def __init__(self, feed: RtpFeed) -> None:
        self._feed = feed

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception):
            return False
        log.error("viewer_failed", kind=self._feed.kind, exc_info=exc)
        self._feed.end("viewer_failed", "The gateway failed on this viewer; its log says more")
        return True


class RtpOutput:
    """Packetizes one stream from its last key frame on, as long as it has viewers.

    Args:
        live: The stream.
        options: Limits and waits.
        on_ended: Called once when it takes no more viewers.
    """

    def __init__(
        self,
        live: LiveStream,
        *,
        options: MediaOptions,
        clock: Callable[[], float],
        on_ended: Callable[["RtpOutput"], None],
    ) -> None:
        self.live = live
        self.closed = False
        self.opened_at: float | None = None
        """Clock time at which the tracks were decided."""
        self._options = options
        self._clock = clock
        self._on_ended = on_ended
        self._reader = HubReader(
            self._on_units, max_frames=options.reader_frames, max_bytes=options.reader_bytes
        )
        self._feeds: tuple[RtpFeed, ...] = ()
        self._lost_before = 0
        self._tracks: RtpTracks | None = None
        self._gop: list[RtpFrame] = []
        self._gop_bytes = 0
        self._pending: list[RtpFrame] = []
        self._emitted_at = 0.0
        self._ready = asyncio.Event()
        """Something changed for which `run` waits."""
        self._priming = False

    @property
    def joinable(self) -> bool:
        """Whether one more viewer should join; sound that came later is for those who join from now on."""
        if self.closed:
            return False
        tracks, since, opened = self._tracks, self.live.audio_at, self.opened_at
        if tracks is None or tracks.has_sound or since is None or opened is None:
            return True
        return opened >= since

    def viewers(self) -> Counter[str]:
        """Count the attached viewers by their kind."""
        return Counter(feed.kind for feed in self._feeds)

    def skipped(self) -> int:
        """Count the frames that viewers lost because they were too slow."""
        return self._lost_before + sum(feed.lost for feed in self._feeds)

    def attach(self, sink: RtpSink, kind: str, *, from_gop: bool) -> RtpFeed:
        """Add a viewer; it gets the tracks and the last group of pictures as soon as they exist."""
        feed = RtpFeed(
            sink,
            kind,
            awaiting=not from_gop,
            gop=lambda: tuple(self._gop),
            on_detach=self._detached,
        )
        self._feeds = (*self._feeds, feed)
        self.live.viewers_changed()
        if self._tracks is not None:
            feed.start(self._tracks.tracks)
            self._note_sent()
        return feed

    def start(self) -> None:
        """Begin to read; `run` must follow."""
        self.live.hub.subscribe(self._reader)

    async def run(self) -> None:
        """Find the tracks; afterwards frames go out as they come."""
        while not self.closed and not self._begins_with_keyframe():
            self._ready.clear()
            await self._ready.wait()
        deadline = self.live.audio_deadline()
        while not self.closed and deadline is not None and self._sound() is None:
            self._ready.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock())):
                    await self._ready.wait()
            except TimeoutError:
                break
        if not self.closed:
            self._open()

    def close(self, code: str, detail: str) -> None:
        """End all viewers; idempotent."""
        if self.closed:
            return
        self._release()
        feeds = self._feeds
        for feed in feeds:
            feed.end(code, detail)

    def _begins_with_keyframe(self) -> bool:
        queue = self._reader.queue
        while queue:
            unit = queue[0]
            if unit.is_video and unit.keyframe:
                if video_facts(unit.codec, parameter_sets(unit.codec, unit.payload)) is not None:
                    return True
                log.warning("parameter_sets_unreadable", codec=unit.codec.value)
            # The rest of a group whose key frame no decoder could start with.
            self._reader.take()
        return False

    def _sound(self) -> MediaUnit | None:
        return next((unit for unit in self._reader.queue if is_sound(unit)), None)

    def _open(self) -> None:
        if not self._begins_with_keyframe():
            # The queue overflowed meanwhile: what was looked at is gone.
            self.close("source_lost", "The stream came faster than it could be taken")
            return
        queue = self._reader.queue
        # Already the key frame is shown later than it is decoded, if the source tells both.
        reordered = any(unit.pts > unit.dts for unit in queue if unit.is_video)
        self._tracks = RtpTracks(queue[0], self._sound(), reordered=reordered)
        self.opened_at = self._clock()
        self._priming = True
        self._drain()
        self._priming = False
        tracks = self._tracks.tracks
        if not self.closed:
            for feed in self._feeds:
                feed.start(tracks)
            self._note_sent()

    def _on_units(self) -> None:
        if self._tracks is not None:
            self._drain()
        else:
            self._ready.set()

    def _drain(self) -> None:
        while not self.closed and (unit := self._reader.take()) is not None:
            self._take(unit)

    def _take(self, unit: MediaUnit) -> None:
        tracks = self._tracks
        assert tracks is not None
        if not tracks.fits(unit):
            self.close("codec_changed", "The source changed its codec or picture size")
            return
        self._pending += tracks.packetize(unit)
        now = self._clock()
        if self._pending and (unit.is_video or now - self._emitted_at >= SOUND_ALONE):
            frames, self._pending = self._pending, []
            self._emitted_at = now
            self._emit(frames)

    def _emit(self, frames: list[RtpFrame]) -> None:
        self._keep(frames)
        if self._priming:
            return
        for feed in self._feeds:
            feed.offer(frames)
        self._note_sent()

    def _note_sent(self) -> None:
        if self._feeds and self._gop:
            self.live.sent()

    def _keep(self, frames: list[RtpFrame]) -> None:
        for position, frame in enumerate(frames):
            if frame.keyframe:
                frames = frames[position:]
                self._gop, self._gop_bytes = [], 0
                break
        else:
            if not self._gop:
                return
        self._gop.extend(frames)
        self._gop_bytes += sum(frame.size for frame in frames)
        options = self._options
        if len(self._gop) > options.gop_frames or self._gop_bytes > options.gop_bytes:
            self._gop, self._gop_bytes = [], 0

    def _detached(self, feed: RtpFeed) -> None:
        self._lost_before += feed.lost if feed in self._feeds else 0
        self._feeds = tuple(other for other in self._feeds if other is not feed)
        self.live.viewers_changed()
        if not self._feeds and not self.closed:
            self._release()

    def _release(self) -> None:
        self.closed = True
        self.live.hub.unsubscribe(self._reader)
        self._ready.set()
        self._gop, self._pending = [], []
        self._reader.queue.clear()
        self._on_ended(self)


class RtpOutputs:
    """The RTP outputs of all streams; implements `gateway.domain.rtp_out.RtpPublisher`.

    Args:
        plane: Where the streams are.
        clock: Monotonic seconds, as the plane's.
    """

    def __init__(self, plane: EmbeddedMedia, *, clock: Callable[[], float] = monotonic) -> None:
        self._plane = plane
        self._clock = clock
        self._outputs: dict[str, tuple[RtpOutput, ...]] = {}

    def attach(self, stream_id: str, sink: RtpSink, kind: str, *, from_gop: bool = True) -> RtpFeed:
        """Send a stream to a sink from its last key frame on, or from the next one.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        live = self._plane.live(stream_id)
        live.admit()
        for output in reversed(self._outputs.get(stream_id, ())):
            if output.live is live and output.joinable:
                return output.attach(sink, kind, from_gop=from_gop)
        return self._begin(stream_id, live).attach(sink, kind, from_gop=from_gop)

    def _begin(self, stream_id: str, live: LiveStream) -> RtpOutput:
        def ended(output: RtpOutput) -> None:
            live.unshare(output)
            left = tuple(other for other in self._outputs[stream_id] if other is not output)
            if left:
                self._outputs[stream_id] = left
            else:
                del self._outputs[stream_id]

        output = RtpOutput(live, options=self._plane.options, clock=self._clock, on_ended=ended)
        self._outputs[stream_id] = (*self._outputs.get(stream_id, ()), output)
        live.share(output)
        output.start()
        self._plane.spawn(output.run(), f"media:{stream_id}:rtp")
        return output
