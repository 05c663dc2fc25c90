"""The RTP tracks of a stream: what SDP says of them, and their units as payloads."""

from gateway.domain.rtp_out import MAX_RTP_PAYLOAD, RtpFrame, RtpTrack
from gateway.media.facts import parameter_sets
from gb28181.es import aac, g711
from gb28181.es.unit import Codec, MediaUnit
from gb28181.rtp.packetizer_payload import (
    aac_fmtp,
    aac_payloads,
    g711_payloads,
    video_fmtp,
    video_payloads,
)

__all__ = ["RtpTracks", "is_sound"]

TICKS = 90_000
VIDEO_TYPE = 96
AAC_TYPE = 97
G711 = {Codec.PCM_MULAW: ("PCMU", 0), Codec.PCM_ALAW: ("PCMA", 8)}
VIDEO_NAMES = {Codec.H264: "H264", Codec.HEVC: "H265"}
JITTER = TICKS // 10
"""Sound whose stamp is off by less simply continues."""


def is_sound(unit: MediaUnit) -> bool:
    """Whether a unit tells enough about the sound to describe its track."""
    if unit.codec is Codec.AAC:
        return bool(aac.split_adts(unit.payload)[0])
    return unit.codec in G711


class RtpTracks:
    """Packetizes the units of one stream while its codecs stay what they are.

    Args:
        keyframe: With parameter sets.
        sound: A unit for which `is_sound` is true, or None without sound.
        reordered: Whether pictures are known to come in another order than they are shown.
    """

    def __init__(
        self, keyframe: MediaUnit, sound: MediaUnit | None, *, reordered: bool = False
    ) -> None:
        self._video = keyframe.codec
        self._sets = parameter_sets(keyframe.codec, keyframe.payload)
        self._audio = None if sound is None else sound.codec
        self._config: aac.AudioSpecificConfig | None = None
        tracks = [
            RtpTrack(
                kind="video",
                codec=self._video.value,
                encoding=VIDEO_NAMES[self._video],
                clock_rate=TICKS,
                payload_type=VIDEO_TYPE,
                fmtp=video_fmtp(self._video, self._sets),
                reordered=reordered,
            )
        ]
        self._rate = g711.SAMPLE_RATE
        if sound is not None:
            tracks.append(self._sound_track(sound))
        self.tracks = tuple(tracks)
        self._sequences = [0] * len(tracks)
        self._next_sample: int | None = None

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track."""
        return self._audio is not None

    def fits(self, unit: MediaUnit) -> bool:
        """Whether a unit is of the tracks as described; sound without a track is."""
        if unit.is_video:
            if unit.codec is not self._video:
                return False
            sets = parameter_sets(unit.codec, unit.payload) if unit.keyframe else ()
            return not sets or sets == self._sets
        if self._audio is None:
            return True
        if unit.codec is not self._audio:
            return False
        if self._config is None:
            return True
        return all(header.config == self._config for header, _ in aac.split_adts(unit.payload)[0])

    def packetize(self, unit: MediaUnit) -> list[RtpFrame]:
        """Return a unit as frames: one picture, or sound with one frame for each time stamp."""
        if unit.is_video:
            payloads = video_payloads(unit.codec, unit.payload, MAX_RTP_PAYLOAD)
            return [self._frame(0, unit.pts, payloads, keyframe=unit.keyframe)] if payloads else []
        if self._audio is None:
            return []
        if self._config is not None:
            return self._aac_frames(unit)
        frames = []
        at = self._place(unit.pts, len(unit.payload))
        if at is not None:
            for payload in g711_payloads(unit.payload):
                frames.append(self._frame(1, at, [payload]))
                at += len(payload)
        return frames

    def _sound_track(self, sound: MediaUnit) -> RtpTrack:
        if sound.codec is not Codec.AAC:
            encoding, payload_type = G711[sound.codec]
            return RtpTrack(
                kind="audio",
                codec=sound.codec.value,
                encoding=encoding,
                clock_rate=g711.SAMPLE_RATE,
                payload_type=payload_type,
            )
        self._config = config = aac.split_adts(sound.payload)[0][0][0].config
        self._rate = config.sample_rate
        return RtpTrack(
            kind="audio",
            codec=sound.codec.value,
            encoding="mpeg4-generic",
            clock_rate=config.sample_rate,
            payload_type=AAC_TYPE,
            channels=max(1, config.channels),
            fmtp=aac_fmtp(config),
        )

    def _aac_frames(self, unit: MediaUnit) -> list[RtpFrame]:
        parts = aac.split_adts(unit.payload)[0]
        samples = sum(header.blocks for header, _ in parts) * aac.SAMPLES_PER_FRAME
        at = self._place(unit.pts, samples)
        frames: list[RtpFrame] = []
        if at is None:
            return frames
        for header, data in parts:
            payloads = aac_payloads(data[header.header_length :], MAX_RTP_PAYLOAD)
            if payloads:
                frames.append(self._frame(1, at, payloads))
            at += header.blocks * aac.SAMPLES_PER_FRAME
        return frames

    def _place(self, pts: int, samples: int) -> int | None:
        """Return the stamp of a run of sound; None for what is too much of it."""
        at = pts * self._rate // TICKS
        jitter = JITTER * self._rate // TICKS
        expected = self._next_sample
        if expected is not None:
            if at < expected - jitter:
                # More samples than time: going back would be loss to a player.
                return None
            if at <= expected + jitter:
                at = expected
        self._next_sample = at + samples
        return at

    def _frame(
        self, track: int, timestamp: int, payloads: list[bytes], *, keyframe: bool = False
    ) -> RtpFrame:
        sequence = self._sequences[track]
        self._sequences[track] = sequence + len(payloads)
        return RtpFrame(
            track=track,
            timestamp=timestamp,
            payloads=payloads,
            keyframe=keyframe,
            size=sum(map(len, payloads)),
            sequence=sequence,
        )
