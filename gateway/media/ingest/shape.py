"""Samples as MP4 and FLV carry them, made into media units (ISO/IEC 14496-15 5.3.3, 8.3.3; 14496-3 1.6.2.1)."""

from gb28181.es import g711
from gb28181.es.aac import AudioSpecificConfig, build_adts_header, parse_audio_specific_config
from gb28181.es.annexb import START_CODE, join_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.es.video import VideoTrack
from gb28181.limits import MAX_PARAMETER_SETS

__all__ = ["AudioShaper", "VideoShaper", "read_avc_config", "read_hevc_config"]

MAX_NALS = 4_096
"""NAL units of one picture: a slice per row of macroblocks in 8K, several times over."""
_HVCC_HEADER = 22
_SBR, _PS = 5, 29
_AAC_LC = 2
_ADTS_TYPES = range(1, 5)


def read_avc_config(data: bytes) -> tuple[int, list[bytes]]:
    """Return the size of a length field and the parameter sets of an AVCDecoderConfigurationRecord.

    Raises:
        ValueError: it is cut off or not one.
    """
    reader = _Reader(data)
    if reader.take(1) != b"\x01":
        raise ValueError("expected version 1 of the AVC configuration")
    reader.take(3)
    size = (reader.number(1) & 3) + 1
    sets = [reader.sized() for _ in range(reader.number(1) & 0x1F)]
    sets += [reader.sized() for _ in range(reader.number(1))]
    return size, sets


def read_hevc_config(data: bytes) -> tuple[int, list[bytes]]:
    """Return the size of a length field and the parameter sets of an HEVCDecoderConfigurationRecord.

    Raises:
        ValueError: it is cut off or not one.
    """
    reader = _Reader(data)
    header = reader.take(_HVCC_HEADER)
    # Version 0 was written while the standard was a draft.
    if header[0] > 1:
        raise ValueError(f"expected version 1 of the HEVC configuration, got {header[0]}")
    sets: list[bytes] = []
    for _ in range(reader.number(1)):
        reader.take(1)
        for _ in range(reader.number(2)):
            if len(sets) >= MAX_PARAMETER_SETS:
                raise ValueError(f"more than {MAX_PARAMETER_SETS} parameter sets")
            sets.append(reader.sized())
    return (header[21] & 3) + 1, sets


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise ValueError(f"the configuration ends at byte {len(self._data)} of at least {end}")
        part = self._data[self._position : end]
        self._position = end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def sized(self) -> bytes:
        return self.take(self.number(2))


class VideoShaper:
    """Makes Annex B access units, key frames with parameter sets.

    Args:
        codec: H.264 or H.265.
        config: Configuration record, or Annex B parameter sets, or empty.

    Raises:
        ValueError: the configuration cannot be read.
    """

    def __init__(self, codec: Codec, config: bytes = b"") -> None:
        self.codec = codec
        self._length_size = 0
        """Bytes of a length field; 0: samples are Annex B."""
        self._track = VideoTrack(codec)
        if config:
            self.configure(config)

    def configure(self, config: bytes) -> None:
        """Take over a new configuration.

        Raises:
            ValueError: it cannot be read.
        """
        if config.startswith((b"\x00\x00\x01", START_CODE)):
            self._length_size = 0
            self._track.finish(config)
            return
        read = read_avc_config if self.codec is Codec.H264 else read_hevc_config
        self._length_size, sets = read(config)
        # No picture follows, so they are kept for the key frames.
        self._track.finish(join_nals(sets))

    def shape(self, sample: bytes, pts: int, dts: int) -> MediaUnit | None:
        """Return the unit of one sample; None if there is no picture in it."""
        if self._length_size and not sample.startswith(START_CODE):
            sample = self._to_annexb(sample)
        finished = self._track.finish(sample)
        if finished is None:
            return None
        payload, keyframe = finished
        return MediaUnit(self.codec, pts, dts, keyframe, payload)

    def _to_annexb(self, sample: bytes) -> bytes:
        size, position, total = self._length_size, 0, len(sample)
        parts: list[bytes] = []
        while position + size < total and len(parts) < 2 * MAX_NALS:
            start = position + size
            position = start + int.from_bytes(sample[position:start])
            # What claims to be longer than the sample is damaged, and all behind it.
            if position > total:
                break
            if position > start:
                parts += (START_CODE, sample[start:position])
        return b"".join(parts)


class AudioShaper:
    """Makes AAC with ADTS headers, or passes G.711 on.

    Args:
        codec: AAC or G.711.
        config: AudioSpecificConfig of AAC; empty: samples have ADTS headers already.

    Raises:
        ValueError: it cannot be carried.
    """

    def __init__(self, codec: Codec, config: bytes = b"") -> None:
        self.codec = codec
        self._config = _core(config) if codec is Codec.AAC and config else None

    @property
    def sample_rate(self) -> int | None:
        """Samples a second, as far as known."""
        if self.codec is not Codec.AAC:
            return g711.SAMPLE_RATE
        return self._config.sample_rate if self._config else None

    def shape(self, sample: bytes, pts: int) -> MediaUnit | None:
        """Return the unit of one sample; None if it cannot be one."""
        if self._config is not None and not sample.startswith((b"\xff\xf1", b"\xff\xf9")):
            try:
                sample = build_adts_header(self._config, len(sample)) + sample
            except ValueError:
                return None
        return MediaUnit(self.codec, pts, pts, True, sample) if sample else None  # noqa: FBT003 - per packet


def _core(data: bytes) -> AudioSpecificConfig:
    """Return the configuration that an ADTS header can say: of HE-AAC the core, whose decoder finds the rest."""
    config = parse_audio_specific_config(data)
    kind = _AAC_LC if config.object_type in {_SBR, _PS} else config.object_type
    if kind not in _ADTS_TYPES:
        raise ValueError(f"AAC of object type {kind} cannot be carried")
    if not 1 <= config.channels <= 7:
        raise ValueError(f"AAC with channel configuration {config.channels} cannot be carried")
    core = AudioSpecificConfig(
        object_type=kind, sample_rate=config.sample_rate, channels=config.channels
    )
    build_adts_header(core, 0)
    return core
