"""G.711: A-law and mu-law to linear samples and back (ITU-T G.711; 8 kHz mono in GB 28181)."""

from array import array
from collections.abc import Iterable

from gb28181.es.unit import Codec

__all__ = ["SAMPLE_RATE", "SILENCE", "decode", "duration", "encode"]

SAMPLE_RATE = 8000
SILENCE = {Codec.PCM_ALAW: b"\xd5", Codec.PCM_MULAW: b"\xff"}
"""The byte of a zero sample."""
_TICKS_NUMERATOR, _TICKS_DENOMINATOR = 45, 4  # 90000 / 8000


def duration(size: int) -> int:
    """Return how long `size` bytes sound, in 90 kHz ticks."""
    return size * _TICKS_NUMERATOR // _TICKS_DENOMINATOR


def decode(data: bytes, codec: Codec) -> "array[int]":
    """Decode to signed 16-bit samples."""
    table = _TABLES[codec]
    return array("h", [table[byte] for byte in data])


def encode(samples: Iterable[int], codec: Codec) -> bytes:
    """Encode signed 16-bit samples; those out of range are clipped."""
    one = _encode_alaw if codec is Codec.PCM_ALAW else _encode_mulaw
    return bytes(one(max(-32768, min(32767, sample))) for sample in samples)


def _decode_alaw(byte: int) -> int:
    byte ^= 0x55
    segment, value = byte >> 4 & 7, (byte & 15) << 4
    value = value + 8 if segment == 0 else value + 0x108 << segment - 1
    return value if byte & 0x80 else -value


def _decode_mulaw(byte: int) -> int:
    byte = ~byte & 0xFF
    value = (((byte & 15) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -value if byte & 0x80 else value


def _encode_alaw(sample: int) -> int:
    sign, magnitude = (0x80, sample >> 3) if sample >= 0 else (0, ~sample >> 3)
    segment = max(0, magnitude.bit_length() - 5)
    low = magnitude >> (1 if segment < 2 else segment) & 15
    return (sign | segment << 4 | low) ^ 0x55


def _encode_mulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | magnitude >> segment + 3 & 15) & 0xFF


_TABLES = {
    Codec.PCM_ALAW: [_decode_alaw(byte) for byte in range(256)],
    Codec.PCM_MULAW: [_decode_mulaw(byte) for byte in range(256)],
}
