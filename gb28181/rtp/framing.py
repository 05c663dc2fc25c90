"""RTP packets out of a TCP stream: RFC 4571 and what devices send instead (GB Annex D).

::

    RFC 4571      | length(16) | RTP or RTCP | length(16) | ...
    interleaved   | 24 | channel | length(16) | RTP or RTCP | 24 | ...              (RFC 2326 10.12)
    preamble      | 256 bytes beginning 01 00 | ?(16) | length(16) | RTP | ?(16) | ... (EHome)
"""

import enum

from gb28181.errors import RtpError
from gb28181.limits import MAX_RTP_RESYNC_BYTES
from gb28181.rtp.packet import HEADER_SIZE, is_rtcp

__all__ = ["Framing", "FramingLost", "StreamFramer"]

_DOLLAR = 0x24
_PREAMBLE = 256
_SSRC_AT = 8
_PACK_START = b"\x00\x00\x01\xba"


class FramingLost(RtpError):
    """No packet could be found any more: close the connection."""


class Framing(enum.Enum):
    """How packets are told apart."""

    UNKNOWN = enum.auto()
    RFC4571 = enum.auto()
    INTERLEAVED = enum.auto()
    PREAMBLE = enum.auto()

    @property
    def header_size(self) -> int:
        """Bytes before a packet; the last two are its length."""
        return 2 if self is Framing.RFC4571 else 4


