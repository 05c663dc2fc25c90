"""One viewer's way through the chunks of an output, and what happens when it is slow."""

from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.domain.media import ViewerSink
from gateway.media.options import MediaOptions

__all__ = ["Chunk", "ChunkFeed", "ChunkSink", "SinkFeed", "ws_frame"]

log = structlog.get_logger()

MIN_LIMIT = 256 * 1024
WS_BINARY = 0x82


def ws_frame(data: bytes) -> bytes:
    """Put the header of an unmasked binary WebSocket frame in front (RFC 6455 5.2)."""
    size = len(data)
    if size < 126:
        return bytes((WS_BINARY, size)) + data
    if size < 65_536:
        return b"".join((bytes((WS_BINARY, 126)), size.to_bytes(2, "big"), data))
    return b"".join((bytes((WS_BINARY, 127)), size.to_bytes(8, "big"), data))


class Chunk:
    """What all viewers get in one write: a video frame with the sound before it.

    Each form (with or without sound, raw or as WebSocket frame) is made once, when first asked for.
    """

    __slots__ = ("_forms", "audio", "dts", "duration", "keyframe", "video")

    def __init__(
        self, video: bytes, audio: bytes, *, keyframe: bool, dts: int, duration: int = 0
    ) -> None:
        self.video = video
        self.audio = audio
        self.keyframe = keyframe
        self.dts = dts
        """Of its picture, or of its sound if there is none; 90 kHz ticks since the output began."""
        self.duration = duration
        """Until the next picture, in the same ticks; 0 if that is not known yet, or there is no picture."""
        self._forms: list[bytes | None] = [None, None, None, None]

    def form(self, number: int) -> bytes:
        """Return the bytes for `form_number(...)`; empty if this chunk holds nothing for it."""
        data = self._forms[number]
        if data is None:
            data = self._forms[number] = self._make(number)
        return data

    def __len__(self) -> int:
        return len(self.video) + len(self.audio)

    def _make(self, number: int) -> bytes:
        data = self.video
        if number & 1 and self.audio:
            data = self.audio + data if data else self.audio
        return ws_frame(data) if number & 2 and data else data


class ChunkSink(Protocol):
    """Takes chunks within this process: what makes files or segments of them. Must not block or raise."""

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        """Take the header and the chunks since the last key frame, which may be none."""

    def chunk(self, chunk: Chunk) -> None:
        """Take one more."""

    def close(self, code: str, detail: str) -> None:
        """The output is over; not called after `detach`."""


class ChunkFeed:
    """Hands every chunk, with sound, to a sink in this process.

    Args:
        sink: Where they go.
        kind: Under which name it counts as a viewer.
        on_detach: Called once when the sink is gone.
    """

    audio = True
    skipped = 0

    def __init__(
        self, sink: ChunkSink, kind: str, *, on_detach: Callable[["ChunkFeed"], None]
    ) -> None:
        self.kind = kind
        self.started = False
        self._sink = sink
        self._on_detach: Callable[[ChunkFeed], None] | None = on_detach

    def detach(self) -> None:
        """Stop; idempotent."""
        if self._on_detach is not None:
            on_detach, self._on_detach = self._on_detach, None
            on_detach(self)

    def end(self, code: str, detail: str) -> None:
        """Stop and tell the sink why."""
        if self._on_detach is not None:
            self.detach()
            self._sink.close(code, detail)

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        """Begin."""
        self.started = True
        self._sink.start(header, chunks)

    def offer(self, chunk: Chunk, limit: int, now: float) -> None:
        """Hand on one chunk."""
        if self.started and self._on_detach is not None:
            self._sink.chunk(chunk)


class SinkFeed:
    """Writes chunks to one sink.

    Overflow rule: a sink that holds more than the limit loses chunks until a key frame finds it
    at half the limit; one that stays behind too long is closed as `too_slow`.

    Args:
        sink: Where the bytes go.
        kind: Under which name it counts as a viewer.
        audio: Whether this viewer wants sound.
        on_detach: Called once when the viewer is gone.
    """

    def __init__(
        self,
        sink: ViewerSink,
        kind: str,
        *,
        audio: bool,
        options: MediaOptions,
        on_detach: Callable[["SinkFeed"], None],
    ) -> None:
        self.kind = kind
        self.audio = audio
        self.skipped = 0
        """Chunks lost because the sink was too slow."""
        self.started = False
        """Whether the header was sent."""
        self._sink = sink
        self._form = (1 if audio else 0) | (2 if sink.framing == "ws" else 0)
        self._options = options
        self._on_detach: Callable[[SinkFeed], None] | None = on_detach
        self._awaiting = True
        self._behind_since: float | None = None
        self._burst = 0

    @property
    def attached(self) -> bool:
        """Whether bytes still go to the sink."""
        return self._on_detach is not None

    def detach(self) -> None:
        """Stop; idempotent."""
        if self._on_detach is not None:
            on_detach, self._on_detach = self._on_detach, None
            on_detach(self)

    def end(self, code: str, detail: str) -> None:
        """Stop and tell the sink why."""
        if self._on_detach is not None:
            self.detach()
            self._sink.close(code, detail)

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        """Send the header and the chunks since the last key frame, which may be none."""
        self.started = True
        self._write(ws_frame(header) if self._form & 2 else header)
        for chunk in chunks:
            self._awaiting = False
            self._write(chunk.form(self._form))
        # The start may exceed the limit without the viewer being slow.
        self._burst = self._sink.buffered()

    def offer(self, chunk: Chunk, limit: int, now: float) -> None:
        """Send a chunk, unless the sink is behind."""
        waiting = self._sink.buffered()
        if self._awaiting:
            # A fresh viewer starts at any key frame, one that fell behind when it has caught up.
            caught_up = self._behind_since is None or waiting <= limit // 2
            if not (chunk.keyframe and caught_up):
                self._skip(now)
                return
            self._awaiting = False
            self._behind_since = None
        elif waiting > limit + self._burst:
            self._awaiting = True
            self._behind_since = now
            self._skip(now)
            return
        elif self._burst and waiting <= limit // 2:
            self._burst = 0
        self._write(chunk.form(self._form))

    def _skip(self, now: float) -> None:
        if self._behind_since is None:
            return
        self.skipped += 1
        patience = self._options.viewer_patience
        if now - self._behind_since > patience:
            log.info("viewer_closed_as_too_slow", skipped=self.skipped)
            self.end("too_slow", f"This viewer was too slow for the stream for {patience:g} s")

    def _write(self, data: bytes) -> None:
        if not data or self._on_detach is None:
            return
        try:
            self._sink.write(data)
        except Exception:
            # A boundary: one viewer's connection must not end the stream of all.
            log.exception("viewer_failed")
            self.end("viewer_failed", "The gateway failed on this viewer; its log says more")
