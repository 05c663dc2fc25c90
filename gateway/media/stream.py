"""One running stream: repaired stamps, the hub, facts, and the outputs that somebody watches."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

import structlog

from gateway.domain.errors import Unavailable
from gateway.domain.media import MediaEvents, OutputFormat, TrackInfo, Viewer, ViewerSink
from gateway.media.audio import AacSource
from gateway.media.facts import parameter_sets, video_facts
from gateway.media.hub import Hub, HubReader
from gateway.media.options import MediaOptions
from gateway.media.output import Output, OutputOwner
from gateway.media.reader import StreamReader
from gateway.media.steady import SteadyAac
from gateway.media.timeline import Timeline
from gateway.media.viewer import ChunkFeed, ChunkSink
from gateway.media.worker import MediaWorker
from gb28181.es import aac, g711
from gb28181.es.unit import Codec, MediaUnit

__all__ = ["LiveStream", "SharedOutput"]

log = structlog.get_logger()

AAC_LC = "mp4a.40.2"
CLOSE_WAIT = 2.0
"""Seconds for the tasks of a closing stream; PyAV in a thread cannot be interrupted."""

KNOWN_AUDIO_PATIENCE = 4
"""Times `audio_wait` that an output waits for the sound of a stream that has sound."""


class SharedOutput(Protocol):
    """An output that is made elsewhere from the stream's units and has viewers of its own."""

    def viewers(self) -> Counter[str]:
        """Count the attached viewers by their kind."""

    def skipped(self) -> int:
        """Count the frames that viewers lost because they were too slow."""

    def close(self, code: str, detail: str) -> None:
        """End all viewers; idempotent."""


