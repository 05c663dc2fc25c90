"""Boxes of fragmented MP4 (ISO/IEC 14496-12): heads of tracks, samples out of fragments, fragments out of samples.

The recordings' own fragments hold about a second each: one `moof` with a run per track, and one `mdat`.
Times in a fragment are ticks of its track; `Sample` and whatever is made of it count so too.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = [
    "TICKS",
    "BoxError",
    "Head",
    "Run",
    "Sample",
    "Track",
    "TrackSpan",
    "boxes",
    "build_fragment",
    "dated",
    "fragment_spans",
    "moved_fragment",
    "parse_head",
    "parse_samples",
]

TICKS = 90_000
"""A second of video time."""

_MP4_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_BOX = struct.Struct(">I4s")
_SAMPLE = struct.Struct(">IIIi")
_MAX_BOXES = 100_000
"""In one level: a fragment has a handful."""

# Flags of tfhd and trun (8.8.7, 8.8.8).
_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS, _EACH_DURATION, _EACH_SIZE, _EACH_FLAGS, _EACH_CTS = (
    0x1,
    0x4,
    0x100,
    0x200,
    0x400,
    0x800,
)
_DEFAULT_BASE_IS_MOOF = 0x020000
_NON_SYNC = 0x010000


class BoxError(ValueError):
    """Bytes that are no MP4 as it was expected."""


@dataclass(frozen=True, slots=True)
class Track:
    """What a track's fragments leave out."""

    number: int
    video: bool
    timescale: int
    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first fragment."""

    data: bytes
    """`ftyp` and `moov`."""
    tracks: dict[int, Track]
    digest: str
    """The same for heads that differ in their dates only."""

    @property
    def video(self) -> Track:
        """The picture."""
        return next(track for track in self.tracks.values() if track.video)

    @property
    def audio(self) -> Track | None:
        """The sound, if there is one."""
        return next((track for track in self.tracks.values() if not track.video), None)


@dataclass(slots=True)
class Sample:
    """One frame; treated as frozen but for its duration."""

    track: int
    dts: int
    duration: int
    offset: int
    """Of its presentation behind `dts`."""
    flags: int
    payload: memoryview

    @property
    def sync(self) -> bool:
        """Whether a decoder can start here."""
        return not self.flags & _NON_SYNC


@dataclass(frozen=True, slots=True)
class Run:
    """Samples of one track that follow each other."""

    track: int
    dts: int
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class TrackSpan:
    """What a fragment covers of one track."""

    track: int
    begin: int
    end: int
    sync: bool
    """Whether it begins with a key frame."""
    last: int
    """Duration of its last sample."""


def boxes(
    data: bytes | bytearray | memoryview, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, position of the content, end) of the boxes in a range.

    Raises:
        BoxError: a box does not fit.
    """
    end = len(data) if end is None else end
    for _ in range(_MAX_BOXES):
        if start == end:
            return
        if end - start < 8:
            raise BoxError(f"a box of at least 8 bytes was expected, {end - start} are left")
        size, kind = _BOX.unpack_from(data, start)
        head = 8
        if size == 1 and end - start >= 16:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size < head or size > end - start:
            raise BoxError(f"box {kind!r} of {size} bytes does not fit into {end - start}")
        yield kind, start + head, start + size
        start += size
    raise BoxError("too many boxes")


def parse_head(data: bytes) -> Head:
    """Read what stands before the first fragment; anything but `ftyp` and `moov` is left out.

    Raises:
        BoxError: it is no head of a fragmented MP4 with a picture.
    """
    try:
        kept, moov = [], None
        for kind, start, end in boxes(data):
            if kind in {b"ftyp", b"moov"}:
                kept.append(data[start - 8 : end])
            if kind == b"moov":
                moov = (start, end)
        if moov is None:
            raise BoxError("there is no moov box")
        tracks = _tracks(data, *moov)
    except (struct.error, IndexError) as exc:
        raise BoxError(f"the moov box is cut: {exc}") from exc
    head = b"".join(kept)
    if not any(track.video for track in tracks.values()):
        raise BoxError("there is no picture")
    digest = hashlib.sha256(dated(head, _MP4_EPOCH)).hexdigest()[:16]
    return Head(head, tracks, digest)


