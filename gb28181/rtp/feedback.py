"""RTCP feedback from a receiver: lost packets and lost pictures (RFC 4585 6, RFC 5104 4.3.1).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|   FMT   |   PT=205|206  |      length in words - 1      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                  SSRC of packet sender                        |
    |                  SSRC of media source                         |
    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    |  generic NACK: PID (16), BLP (16)  |  FIR: SSRC, sequence number, 24 reserved bits
"""

import struct
from dataclasses import dataclass

from gb28181.errors import RtpError
from gb28181.limits import MAX_RTCP_PACKETS

__all__ = ["MAX_NACKED", "LostPackets", "PictureWanted", "parse_feedback"]

MAX_NACKED = 1_024
"""Sequence numbers taken from one compound packet: a second of 8 Mbit/s, and far more than is asked for at once."""

_RTPFB, _PSFB = 205, 206
_NACK = 1
_PLI, _FIR = 1, 4
_HEADER = struct.Struct("!BBH")
_WORDS = struct.Struct("!II")
_PID_BLP = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class LostPackets:
    """Generic NACK: packets that did not arrive (RFC 4585 6.2.1)."""

    ssrc: int
    """Source whose packets they are."""
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureWanted:
    """PLI or FIR: the receiver cannot go on decoding (RFC 4585 6.3.1, RFC 5104 4.3.1)."""

    ssrc: int


def parse_feedback(data: bytes) -> list[LostPackets | PictureWanted]:
    """Return the feedback in a compound packet; what else is in it is left out.

    Raises:
        RtpError: a header or body is cut off or not version 2.
    """
    found: list[LostPackets | PictureWanted] = []
    position = count = nacked = 0
    while position < len(data) and count < MAX_RTCP_PACKETS:
        if position + 4 > len(data) or data[position] >> 6 != 2:
            raise RtpError("expected an RTCP header", position=position)
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if end > len(data):
            raise RtpError(f"RTCP packet of {4 + 4 * words} bytes is cut off", position=position)
        form = first & 0x1F
        if kind in {_RTPFB, _PSFB}:
            if words < 2:
                raise RtpError("RTCP feedback without its sources", position=position)
            _, ssrc = _WORDS.unpack_from(data, position + 4)
            body = data[position + 12 : end]
            if kind == _RTPFB and form == _NACK:
                lost = _sequences(body, MAX_NACKED - nacked)
                nacked += len(lost)
                found.append(LostPackets(ssrc, lost))
            elif kind == _PSFB and form == _PLI:
                found.append(PictureWanted(ssrc))
            elif kind == _PSFB and form == _FIR:
                found.extend(
                    PictureWanted(_WORDS.unpack_from(body, at)[0])
                    for at in range(0, len(body) - 7, 8)
                )
        position = end
        count += 1
    return found


def _sequences(body: bytes, room: int) -> tuple[int, ...]:
    numbers: list[int] = []
    for at in range(0, len(body) - 3, 4):
        first, mask = _PID_BLP.unpack_from(body, at)
        numbers.append(first)
        while mask:
            bit = mask & -mask
            numbers.append((first + bit.bit_length()) & 0xFFFF)
            mask ^= bit
        if len(numbers) >= room:
            break
    return tuple(numbers[: max(0, room)])
