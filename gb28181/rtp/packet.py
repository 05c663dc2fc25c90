"""RTP packets (RFC 3550 5.1).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           timestamp                           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           synchronization source (SSRC) identifier            |
    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    |            contributing source (CSRC) identifiers             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

import struct
from dataclasses import dataclass
from typing import Self

from gb28181.errors import RtpError

__all__ = ["HEADER_SIZE", "RtpPacket", "is_rtcp"]

HEADER_SIZE = 12
_HEADER = struct.Struct("!BBHII")
_VERSION_ONLY = 0x80
"""First byte of a packet with no padding, extension or CSRC: nearly all there are."""
_RTCP_TYPES = range(192, 224)
"""RFC 5761 4: as an RTP packet these would be marker and type 64 to 95, never assigned."""


def is_rtcp(data: bytes | memoryview) -> bool:
    """Whether a packet on a shared connection is RTCP rather than RTP (RFC 5761 4)."""
    return len(data) >= 2 and data[0] >> 6 == 2 and data[1] in _RTCP_TYPES


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet; treated as frozen. CSRCs and header extensions are read over."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes | memoryview

    @classmethod
    def parse(cls, data: bytes | memoryview) -> Self:
        """Parse one packet; the payload is a slice of `data`.

        Raises:
            RtpError: not version 2, or cut off inside header or padding.
        """
        try:
            first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        except struct.error:
            raise RtpError(f"expected 12 bytes of RTP header, got {len(data)}") from None
        payload = data[12:] if first == _VERSION_ONLY else _cut_payload(data, first)
        return cls(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, payload)

    def serialize(self) -> bytes:
        """Return the packet's bytes, without padding, extension or CSRC."""
        second = self.payload_type | (0x80 if self.marker else 0)
        return (
            _HEADER.pack(_VERSION_ONLY, second, self.sequence, self.timestamp, self.ssrc)
            + self.payload
        )


def _cut_payload(data: bytes | memoryview, first: int) -> bytes | memoryview:
    if first >> 6 != 2:
        raise RtpError(f"expected RTP version 2, got {first >> 6}", position=0)
    start, end = HEADER_SIZE + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if start + 4 > end:
            raise RtpError("RTP packet ends inside its header extension", position=start)
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if start > end:
        raise RtpError("RTP packet ends inside its header", position=end)
    if first & 0x20:
        padding = data[end - 1] if end > start else 0
        if not 0 < padding <= end - start:
            raise RtpError(f"RTP padding of {padding} bytes in {end - start}", position=end - 1)
        end -= padding
    return data[start:end]
