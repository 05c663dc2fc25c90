"""JPEG pictures of running streams: the cached group of pictures is decoded up to its newest frame."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from time import monotonic
from typing import Any

import av
import structlog
from av.video.reformatter import ColorRange

from gateway.domain.errors import Gone, Unavailable
from gateway.domain.snapshot import Snapshot
from gateway.media.plane import EmbeddedMedia
from gateway.media.reader import StreamReader
from gateway.media.stream import LiveStream
from gb28181.es.unit import Codec, MediaUnit

__all__ = ["SnapshotMedia", "make_jpeg"]

log = structlog.get_logger()

TICKS = 90_000
AT_ONCE = 1
"""Pictures in work; there are few worker threads, and sound is encoded in them too."""
MAX_WAITING = 64
"""Pictures waited for and in work; one more is refused. A wall of 16 asks for its pictures at once."""
KEYFRAME_WAIT = 15.0
"""Seconds for the first key frame of a stream; sessions give up earlier, with a reason."""
TURN_WAIT = 10.0
"""Seconds for its turn and its making; a later picture would show what is long past."""
DECODE_BUDGET = 0.5
"""Seconds of decoding; a group of pictures that takes longer gives an older picture."""
QUALITY = 3
"""Quantiser of the JPEG, 2 (best) to 31: 3 shows no blocks."""
MIN_WIDTH = 16


class SnapshotMedia:
    """Makes pictures, a few at a time; implements `gateway.domain.snapshot.SnapshotPlane`.

    Overflow rule: who comes when too many wait is refused.

    Args:
        plane: The streams.
    """

    def __init__(self, plane: EmbeddedMedia) -> None:
        self._plane = plane
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[PictureTask] = set()

    @property
    def pending(self) -> int:
        """Pictures waited for and in work."""
        return len(self._tasks)

    def begin(self, stream_id: str) -> "PictureTask":
        """Take hold of a stream.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`, `too_many_snapshots`.
        """
        if len(self._tasks) >= MAX_WAITING:
            raise Unavailable(
                "too_many_snapshots", f"{MAX_WAITING} pictures are being made; try again soon"
            )
        task = PictureTask(self._plane.live(stream_id), self._make, self._tasks.discard)
        self._tasks.add(task)
        return task

    async def _make(self, units: list[MediaUnit], width: int | None) -> Snapshot:
        try:
            async with asyncio.timeout(TURN_WAIT):
                async with self._turn:
                    return await self._plane.worker.run(make_jpeg, units, width)
        except TimeoutError:
            raise Unavailable(
                "snapshot_too_late",
                f"The gateway did not make the picture within {TURN_WAIT:g} s: too many are wanted",
            ) from None
        except (av.FFmpegError, ValueError) as exc:
            log.warning("snapshot_failed", error=str(exc))
            raise Unavailable(
                "no_picture", f"The stream's pictures cannot be decoded: {exc}"
            ) from exc


class PictureTask:
    """One picture in the making.

    Args:
        stream: Where it comes from.
        make: Decodes and encodes.
        on_over: Called once.
    """

    def __init__(
        self,
        stream: LiveStream,
        make: Callable[[list[MediaUnit], int | None], Any],
        on_over: Callable[["PictureTask"], None],
    ) -> None:
        self._make = make
        self._on_over: Callable[[PictureTask], None] | None = on_over
        self._ended: tuple[str, str] | None = None
        self._ready = asyncio.Event()
        self._units: list[MediaUnit] = []
        self._stream = stream
        self._reader: StreamReader | None = None
        reader = stream.join("snapshot", self._arrived, self._over)
        self._reader = reader
        self._arrived()

    async def picture(self, width: int | None = None) -> Snapshot:
        """Wait for a key frame if there is none yet, and make the picture; once.

        Raises:
            Unavailable: `no_picture`, `snapshot_too_late`.
            Gone: The stream ended before.
        """
        try:
            async with asyncio.timeout(KEYFRAME_WAIT):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(
                "no_picture", f"The camera sent no key frame within {KEYFRAME_WAIT:g} s"
            ) from None
        else:
            units = self._units
            if not units:
                raise Gone(*(self._ended or ("stopped", "The stream ended")))
            self._stream.sent()
            self._detach()
            snapshot: Snapshot = await self._make(units, width)
            return snapshot
        finally:
            self.leave()

    def leave(self) -> None:
        """Let go of the stream; idempotent."""
        self._detach()
        if self._on_over is not None:
            on_over, self._on_over = self._on_over, None
            on_over(self)

    def _detach(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.detach()

    def _arrived(self) -> None:
        reader = self._reader
        if reader is None:
            return
        while (unit := reader.take()) is not None:
            if not unit.is_video:
                continue
            if unit.keyframe:
                self._units = []
            if unit.keyframe or self._units:
                self._units.append(unit)
        if self._units:
            self._ready.set()

    def _over(self, code: str, detail: str) -> None:
        self._reader = None
        self._ended = (code, detail)
        self._ready.set()


def make_jpeg(units: list[MediaUnit], width: int | None = None) -> Snapshot:
    """Decode a group of pictures up to its newest frame and return that as JPEG; for a worker thread.

    Args:
        units: A key frame and what follows it.
        width: In pixels, never more than the picture has; None: as it is.

    Raises:
        av.FFmpegError: It cannot be decoded.
        ValueError: No picture came of it.
    """
    frame, at = _newest(units)
    if frame is None:
        raise ValueError("the decoder gives no picture")
    wide = frame.width if width is None else max(MIN_WIDTH, min(width, frame.width))
    # Chroma has half the size.
    wide -= wide % 2
    high = max(2, round(frame.height * wide / frame.width / 2) * 2)
    picture = frame.reformat(
        width=wide, height=high, format="yuvj420p", dst_color_range=ColorRange.JPEG
    )
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = wide, high, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = QUALITY
    picture.pts = 0
    packets = [bytes(packet) for packet in (*encoder.encode(picture), *encoder.encode(None))]
    behind = max(0, units[-1].pts - at) / TICKS
    return Snapshot(jpeg=b"".join(packets), width=wide, height=high, behind=behind)


def _newest(units: list[MediaUnit]) -> tuple[av.VideoFrame | None, int]:
    """Return the newest picture that decodes within the budget, and its stamp."""
    codec = units[0].codec
    decoder: Any = av.CodecContext.create("hevc" if codec is Codec.HEVC else "h264", "r")
    decoder.thread_count = 1
    decoder.options = {"flags": "low_delay"}
    until = monotonic() + DECODE_BUDGET
    newest: av.VideoFrame | None = None
    for number, unit in enumerate(units):
        packet = av.Packet(unit.payload)
        packet.pts, packet.dts = unit.pts, unit.dts
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError:
            if number == 0:
                raise
            break  # what was lost on the way leaves the picture before it
        newest = frames[-1] if frames else newest
        if newest is not None and monotonic() >= until:
            break
    if newest is None or monotonic() < until:
        last = decoder.decode(None)
        newest = last[-1] if last else newest
    return newest, (newest.pts or 0) if newest is not None else 0
