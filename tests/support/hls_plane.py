"""HLS as the HTTP face sees it: a port whose stream the test feeds and ends."""

import asyncio
from collections.abc import Callable

from gateway.domain.errors import Gone, Invalid, NotFound
from gateway.domain.hls import HlsVariant

__all__ = ["INIT", "PART", "PLAYLIST", "SEGMENT", "ScriptedHls", "ScriptedShare"]

PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:6\n"
INIT = b"ftypmoov"
SEGMENT = b"moofmdat" * 100
PART = b"moofmdat" * 10


class ScriptedShare:
    """One viewing's share."""

    def __init__(self, plane: "ScriptedHls", on_end: Callable[[str, str], None]) -> None:
        self.asked: list[tuple[int | None, int | None]] = []
        self.left = asyncio.Event()
        self._plane = plane
        self._on_end = on_end

    @property
    def target(self) -> int:
        return self._plane.target

    async def variant(self) -> HlsVariant:
        return HlsVariant(codecs=("avc1.64001f",), bandwidth=1000, average_bandwidth=900)

    async def master(self, uri: str) -> bytes:
        await self._plane.begun.wait()
        self._check()
        return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{uri}\n".encode()

    async def playlist(self, number: int | None = None, part: int | None = None) -> bytes:
        self.asked.append((number, part))
        if number is not None and number > 1_000:
            raise Invalid("hls_too_far", "Too far ahead")
        if number is not None:
            await self._wait()
        return PLAYLIST

    async def part(self, number: int, part: int) -> bytes | None:
        return PART if (number, part) == (4, 1) else None

    def segment(self, number: int) -> bytes | None:
        return self._plane.segment if number == 4 else None

    def init(self, number: int) -> bytes | None:
        return INIT if number == 0 else None

    def leave(self) -> None:
        self.left.set()

    def end(self, code: str, detail: str) -> None:
        """The stream is over."""
        self._on_end(code, detail)

    async def _wait(self) -> None:
        await self.left.wait()
        self._check()

    def _check(self) -> None:
        if self.left.is_set():
            raise Gone("viewing_ended", "This viewing has ended")


class ScriptedHls:
    """Implements `gateway.domain.hls.HlsPlane`."""

    def __init__(self) -> None:
        self.target = 2
        self.segment = SEGMENT
        self.shares: list[ScriptedShare] = []
        self.begun = asyncio.Event()
        self.begun.set()
        self.unknown = False

    def join(self, stream_id: str, on_end: Callable[[str, str], None]) -> ScriptedShare:
        if self.unknown:
            raise NotFound("stream_not_found", stream_id)
        share = ScriptedShare(self, on_end)
        self.shares.append(share)
        return share
