"""Reports to those who send to us, and between a relay and its receiver (RFC 3550 6.4)."""

from collections.abc import Callable
from datetime import datetime

from gb28181.errors import RtpError
from gb28181.rtp.rtcp import (
    ReceiverReport,
    SenderReport,
    SourceDescription,
    parse_rtcp,
    serialize_rtcp,
)
from gb28181.rtp.stats import ReceptionStats

__all__ = ["ReceptionReports", "RelayReports"]

CNAME = "gb28181-gateway"
NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
CLOCK = 90_000


class ReceptionReports:
    """Tells a source how it is received.

    Args:
        ssrc: Our own.
        interval: Seconds between reports.
    """

    def __init__(self, ssrc: int, *, interval: float) -> None:
        self.stats = ReceptionStats()
        self._ssrc = ssrc
        self._interval = interval
        self._due = 0.0

    def receive(self, data: bytes, source: int | None, now: float) -> None:
        """Take RTCP from the source with this SSRC.

        Raises:
            RtpError: it cannot be read.
        """
        for report in parse_rtcp(data):
            if isinstance(report, SenderReport) and report.ssrc == source:
                self.stats.receive_sender_report(report, now)

    def next_report(self, now: float) -> bytes:
        """Return a report if one is due, else nothing."""
        if now < self._due:
            return b""
        self._due = now + self._interval
        block = self.stats.report_block(now)
        if block is None:
            return b""
        return serialize_rtcp(
            ReceiverReport(ssrc=self._ssrc, reports=(block,)),
            SourceDescription(names=((self._ssrc, CNAME),)),
        )


class RelayReports:
    """Says what was sent, and reads what came of it.

    Args:
        ssrc: Of the relay.
        interval: Seconds between sender reports.
        wall: The wall clock, UTC.
    """

    def __init__(self, ssrc: int, *, interval: float, wall: Callable[[], datetime]) -> None:
        self.received = 0
        """Receiver reports that came."""
        self.last_report: float | None = None
        """When the last one came."""
        self._ssrc = ssrc
        self._interval = interval
        self._wall = wall
        self._timestamp = 0
        self._sent_at: float | None = None
        self._due: float | None = None

    def note_sent(self, timestamp: int, now: float) -> None:
        """Remember the time stamp of what goes out now."""
        self._timestamp = timestamp
        self._sent_at = now
        if self._due is None:
            self._due = now

    def next_report(self, now: float, *, packets: int, octets: int) -> bytes:
        """Return a report if one is due, else nothing.

        Args:
            now: Monotonic seconds.
            packets: Sent since the start.
            octets: Bytes of payload in them.
        """
        if self._due is None or self._sent_at is None or now < self._due:
            return b""
        self._due = now + self._interval
        # The pair says which RTP time it is now, not at the last packet.
        elapsed = int((now - self._sent_at) * CLOCK)
        seconds = self._wall().timestamp() + NTP_EPOCH
        report = SenderReport(
            ssrc=self._ssrc,
            ntp_time=int(seconds * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF,
            rtp_time=(self._timestamp + elapsed) & 0xFFFF_FFFF,
            packet_count=packets & 0xFFFF_FFFF,
            octet_count=octets & 0xFFFF_FFFF,
        )
        return serialize_rtcp(report, SourceDescription(names=((self._ssrc, CNAME),)))

    def receive(self, data: bytes, now: float) -> None:
        """Take RTCP from the receiver; what cannot be read is left out."""
        try:
            packets = parse_rtcp(data)
        except RtpError:
            return
        for packet in packets:
            if not isinstance(packet, (ReceiverReport, SenderReport)):
                continue
            blocks = packet.reports
            if not blocks or any(block.ssrc == self._ssrc for block in blocks):
                self.received += 1
                self.last_report = now
