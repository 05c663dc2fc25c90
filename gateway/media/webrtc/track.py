"""One track on its way to one viewer: its numbers, its reports, and what may be sent again."""

import secrets
from collections.abc import Sequence

from gateway.media.webrtc.history import SentHistory
from gateway.media.webrtc.srtp import SLOTS, RtpStamp, SrtpSender
from gb28181.rtp.rtcp import SenderReport, SourceDescription, serialize_rtcp

__all__ = ["TrackSender"]

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


class TrackSender:
    """Turns shared payloads into this viewer's packets.

    Args:
        ssrc: As the answer says.
        payload_type: As the viewer numbers it.
        clock_rate: Ticks a second.
        resends: Whether packets are remembered, to be sent again.
    """

    def __init__(self, ssrc: int, payload_type: int, clock_rate: int, *, resends: bool) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.packets = 0
        self.octets = 0
        """Bytes of payload, resent ones not counted."""
        self.resent = 0
        self._stamp = RtpStamp(payload_type, ssrc)
        self._sequence = secrets.randbelow(0x8000)
        self._offset = secrets.randbelow(1 << 31)
        self._history = SentHistory() if resends else None

    def make(
        self, srtp: SrtpSender, payloads: Sequence[bytes], timestamp: int, *, marker: bool
    ) -> list[memoryview]:
        """Return packets, good until the next call on any track.

        Args:
            srtp: Protects them.
            payloads: At most `SLOTS`.
            timestamp: On the stream's timeline, in ticks.
            marker: Whether the last carries the marker bit.
        """
        first, stamp = self._sequence, timestamp + self._offset
        packets = srtp.protect(payloads, self._stamp, first, stamp, marker=marker)
        self._sequence = first + len(payloads)
        self.packets += len(payloads)
        self.octets += sum(map(len, payloads))
        if self._history is not None:
            self._history.note(first, payloads, stamp, marker=marker)
        return packets

    def remake(self, srtp: SrtpSender, number: int) -> memoryview | None:
        """Return a packet anew, bit by bit as it was; None if it is forgotten."""
        found = None if self._history is None else self._history.find(number)
        if found is None:
            return None
        sequence, payload, timestamp, marker = found
        self.resent += 1
        return srtp.protect((payload,), self._stamp, sequence, timestamp, marker=marker)[0]

    def report(self, seconds: float, wall: float, cname: str) -> bytes:
        """Return a compound packet that ties the track's clock to the wall clock (RFC 3550 6.4.1).

        Args:
            seconds: The instant on the stream's timeline.
            wall: The same as UNIX time.
            cname: Joins the tracks: sound and picture are played in step.
        """
        report = SenderReport(
            ssrc=self.ssrc,
            ntp_time=int((wall + NTP_EPOCH) * (1 << 32)),
            rtp_time=int(seconds * self.clock_rate) + self._offset,
            packet_count=self.packets,
            octet_count=self.octets,
        )
        return serialize_rtcp(report, SourceDescription(names=((self.ssrc, cname),)))

    @staticmethod
    def parts(payloads: Sequence[bytes]) -> list[Sequence[bytes]]:
        """Cut a frame into parts that can be made at once."""
        if len(payloads) <= SLOTS:
            return [payloads]
        return [payloads[at : at + SLOTS] for at in range(0, len(payloads), SLOTS)]
