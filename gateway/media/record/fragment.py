"""Gathers the chunks of a stream's MP4 output into fragments of about a second."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

from gateway.media.record.box import TICKS, Head, Run, Sample, build_fragment, parse_samples

__all__ = ["SPAN", "Fragment", "FragmentMaker"]

SPAN = TICKS
"""Video ticks of a fragment; a crash loses at most this much and what waits for the disk."""
SOUND_LATE = TICKS
"""Video ticks for which pictures wait for their sound."""
MAX_SOUND = 4 * TICKS
"""Video ticks of sound that are gathered while no picture comes."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Samples that are written together; times count from the begin of the output."""

    head: Head
    runs: tuple[Run, ...]
    keyframe: bool
    """Whether it begins with one."""
    begin: int
    """Video ticks."""
    end: int
    frames: int
    """Pictures."""
    size: int
    """Bytes of its samples."""

    def serialize(self, sequence: int, base: int) -> bytes:
        """Return its bytes in a file that begins at `base` (video ticks); what was heard before is left out."""
        moved = []
        for run in self.runs:
            scale = self.head.tracks[run.track].timescale
            shift = base if scale == TICKS else round(base * scale / TICKS)
            samples = run.samples
            if run.dts < shift:
                samples = [sample for sample in samples if sample.dts >= shift]
            if samples:
                moved.append(Run(run.track, samples[0].dts - shift, samples))
        return build_fragment(sequence, moved)


@dataclass(slots=True)
class _Group:
    """Pictures that wait for the sound of their time."""

    pictures: list[Sample]
    end: int
    """Video ticks."""


class FragmentMaker:
    """Takes chunks, gives fragments: one ends before each key frame, or when it has lasted `SPAN`.

    Sound comes later than the pictures of its time, since it is transcoded: pictures wait for it, a while.

    Args:
        head: Head of the output.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self._video = head.video.number
        self._scale = head.audio.timescale if head.audio is not None else 0
        self._pictures: list[Sample] = []
        self._sound: list[Sample] = []
        self._groups: deque[_Group] = deque()
        self._heard = 0
        """Video ticks up to which there was sound."""

    def add(self, data: bytes) -> list[Fragment]:
        """Take one chunk; return the fragments it completes.

        Raises:
            BoxError: it is none of the output's.
        """
        for sample in parse_samples(data, self.head):
            if sample.track == self._video:
                self._picture(sample)
            elif self._scale:
                self._hear(sample)
        done: list[Fragment] = []
        newest = self._pictures[-1].dts if self._pictures else 0
        while self._groups and self._is_ready(self._groups[0], newest):
            done.append(self._complete(self._groups.popleft()))
        if self._scale and self._span_of_sound() > MAX_SOUND:
            # No picture comes.
            done += self.flush()
        return done

    @property
    def keyframe_at(self) -> int | None:
        """Video ticks at which the key frame came that what is gathered begins with; None if that is none."""
        pictures = self._pictures
        return pictures[0].dts if pictures and pictures[0].sync and not self._groups else None

    def flush(self) -> list[Fragment]:
        """Return what was gathered; sound that goes beyond the last picture is left out."""
        pictures = self._pictures
        if pictures:
            self._pictures = []
            self._groups.append(_Group(pictures, pictures[-1].dts + pictures[-1].duration))
        done = [self._complete(group) for group in self._groups]
        self._groups.clear()
        self._sound = []
        return done

    def _picture(self, sample: Sample) -> None:
        pictures = self._pictures
        if pictures:
            last = pictures[-1]
            if sample.dts > last.dts:
                # What the muxer said is a guess: the next picture's time decides.
                last.duration = sample.dts - last.dts
            if sample.sync or sample.dts - pictures[0].dts >= SPAN:
                self._groups.append(_Group(pictures, last.dts + last.duration))
                self._pictures = pictures = []
        pictures.append(sample)

    def _hear(self, sample: Sample) -> None:
        sound = self._sound
        if sound and sample.dts > sound[-1].dts:
            sound[-1].duration = sample.dts - sound[-1].dts
        sound.append(sample)
        self._heard = (sample.dts + sample.duration) * TICKS // self._scale

    def _is_ready(self, group: _Group, newest: int) -> bool:
        return not self._scale or self._heard >= group.end or newest - group.end >= SOUND_LATE

    def _span_of_sound(self) -> int:
        sound = self._sound
        return (sound[-1].dts - sound[0].dts) * TICKS // self._scale if sound else 0

    def _complete(self, group: _Group) -> Fragment:
        pictures = group.pictures
        runs = [Run(pictures[0].track, pictures[0].dts, pictures)]
        if self._scale:
            limit = group.end * self._scale // TICKS
            count = bisect_left(self._sound, limit, key=lambda sample: sample.dts)
            sound, self._sound = self._sound[:count], self._sound[count:]
            if sound:
                runs.append(Run(sound[0].track, sound[0].dts, sound))
        return Fragment(
            head=self.head,
            runs=tuple(runs),
            keyframe=pictures[0].sync,
            begin=pictures[0].dts,
            end=group.end,
            frames=len(pictures),
            size=sum(len(item.payload) for run in runs for item in run.samples),
        )
