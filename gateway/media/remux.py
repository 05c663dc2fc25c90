"""A source that does not send PS, made into PS for those it is relayed to (GB Annex C.1)."""

from collections.abc import Callable, Iterable

import structlog

from gateway.media.hub import Hub, HubReader
from gateway.media.options import MediaOptions
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.relay import RelayBatch, RelayPacker, count_packets

__all__ = ["Remuxer"]

log = structlog.get_logger()

SOUND_ALONE = 0.2
"""Seconds that sound waits for the next picture."""
SOUND_ONLY = 2.0
"""Seconds without a picture after which a stream is taken for one of sound alone."""
MAX_SOUND = 64
"""Units of sound that wait for a picture; more is sent without."""


class _PsWriter:
    """Makes PS packets of units; the map tells the codecs found up to the last key frame."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._muxer: PsMuxer | None = None
        self._video: Codec | None = None
        self._audio: Codec | None = None

    def write(self, unit: MediaUnit, sound: Iterable[MediaUnit]) -> bytes:
        """Return one PS packet; empty if the last map does not tell of it."""
        if unit.is_video:
            if unit.keyframe and self._is_new(unit.codec):
                self._renew(unit.codec)
            if unit.codec is not self._video:
                return b""
        elif self._video is None and self._is_new(None):
            self._renew(None)
        if self._muxer is None or not (unit.is_video or unit.codec is self._audio):
            return b""
        return self._muxer.mux(unit, *(one for one in sound if one.codec is self._audio))

    def _is_new(self, video: Codec | None) -> bool:
        return self._muxer is None or video is not self._video or self._hub.sound is not self._audio

    def _renew(self, video: Codec | None) -> None:
        self._video, self._audio = video, self._hub.sound
        self._muxer = PsMuxer(video, self._audio)


class Remuxer:
    """Reads a hub and gives out PS in RTP; shared by the relays of one stream.

    Starts at the hub's last key frame. Overflow: it drains the hub at once, so nothing waits but
    the sound for the next picture.

    Args:
        packer: Numbers the packets.
        emit: Gets the batches.
        on_crash: Told when it cannot go on.
    """

    def __init__(
        self,
        hub: Hub,
        packer: RelayPacker,
        *,
        options: MediaOptions,
        clock: Callable[[], float],
        emit: Callable[[list[RelayBatch]], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._hub = hub
        self._packer = packer
        self._clock = clock
        self._emit = emit
        self._on_crash = on_crash
        self._writer = _PsWriter(hub)
        self._sound: list[MediaUnit] = []
        self._sound_since = 0.0
        self._began = clock()
        self._reader = HubReader(
            self._on_units, max_frames=options.reader_frames, max_bytes=options.reader_bytes
        )

    def start(self) -> None:
        """Begin with the last key frame, if there is one."""
        self._began = self._clock()
        self._hub.subscribe(self._reader)

    def stop(self) -> None:
        """Read no more; idempotent."""
        self._hub.unsubscribe(self._reader)
        self._reader.queue.clear()

    def tick(self, now: float) -> None:
        """Take sound without pictures, if none came in time."""
        if not self._hub.frames and now - self._began >= SOUND_ONLY:
            self._reader.admit_sound()

    def since_keyframe(self) -> list[RelayBatch]:
        """Pack everything since the last key frame again, with numbers up to the packer's last."""
        writer = _PsWriter(self._hub)
        sound: list[MediaUnit] = []
        frames = []
        for unit in self._hub.gop:
            if not unit.is_video:
                sound.append(unit)
                continue
            data = writer.write(unit, sound)
            if data:
                frames.append((unit, data))
            sound = []
        again = RelayPacker()
        again.sequence = self._packer.sequence - sum(count_packets(data) for _, data in frames)
        return [
            batch
            for unit, data in frames
            for batch in again.pack_frame(data, timestamp=unit.dts, keyframe=unit.keyframe)
        ]

    def _on_units(self) -> None:
        try:
            while (unit := self._reader.take()) is not None:
                if unit.is_video:
                    self._picture(unit)
                else:
                    self._hear(unit)
        except Exception as exc:  # noqa: BLE001 - boundary: viewers of the stream must not notice
            self.stop()
            self._on_crash(exc)

    def _picture(self, unit: MediaUnit) -> None:
        sound, self._sound = self._sound, []
        self._give(unit, sound)

    def _hear(self, unit: MediaUnit) -> None:
        now = self._clock()
        if not self._sound:
            self._sound_since = now
        self._sound.append(unit)
        if now - self._sound_since >= SOUND_ALONE or len(self._sound) >= MAX_SOUND:
            (first, *others), self._sound = self._sound, []
            self._give(first, [one for one in others if one.codec is first.codec])

    def _give(self, unit: MediaUnit, sound: Iterable[MediaUnit]) -> None:
        data = self._writer.write(unit, sound)
        if data:
            keyframe = unit.keyframe and (unit.is_video or not self._hub.frames)
            self._emit(self._packer.pack_frame(data, timestamp=unit.dts, keyframe=keyframe))
