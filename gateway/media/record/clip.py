"""Recordings cut and joined into one MP4 file that is made while it is read.

The head is that of the first file, then comes an index of everything, then the fragments as they lie on disk with
their times moved, so that gaps play without a pause. Where each byte comes from is known before the first is read:
the size is known and any range of bytes can be asked for.
"""

import asyncio
import hashlib
import os
import struct
import threading
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.domain.errors import Unavailable
from gateway.domain.recording import ClipPart
from gateway.media.record.box import Head, moved_fragment
from gateway.media.record.scan import MAX_MOOF
from gateway.media.record.sidx import Stretch

__all__ = ["FileClip", "JoinedClip", "Segment"]

PIECE = 1024 * 1024
"""Bytes read at once."""
_FRAGMENTS = 10
"""Bits of a fragment's number that count within a stretch."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Neighbouring stretches of one file."""

    path: Path
    head: Head
    stretches: Sequence[Stretch]
    shift: int
    """Video ticks added to the file's times."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.stretches)


class FileClip:
    """One file as it lies on disk; implements `gateway.domain.recording.Clip`.

    Args:
        path: The file.
        size: Its bytes.
        part: What it shows.
        mime: Its codecs.
        etag: Names its bytes.
    """

    next: datetime | None = None
    complete = True

    def __init__(self, path: Path, size: int, part: ClipPart, *, mime: str, etag: str) -> None:
        self.parts = (part,)
        self.size = size
        self.mime = mime
        self.etag = etag
        self._path = path

    def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` to `last`, both included.

        Raises:
            Unavailable: `recording_unreadable`.
        """
        return _in_thread(_raw(self._path, first, last + 1), last + 1 - first)


class JoinedClip:
    """Implements `gateway.domain.recording.Clip`.

    Args:
        prologue: Head and index.
        segments: Where the rest comes from.
        parts: What it shows.
        mime: Its codecs.
        fixed: Whether the same question will always give the same bytes.
        next: Where recordings go on that could not be joined.
    """

    def __init__(
        self,
        prologue: bytes,
        segments: Sequence[Segment],
        parts: Sequence[ClipPart],
        *,
        mime: str,
        fixed: bool,
        next: datetime | None,  # noqa: A002 - the domain's word
    ) -> None:
        self.parts = parts
        self.mime = mime
        self.next = next
        self.complete = next is None
        self.size = len(prologue) + sum(segment.size for segment in segments)
        self.etag = self._digest(prologue, segments) if fixed else ""
        self._prologue = prologue
        self._segments = segments

    def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` to `last`, both included.

        Raises:
            Unavailable: `recording_unreadable`.
        """
        return _in_thread(self._pieces(first, last + 1), last + 1 - first)

    def _pieces(self, first: int, end: int) -> Generator[bytes, None, None]:
        position = len(self._prologue)
        if first < position:
            yield self._prologue[first:end]
        ordinal = 0
        for segment in self._segments:
            size = segment.size
            if position < end and position + size > first:
                yield from _segment(segment, ordinal, position, first, end)
            position += size
            ordinal += len(segment.stretches)

    @staticmethod
    def _digest(prologue: bytes, segments: Sequence[Segment]) -> str:
        found = hashlib.sha256(prologue)
        for segment in segments:
            found.update(
                f"{segment.path.name} {segment.stretches[0].offset} {segment.shift}".encode()
            )
        return found.hexdigest()[:32]


def _segment(
    segment: Segment, ordinal: int, position: int, first: int, end: int
) -> Generator[bytes, None, None]:
    file = _open(segment.path)
    try:
        for number, stretch in enumerate(segment.stretches, ordinal + 1):
            if position >= end:
                return
            if position + stretch.size > first:
                place = position
                for piece in _moved(file, segment, stretch, number << _FRAGMENTS):
                    if place + len(piece) > first and place < end:
                        yield piece[max(0, first - place) : end - place]
                    place += len(piece)
            position += stretch.size
    finally:
        os.close(file)


def _moved(
    file: int, segment: Segment, stretch: Stretch, sequence: int
) -> Generator[bytes, None, None]:
    """Yield a stretch with its times moved."""
    position, end = stretch.offset, stretch.offset + stretch.size
    while position < end:
        size, kind = struct.unpack(">I4s", _exactly(file, 8, position))
        if size < 8 or position + size > end or (kind == b"moof" and size > MAX_MOOF):
            raise ValueError(f"a box of {size} bytes does not fit")
        if kind == b"moof":
            moof = bytearray(_exactly(file, size, position))
            try:
                moved_fragment(moof, segment.head, segment.shift, sequence)
            except (KeyError, IndexError, struct.error) as exc:
                raise ValueError(f"a fragment at {position} is damaged: {exc!r}") from exc
            sequence += 1
            yield bytes(moof)
            position += size
            continue
        stop = position + size
        while position < stop:
            piece = _exactly(file, min(PIECE, stop - position), position)
            yield piece
            position += len(piece)


def _raw(path: Path, first: int, end: int) -> Generator[bytes, None, None]:
    file = _open(path)
    try:
        while first < end:
            piece = _exactly(file, min(PIECE, end - first), first)
            yield piece
            first += len(piece)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _exactly(file: int, size: int, position: int) -> bytes:
    data = os.pread(file, size, position)
    if len(data) != size:
        raise ValueError(f"{size} bytes were expected at {position}, there are {len(data)}")
    return data


class _Source:
    """Pieces taken in threads; closing waits for the thread that takes one."""

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()

    def gather(self) -> bytes:
        """Return a handful of small pieces together; empty at the end."""
        found: list[bytes] = []
        size = 0
        with self._lock:
            for piece in self._pieces:
                found.append(piece)
                size += len(piece)
                if size >= PIECE:
                    break
        return b"".join(found)

    def close(self) -> None:
        """Close the file it stands in."""
        with self._lock:
            self._pieces.close()


async def _in_thread(pieces: Generator[bytes, None, None], wanted: int) -> AsyncIterator[bytes]:
    source = _Source(pieces)
    try:
        while wanted > 0:
            piece = await asyncio.to_thread(source.gather)
            if not piece:
                break
            wanted -= len(piece)
            yield piece
    except (OSError, ValueError) as exc:
        raise Unavailable(
            "recording_unreadable", f"A file of the recording cannot be read any more: {exc}"
        ) from exc
    finally:
        await asyncio.shield(asyncio.to_thread(source.close))
