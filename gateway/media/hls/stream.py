"""The segments of one running stream: fed by its fMP4 output, waited for by its viewers."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from gateway.domain.errors import GatewayError, Gone, Invalid, Unavailable
from gateway.domain.hls import HlsVariant
from gateway.domain.media import OutputFormat
from gateway.media.hls.initial import has_sound
from gateway.media.hls.options import HlsOptions
from gateway.media.hls.playlist import multivariant_playlist
from gateway.media.hls.segmenter import Segmenter
from gateway.media.stream import LiveStream
from gateway.media.viewer import Chunk, ChunkFeed

__all__ = ["HlsShare", "HlsSource"]

log = structlog.get_logger()

KIND = "hls"
VARIANT_PATIENCE = 6.0
"""Seconds for which facts are waited for beyond the first picture; then they are estimates."""
BLOCK_TARGETS = 3
"""Target durations for which a reload may block (RFC 8216bis 6.2.5.2)."""
UNKNOWN_VIDEO = "avc1.640028"


class HlsSource:
    """One segmenter for all viewings of a stream; a `ChunkSink`.

    Args:
        name: Of the stream.
        find: Returns the stream; raises NotFound once it is over.
        options: Lengths and waits.
        wall: Wall clock, timezone-aware.
        on_over: Called once when nothing more will come.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[], LiveStream],
        *,
        options: HlsOptions,
        wall: Callable[[], datetime],
        on_over: Callable[["HlsSource"], None],
    ) -> None:
        self.name = name
        self.options = options
        self.segmenter = Segmenter(options)
        self.ended: tuple[str, str] | None = None
        """Code and detail once it is over."""
        self._find = find
        self._wall = wall
        self._on_over = on_over
        self._shares: tuple[HlsShare, ...] = ()
        self._changed = asyncio.Event()
        self._init: bytes | None = None
        self._sound = False
        """Whether there is a sound track."""
        self._waited_for_sound = False
        """Whether a container without one was given up for one with it: once, or it would never end."""
        self._idle: asyncio.TimerHandle | None = None
        self._again: asyncio.Handle | None = None
        self._stream = find()
        self._feed: ChunkFeed | None = self._stream.tap(OutputFormat.MP4, self, KIND)

    @property
    def viewings(self) -> int:
        """Viewings that share in it."""
        return len(self._shares)

    # Who shares in it

    def join(self, on_end: Callable[[str, str], None]) -> "HlsShare":
        """Add a viewing."""
        share = HlsShare(self, on_end)
        self._shares = (*self._shares, share)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        return share

    def left(self, share: "HlsShare") -> None:
        """Remove one; with the last one the work ends some time later."""
        self._shares = tuple(other for other in self._shares if other is not share)
        self.wake()
        if not self._shares and self.ended is None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(
                self.options.idle, self.end, "no_readers", "Nobody watched any more"
            )

    def end(self, code: str, detail: str) -> None:
        """Stop, and tell all who share in it; idempotent."""
        if self.ended is not None:
            return
        self.ended = (code, detail)
        for handle in (self._idle, self._again):
            if handle is not None:
                handle.cancel()
        if self._feed is not None:
            self._feed.detach()
            self._feed = None
        self._on_over(self)
        shares, self._shares = self._shares, ()
        for share in shares:
            share.end(code, detail)
        self.wake()

    # What the output brings

    def start(self, header: bytes, chunks: list[Chunk]) -> None:
        """Take a new initialization segment and what came since the last key frame."""
        now = self._wall().timestamp()
        self._init = header
        self._sound = has_sound(header)
        self.segmenter.restart(header, now)
        for chunk in chunks:
            self.segmenter.feed(chunk, now)
        self.wake()

    def chunk(self, chunk: Chunk) -> None:
        """Take one more."""
        segmenter = self.segmenter
        version = segmenter.version
        segmenter.feed(chunk, self._wall().timestamp())
        if segmenter.version != version:
            self.wake()
            if chunk.keyframe and not self._sound and self._stream.audio is not None:
                self._take_sound()

    def close(self, code: str, detail: str) -> None:
        """The output is over; if its codec changed there is another one."""
        self._feed = None
        if code == "codec_changed" and self.ended is None:
            # Not from within the output that is just being closed.
            self._again = asyncio.get_running_loop().call_soon(self._tap_again, code)
        else:
            self.end(code, detail)

    def _take_sound(self) -> None:
        """Begin anew with the sound that came after the container was opened."""
        if self._waited_for_sound:
            return
        self._waited_for_sound = True
        self._again = asyncio.get_running_loop().call_soon(self._tap_again, "sound_came")

    def _tap_again(self, reason: str) -> None:
        self._again = None
        if self._feed is not None:
            self._feed.detach()
            self._feed = None
        try:
            self._stream = self._find()
            self._feed = self._stream.tap(OutputFormat.MP4, self, KIND)
        except GatewayError as exc:
            self.end(exc.code, exc.detail)
        else:
            log.info("hls_restarted", stream_id=self.name, reason=reason)

    # Waiting

    def wake(self) -> None:
        """Let all who wait look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(self, share: "HlsShare", condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; False if it did not become so in time.

        Raises:
            Gone: the share or the stream ended meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    share.check()
                    if condition():
                        return True
                    await self._changed.wait()
        except TimeoutError:
            return False

    def variant(self) -> HlsVariant:
        """Return what is known of the stream now."""
        video = self._stream.video
        mime = (video.mime_codec if video else "") or UNKNOWN_VIDEO
        peak, average = self.segmenter.rates()
        return HlsVariant(
            codecs=(mime, "mp4a.40.2") if self._sound else (mime,),
            bandwidth=peak,
            average_bandwidth=average,
            width=video.width if video else None,
            height=video.height if video else None,
            fps=video.fps if video else None,
        )

    @property
    def is_open(self) -> bool:
        """Whether a decoder could start."""
        return self._init is not None


class HlsShare:
    """One viewing's share; implements `gateway.domain.hls.HlsStream`.

    Args:
        source: The segments.
        on_end: Told of the end.
    """

    def __init__(self, source: HlsSource, on_end: Callable[[str, str], None]) -> None:
        self._source = source
        self._segmenter = source.segmenter
        self._on_end: Callable[[str, str], None] | None = on_end

    @property
    def target(self) -> int:
        """Target duration in seconds; 0 while it is not known."""
        return self._segmenter.target

    async def variant(self) -> HlsVariant:
        """Wait a moment until facts are known.

        Raises:
            Unavailable: `hls_late`.
            Gone: The stream is over.
        """
        source, wait = self._source, self._source.options.start_wait
        if not await source.until(self, lambda: source.is_open, wait):
            raise Unavailable("hls_late", f"No key frame came within {wait:g} s")
        await source.until(self, lambda: self._segmenter.started, min(wait, VARIANT_PATIENCE))
        return source.variant()

    async def master(self, uri: str) -> bytes:
        """Return the multivariant playlist, as :meth:`variant`."""
        return multivariant_playlist(await self.variant(), uri).encode()

    async def playlist(self, number: int | None = None, part: int | None = None) -> bytes:
        """Return the media playlist, once it holds what is asked for.

        Raises:
            Invalid: `hls_too_far`.
            Unavailable: `hls_late`.
            Gone: The stream is over.
        """
        segmenter, wait = self._segmenter, self._source.options.start_wait
        if not await self._source.until(self, lambda: segmenter.started, wait):
            raise Unavailable(
                "hls_late",
                f"No segment was complete within {wait:g} s: the camera's key frames are far apart",
            )
        if number is not None:
            if segmenter.is_beyond(number, part):
                raise Invalid(
                    "hls_too_far", f"Segment {number} part {part} is too far ahead to wait for"
                )
            wait = float(BLOCK_TARGETS * segmenter.target)
            if not await self._source.until(self, lambda: segmenter.has(number, part), wait):
                raise Unavailable("hls_late", f"The stream has brought nothing new for {wait:g} s")
        return segmenter.playlist()

    async def part(self, number: int, part: int) -> bytes | memoryview | None:
        """Return a part, once it is there if the playlist announces it.

        Raises:
            Unavailable: `hls_late`.
            Gone: The stream is over.
        """
        segmenter = self._segmenter
        if segmenter.is_hinted(number, part):
            wait = float(BLOCK_TARGETS * max(1, segmenter.target))
            there = await self._source.until(
                self, lambda: not segmenter.is_hinted(number, part), wait
            )
            if not there:
                raise Unavailable("hls_late", f"The stream has brought nothing new for {wait:g} s")
        self.check()
        return segmenter.part(number, part)

    def segment(self, number: int) -> bytes | None:
        """Return a complete segment, None if there is none (any more)."""
        self.check()
        return self._segmenter.segment(number)

    def init(self, number: int) -> bytes | None:
        """Return an initialization segment, None if there is none (any more)."""
        self.check()
        return self._segmenter.init(number)

    def leave(self) -> None:
        """Give the share up; idempotent."""
        if self._on_end is not None:
            self._on_end = None
            self._source.left(self)

    def end(self, code: str, detail: str) -> None:
        """Tell the viewing that the stream is over."""
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(code, detail)

    def check(self) -> None:
        """Raise if there is nothing to wait for any more.

        Raises:
            Gone: The stream is over, or the share was given up.
        """
        if self._source.ended is not None:
            raise Gone(*self._source.ended)
        if self._on_end is None:
            raise Gone("viewing_ended", "This viewing has ended")
