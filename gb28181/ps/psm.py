"""Program stream map and stream types (ISO/IEC 13818-1 2.5.4; GB Annex C.1).

::

    00 00 01 BC | length(16) | current_next(1) 11 version(5) | 1111111 1 | info_length(16) info
    | es_map_length(16) { stream_type(8) stream_id(8) info_length(16) info } | CRC-32/MPEG-2
"""

from dataclasses import dataclass

from gb28181.es.unit import Codec
from gb28181.limits import MAX_PSM_STREAMS

__all__ = [
    "STREAM_TYPES",
    "STREAM_TYPE_BY_CODEC",
    "UNSUPPORTED_TYPES",
    "ProgramMap",
    "build_psm",
    "crc32_mpeg2",
    "is_audio_type",
    "is_video_type",
    "parse_psm",
]

STREAM_TYPES = {
    0x1B: Codec.H264,
    0x24: Codec.HEVC,
    0x0F: Codec.AAC,
    0x90: Codec.PCM_ALAW,
    0x91: Codec.PCM_MULAW,
}
"""Codecs by stream_type; GB 28181 uses user private values for G.711."""

STREAM_TYPE_BY_CODEC = {codec: value for value, codec in STREAM_TYPES.items()}

UNSUPPORTED_TYPES = {
    0x01: "MPEG-1 video",
    0x02: "MPEG-2 video",
    0x03: "MPEG-1 audio",
    0x04: "MPEG-2 audio",
    0x10: "MPEG-4 video",
    0x11: "AAC LATM",
    0x80: "SVAC video",
    0x92: "G.722.1",
    0x93: "G.723.1",
    0x99: "G.729",
    0x9B: "SVAC audio",
}
"""What to call the stream types that cannot be passed on."""


_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x80})


def is_video_type(stream_id: int, stream_type: int) -> bool:
    """Whether an entry of a map means video: by its type, else by its id."""
    known = stream_type in STREAM_TYPES or stream_type in UNSUPPORTED_TYPES
    return stream_type in _VIDEO_TYPES if known else 0xE0 <= stream_id <= 0xEF


def is_audio_type(stream_id: int, stream_type: int) -> bool:
    """Whether an entry of a map means audio: by its type, else by its id."""
    known = stream_type in STREAM_TYPES or stream_type in UNSUPPORTED_TYPES
    return stream_type not in _VIDEO_TYPES if known else 0xC0 <= stream_id <= 0xDF


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramMap:
    """A program stream map as received."""

    types: dict[int, int]
    """stream_type by stream_id."""
    crc_ok: bool
    """False is no reason to drop the map: some devices send a wrong CRC."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        table.append(crc & 0xFFFFFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32_mpeg2(data: bytes) -> int:
    """Return CRC-32/MPEG-2; over a whole map with its CRC the result is 0."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC_TABLE[crc >> 24 ^ byte]
    return crc


def parse_psm(data: bytes) -> ProgramMap:
    """Parse a map from its start code on; whatever is cut off or odd is left out.

    The length of the elementary stream map is ignored: devices send 0.
    """
    types: dict[int, int] = {}
    position = 10 + int.from_bytes(data[8:10]) + 2
    end = len(data) - 4
    while position + 4 <= end and len(types) < MAX_PSM_STREAMS:
        types[data[position + 1]] = data[position]
        position += 4 + int.from_bytes(data[position + 2 : position + 4])
    return ProgramMap(types=types, crc_ok=crc32_mpeg2(data) == 0)


def build_psm(types: dict[int, int], *, bad_crc: bool = False) -> bytes:
    """Build a map of stream_type by stream_id; `bad_crc` damages it as some devices do."""
    entries = b"".join(bytes((kind, stream, 0, 0)) for stream, kind in types.items())
    body = b"\xe0\xff\x00\x00" + len(entries).to_bytes(2) + entries
    psm = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2) + body
    return psm + (crc32_mpeg2(psm) ^ (1 if bad_crc else 0)).to_bytes(4)
