"""Media and multivariant playlists as text (RFC 8216 4.3, RFC 8216bis 4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from gateway.domain.hls import HlsVariant
from gateway.media.hls.segment import TICKS, Part, Segment

__all__ = ["PlaylistState", "media_playlist", "multivariant_playlist", "part_target_of"]

VERSION = 6
"""The lowest that knows EXT-X-MAP in such playlists (RFC 8216 section 7)."""
HOLD_BACK_PARTS = 3
"""Part targets between a player and the live edge (RFC 8216bis 4.4.3.8: should be at least three)."""
PARTS_FOR = 3
"""Target durations before the end of a playlist for which it lists parts (RFC 8216bis 6.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistState:
    """What a media playlist is made from."""

    segments: Sequence[Segment]
    """Complete ones, oldest first; one at least."""
    open: Segment
    """The one that grows."""
    target: int
    """EXT-X-TARGETDURATION, in seconds."""
    part_target: int
    """For which parts aim, in ticks."""
    discontinuities: int
    """EXT-X-DISCONTINUITY tags that left the playlist."""


def media_playlist(state: PlaylistState) -> str:
    """Return the live playlist."""
    recent = _with_parts(state)
    target = part_target_of(state, recent)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{state.target}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={HOLD_BACK_PARTS * target:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={target:.3f}",
        f"#EXT-X-MEDIA-SEQUENCE:{state.segments[0].number}",
    ]
    if state.discontinuities:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{state.discontinuities}")
    if all(segment.independent for segment in state.segments):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    init = None
    for segment in state.segments:
        lines += _head(segment, init)
        init = segment.init
        if segment in recent:
            lines += _parts(segment)
        lines += (f"#EXTINF:{segment.duration / TICKS:.5f},", f"seg-{segment.number}.m4s")
    lines += _head(state.open, init)
    lines += _parts(state.open)
    following = f"part-{state.open.number}.{len(state.open.parts)}.m4s"
    lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{following}"')
    return "\n".join(lines) + "\n"


def part_target_of(state: PlaylistState, listed: Sequence[Segment]) -> float:
    """Return PART-TARGET in seconds: no part listed is longer, a source that stalled included."""
    longest = max(
        (part.duration for segment in (*listed, state.open) for part in segment.parts), default=0
    )
    return ceil(max(state.part_target, longest) * 1000 / TICKS) / 1000


def multivariant_playlist(variant: HlsVariant, uri: str) -> str:
    """Return a playlist with one variant.

    Args:
        variant: What it holds.
        uri: Of its media playlist.
    """
    attributes = [
        f"BANDWIDTH={variant.bandwidth}",
        f"AVERAGE-BANDWIDTH={variant.average_bandwidth}",
        f'CODECS="{",".join(variant.codecs)}"',
    ]
    if variant.width and variant.height:
        attributes.append(f"RESOLUTION={variant.width}x{variant.height}")
    if variant.fps:
        attributes.append(f"FRAME-RATE={variant.fps:.3f}")
    return "\n".join(
        (
            "#EXTM3U",
            f"#EXT-X-VERSION:{VERSION}",
            f"#EXT-X-STREAM-INF:{','.join(attributes)}",
            f"{uri}\n",
        )
    )


def _with_parts(state: PlaylistState) -> list[Segment]:
    """Return the complete segments near enough to the end for their parts to be listed."""
    left, found = PARTS_FOR * state.target * TICKS - state.open.duration, []
    for segment in reversed(state.segments):
        if left <= 0:
            break
        found.append(segment)
        left -= segment.duration
    return found


def _head(segment: Segment, init: int | None) -> list[str]:
    lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
    if segment.init != init:
        lines.append(f'#EXT-X-MAP:URI="init-{segment.init}.mp4"')
    began = datetime.fromtimestamp(round(segment.began_at, 3), UTC).isoformat(
        timespec="milliseconds"
    )
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{began.replace('+00:00', 'Z')}")
    return lines


def _parts(segment: Segment) -> list[str]:
    return [_part(segment, number, part) for number, part in enumerate(segment.parts)]


def _part(segment: Segment, number: int, part: Part) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    uri = f"part-{segment.number}.{number}.m4s"
    return f'#EXT-X-PART:DURATION={part.duration / TICKS:.5f},URI="{uri}"{independent}'
