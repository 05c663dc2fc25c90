"""Recognising a codec by its first bytes, for streams that do not say or say it wrong."""

from gb28181.es import h264, hevc
from gb28181.es.aac import parse_adts_header
from gb28181.es.annexb import nal_spans
from gb28181.es.unit import Codec

__all__ = ["detect_audio", "detect_video"]

_NALS_LOOKED_AT = 16
_LOOK = 4096
"""Parameter sets come first; behind this many bytes there is only picture data."""


def detect_video(data: bytes) -> Codec | None:
    """Recognise H.264 or H.265 by parameter sets in Annex B data, or return None.

    Only a sequence parameter set that parses, or an H.265 VPS, counts: slices of the two look alike.
    """
    head = bytes(data[:_LOOK])
    for index, (start, end) in enumerate(nal_spans(head)):
        if index >= _NALS_LOOKED_AT:
            break
        codec = _detect_nal(head[start:end])
        if codec is not None:
            return codec
    return None


def detect_audio(data: bytes) -> Codec | None:
    """Recognise AAC by ADTS headers one behind the other, or return None: G.711 has no mark."""
    try:
        first = parse_adts_header(data)
        if first.frame_length < len(data):
            parse_adts_header(data[first.frame_length :].ljust(7, b"\x00"))
    except ValueError:
        return None
    return Codec.AAC if first.frame_length <= len(data) else None


def _detect_nal(nal: bytes) -> Codec | None:
    try:
        # 0x40 would be type 0 in H.264 and 0x42 a data partition; both are never sent.
        if nal[:2] == b"\x40\x01":
            return Codec.HEVC
        if nal[:2] == b"\x42\x01":
            hevc.parse_sps(nal)
            return Codec.HEVC
        # 0x67, 0x47, 0x27 would be reserved or SEI-like types of a layer above 0 in H.265.
        if nal[0] & 0x9F == h264.NalType.SPS:
            h264.parse_sps(nal)
            return Codec.H264
    except ValueError:
        return None
    return None
