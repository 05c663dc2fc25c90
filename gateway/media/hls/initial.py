"""What an initialization segment holds (ISO/IEC 14496-12 8.4.3)."""

from collections.abc import Iterator

__all__ = ["has_sound"]

_BOX_HEADER = 8
_HANDLER_OFFSET = 8
"""Version, flags and a reserved word come before a handler's type."""


def has_sound(init: bytes) -> bool:
    """Whether one of the tracks is sound."""
    view = memoryview(init)
    return any(
        bytes(handler[_HANDLER_OFFSET : _HANDLER_OFFSET + 4]) == b"soun"
        for moov in _boxes(view, b"moov")
        for track in _boxes(moov, b"trak")
        for media in _boxes(track, b"mdia")
        for handler in _boxes(media, b"hdlr")
    )


def _boxes(view: memoryview, kind: bytes) -> Iterator[memoryview]:
    position = 0
    while position + _BOX_HEADER <= len(view):
        size = int.from_bytes(view[position : position + 4], "big")
        if size < _BOX_HEADER:
            return
        if view[position + 4 : position + _BOX_HEADER] == kind:
            yield view[position + _BOX_HEADER : position + size]
        position += size
