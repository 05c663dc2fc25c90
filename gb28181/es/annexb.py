"""Annex B byte streams: NAL units behind start codes (H.264 and H.265 Annex B)."""

from collections.abc import Iterable, Iterator

__all__ = ["START_CODE", "iter_nals", "join_nals", "nal_spans"]

START_CODE = b"\x00\x00\x00\x01"
_PREFIX = b"\x00\x00\x01"


def nal_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each NAL unit, start codes and trailing zeros left out.

    A NAL unit cannot end in a zero byte (7.4.1), so zeros before a start code belong to the code.
    """
    find = data.find
    start = find(_PREFIX)
    size = len(data)
    while start >= 0:
        start += 3
        following = find(_PREFIX, start)
        end = size if following < 0 else following
        while end > start and data[end - 1] == 0:
            end -= 1
        if end > start:
            yield start, end
        start = following


def iter_nals(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream."""
    for start, end in nal_spans(data):
        yield data[start:end]


def join_nals(nals: Iterable[bytes]) -> bytes:
    """Build an Annex B byte stream."""
    return b"".join(part for nal in nals for part in (START_CODE, nal))
