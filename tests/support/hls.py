"""Reads HLS playlists and holds them against the rules of RFC 8216 and its second edition."""

import re
from dataclasses import dataclass, field

from gateway.media.viewer import Chunk

__all__ = ["Item", "Playlist", "check_rules", "check_successor", "chunk", "read_playlist"]

ROUNDING = 0.00002
"""Seconds by which two durations with five decimals may differ from their sum."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


def chunk(
    number: int, *, keyframe: bool = False, duration: int = 3_600, size: int = 40, sound: int = 0
) -> Chunk:
    """A chunk whose bytes tell which one it is."""
    body = number.to_bytes(4, "big") * (size // 4)
    return Chunk(body, b"s" * sound, keyframe=keyframe, dts=number * duration, duration=duration)


@dataclass
class Item:
    """A segment as a playlist shows it; the last one may be nothing but parts."""

    number: int
    uri: str = ""
    duration: float = 0.0
    init: str = ""
    discontinuity: bool = False
    date: str = ""
    parts: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Playlist:
    """What a media playlist says."""

    tags: dict[str, str]
    items: list[Item]
    """The complete segments."""
    open: Item
    hint: str

    @property
    def sequence(self) -> int:
        return int(self.tags["EXT-X-MEDIA-SEQUENCE"])

    @property
    def target(self) -> int:
        return int(self.tags["EXT-X-TARGETDURATION"])

    @property
    def part_target(self) -> float:
        return float(_attributes(self.tags["EXT-X-PART-INF"])["PART-TARGET"])

    @property
    def hold_back(self) -> float:
        return float(_attributes(self.tags["EXT-X-SERVER-CONTROL"])["PART-HOLD-BACK"])


def read_playlist(raw: bytes) -> Playlist:  # noqa: C901 - a table of tags
    """Read a media playlist, strictly."""
    text = raw.decode()
    assert text.startswith("#EXTM3U\n")
    assert text.endswith("\n")
    tags: dict[str, str] = {}
    items: list[Item] = []
    current: Item | None = None
    hint, init = "", ""
    for line in text.splitlines()[1:]:
        name, _, value = line.removeprefix("#").partition(":")
        if current is None:
            current = Item(int(tags.get("EXT-X-MEDIA-SEQUENCE", "0")) + len(items), init=init)
        match name:
            case "EXT-X-DISCONTINUITY":
                current.discontinuity = True
            case "EXT-X-MAP":
                init = current.init = _attributes(value)["URI"]
            case "EXT-X-PROGRAM-DATE-TIME":
                current.date = value
            case "EXT-X-PART":
                current.parts.append(_attributes(value))
            case "EXTINF":
                current.duration = float(value.removesuffix(","))
            case "EXT-X-PRELOAD-HINT":
                hint = _attributes(value)["URI"]
            case _ if not line.startswith("#"):
                current.uri = line
                items.append(current)
                current = None
            case _:
                assert name not in tags, f"{name} twice"
                assert not items, f"{name} behind a segment"
                tags[name] = value
    assert current is not None
    for number, item in enumerate((*items, current), int(tags["EXT-X-MEDIA-SEQUENCE"])):
        item.number = number
    return Playlist(tags, items, current, hint)


def check_rules(it: Playlist) -> None:
    """Hold one playlist against the rules."""
    assert it.items, "a playlist without a segment"
    assert it.part_target > 0
    assert it.hold_back >= 3 * it.part_target - 0.01
    assert it.items[0].init, "no initialization segment"
    for item in it.items:
        assert item.uri == f"seg-{item.number}.m4s"
        assert item.duration > 0
        assert int(item.duration + 0.5) <= it.target, "a segment longer than EXT-X-TARGETDURATION"
        if item.parts:
            total = sum(float(part["DURATION"]) for part in item.parts)
            assert abs(total - item.duration) <= ROUNDING * (len(item.parts) + 1)
    for item in (*it.items, it.open):
        assert item.date
        for number, part in enumerate(item.parts):
            assert part["URI"] == f"part-{item.number}.{number}.m4s"
            assert float(part["DURATION"]) <= it.part_target + ROUNDING
    assert it.hint == f"part-{it.open.number}.{len(it.open.parts)}.m4s"
    listed = [bool(item.parts) for item in it.items]
    assert listed == sorted(listed), "parts are listed at the end only"


def check_successor(before: Playlist, after: Playlist) -> None:
    """Hold a playlist against the one before it: only its ends may change (RFC 8216 6.2.1, 6.2.2)."""
    assert after.sequence >= before.sequence
    assert after.target >= before.target
    old = {item.number: item for item in before.items}
    for item in after.items:
        if item.number in old:
            known = old[item.number]
            assert (item.uri, item.duration, item.discontinuity, item.init) == (
                known.uri,
                known.duration,
                known.discontinuity,
                known.init,
            )
            assert item.date == known.date
    grown = [item for item in (*after.items, after.open) if item.number == before.open.number]
    if grown and grown[0].parts:
        assert grown[0].parts[: len(before.open.parts)] == before.open.parts
    gone = [item for item in before.items if item.number < after.sequence]
    counted = int(after.tags.get("EXT-X-DISCONTINUITY-SEQUENCE", "0"))
    counted -= int(before.tags.get("EXT-X-DISCONTINUITY-SEQUENCE", "0"))
    assert counted >= sum(item.discontinuity for item in gone)


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}
