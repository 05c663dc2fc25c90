"""Gathers the chunks of a stream's MP4 output into fragments of about a second."""

from dataclasses import dataclass

from gateway.media.record.box import TICKS, Head, Run, Sample, build_fragment, parse_samples

__all__ = ["SPAN", "Fragment", "FragmentMaker"]

SPAN = TICKS
"""Video ticks of a fragment; a crash loses at most this much and what waits for the disk."""
MAX_SOUND = 3 * TICKS
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
        """Return its bytes in a file that begins at `base` (video ticks)."""
        moved = []
        for run in self.runs:
            scale = self.head.tracks[run.track].timescale
            shift = base if scale == TICKS else round(base * scale / TICKS)
            moved.append(Run(run.track, max(0, run.dts - shift), run.samples))
        return build_fragment(sequence, moved)


class FragmentMaker:
    """Takes chunks, gives fragments: one ends before each key frame, or when it has lasted `SPAN`.

    Args:
        head: Head of the output.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self._video = head.video.number
        self._audio = head.audio
        self._pictures: list[Sample] = []
        self._sound: list[Sample] = []
        self._end = 0

    def add(self, data: bytes) -> list[Fragment]:
        """Take one chunk; return the fragments it completes.

        Raises:
            BoxError: it is none of the output's.
        """
        done: list[Fragment] = []
        for sample in parse_samples(data, self.head):
            if sample.track == self._video:
                self._picture(sample, done)
            else:
                self._hear(sample, done)
        return done

    def flush(self) -> list[Fragment]:
        """Return what was gathered; sound that goes beyond the last picture is left out."""
        if not self._pictures:
            return []
        last = self._pictures[-1]
        self._end = last.dts + last.duration
        audio = self._audio
        if audio is not None:
            limit = self._end * audio.timescale // TICKS
            self._sound = [item for item in self._sound if item.dts + item.duration <= limit]
        return self._complete()

    def _picture(self, sample: Sample, done: list[Fragment]) -> None:
        pictures = self._pictures
        if pictures:
            last = pictures[-1]
            if sample.dts > last.dts:
                # What the muxer said is a guess: the next picture's time decides.
                last.duration = sample.dts - last.dts
            if sample.sync or sample.dts - pictures[0].dts >= SPAN:
                self._end = last.dts + last.duration
                done += self._complete()
        self._pictures.append(sample)

    def _hear(self, sample: Sample, done: list[Fragment]) -> None:
        audio = self._audio
        if audio is None:
            return
        sound = self._sound
        if sound:
            last = sound[-1]
            if sample.dts > last.dts:
                last.duration = sample.dts - last.dts
            if sample.dts - sound[0].dts > MAX_SOUND * audio.timescale // TICKS:
                self._end = sample.dts * TICKS // audio.timescale
                done += self._complete()
        self._sound.append(sample)

    def _complete(self) -> list[Fragment]:
        pictures, sound = self._pictures, self._sound
        self._pictures, self._sound = [], []
        runs = [
            Run(samples[0].track, samples[0].dts, samples)
            for samples in (pictures, sound)
            if samples
        ]
        if not runs:
            return []
        audio = self._audio
        begin = self._end
        if pictures:
            begin = pictures[0].dts
        elif audio is not None:
            begin = sound[0].dts * TICKS // audio.timescale
        return [
            Fragment(
                head=self.head,
                runs=tuple(runs),
                keyframe=bool(pictures) and pictures[0].sync,
                begin=begin,
                end=max(self._end, begin),
                frames=len(pictures),
                size=sum(len(item.payload) for run in runs for item in run.samples),
            )
        ]
