"""What some devices do to their program stream, applied to packets of a correct one (GB/T 28181 annex C.1)."""

from collections.abc import Iterator

from gateway.simulator.quirk import Quirk

__all__ = ["mangle"]

_PACK = 0xBA
_SYSTEM_HEADER = 0xBB
_MAP = 0xBC
_PRIVATE_1 = 0xBD
_PRIVATE_2 = 0xBF
_VIDEO = 0xE0
_PACK_LENGTH = 14

_PRIVATE_STREAMS = bytes.fromhex("000001bd000a80000001020304050607000001bf0004deadbeef")
"""A private stream 1 packet (PES header without times, 7 bytes) and a private stream 2 packet (4 bytes)."""


def mangle(ps: bytes, quirks: frozenset[Quirk]) -> bytes:
    """Return one program stream packet as a device with these quirks would send it."""
    parts = []
    for stream_id, part in _split(ps):
        if Quirk.NO_PSM in quirks and stream_id in {_SYSTEM_HEADER, _MAP}:
            continue
        if Quirk.BAD_PSM_CRC in quirks and stream_id == _MAP:
            part = part[:-1] + bytes((part[-1] ^ 0xFF,))  # noqa: PLW2901 - that is the quirk
        if Quirk.PES_LENGTH_ZERO in quirks and stream_id == _VIDEO:
            part = part[:4] + b"\x00\x00" + part[6:]  # noqa: PLW2901
        if Quirk.PRIVATE_STREAMS in quirks and stream_id == _VIDEO and parts:
            parts.append(_PRIVATE_STREAMS)
        parts.append(part)
    return b"".join(parts)


def _split(ps: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(ps):
        stream_id = ps[position + 3]
        if stream_id == _PACK:
            end = position + _PACK_LENGTH + (ps[position + 13] & 7)
        else:
            end = position + 6 + int.from_bytes(ps[position + 4 : position + 6])
        yield stream_id, ps[position:end]
        position = end