class LiveStream:
    """Takes units in, lets viewers join.

    Args:
        name: For the names of tasks.
        spawn: Starts a named task.
    """

    def __init__(
        self,
        name: str,
        events: MediaEvents,
        *,
        worker: MediaWorker,
        options: MediaOptions,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self.hub = Hub(max_frames=options.gop_frames, max_bytes=options.gop_bytes)
        self.timeline = Timeline()
        self._steady = SteadyAac()
        self.video: TrackInfo | None = None
        self.audio: TrackInfo | None = None
        self._name = name
        self._events = events
        self._worker = worker
        self._options = options
        self._clock = clock
        self._spawn = spawn
        self._sets: tuple[bytes, ...] = ()
        self._readable = False
        """Whether the last parameter sets made sense."""
        self._video_codec: Codec | None = None
        self._audio_codec: Codec | None = None
        self._keyframe_at: float | None = None
        self.audio_at: float | None = None
        """Clock time at which this sound was first heard."""
        self._outputs: tuple[Output, ...] = ()
        self._shared: tuple[SharedOutput, ...] = ()
        self._joined: tuple[StreamReader, ...] = ()
        self._relays = 0
        self._skipped = 0
        self._source: AacSource | None = None
        self._told_first_output = False
        self._tasks = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def feed(self, units: Iterable[MediaUnit], now: float) -> None:
        """Take units as the depacketizer made them."""
        publish, repair = self.hub.publish, self.timeline.feed
        for raw in units:
            if not (raw.is_video or self._options.audio):
                continue
            if raw.codec is Codec.AAC and not self._steady.admits(raw.payload):
                continue
            unit = repair(raw, now)
            if unit.keyframe and unit.is_video:
                self._note_keyframe(unit, now)
            elif unit.codec is not self._audio_codec and not unit.is_video:
                self._note_audio(unit, now)
            publish(unit)

    def attach(
        self, output: OutputFormat, sink: ViewerSink, *, audio: bool, kind: str = ""
    ) -> Viewer:
        """Add a viewer, and the output if it is the first.

        Args:
            output: The container.
            sink: Where the bytes go.
            audio: Whether it wants sound.
            kind: Under which name it counts; empty: the container's.

        Raises:
            Unavailable: `too_many_viewers`.
        """
        return self._output(output).attach(sink, audio=audio, kind=kind)

    def tap(self, output: OutputFormat, sink: ChunkSink, kind: str) -> ChunkFeed:
        """Add a taker of an output's chunks within this process; it shares the muxer of all viewers of the format.

        When the source changes its codec the sink is closed with `codec_changed`; it may tap again.

        Args:
            output: The container.
            sink: Gets header and chunks.
            kind: Under which name it counts as a viewer.

        Raises:
            Unavailable: `too_many_viewers`.
        """
        return self._output(output).tap(sink, kind)

    def join(
        self,
        kind: str,
        on_units: Callable[[], None],
        on_end: Callable[[str, str], None],
    ) -> StreamReader:
        """Add a reader of the stream's units as they are.

        Args:
            kind: Under which name it counts as a viewer.
            on_units: Called after units were queued; it may take them at once. Must not block or raise. May be
                called before this returns.
            on_end: Called once with (code, detail) when the stream is over.

        Raises:
            Unavailable: `too_many_viewers`.
        """
        self.admit()
        options = self._options
        queue = HubReader(
            on_units, max_frames=options.reader_frames, max_bytes=options.reader_bytes
        )
        reader = StreamReader(kind, queue, on_end=on_end, on_detach=self._left)
        self._joined = (*self._joined, reader)
        self.hub.subscribe(queue)
        self.viewers_changed()
        return reader

    def aac(self) -> AacSource:
        """Return the stream's sound as AAC, made once for all who listen."""
        if self._source is None or self._source.closed:
            self._source = AacSource(
                self.hub, worker=self._worker, options=self._options, spawn=self._task
            )
        return self._source

    def sent(self) -> None:
        """Note that something went out to somebody: the picture is there."""
        self._first_output()

    def share(self, output: SharedOutput) -> None:
        """Count the viewers of an output that is made elsewhere, and close it with the stream."""
        self._shared = (*self._shared, output)

    def unshare(self, output: SharedOutput) -> None:
        """Forget an output that has ended; idempotent."""
        if output in self._shared:
            self._skipped += output.skipped()
            self._shared = tuple(other for other in self._shared if other is not output)

    def _output(self, wanted: OutputFormat) -> Output:
        self.admit()
        current = next((o for o in reversed(self._outputs) if self._joinable(o, wanted)), None)
        return current if current is not None else self._start(wanted)

    def admit(self) -> None:
        """Make sure that one more viewer may join.

        Raises:
            Unavailable: `too_many_viewers`.
        """
        limit = self._options.max_viewers_per_stream
        if self.watching() >= limit:
            raise Unavailable("too_many_viewers", f"This stream has {limit} viewers already")

    def _left(self, reader: StreamReader) -> None:
        self._skipped += reader.dropped
        self._joined = tuple(other for other in self._joined if other is not reader)
        self.hub.unsubscribe(reader.reader)
        self.viewers_changed()

    def viewers(self) -> dict[str, int]:
        """Count the viewers by output format."""
        counts = Counter(reader.kind for reader in self._joined)
        for output in (*self._outputs, *self._shared):
            counts += output.viewers()
        if self._relays:
            counts["relay"] = self._relays
        return dict(counts)

    def watching(self) -> int:
        """Count the viewers that are no relays."""
        outputs = (*self._outputs, *self._shared)
        return len(self._joined) + sum(output.viewers().total() for output in outputs)

    def relay_began(self) -> None:
        """Count one more relay among the viewers."""
        self._relays += 1
        self.viewers_changed()

    def relay_ended(self) -> None:
        """Count one less."""
        self._relays -= 1
        self.viewers_changed()

    def relay_sent(self) -> None:
        """Note that a relay's first packet went out."""
        self._first_output()

    def skipped(self) -> int:
        """Count the frames that slow viewers lost, also of viewers that are gone."""
        return (
            self._skipped
            + sum(output.skipped() for output in (*self._outputs, *self._shared))
            + sum(reader.dropped for reader in self._joined)
        )

    async def close(self, code: str, detail: str) -> None:
        """End all viewers and wait a moment for the tasks; idempotent."""
        self._closed = True
        for output in (*self._outputs, *self._shared):
            output.close(code, detail)
        for reader in self._joined:
            reader.end(code, detail)
        if self._source is not None:
            self._source.close()
        self.hub.clear()
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._idle.wait()
        except TimeoutError:
            log.warning("stream_tasks_stuck", stream=self._name, tasks=self._tasks)

    def _joinable(self, output: Output, wanted: OutputFormat) -> bool:
        if output.format is not wanted or output.closed:
            return False
        # Sound that came after the output had begun is for those who join from now on.
        return not (
            output.silent
            and output.opened_at is not None
            and self.audio_at is not None
            and output.opened_at < self.audio_at
        )

    def _start(self, wanted: OutputFormat) -> Output:
        output = Output(
            wanted,
            self.hub,
            self.aac(),
            worker=self._worker,
            options=self._options,
            clock=self._clock,
            owner=OutputOwner(
                self.viewers_changed, self._first_output, self._unusable, self._ended
            ),
        )
        self._outputs = (*self._outputs, output)
        output.start()
        self._task(output.run(self.audio_deadline), wanted.value)
        return output

    def audio_deadline(self) -> float | None:
        """Return the clock time until which an output should wait for sound; None if there is none."""
        now = self._clock()
        if self.audio_at is not None:
            # It is there; only the transcoder needs its time, more on a loaded machine.
            return now + KNOWN_AUDIO_PATIENCE * self._options.audio_wait
        if self._keyframe_at is None:
            return None
        deadline = self._keyframe_at + self._options.audio_wait
        return deadline if deadline > now else None

    def _note_keyframe(self, unit: MediaUnit, now: float) -> None:
        sets = parameter_sets(unit.codec, unit.payload)
        if (sets and sets != self._sets) or unit.codec is not self._video_codec:
            self._sets, self._video_codec = sets, unit.codec
            facts = video_facts(unit.codec, sets)
            self._readable = facts is not None
            self.video = facts or TrackInfo(codec=unit.codec.value)
        if self._keyframe_at is None and self._readable:
            self._keyframe_at = now
            self._events.media_decodable()

    def _note_audio(self, unit: MediaUnit, now: float) -> None:
        if unit.codec is Codec.AAC:
            frames = aac.split_adts(unit.payload)[0]
            if not frames:
                return
            config = frames[0][0].config
            self.audio = TrackInfo(
                codec=unit.codec.value,
                sample_rate=config.sample_rate,
                channels=config.channels,
                mime_codec=config.mime_codec,
            )
        else:
            self.audio = TrackInfo(
                codec=unit.codec.value,
                sample_rate=g711.SAMPLE_RATE,
                channels=1,
                mime_codec=AAC_LC,
            )
        self._audio_codec = unit.codec
        self.audio_at = now

    def _first_output(self) -> None:
        if not self._told_first_output:
            self._told_first_output = True
            self._events.media_first_output()

    def _unusable(self, detail: str) -> None:
        if not self._told_first_output:
            self._events.media_unsupported(detail)

    def viewers_changed(self) -> None:
        """Tell the owner how many watch."""
        self._events.media_viewers(self.watching() + self._relays)

    def _ended(self, output: Output) -> None:
        if output in self._outputs:
            self._skipped += output.skipped()
        self._outputs = tuple(other for other in self._outputs if other is not output)

    def _task(self, coro: Coroutine[Any, Any, None], what: str) -> None:
        self._tasks += 1
        self._idle.clear()
        self._spawn(self._counted(coro), f"media:{self._name}:{what}")

    async def _counted(self, coro: Coroutine[Any, Any, None]) -> None:
        try:
            await coro
        finally:
            self._tasks -= 1
            if not self._tasks:
                self._idle.set()
