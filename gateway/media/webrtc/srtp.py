"""Protecting packets for one viewer (RFC 3711, RFC 7714), many at a time and without a copy more than needed.

pylibsrtp's own `Session.protect` copies a packet three times and allocates twice. Here header and payload are written
once into memory that all viewers share, and libsrtp works on them where they lie; that uses pylibsrtp's private `_binding`
and `Session._srtp`, whose version is pinned for it.
"""

import struct
from collections.abc import Sequence

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

from gateway.media.webrtc.dtls import SrtpKeys

__all__ = ["RtpStamp", "SrtpBench", "SrtpReceiver", "SrtpSender"]

SLOT = 1_536
"""Bytes between two packets in memory: the largest with its trailer, on a boundary that libsrtp needs."""
SLOTS = 44
"""Packets made at a time: what the kernel cuts apart in one call."""
WINDOW = 4_096
"""Packets back that may be sent again: more than a viewer's history holds."""
_HEADER = struct.Struct("!BBHII")
HEADER_SIZE = 12
_MARKER = 0x80


class SrtpBench:
    """Memory in which packets are made ready; one for all viewers, for nothing is kept in it."""

    def __init__(self) -> None:
        self.memory = bytearray(SLOT * SLOTS)
        self.view = memoryview(self.memory)
        base = ffi.from_buffer("char[]", self.memory)
        self.slots = [base + SLOT * number for number in range(SLOTS)]
        self.length = ffi.new("int *")


class RtpStamp:
    """What stands in the headers of one track's packets."""

    __slots__ = ("payload_type", "ssrc")

    def __init__(self, payload_type: int, ssrc: int) -> None:
        self.payload_type = payload_type
        self.ssrc = ssrc


class SrtpSender:
    """Makes SRTP and SRTCP packets.

    Args:
        keys: Of the DTLS handshake.
        bench: Shared memory.
    """

    def __init__(self, keys: SrtpKeys, bench: SrtpBench) -> None:
        self._session = _session(keys.profile, keys.send, Policy.SSRC_ANY_OUTBOUND)
        self._context = self._session._srtp[0]  # noqa: SLF001 - see above
        self._bench = bench

    def protect(
        self,
        payloads: Sequence[bytes],
        stamp: RtpStamp,
        sequence: int,
        timestamp: int,
        *,
        marker: bool,
    ) -> list[memoryview]:
        """Return SRTP packets, good until the next call on any sender.

        Args:
            payloads: At most `SLOTS`.
            stamp: Payload type and SSRC.
            sequence: Of the first, unwrapped.
            timestamp: Of all, unwrapped.
            marker: Whether the last one carries the marker bit.

        Raises:
            pylibsrtp.Error: the key is used up.
        """
        bench, context = self._bench, self._context
        memory, view, slots, length = bench.memory, bench.view, bench.slots, bench.length
        pack, protect = _HEADER.pack_into, lib.srtp_protect
        kind, ssrc, timestamp = stamp.payload_type, stamp.ssrc, timestamp & 0xFFFF_FFFF
        last = len(payloads) - 1 if marker else -1
        packets: list[memoryview] = []
        start = 0
        for number, payload in enumerate(payloads):
            end = start + HEADER_SIZE + len(payload)
            if number == last:
                kind |= _MARKER
            pack(memory, start, 0x80, kind, (sequence + number) & 0xFFFF, timestamp, ssrc)
            view[start + HEADER_SIZE : end] = payload
            length[0] = end - start
            if protect(context, slots[number], length):
                raise Error("SRTP cannot protect a packet")
            packets.append(view[start : start + length[0]])
            start += SLOT
        return packets

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Return an SRTCP packet."""
        data: bytes = self._session.protect_rtcp(packet)
        return data


class SrtpReceiver:
    """Opens the SRTCP packets of a viewer.

    Args:
        keys: Of the DTLS handshake.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys.profile, keys.receive, Policy.SSRC_ANY_INBOUND)

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the RTCP packet, None if it is not the viewer's or came before."""
        try:
            data: bytes = self._session.unprotect_rtcp(packet)
        except (Error, ValueError):
            return None
        return data


def _session(profile: int, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True
    policy.window_size = WINDOW
    return Session(policy)
