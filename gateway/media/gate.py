"""Which RTP packets belong to a session: by SSRC, then by source (quirks 90 to 93)."""

from dataclasses import dataclass, field

__all__ = ["Source", "SsrcGate"]

Source = tuple[str, int]

HELD_PACKETS = 1_024
"""Packets of one candidate that are kept until it is clear whether they belong here: 3 s at 4 Mbit/s."""
HELD_SOURCES = 4
NAT_WAIT = 1.0
"""Seconds after the answer before an unknown SSRC from an unexpected host is taken."""
SWITCH_PACKETS = 32
"""So many packets of another SSRC in a row from the bound source: it has changed its SSRC."""
SILENCE = 2.0
"""Seconds of silence after which the right SSRC may come from another address (NAT rebinding)."""


@dataclass(slots=True)
class _Candidate:
    packets: list[bytes] = field(default_factory=list)


class SsrcGate:
    """Learns sender and SSRC, discards what others send.

    Packets with the offered or answered SSRC bind at once. Others bind once the answer is in:
    immediately if they come from the answered host, after a wait if they come from elsewhere.
    Until then they wait here, so that the first key frame is not lost.

    Args:
        offered: The SSRC in our offer.
    """

    def __init__(self, offered: int) -> None:
        self.source: Source | None = None
        """The bound sender."""
        self.ssrc: int | None = None
        """The bound SSRC."""
        self.discarded = 0
        self.switched = 0
        """How often the sender changed its SSRC or address."""
        self._expected = {offered}
        self._host: str | None = None
        self._answered_at: float | None = None
        self._candidates: dict[tuple[Source, int], _Candidate] = {}
        self._others = 0
        self._other_ssrc: int | None = None
        self._last = 0.0

    def answered(self, ssrc: int | None, host: str | None, now: float) -> None:
        """Take over what the answer says; `release` must follow."""
        if ssrc is not None:
            self._expected.add(ssrc)
        self._host = host
        self._answered_at = now

    def accepts(self, ssrc: int, source: Source, packet: bytes, now: float) -> bool:
        """Decide on one packet; one that may turn out right later is kept (see `release`)."""
        if ssrc == self.ssrc and source == self.source:
            self._last = now
            self._others = 0
            return True
        if self.source is None:
            if self._binds(ssrc, source, now):
                self._bind(ssrc, source, now)
                return True
            self._hold(ssrc, source, packet)
            return False
        return self._rebinds(ssrc, source, now)

    def touch(self, now: float) -> None:
        """Note that packets of the bound sender came and were not asked about one by one."""
        self._last = now
        self._others = 0

    def release(self, now: float) -> tuple[Source, list[bytes]] | None:
        """Bind a candidate whose time has come; returns its source and the packets kept."""
        if self.source is None:
            for source, ssrc in self._candidates:
                if self._binds(ssrc, source, now):
                    self._bind(ssrc, source, now)
                    return source, self._candidates.pop((source, ssrc)).packets
        return None

    def drop_candidates(self) -> None:
        """Count what was kept in vain as discarded."""
        self.discarded += sum(len(held.packets) for held in self._candidates.values())
        self._candidates.clear()

    def _binds(self, ssrc: int, source: Source, now: float) -> bool:
        if ssrc in self._expected:
            return True
        if self._answered_at is None:
            return False
        return source[0] == self._host or now - self._answered_at >= NAT_WAIT

    def _bind(self, ssrc: int, source: Source, now: float) -> None:
        self.ssrc, self.source = ssrc, source
        self._last = now
        self._others = 0

    def _hold(self, ssrc: int, source: Source, packet: bytes) -> None:
        key = (source, ssrc)
        candidate = self._candidates.get(key)
        if candidate is None:
            if len(self._candidates) >= HELD_SOURCES:
                self.discarded += 1
                return
            candidate = self._candidates[key] = _Candidate()
        if len(candidate.packets) >= HELD_PACKETS:
            self.discarded += 1
            return
        candidate.packets.append(packet)

    def _rebinds(self, ssrc: int, source: Source, now: float) -> bool:
        silent = now - self._last >= SILENCE
        if source == self.source:
            self._others = self._others + 1 if ssrc == self._other_ssrc else 1
            self._other_ssrc = ssrc
            if self._others < SWITCH_PACKETS and not silent:
                self.discarded += 1
                return False
        elif not (silent and ssrc == self.ssrc):
            self.discarded += 1
            return False
        self.switched += 1
        self._bind(ssrc, source, now)
        return True
