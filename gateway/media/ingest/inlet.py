"""Where a publisher's tags go in: kept since the last key frame, read only while somebody watches."""

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.domain.media import StreamInfo
from gateway.domain.session import EndReason
from gateway.domain.source import TagKind
from gateway.media.ingest.flv import FlvReader, TagRole, role_of
from gateway.media.rate import RateMeter
from gb28181.es.unit import MediaUnit

__all__ = ["PushInlet", "Taker"]

MAX_CONFIG = 64 * 1024
"""Bytes of a configuration tag; real ones have a few hundred."""
RATE_STEP = 0.5
"""Seconds between marks of the bit rate."""

Tag = tuple[TagKind, int, bytes]


class Taker(Protocol):
    """Who reads: the ingest of a running session."""

    def take(self, units: Sequence[MediaUnit], size: int, source: str) -> None:
        """Take units made of `size` bytes."""

    def interrupted(self) -> None:
        """Another publisher begins: forget the pictures so far."""

    def ended(self, code: str, detail: str) -> None:
        """The publisher has ended for good."""


class PushInlet:
    """Implements `gateway.domain.source.Inlet`.

    Bounded: a group of pictures over a limit is not kept, a viewer then waits for the next key frame.

    Args:
        name: For logs.
        max_tags: Tags kept since the last key frame.
        max_bytes: The same in bytes.
        clock: Monotonic seconds.
    """

    def __init__(
        self, name: str, *, max_tags: int, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._max_tags = max_tags
        self._max_bytes = max_bytes
        self._clock = clock
        self._taker: Taker | None = None
        self._reader = FlvReader()
        self._rates = RateMeter()
        self._rate_at = 0.0
        self._source = ""
        self._publishing = False
        self._began = 0.0
        self._last_tag = 0.0
        self._tags = self._bytes = self._frames = self._keyframes = 0
        self._forget()

    @property
    def publishing(self) -> bool:
        """Whether somebody publishes now."""
        return self._publishing

    @property
    def silent_for(self) -> float:
        """Seconds since the last tag, or since the publisher began."""
        return self._clock() - self._last_tag

    @property
    def problem(self) -> str:
        """Why the picture cannot be used, as far as it was looked at."""
        return self._reader.problems.get(TagKind.VIDEO, "")

    @property
    def remark(self) -> str:
        """What else is odd."""
        problem = self._reader.problems.get(TagKind.AUDIO, "")
        return f"sound is left out: {problem}" if problem else ""

    def begin(self, source: str) -> None:
        """Forget what another publisher left."""
        again = self._tags > 0
        self._forget()
        self._reader = FlvReader()
        self._source = source
        self._publishing = True
        self._began = self._last_tag = self._clock()
        if again and self._taker is not None:
            self._taker.interrupted()

    def tag(self, kind: TagKind, timestamp: int, body: bytes) -> None:
        """Keep a tag, and hand it on to whoever reads."""
        now = self._last_tag = self._clock()
        self._tags += 1
        self._bytes += len(body)
        if now - self._rate_at >= RATE_STEP:
            self._rate_at = now
            self._rates.mark(now, self._bytes, self._frames)
        self._keep((kind, timestamp, body))
        if self._taker is not None:
            units = self._reader.read(kind, timestamp, body)
            self._taker.take(units, len(body), self._source)

    def end(self, code: str, detail: str) -> None:
        """Note that the publisher is gone."""
        self._publishing = False
        self._forget()
        if code and self._taker is not None:
            self._taker.ended(code, detail)

    def close(self) -> None:
        """Forget everything; whoever reads is told."""
        self.end(EndReason.PUBLISHER_LEFT, "The source is no longer taken")

    def attach(self, taker: Taker) -> None:
        """Give what was kept, then everything from now on; another reader is forgotten."""
        self._taker = taker
        self._reader = FlvReader()
        kept = (self._video_config, self._audio_config, *self._gop)
        for kind, timestamp, body in filter(None, kept):
            units = self._reader.read(kind, timestamp, body)
            if units:
                taker.take(units, len(body), self._source)

    def detach(self, taker: Taker) -> None:
        """Read no more; idempotent."""
        if self._taker is taker:
            self._taker = None

    def info(self) -> StreamInfo:
        """Facts of what is published."""
        stale = self.silent_for > 2 * RATE_STEP
        return StreamInfo(
            stream_id=self.name,
            session_id="",
            source=self._source if self._publishing else "",
            payload="flv",
            packets=self._tags,
            bytes=self._bytes,
            frames=self._frames,
            keyframes=self._keyframes,
            bitrate_kbps=0.0 if stale or not self._publishing else self._rates.kbps(),
            started_s=self._clock() - self._began if self._publishing else 0.0,
        )

    def _forget(self) -> None:
        self._video_config: Tag | None = None
        self._audio_config: Tag | None = None
        self._gop: list[Tag] = []
        self._gop_bytes = 0

    def _keep(self, tag: Tag) -> None:
        kind, _, body = tag
        role = role_of(kind, body)
        match role:
            case TagRole.VIDEO_CONFIG if len(body) <= MAX_CONFIG:
                self._video_config = tag
                # What follows is another picture; the kept ones need the configuration before.
                self._gop, self._gop_bytes = [], 0
            case TagRole.AUDIO_CONFIG if len(body) <= MAX_CONFIG:
                self._audio_config = tag
            case TagRole.KEYFRAME:
                self._frames += 1
                self._keyframes += 1
                self._gop, self._gop_bytes = [tag], len(body)
            case TagRole.PICTURE | TagRole.SOUND if self._gop:
                self._frames += role is TagRole.PICTURE
                self._gop.append(tag)
                self._gop_bytes += len(body)
            case TagRole.PICTURE:
                self._frames += 1
            case _:
                pass
        if len(self._gop) > self._max_tags or self._gop_bytes > self._max_bytes:
            self._gop, self._gop_bytes = [], 0
