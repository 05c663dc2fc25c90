"""Records one stream: from the chunks of its MP4 output to files."""

import asyncio
from collections import deque
from datetime import datetime, timedelta

import structlog

from gateway.domain.errors import GatewayError
from gateway.domain.media import OutputFormat
from gateway.domain.recording import RecorderFigures, RecordEvents, RecordFile, RecordSpec
from gateway.media.record.box import TICKS, BoxError, Head, dated, parse_head
from gateway.media.record.disk import DiskFile, DiskLane, disk_error
from gateway.media.record.fragment import Fragment, FragmentMaker
from gateway.media.record.parts import RecorderParts
from gateway.media.record.place import file_path
from gateway.media.record.prerecord import PreRecord
from gateway.media.record.progress import FileInProgress
from gateway.media.stream import LiveStream
from gateway.media.viewer import Chunk, ChunkFeed
from gateway.observe.log import RateLimitedCounter

__all__ = ["StreamRecorder"]

log = structlog.get_logger()

KIND = "record"
DRIFT = timedelta(seconds=0.5)
"""By which the camera's time and ours may differ before a new file begins at ours."""
ESTIMATES = 64
"""Chunks by whose arrival the time is judged: a second or two."""
CLOSE_WAIT = 15.0
"""Seconds for the disk to take what is left."""


class _Sink:
    """What the output knows of a recorder."""

    def __init__(self, recorder: "StreamRecorder") -> None:
        self._recorder = recorder

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        self._recorder.begin(header, chunks)

    def chunk(self, chunk: Chunk) -> None:
        self._recorder.take(chunk)

    def close(self, code: str, detail: str) -> None:
        self._recorder.end(code, detail)


