"""AAC byte format: ADTS frames and AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1, 1.A.2.2).

ADTS header, 7 bytes, 9 with CRC::

    syncword(12)=FFF ID(1) layer(2)=0 protection_absent(1)
    profile(2) sampling_frequency_index(4) private(1) channel_configuration(3) original(1) home(1)
    copyright(2) aac_frame_length(13) buffer_fullness(11) blocks_minus_one(2)
"""

from dataclasses import dataclass

__all__ = [
    "SAMPLES_PER_FRAME",
    "SAMPLE_RATES",
    "AdtsHeader",
    "AudioSpecificConfig",
    "build_adts_header",
    "iter_adts",
    "parse_adts_header",
    "parse_audio_specific_config",
    "split_adts",
]

SAMPLES_PER_FRAME = 1024
SAMPLE_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_ADTS_HEADER = 7
_EXPLICIT_RATE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpecificConfig:
    """Object type, sampling rate and channels of an AAC stream."""

    object_type: int = 2
    """2 is AAC LC, the only one that GB 28181 allows."""
    sample_rate: int
    channels: int

    def serialize(self) -> bytes:
        """Return the two bytes that SDP `config=` and MP4 `esds` carry."""
        index = SAMPLE_RATES.index(self.sample_rate)
        return (self.object_type << 11 | index << 7 | self.channels << 3).to_bytes(2)

    @property
    def mime_codec(self) -> str:
        """RFC 6381 string."""
        return f"mp4a.40.{self.object_type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdtsHeader:
    """The facts of one ADTS frame."""

    config: AudioSpecificConfig
    header_length: int
    frame_length: int
    """Header and payload together, in bytes."""
    blocks: int
    """AAC frames of 1024 samples in this ADTS frame."""


def parse_audio_specific_config(data: bytes) -> AudioSpecificConfig:
    """Parse an AudioSpecificConfig.

    Raises:
        ValueError: it is cut off, or its rate is reserved.
    """
    if len(data) < 2:
        raise ValueError(f"expected 2 bytes of AudioSpecificConfig, got {len(data)}")
    word = int.from_bytes(data[:8].ljust(8, b"\x00"))
    object_type, index = word >> 59, word >> 55 & 15
    if index == _EXPLICIT_RATE:
        if len(data) < 5:
            raise ValueError("AudioSpecificConfig ends inside its explicit rate")
        rate, channels = word >> 31 & 0xFFFFFF, word >> 27 & 15
    else:
        rate, channels = _rate(index), word >> 51 & 15
    return AudioSpecificConfig(object_type=object_type, sample_rate=rate, channels=channels)


def parse_adts_header(data: bytes, position: int = 0) -> AdtsHeader:
    """Parse the ADTS header at `position`.

    Raises:
        ValueError: there is none, or its fields are reserved.
    """
    header = data[position : position + _ADTS_HEADER]
    if len(header) < _ADTS_HEADER:
        raise ValueError(f"expected 7 bytes of ADTS header, got {len(header)}")
    word = int.from_bytes(header)
    if word >> 44 != 0xFFF or word >> 41 & 3 != 0:
        raise ValueError(f"no ADTS syncword at byte {position}")
    header_length = _ADTS_HEADER if word >> 40 & 1 else _ADTS_HEADER + 2
    frame_length = word >> 13 & 0x1FFF
    if frame_length < header_length:
        raise ValueError(f"ADTS frame length {frame_length} is shorter than its header")
    config = AudioSpecificConfig(
        object_type=(word >> 38 & 3) + 1,
        sample_rate=_rate(word >> 34 & 15),
        channels=word >> 30 & 7,
    )
    return AdtsHeader(
        config=config,
        header_length=header_length,
        frame_length=frame_length,
        blocks=(word & 3) + 1,
    )


def build_adts_header(config: AudioSpecificConfig, payload_length: int) -> bytes:
    """Build the 7-byte header for one raw AAC frame of `payload_length` bytes.

    Raises:
        ValueError: the length, rate or channel count does not fit an ADTS header.
    """
    frame_length = payload_length + _ADTS_HEADER
    if frame_length > 0x1FFF or not 1 <= config.object_type <= 4 or config.channels > 7:
        raise ValueError(f"no ADTS header for {config} and {payload_length} bytes")
    index = SAMPLE_RATES.index(config.sample_rate)
    word = 0xFFF << 44 | 1 << 40 | (config.object_type - 1) << 38 | index << 34
    word |= config.channels << 30 | frame_length << 13 | 0x7FF << 2
    return word.to_bytes(_ADTS_HEADER)


def split_adts(data: bytes) -> tuple[list[tuple[AdtsHeader, bytes]], bytes, int]:
    """Cut whole ADTS frames off a byte stream.

    Returns:
        The frames with their headers, the incomplete rest, and how many bytes had to be skipped
        to find a header.
    """
    frames: list[tuple[AdtsHeader, bytes]] = []
    position = skipped = 0
    while position + _ADTS_HEADER <= len(data):
        try:
            header = parse_adts_header(data, position)
        except ValueError:
            following = data.find(b"\xff", position + 1)
            following = len(data) if following < 0 else following
            skipped += following - position
            position = following
            continue
        end = position + header.frame_length
        if end > len(data):
            break
        frames.append((header, data[position:end]))
        position = end
    return frames, data[position:], skipped


def iter_adts(data: bytes) -> list[bytes]:
    """List the whole ADTS frames in `data`, headers included."""
    return [frame for _, frame in split_adts(data)[0]]


def _rate(index: int) -> int:
    if index >= len(SAMPLE_RATES):
        raise ValueError(f"sampling frequency index {index} is reserved")
    return SAMPLE_RATES[index]