def dated(head: bytes, at: datetime) -> bytes:
    """Return a head with the time of its making set, which players show."""
    position = head.find(b"mvhd")
    if position < 0 or head[position + 4] != 0:
        return head
    seconds = int((at - _MP4_EPOCH).total_seconds()) & 0xFFFFFFFF
    return head[: position + 8] + struct.pack(">II", seconds, seconds) + head[position + 16 :]


def parse_samples(data: bytes, head: Head) -> list[Sample]:
    """Return the samples of whole fragments, in the order of the bytes.

    Raises:
        BoxError: a fragment is cut or of another make than ours and FFmpeg's.
    """
    samples: list[Sample] = []
    view = memoryview(data)
    try:
        for kind, start, end in boxes(view):
            if kind == b"moof":
                _moof_samples(view, start - 8, end, head, samples)
    except (struct.error, IndexError, KeyError) as exc:
        raise BoxError(f"a fragment is cut: {exc!r}") from exc
    return samples


def fragment_spans(moof: bytes, head: Head) -> list[TrackSpan]:
    """Return what one of our own `moof` boxes covers of each track.

    Raises:
        BoxError: it is cut or none of ours.
    """
    spans = []
    try:
        for kind, start, end in boxes(moof, 8, len(moof)):
            if kind == b"traf":
                spans.append(_span(moof, start, end, head))
    except (struct.error, IndexError, KeyError) as exc:
        raise BoxError(f"a fragment is cut: {exc!r}") from exc
    return spans


def moved_fragment(moof: bytearray, head: Head, shift: int, sequence: int) -> None:
    """Number one of our own `moof` boxes anew and move it in time, in place.

    Args:
        moof: The box.
        head: Of its file.
        shift: Ticks of video time to be added.
        sequence: Its number.
    """
    track = None
    for kind, start, end in boxes(moof, 8, len(moof)):
        if kind == b"mfhd":
            struct.pack_into(">I", moof, start + 4, sequence & 0xFFFFFFFF)
        elif kind == b"traf":
            for inner, position, _ in boxes(moof, start, end):
                if inner == b"tfhd":
                    track = head.tracks[struct.unpack_from(">I", moof, position + 4)[0]]
                elif inner == b"tfdt" and track is not None:
                    ticks = round(shift * track.timescale / TICKS)
                    (dts,) = struct.unpack_from(">Q", moof, position + 4)
                    struct.pack_into(">Q", moof, position + 4, max(0, dts + ticks))


def build_fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """Return one `moof` and its `mdat`."""
    # traf 8, tfhd 16, tfdt 20, trun 20 and 16 for each sample.
    sizes = [8 + 16 + 20 + 20 + 16 * len(run.samples) for run in runs]
    moof = 8 + 16 + sum(sizes)
    parts = [struct.pack(">I4sI4sII", moof, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF)]
    offset = moof + 8
    payloads: list[memoryview] = []
    for run, size in zip(runs, sizes, strict=True):
        count = len(run.samples)
        parts.append(
            struct.pack(
                ">I4sI4sIII4sIQI4sIIi",
                size, b"traf",
                16, b"tfhd", _DEFAULT_BASE_IS_MOOF, run.track,
                20, b"tfdt", 0x01000000, run.dts,
                20 + 16 * count, b"trun",
                0x01000000 | _DATA_OFFSET | _EACH_DURATION | _EACH_SIZE | _EACH_FLAGS | _EACH_CTS,
                count, offset,
            )
        )  # fmt: skip
        for sample in run.samples:
            length = len(sample.payload)
            parts.append(_SAMPLE.pack(sample.duration, length, sample.flags, sample.offset))
            payloads.append(sample.payload)
            offset += length
    parts.append(_BOX.pack(offset - moof, b"mdat"))
    return b"".join([*parts, *payloads])


def _tracks(data: bytes, start: int, end: int) -> dict[int, Track]:
    found: dict[int, tuple[bool, int]] = {}
    defaults: dict[int, tuple[int, int, int]] = {}
    for kind, position, stop in boxes(data, start, end):
        if kind == b"trak":
            number, video, timescale = _trak(data, position, stop)
            found[number] = (video, timescale)
        elif kind == b"mvex":
            for inner, place, _ in boxes(data, position, stop):
                if inner == b"trex":
                    number, _, *values = struct.unpack_from(">IIIII", data, place + 4)
                    defaults[number] = (values[0], values[1], values[2])
    return {
        number: Track(number, video, timescale, *defaults.get(number, (0, 0, 0)))
        for number, (video, timescale) in found.items()
    }