class StreamFramer:
    """Cuts a byte stream into packets; finds the way back by the SSRC when it is lost.

    Args:
        ssrc: The SSRC agreed on, or None; replaced by the one that packets carry.
    """

    def __init__(self, ssrc: int | None = None) -> None:
        self.framing = Framing.UNKNOWN
        self.resyncs = 0
        """Times the way was found back."""
        self.skipped_bytes = 0
        """Bytes thrown away on the way."""
        self._ssrc = ssrc.to_bytes(4) if ssrc is not None else None
        self._proven = False
        self._rest = b""
        self._lost_bytes = 0
        self._lost = False
        self._need = 0
        self._has_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return the whole packets in them: RTP and RTCP.

        Raises:
            FramingLost: 64 KB without a packet; nothing further will come.
        """
        if self._rest:
            data = self._rest + data
        if len(data) < self._need:
            self._rest = data
            return []
        packets: list[bytes] = []
        position = self._detect(data) if self.framing is Framing.UNKNOWN else 0
        if self.framing is not Framing.UNKNOWN:
            position = self._cut(data, position, packets)
        self._rest = data[position:] if position else data
        if self._lost_bytes + (len(self._rest) if self._lost else 0) > MAX_RTP_RESYNC_BYTES:
            self._rest = b""
            raise FramingLost(f"no RTP packet in {MAX_RTP_RESYNC_BYTES} bytes of the TCP stream")
        return packets

    def _detect(self, data: bytes) -> int:
        if len(data) < 4:
            return 0
        if data[0] == _DOLLAR and data[1] < 16:
            self.framing = Framing.INTERLEAVED
            return 0
        if data[0] == 1 and data[1] == 0 and data[2] >> 6 != 2:
            # A packet of 256 bytes would have the same first two bytes, and then 80.
            if len(data) < _PREAMBLE + 6:
                return 0
            # Behind it come headers of RFC 4571, then the RTP version is here; or EHome's of four bytes,
            # then the length is, which no packet of 16 KB or more can begin with these bits.
            plain = data[_PREAMBLE + 2] >> 6 == 2
            self.framing = Framing.RFC4571 if plain else Framing.PREAMBLE
            return _PREAMBLE
        self.framing = Framing.RFC4571
        return 0

    def _cut(self, data: bytes, position: int, packets: list[bytes]) -> int:
        size = len(data)
        self._need = 0
        while True:
            if self._lost:
                found = self._search(data, position)
                if found < 0:
                    return self._keep_tail(data, position)
                self._lost_bytes += found - position
                self.skipped_bytes += found - position
                self._found()
                position = found
            start = position + self.framing.header_size
            if start > size:
                return position
            length = data[start - 2] << 8 | data[start - 1]
            end = start + length
            if end <= size and self._is_next(data, position, start, end):
                packets.append(data[start:end])
                position = end
                continue
            verdict = self._judge(data, position, start, end)
            if verdict is None:
                self._need = max(end - position, size - position + 1)
                return position
            if not verdict:
                self._lost = True
                position += 1
                self.skipped_bytes += 1
                self._lost_bytes += 1
                continue
            if length >= HEADER_SIZE or (length and is_rtcp(data[start:end])):
                packets.append(self._packet(data, start, end))
                self._learn(data, start)
            position = end

    def _is_next(self, data: bytes, position: int, start: int, end: int) -> bool:
        """Whether there is plainly another packet of the same sender: nearly always."""
        return (
            self._proven
            and data[start + _SSRC_AT : start + HEADER_SIZE] == self._ssrc
            and data[start] >> 6 == 2
            and end - start >= HEADER_SIZE
            and self.framing is not Framing.PREAMBLE
            and (self.framing is Framing.RFC4571 or data[position] == _DOLLAR)
        )

    def _found(self) -> None:
        self._lost = False
        self._lost_bytes = 0
        self.resyncs += 1

    def _keep_tail(self, data: bytes, position: int) -> int:
        tail = max(position, len(data) - (HEADER_SIZE + 4))
        self._lost_bytes += tail - position
        self.skipped_bytes += tail - position
        return tail

    def _judge(self, data: bytes, position: int, start: int, end: int) -> bool | None:
        """Whether a packet is at `start`; None if that needs more bytes."""
        if self.framing is Framing.INTERLEAVED and data[position] != _DOLLAR:
            return False
        if end == start:
            return True  # an empty frame, sent to keep the connection
        plausible = self._is_plausible(data, start, end)
        if not plausible:
            return plausible
        if not self._proven or self._is_ours(data, start) is not False:
            return None if end > len(data) else True
        if end > len(data):
            # Another SSRC than so far: do not wait for the end if ours goes on behind it.
            return None if self._search(data, position + 1) < 0 else False
        return self._judge_by_next(data, start, end)

    @staticmethod
    def _is_plausible(data: bytes, start: int, end: int) -> bool | None:
        if start >= len(data):
            return None
        if data[start] >> 6 != 2:
            return False
        if start + 4 > len(data):
            return None
        if is_rtcp(data[start : start + 2]):
            words = data[start + 2] << 8 | data[start + 3]
            return (end - start) % 4 == 0 and 4 * (words + 1) <= end - start
        return end - start >= HEADER_SIZE

    def _is_ours(self, data: bytes, start: int) -> bool | None:
        """Whether the packet at `start` has the SSRC so far or is RTCP; None if cut off."""
        if start + HEADER_SIZE > len(data):
            return None
        if is_rtcp(data[start : start + 2]):
            return True
        return data[start + _SSRC_AT : start + HEADER_SIZE] == self._ssrc

    def _judge_by_next(self, data: bytes, start: int, end: int) -> bool | None:
        # Another SSRC than so far: right only if the next packet has it as well, or ours.
        following = end + self.framing.header_size
        if self.framing is Framing.INTERLEAVED and data[end : end + 1] not in {b"", b"$"}:
            return False
        if following + HEADER_SIZE > len(data):
            return None
        if data[following] >> 6 != 2:
            return False
        ssrc = data[following + _SSRC_AT : following + HEADER_SIZE]
        own = data[start + _SSRC_AT : start + HEADER_SIZE]
        return ssrc == own or self._is_ours(data, following) is True

    def _packet(self, data: bytes, start: int, end: int) -> bytes:
        first = start + HEADER_SIZE
        if self.framing is Framing.PREAMBLE and data[first : first + 1] == b"\r":
            # EHome may put a carriage return before each payload: the first pack header tells.
            if data[first + 1 : first + 5] == _PACK_START:
                self._has_return = True
            if self._has_return:
                return data[start:first] + data[first + 1 : end]
        return data[start:end]

    def _learn(self, data: bytes, start: int) -> None:
        if not is_rtcp(data[start : start + 2]):
            self._ssrc = data[start + _SSRC_AT : start + HEADER_SIZE]
            self._proven = True

    def _search(self, data: bytes, position: int) -> int:
        """Find a frame whose packet carries the known SSRC and is followed by another."""
        ssrc, header = self._ssrc, self.framing.header_size
        if ssrc is None:
            return -1
        at = data.find(ssrc, position + header + _SSRC_AT)
        while at >= 0:
            start = at - _SSRC_AT
            length = data[start - 2] << 8 | data[start - 1]
            following = start + length + header
            plausible = data[start] >> 6 == 2 and length >= HEADER_SIZE
            if plausible and self._is_ours(data, following) is not False:
                return start - header
            at = data.find(ssrc, at + 1)
        return -1
