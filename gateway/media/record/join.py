"""Works out which bytes of which files make up a clip. Blocks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from gateway.domain.recording import ClipPart, RecordFile, RecordState
from gateway.media.record.box import TICKS, Head, dated
from gateway.media.record.clip import JoinedClip, Segment
from gateway.media.record.scan import Scan, fragments, read_index
from gateway.media.record.sidx import Stretch, build_sidx, coarsened

__all__ = ["MAX_ENTRIES", "join_files"]

MAX_ENTRIES = 8_192
"""Entries of a clip's index: one for each 10 s of a day."""
SEAMLESS = 1.0
"""Seconds between two files that nobody would call a gap."""


@dataclass(slots=True)
class _Cut:
    """What is taken of one file."""

    file: RecordFile
    path: Path
    scan: Scan
    stretches: list[Stretch]
    growing: bool
    """Whether the last stretch is not complete."""

    def wall(self, ticks: int) -> datetime:
        first = self.scan.stretches[0].begin
        return self.file.begin + timedelta(seconds=(ticks - first) / TICKS)

    @property
    def begin(self) -> datetime:
        return self.wall(self.stretches[0].begin)

    @property
    def end(self) -> datetime:
        last = self.stretches[-1]
        return self.wall(last.begin + last.duration)


def join_files(
    directory: Path, files: Sequence[RecordFile], begin: datetime, end: datetime
) -> JoinedClip | None:
    """Return the clip of a time range; None if there is nothing (any more).

    Args:
        directory: Of the recordings.
        files: Those of one channel that overlap, in order.
        begin: Begins at the key frame at or before it.
        end: Ends with the stretch that holds it.

    Raises:
        BoxError: a file is none of ours.
        OSError: a file cannot be read.
    """
    cuts: list[_Cut] = []
    following: datetime | None = None
    for file in files:
        if cuts and file.head != cuts[0].file.head:
            following = file.begin
            break
        try:
            cut = _cut(directory, file, begin, end)
        except FileNotFoundError:
            if cuts:
                raise
            # Retention, which takes the oldest, was faster: what is left is played.
            continue
        if cut is not None:
            cuts.append(cut)
    if not cuts:
        return None
    return _joined(cuts, following)


def _cut(directory: Path, file: RecordFile, begin: datetime, end: datetime) -> _Cut | None:
    path = directory / file.path
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = read_index(opened)
    finally:
        os.close(opened)
    known = found.stretches
    growing = file.state is RecordState.OPEN
    if growing and len(known) > 1:
        # The same question later gives the same bytes.
        known, growing = known[:-1], False
    cut = _Cut(file, path, found, [], growing)
    for stretch in known:
        if cut.wall(stretch.begin) >= end:
            break
        if cut.wall(stretch.begin + stretch.duration) > begin:
            cut.stretches.append(stretch)
    return cut if cut.stretches else None


def _joined(cuts: Sequence[_Cut], following: datetime | None) -> JoinedClip:
    segments: list[Segment] = []
    entries: list[Stretch] = []
    parts: list[ClipPart] = []
    at, offset, before = 0, 0, None
    for cut in cuts:
        first = cut.stretches[0]
        at += _sound_beyond(before, cut)
        shift = at - first.begin
        segments.append(Segment(cut.path, cut.scan.head, cut.stretches, shift))
        for stretch in cut.stretches:
            entries.append(Stretch(offset, stretch.size, stretch.begin + shift, stretch.duration))
            offset += stretch.size
        _add_part(parts, cut, at)
        last = cut.stretches[-1]
        at = last.begin + last.duration + shift
        before = cut
    entries = [
        # An entry lasts until the next begins.
        Stretch(item.offset, item.size, item.begin, after.begin - item.begin)
        for item, after in pairwise(entries)
    ] + entries[-1:]
    first_cut = cuts[0]
    prologue = dated(first_cut.scan.head.data, first_cut.begin)
    prologue += build_sidx(coarsened(entries, MAX_ENTRIES))
    return JoinedClip(
        prologue,
        segments,
        tuple(parts),
        mime=first_cut.file.mime,
        fixed=not any(cut.growing for cut in cuts),
        next=following,
    )


def _add_part(parts: list[ClipPart], cut: _Cut, at: int) -> None:
    seconds = at / TICKS
    if parts and (cut.begin - parts[-1].end).total_seconds() <= SEAMLESS:
        parts[-1] = ClipPart(begin=parts[-1].begin, end=cut.end, at=parts[-1].at)
    else:
        parts.append(ClipPart(begin=cut.begin, end=cut.end, at=seconds))


def _sound_beyond(before: _Cut | None, cut: _Cut) -> int:
    """Return by how many video ticks the sound so far goes beyond the begin of the next file's sound."""
    if before is None or cut.scan.head.audio is None:
        return 0
    last, first = before.stretches[-1], cut.stretches[0]
    ends = _sound(before, last)
    begins = _sound(cut, first)
    if ends is None or begins is None:
        return 0
    beyond = ends[1] - (last.begin + last.duration)
    return max(0, beyond - (begins[0] - first.begin))


def _sound(cut: _Cut, stretch: Stretch) -> tuple[int, int] | None:
    """Return begin and end of the sound in a stretch, in video ticks of its file."""
    head: Head = cut.scan.head
    audio = head.audio
    if audio is None:
        return None
    found: list[tuple[int, int]] = []
    opened = os.open(cut.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = stretch.offset + stretch.size
        for _, _, spans in fragments(opened, head, stretch.offset, end):
            found += [(span.begin, span.end) for span in spans if span.track == audio.number]
    finally:
        os.close(opened)
    if not found:
        return None
    scale = audio.timescale
    return found[0][0] * TICKS // scale, found[-1][1] * TICKS // scale
