"""The index in a recording: a segment index box (ISO/IEC 14496-12 8.16.3) in room left for it behind the head.

While a file is written a `free` box keeps the room. Each entry is a stretch of whole fragments that begins with a
key frame: with the wall time of the file's first picture it tells at which byte to begin for an instant.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.media.record.box import TICKS, BoxError

__all__ = ["ROOM", "Stretch", "build_sidx", "coarsened", "free_box", "index_room", "parse_sidx"]

_HEAD = 40
"""Bytes of a version 1 box before its entries."""
_ENTRY = struct.Struct(">III")
_STARTS_WITH_KEY = 0x90000000
ROOM = _HEAD + 12 * 1_024 + 8
"""Bytes kept free: an entry for each 2 s of half an hour; of more key frames neighbours share one."""
_MAX_SIZE = 0x7FFFFFFF
_MAX_DURATION = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole fragments from a key frame on."""

    offset: int
    """Byte in the file."""
    size: int
    begin: int
    """Video ticks in the file."""
    duration: int


def free_box(size: int) -> bytes:
    """Return a box that means nothing."""
    return struct.pack(">I4s", size, b"free") + bytes(size - 8)


def index_room(stretches: Sequence[Stretch]) -> bytes:
    """Return what fills the room: the index, and a `free` box behind it."""
    kept = coarsened(stretches, (ROOM - _HEAD - 8) // 12)
    rest = ROOM - _HEAD - 12 * len(kept)
    return build_sidx(kept, gap=rest) + free_box(rest)


def build_sidx(stretches: Sequence[Stretch], *, gap: int = 0) -> bytes:
    """Return the box.

    Args:
        stretches: At least one; they follow each other without a gap.
        gap: Bytes between the box and the first of them.
    """
    size = _HEAD + 12 * len(stretches)
    first = stretches[0].begin if stretches else 0
    parts = [
        struct.pack(
            ">I4sIIIQQHH", size, b"sidx", 0x01000000, 1, TICKS, first, gap, 0, len(stretches)
        )
    ]
    parts += [
        _ENTRY.pack(item.size, min(item.duration, _MAX_DURATION), _STARTS_WITH_KEY)
        for item in stretches
    ]
    return b"".join(parts)


def parse_sidx(data: bytes, offset: int) -> list[Stretch]:
    """Read a box of our own that lies at `offset` of its file.

    Raises:
        BoxError: it is cut or none of ours.
    """
    try:
        size, kind, version, _, timescale, begin, gap, _, count = struct.unpack_from(
            ">I4sIIIQQHH", data
        )
        if (
            kind != b"sidx"
            or version >> 24 != 1
            or timescale != TICKS
            or size != _HEAD + 12 * count
        ):
            raise BoxError("the index is none of ours")
        position = offset + size + gap
        found = []
        for length, duration, _ in _ENTRY.iter_unpack(data[_HEAD : _HEAD + 12 * count]):
            found.append(Stretch(position, length, begin, duration))
            position += length
            begin += duration
    except struct.error as exc:
        raise BoxError(f"the index is cut: {exc}") from exc
    if len(found) != count:
        raise BoxError("the index is cut")
    return found


def coarsened(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """Return at most so many stretches, neighbours joined where there are more."""
    step = -(-len(stretches) // most) if stretches else 1
    joined: list[Stretch] = []
    for first in range(0, len(stretches), step):
        group = stretches[first : first + step]
        size = sum(item.size for item in group)
        last = group[-1]
        if step > 1 and size > _MAX_SIZE:
            joined += group
            continue
        duration = last.begin + last.duration - group[0].begin
        joined.append(Stretch(group[0].offset, size, group[0].begin, duration))
    return joined
