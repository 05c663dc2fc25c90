"""Reception statistics of one source (RFC 3550 A.1, A.3, A.8)."""

from gb28181.limits import MAX_RTP_JUMP
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.rtcp import ReportBlock, SenderReport

__all__ = ["ReceptionStats"]

_JITTER_GAIN = 16


class ReceptionStats:
    """Counts packets as they arrive, before reordering.

    Args:
        clock_rate: RTP clock in Hz; 90000 for PS and video.
    """

    def __init__(self, clock_rate: int = 90_000) -> None:
        self._clock_rate = clock_rate
        self._ssrc = -1
        self._base = 0
        self._highest = 0
        self._received = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._timestamp = -1
        self._last_sr = 0
        self._last_sr_at: float | None = None

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Count one packet."""
        self.receive_fields(packet.ssrc, packet.sequence, packet.timestamp, now)

    def receive_fields(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """Count one packet by its header fields."""
        ahead = (sequence - self._highest) & 0xFFFF
        if ssrc != self._ssrc or MAX_RTP_JUMP < ahead < 0x10000 - MAX_RTP_JUMP:
            self._begin(ssrc, sequence)
        elif ahead < 0x8000:
            self._highest += ahead
        self._received += 1
        if timestamp == self._timestamp:
            return
        # A.8, once a frame: packets of one frame share a time stamp but not an instant.
        self._timestamp = timestamp
        transit = now * self._clock_rate - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._clock_rate * 10:  # else the clock wrapped or was set
                self._jitter += (change - self._jitter) / _JITTER_GAIN
        self._transit = transit

    def receive_sender_report(self, report: SenderReport, now: float) -> None:
        """Remember a sender report for the round trip fields."""
        self._last_sr = report.ntp_time >> 16 & 0xFFFF_FFFF
        self._last_sr_at = now

    @property
    def lost(self) -> int:
        """Packets expected and not received; negative with many duplicates."""
        return self._expected() - self._received

    def report_block(self, now: float) -> ReportBlock | None:
        """Return the report since the last call, or None if nothing was ever received."""
        if self._ssrc < 0:
            return None
        expected = self._expected()
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (self._received - self._received_prior)
        self._expected_prior, self._received_prior = expected, self._received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min(255, (lost_interval << 8) // expected_interval)
        delay = 0
        if self._last_sr_at is not None:
            delay = min(0xFFFF_FFFF, int((now - self._last_sr_at) * 65536))
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=fraction,
            packets_lost=max(-0x800000, min(0x7FFFFF, expected - self._received)),
            highest_sequence=self._highest & 0xFFFF_FFFF,
            jitter=int(self._jitter),
            last_sr=self._last_sr,
            delay_since_sr=delay,
        )

    def _expected(self) -> int:
        return self._highest - self._base + 1 if self._ssrc >= 0 else 0

    def _begin(self, ssrc: int, sequence: int) -> None:
        self._ssrc = ssrc
        self._base = self._highest = sequence
        self._received = self._expected_prior = self._received_prior = 0
        self._transit = None
