"""Segments and their parts (RFC 8216bis 4.4.4)."""

from dataclasses import dataclass, field

__all__ = ["TICKS", "Part", "Segment"]

TICKS = 90_000
"""Of media time, a second."""


@dataclass(slots=True, eq=False)
class Part:
    """Some whole frames; treated as frozen once it is in a segment."""

    duration: int
    """In ticks."""
    data: bytes | memoryview
    independent: bool
    """Whether it begins with a key frame."""


@dataclass(slots=True, kw_only=True, eq=False)
class Segment:
    """What players load: the parts it consists of, one after the other."""

    number: int
    """Media sequence number."""
    start: int
    """Media time of its beginning, in ticks since the stream's first segment."""
    init: int
    """Number of the initialization segment."""
    discontinuity: bool
    """Whether stamps begin anew with it."""
    parts: list[Part] = field(default_factory=list)
    duration: int = 0
    """In ticks, of the parts so far."""
    size: int = 0
    """In bytes, of the parts so far."""
    began_at: float = 0.0
    """UNIX seconds at which its first picture came."""
    data: bytes = b""
    """All of it, once it is complete."""
    gone_at: int | None = None
    """Media time until which it can be had after it left the playlist; None while it is in there."""

    @property
    def independent(self) -> bool:
        """Whether it begins with a key frame."""
        return bool(self.parts) and self.parts[0].independent

    def add(self, part: Part) -> None:
        """Append a part."""
        self.parts.append(part)
        self.duration += part.duration
        self.size += len(part.data)

    def complete(self) -> None:
        """Keep all bytes once: the parts become views of them."""
        self.data = b"".join(part.data for part in self.parts)
        view, position = memoryview(self.data), 0
        for part in self.parts:
            end = position + len(part.data)
            part.data = view[position:end]
            position = end