class StreamRecorder:
    """Implements `gateway.domain.recording.Recorder`.

    It shares the stream's MP4 output with all viewers of that format. Files begin with a key frame and at zero;
    they are cut when they are long enough, and when the source changes its codec or picture size. Overflow rule:
    when the disk is slower than the stream, the file ends, everything up to the next key frame for which there
    is room again is lost and counted, and a new file begins there.

    Args:
        stream_id: What is recorded.
        spec: How.
        events: Told what happens.
        parts: What all recorders share.
        lane: Where it writes.
    """

    def __init__(
        self,
        stream_id: str,
        spec: RecordSpec,
        events: RecordEvents,
        parts: RecorderParts,
        lane: DiskLane,
    ) -> None:
        self.figures = RecorderFigures()
        self._stream_id = stream_id
        self._spec = spec
        self._events = events
        self._parts = parts
        self._options = parts.options
        self._lane = lane
        self._live: LiveStream | None = None
        self._feed: ChunkFeed | None = None
        self._maker: FragmentMaker | None = None
        self._anchor: datetime | None = None
        """Wall time at which the output began."""
        self._began: deque[datetime] = deque(maxlen=ESTIMATES)
        """The same as the latest chunks have it."""
        self._fresh = False
        self._writing = not spec.armed
        self._cause = spec.cause
        self._ring = PreRecord(spec.pre_seconds, parts.options.max_memory)
        self._file: FileInProgress | None = None
        self._last_end: datetime | None = None
        self._skipping = False
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._ended: tuple[str, str] | None = None
        self._losses = RateLimitedCounter(log.warning, "recording_frames_lost")

    # For its owner

    @property
    def file(self) -> RecordFile | None:
        """The file that is being written, as far as it is on disk."""
        return None if self._file is None else self._file.record

    def join(self) -> None:
        """Begin to take the stream.

        Raises:
            NotFound: no receiver has that stream id.
            Unavailable: `too_many_viewers`.
        """
        self._live = self._parts.plane.live(self._stream_id)
        self._feed = self._live.tap(OutputFormat.MP4, _Sink(self), KIND)

    def write(self, cause: str) -> None:
        """Write from now on, what is kept in memory first."""
        self._cause = cause
        if self._writing or self._closed:
            return
        self._writing = True
        for fragment in self._ring.take():
            self._put(fragment, fresh=False)

    def rest(self) -> None:
        """Close the file and keep only the last seconds in memory."""
        self._writing = False
        self._end_file()

    async def close(self) -> None:
        """Close the file and let the stream go; idempotent."""
        if not self._closed:
            self._leave()
        self._ended = None
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._idle.wait()
        except TimeoutError:
            log.warning("recording_closed_late", stream_id=self._stream_id, waited_s=CLOSE_WAIT)

    # For the stream

    def begin(self, header: bytes, chunks: list[Chunk]) -> None:
        """Take the header and the chunks since the last key frame."""
        try:
            head = parse_head(header)
        except BoxError as exc:
            self._fail("codec_unsupported", f"The stream's header cannot be recorded: {exc}")
            return
        self._maker = FragmentMaker(head)
        self._anchor, self._fresh = None, False
        self._began.clear()
        if chunks:
            self._anchor = self._parts.wall() - _span(chunks[-1].dts)
        for chunk in chunks:
            self._take(chunk)
        self._fresh = True

    def take(self, chunk: Chunk) -> None:
        """Take one more."""
        began = self._parts.wall() - _span(chunk.dts)
        self._began.append(began)
        if self._anchor is None:
            self._anchor = began
        self._take(chunk)
        if self._misses_sound():
            # Once all other outputs have this chunk too, one of which may have sound already.
            asyncio.get_running_loop().call_soon(self._rejoin)

    def end(self, code: str, detail: str) -> None:
        """The output is over."""
        self._feed = None
        self._flush()
        self._maker = None
        self._end_file()
        if code == "codec_changed":
            try:
                self.join()
            except GatewayError as exc:
                code, detail = exc.code, exc.detail
            else:
                return
        self._finish(code, detail)

    # Inside

    def _take(self, chunk: Chunk) -> None:
        maker = self._maker
        if maker is None or self._closed:
            return
        try:
            fragments = maker.add(chunk.form(1))
        except BoxError as exc:
            self._fail("codec_unsupported", f"The stream cannot be recorded: {exc}")
            return
        for fragment in fragments:
            if self._maker is not maker:
                # It took the output anew, or ended.
                return
            if self._writing:
                self._put(fragment, fresh=self._fresh)
            else:
                self._ring.keep(fragment)

    def _put(self, fragment: Fragment, *, fresh: bool) -> None:
        file = self._file
        if fragment.keyframe and file is not None and self._is_long(file, fragment.begin):
            self._end_file()
            file = None
        if self._overflows(file, fragment):
            return
        if file is None:
            if not fragment.keyframe:
                return
            file = self._open(fragment, fresh=fresh)
        self.figures.frames += fragment.frames
        self.figures.bytes += file.append(fragment)

    def _is_long(self, file: FileInProgress, until: int) -> bool:
        return file.span(until) >= self._options.file_seconds or self._cause != file.record.cause

    def _misses_sound(self) -> bool:
        """Whether the output was opened without sound, there is some by now, and a file should begin here.

        Everything before the key frame that has just come was written, and an output begins with that one.
        """
        maker, file, live = self._maker, self._file, self._live
        if maker is None or file is None or live is None or live.audio is None:
            return False
        if maker.head.audio is not None or maker.keyframe_at is None:
            return False
        return self._is_long(file, maker.keyframe_at)

    def _rejoin(self) -> None:
        """Take the output anew, from the key frame that has just come."""
        if not self._misses_sound():
            return
        self._end_file()
        if self._feed is not None:
            self._feed.detach()
        self._feed, self._maker = None, None
        try:
            self.join()
        except GatewayError as exc:
            self._finish(exc.code, exc.detail)

    def _overflows(self, file: FileInProgress | None, fragment: Fragment) -> bool:
        waiting = 0 if file is None else file.waiting
        backlog, limit = self._parts.backlog, self._options.max_waiting
        if self._skipping:
            self._skipping = not fragment.keyframe or self._unfinished > 0 or backlog.full
        elif waiting > limit or backlog.full:
            self._skipping = True
        if not self._skipping:
            return False
        self.figures.dropped += fragment.frames
        self._losses.add(fragment.frames, stream_id=self._stream_id)
        if file is not None:
            file.dropped += fragment.frames
            self._end_file()
        return True

    def _open(self, fragment: Fragment, *, fresh: bool) -> FileInProgress:
        parts, spec = self._parts, self._spec
        begin = self._begin_of(fragment, fresh=fresh)
        file_id = parts.new_id()
        path = file_path(spec.device_id, spec.channel_id, spec.stream, begin, file_id)
        head = fragment.head
        record = RecordFile(
            file_id=file_id,
            device_id=spec.device_id,
            channel_id=spec.channel_id,
            stream=spec.stream,
            path=path,
            begin=begin,
            end=begin,
            cause=self._cause,
            mime=self._mime(head),
            head=head.digest,
        )
        disk = DiskFile(
            self._options.directory / path,
            dated(head.data, begin),
            head,
            sync=self._options.sync_interval,
            clock=parts.clock,
        )
        self.figures.files += 1
        self._unfinished += 1
        self._idle.clear()
        self._file = file = FileInProgress(
            record,
            fragment,
            disk=disk,
            lane=self._lane,
            backlog=parts.backlog,
            on_failed=self._disk_failed,
            on_closed=self._file_closed,
        )
        self._events.file_opened(record)
        return file

    def _begin_of(self, fragment: Fragment, *, fresh: bool) -> datetime:
        now = self._parts.wall()
        begin = now if self._anchor is None else self._anchor + _span(fragment.begin)
        if fresh and self._anchor is not None and self._began:
            # The camera's clock drifts, and ours may be set. Packets come late, never early.
            began = min(self._began)
            if abs(began - self._anchor) > DRIFT:
                self._anchor = began
                begin = began + _span(fragment.begin)
        last = self._last_end
        if last is not None and timedelta() < last - begin < 4 * DRIFT:
            begin = last
        return begin

    def _mime(self, head: Head) -> str:
        live = self._live
        if live is None or live.video is None:
            return ""
        found = [live.video.mime_codec]
        if head.audio is not None and live.audio is not None:
            found.append(live.audio.mime_codec)
        return ",".join(item for item in found if item)

    def _flush(self) -> None:
        maker = self._maker
        if maker is None or not self._writing:
            return
        for fragment in maker.flush():
            self._put(fragment, fresh=False)

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _file_closed(self, file: FileInProgress, record: RecordFile | None) -> None:
        self._unfinished -= 1
        if record is None:
            self._events.file_removed(file.record)
        else:
            self._last_end = record.end
            self._events.file_closed(record)
        if not self._unfinished:
            self._idle.set()
            self._tell_end()

    def _disk_failed(self, file: FileInProgress, exc: OSError) -> None:
        code, detail = disk_error(exc, self._options.directory)
        log.error("recording_failed", stream_id=self._stream_id, reason=code, detail=detail)
        if self._file is file:
            self._end_file()
        self._fail(code, detail)

    def _fail(self, code: str, detail: str) -> None:
        self._writing = False
        self._finish(code, detail)

    def _finish(self, code: str, detail: str) -> None:
        """End by itself."""
        if self._closed:
            return
        self._ended = (code, detail)
        self._leave()
        if not self._unfinished:
            self._tell_end()

    def _leave(self) -> None:
        self._closed = True
        if self._feed is not None:
            self._feed.detach()
            self._feed = None
        self._flush()
        self._maker = None
        self._ring.take()
        self._end_file()
        self._losses.flush()

    def _tell_end(self) -> None:
        if self._ended is not None and self._closed:
            (code, detail), self._ended = self._ended, None
            self._events.record_ended(code, detail)


def _span(ticks: int) -> timedelta:
    return timedelta(seconds=ticks / TICKS)
