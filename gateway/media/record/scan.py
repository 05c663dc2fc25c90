"""Reads a recording's head and index, or finds its fragments box by box when it was left open."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.media.record.box import (
    TICKS,
    BoxError,
    Head,
    TrackSpan,
    fragment_spans,
    parse_head,
)
from gateway.media.record.sidx import ROOM, Stretch, index_room, parse_sidx

__all__ = ["MAX_HEAD", "MAX_MOOF", "Scan", "finish", "fragments", "read_index", "scan"]

MAX_HEAD = 1024 * 1024
"""Bytes of a head; one with long parameter sets has some thousand."""
MAX_MOOF = 1024 * 1024
"""Bytes of a `moof`: 16 for each frame of a second or a few."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A file as it is on disk."""

    head: Head
    room: int
    """Where the room for the index begins."""
    stretches: list[Stretch]
    size: int
    """Bytes up to the end of the last whole fragment."""
    left: int
    """Bytes behind that, which are of no use."""

    @property
    def end(self) -> int:
        """Video ticks at which it ends."""
        last = self.stretches[-1]
        return last.begin + last.duration


def read_index(file: int) -> Scan:
    """Read a file's head and index; one that has no index is scanned. Blocks.

    Raises:
        BoxError: it is no recording, or holds no picture.
        OSError: it cannot be read.
    """
    head, room = _head(file)
    size = os.fstat(file).st_size
    start = os.pread(file, ROOM, room)
    try:
        stretches = parse_sidx(start, room)
    except BoxError:
        # There is none yet, or the machine stopped while it was written.
        return scan(file)
    if not stretches or stretches[-1].offset + stretches[-1].size > size:
        return scan(file)
    return Scan(head, room, stretches, stretches[-1].offset + stretches[-1].size, 0)


def scan(file: int) -> Scan:
    """Look at every fragment. Blocks.

    Raises:
        BoxError: it is no recording, or holds no whole fragment.
        OSError: it cannot be read.
    """
    head, room = _head(file)
    size = os.fstat(file).st_size
    stretches: list[Stretch] = []
    position = room + ROOM
    video = head.video.number
    audio_end = 0
    for offset, length, spans in fragments(file, head, position, size):
        position = offset + length
        picture = next((span for span in spans if span.track == video), None)
        if picture is None:
            audio_end = max((_ticks(head, span) for span in spans), default=0)
        if not stretches and picture is None:
            continue
        if picture is not None and (picture.sync or not stretches):
            if stretches:
                stretches[-1] = _until(stretches[-1], offset, picture.begin)
            stretches.append(Stretch(offset, length, picture.begin, picture.end - picture.begin))
        else:
            last = stretches[-1]
            end = picture.end if picture is not None else max(audio_end, last.begin + last.duration)
            stretches[-1] = _until(last, position, end)
    if not stretches:
        raise BoxError("it holds no whole fragment with a picture")
    return Scan(head, room, stretches, position, size - position)


def fragments(
    file: int, head: Head, position: int, end: int
) -> Iterator[tuple[int, int, list[TrackSpan]]]:
    """Yield (offset, size, spans) of the whole fragments in a range; ends where one is cut."""
    while position + 8 <= end:
        size, kind = struct.unpack(">I4s", os.pread(file, 8, position))
        if kind != b"moof" or not 8 < size <= MAX_MOOF or position + size + 8 > end:
            return
        moof = os.pread(file, size, position)
        length, kind = struct.unpack(">I4s", os.pread(file, 8, position + size))
        if kind != b"mdat" or length < 8 or position + size + length > end:
            return
        try:
            spans = fragment_spans(moof, head)
        except BoxError:
            return
        yield position, size + length, spans
        position += size + length


def finish(file: int, found: Scan) -> None:
    """Cut what is of no use, write the index into its room, and make all of it durable. Blocks."""
    if found.left:
        os.ftruncate(file, found.size)
    os.pwrite(file, index_room(found.stretches), found.room)
    os.fsync(file)


def _head(file: int) -> tuple[Head, int]:
    data = os.pread(file, MAX_HEAD, 0)
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind not in {b"ftyp", b"moov"} or size < 8:
            break
        position += size
        if kind == b"moov" and position + ROOM <= os.fstat(file).st_size:
            # Behind it is the room for the index, whatever a machine that stopped while it was written left there.
            return parse_head(data[:position]), position
    raise BoxError("its head is none of ours")


def _until(stretch: Stretch, offset: int, ticks: int) -> Stretch:
    return Stretch(
        stretch.offset, offset - stretch.offset, stretch.begin, max(0, ticks - stretch.begin)
    )


def _ticks(head: Head, span: TrackSpan) -> int:
    return span.end * TICKS // head.tracks[span.track].timescale
