"""RTP packets back into order, within bounds (RFC 3550 6.4.1 and A.1)."""

from dataclasses import dataclass

from gb28181.limits import MAX_RTP_FORGOTTEN, MAX_RTP_HELD, MAX_RTP_JUMP
from gb28181.rtp.packet import RtpPacket

__all__ = ["ReorderCounters", "RtpReorderer"]

_MAX_MISORDER = 512
"""Farther behind than this is not a late packet but a sender that started again."""


@dataclass(slots=True)
class ReorderCounters:
    """What happened since the start."""

    received: int = 0
    lost: int = 0
    """Missing for good; a late packet is taken off again."""
    reordered: int = 0
    """Came after a packet with a higher number, but in time."""
    late: int = 0
    """Came after it had been given up; dropped."""
    duplicates: int = 0
    restarts: int = 0
    """Jumps of the sequence number or of the SSRC that were followed."""


class RtpReorderer:
    """Passes packets on in order; a packet in order is passed on at once.

    A missing packet is waited for until `window` later ones are held, or the oldest of them has
    been held for `max_delay` seconds. Gaps stay visible as gaps in the sequence numbers.

    Args:
        window: Packets to hold at most.
        max_delay: Seconds to wait at most; checked with each packet and in `handle_timer`.
    """

    def __init__(self, window: int = 128, max_delay: float = 0.2) -> None:
        self.counters = ReorderCounters()
        self._window = min(window, MAX_RTP_HELD)
        self._max_delay = max_delay
        self._expected = -1
        self._ssrc = -1
        self._held: dict[int, RtpPacket] = {}
        self._held_since = 0.0
        self._given_up: dict[int, None] = {}
        self._candidate = -1

    def feed(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Take a packet, return those that are in order now."""
        counters = self.counters
        counters.received += 1
        sequence = packet.sequence
        if sequence == self._expected and packet.ssrc == self._ssrc:
            self._expected = (sequence + 1) & 0xFFFF
            if not self._held:
                return [packet]
            return [packet, *self._drain(now)]
        if packet.ssrc != self._ssrc:
            return self._restart(packet)
        ahead = (sequence - self._expected) & 0xFFFF
        if ahead < 0x8000:
            return self._take_ahead(packet, ahead, now)
        return self._take_behind(packet, 0x10000 - ahead)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return self._held_since + self._max_delay if self._held else None

    def handle_timer(self, now: float) -> list[RtpPacket]:
        """Give up missing packets that were waited for long enough."""
        if not self._held or now < self._held_since + self._max_delay:
            return []
        return self._give_up(now)

    def flush(self) -> list[RtpPacket]:
        """Return everything held, gaps or not."""
        packets: list[RtpPacket] = []
        while self._held:
            packets += self._give_up(0.0)
        return packets

    def _take_ahead(self, packet: RtpPacket, ahead: int, now: float) -> list[RtpPacket]:
        if ahead > MAX_RTP_JUMP:
            return self._suspect(packet)
        held = self._held
        if packet.sequence in held:
            self.counters.duplicates += 1
            return []
        if not held:
            self._held_since = now
        held[packet.sequence] = packet
        if len(held) >= self._window or now >= self._held_since + self._max_delay:
            return self._give_up(now)
        return []

    def _take_behind(self, packet: RtpPacket, behind: int) -> list[RtpPacket]:
        if packet.sequence in self._given_up:
            del self._given_up[packet.sequence]
            self.counters.lost -= 1
            self.counters.late += 1
            return []
        if behind > _MAX_MISORDER:
            return self._suspect(packet)
        self.counters.duplicates += 1
        return []

    def _suspect(self, packet: RtpPacket) -> list[RtpPacket]:
        # RFC 3550 A.1: only two packets in a row far off prove that the sender started again.
        if packet.sequence == self._candidate:
            return self._restart(packet)
        self._candidate = (packet.sequence + 1) & 0xFFFF
        return []

    def _restart(self, packet: RtpPacket) -> list[RtpPacket]:
        packets = self.flush()
        if self._ssrc >= 0:
            self.counters.restarts += 1
        self._given_up.clear()
        self._candidate = -1
        self._ssrc = packet.ssrc
        self._expected = (packet.sequence + 1) & 0xFFFF
        packets.append(packet)
        return packets

    def _give_up(self, now: float) -> list[RtpPacket]:
        expected = self._expected
        gap = min((sequence - expected) & 0xFFFF for sequence in self._held)
        for missing in range(expected, expected + gap):
            self._given_up[missing & 0xFFFF] = None
        while len(self._given_up) > MAX_RTP_FORGOTTEN:
            del self._given_up[next(iter(self._given_up))]
        self.counters.lost += gap
        self._expected = (expected + gap) & 0xFFFF
        # These waited for a packet that never came: they were not reordered.
        return self._drain(now, reordered=False)

    def _drain(self, now: float, *, reordered: bool = True) -> list[RtpPacket]:
        held = self._held
        packets: list[RtpPacket] = []
        while (packet := held.pop(self._expected, None)) is not None:
            packets.append(packet)
            self._expected = (self._expected + 1) & 0xFFFF
        self.counters.reordered += reordered
        self._held_since = now
        return packets
