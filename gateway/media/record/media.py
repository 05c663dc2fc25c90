"""Recording as a feature of the media plane."""

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from gateway.domain.recording import Recorder, RecordEvents, RecordSpec
from gateway.media.record.disk import DiskLanes
from gateway.media.record.option import RecordOptions
from gateway.media.record.parts import RecorderParts, Streams
from gateway.media.record.progress import Backlog
from gateway.media.record.recorder import StreamRecorder
from gb28181.aio.clock import monotonic, utc_now

__all__ = ["RecordMedia"]


class RecordMedia:
    """Implements `gateway.domain.recording.RecordingMedia`; an async context manager, left before the plane.

    Args:
        plane: Where the streams are.
        options: Limits.
        new_id: Makes ids of files: 8 to 64 hex digits.
        wall: Wall clock, timezone-aware.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        plane: Streams,
        options: RecordOptions,
        *,
        new_id: Callable[[], str],
        wall: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._backlog = Backlog(options.max_waiting_all)
        self._lanes = DiskLanes(options.lanes)
        self._parts = RecorderParts(
            plane=plane,
            options=options,
            backlog=self._backlog,
            wall=wall,
            clock=clock,
            new_id=new_id,
        )

    @property
    def waiting(self) -> int:
        """Bytes that wait for the disk."""
        return self._backlog.waiting

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lanes.close()

    def record(self, stream_id: str, spec: RecordSpec, events: RecordEvents) -> Recorder:
        """Join a stream that is being received.

        Raises:
            NotFound: no receiver has that stream id.
            Unavailable: `too_many_viewers`.
        """
        recorder = StreamRecorder(stream_id, spec, events, self._parts, self._lanes.lane())
        recorder.join()
        return recorder
