"""Counters of one program stream, for diagnosis."""

from dataclasses import dataclass

__all__ = ["PsCounters"]


@dataclass(slots=True)
class PsCounters:
    """What happened since the start; read by anyone, written by the demuxer."""

    packs: int = 0
    pes: int = 0
    maps: int = 0
    psm_crc_errors: int = 0
    """Maps with a wrong CRC, used nevertheless."""
    bad_pes: int = 0
    """PES packets with an unusable header or cut off."""
    skipped_bytes: int = 0
    """Bytes thrown away while searching for a start code."""
    ignored_pes: int = 0
    """PES of private, padding and surplus streams."""
    unsupported_pes: int = 0
    """PES of codecs that cannot be passed on."""
    damaged_frames: int = 0
    """Pictures dropped because a part of them is missing."""
    oversized_frames: int = 0
    undetected_frames: int = 0
    """Pictures before the codec was known."""
    frames: int = 0
    keyframes: int = 0
    audio_units: int = 0
    codec_mismatches: int = 0
    """Times the data were of another codec than the map says."""
    false_markers: int = 0
    """Markers that turned out not to end a frame."""