def _trak(data: bytes, start: int, end: int) -> tuple[int, bool, int]:
    number, video, timescale = 0, False, 0
    for kind, position, stop in boxes(data, start, end):
        if kind == b"tkhd":
            (number,) = struct.unpack_from(">I", data, position + (20 if data[position] else 12))
        elif kind == b"mdia":
            for inner, place, _ in boxes(data, position, stop):
                if inner == b"mdhd":
                    (timescale,) = struct.unpack_from(
                        ">I", data, place + (20 if data[place] else 12)
                    )
                elif inner == b"hdlr":
                    video = data[place + 8 : place + 12] == b"vide"
    if not (number and timescale):
        raise BoxError("a track has no number or no timescale")
    return number, video, timescale


def _moof_samples(
    view: memoryview, origin: int, end: int, head: Head, samples: list[Sample]
) -> None:
    for kind, start, stop in boxes(view, origin + 8, end):
        if kind != b"traf":
            continue
        track, duration, size, flags, dts = head.video, 0, 0, 0, 0
        for inner, position, _ in boxes(view, start, stop):
            if inner == b"tfhd":
                track, duration, size, flags = _tfhd(view, position, head)
            elif inner == b"tfdt":
                form = ">Q" if view[position] else ">I"
                (dts,) = struct.unpack_from(form, view, position + 4)
            elif inner == b"trun":
                run = Track(track.number, track.video, track.timescale, duration, size, flags)
                dts = _trun(view, position, origin, run, dts, samples)


def _tfhd(view: memoryview, position: int, head: Head) -> tuple[Track, int, int, int]:
    flags, number = struct.unpack_from(">II", view, position)
    track = head.tracks[number]
    if flags & _BASE_OFFSET:
        raise BoxError("a fragment counts its bytes from the begin of the file")
    values = [track.duration, track.size, track.flags]
    position += 8 + (4 if flags & _DESCRIPTION else 0)
    for index, flag in enumerate((_DURATION, _SIZE, _FLAGS)):
        if flags & flag:
            (values[index],) = struct.unpack_from(">I", view, position)
            position += 4
    return track, values[0], values[1], values[2]


def _trun(
    view: memoryview, position: int, origin: int, track: Track, dts: int, samples: list[Sample]
) -> int:
    flags, count = struct.unpack_from(">II", view, position)
    position += 8
    place = origin
    if flags & _DATA_OFFSET:
        place += struct.unpack_from(">i", view, position)[0]
        position += 4
    first = None
    if flags & _FIRST_FLAGS:
        (first,) = struct.unpack_from(">I", view, position)
        position += 4
    for number in range(count):
        values = [track.duration, track.size, track.flags, 0]
        if first is not None and number == 0:
            values[2] = first
        for index, flag in enumerate((_EACH_DURATION, _EACH_SIZE, _EACH_FLAGS, _EACH_CTS)):
            if flags & flag:
                (values[index],) = struct.unpack_from(">i" if index == 3 else ">I", view, position)
                position += 4
        duration, size, flagged, offset = values
        if place < 0 or place + size > len(view):
            raise BoxError("a fragment's samples lie beyond its end")
        payload = view[place : place + size]
        samples.append(Sample(track.number, dts, duration, offset, flagged, payload))
        place += size
        dts += duration
    return dts


def _span(moof: bytes, start: int, end: int, head: Head) -> TrackSpan:
    number, dts, total, sync, last = 0, 0, 0, False, 0
    for kind, position, _ in boxes(moof, start, end):
        if kind == b"tfhd":
            (number,) = struct.unpack_from(">I", moof, position + 4)
        elif kind == b"tfdt":
            (dts,) = struct.unpack_from(">Q", moof, position + 4)
        elif kind == b"trun":
            (count,) = struct.unpack_from(">I", moof, position + 4)
            table = moof[position + 12 : position + 12 + 16 * count]
            if len(table) != 16 * count or not count:
                raise BoxError("a run is cut")
            durations = [entry[0] for entry in _SAMPLE.iter_unpack(table)]
            total, last = sum(durations), durations[-1]
            sync = not _SAMPLE.unpack_from(table)[2] & _NON_SYNC
    return TrackSpan(head.tracks[number].number, dts, dts + total, sync, last)
