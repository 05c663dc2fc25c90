"""Which RTP packets belong to a session: by SSRC, then by source (quirks 90 to 93)."""

from dataclasses import dataclass, field

__all__ = ["Source", "SsrcGate"]

Source = tuple[str, int]

HELD_PACKETS = 1_024
"""Packets of one candidate that are kept until it is clear whether they belong here: 3 s at 4 Mbit/s."""
HELD_BYTES = 2 * 1024 * 1024
"""The same in bytes: over TCP a packet may have 64 KB."""
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
    size: int = 0


class SsrcGate:
    """Learns sender and SSRC, discards what others send.

    Two facts speak for a packet: an SSRC that was offered or answered, and a host that was
    answered or that the device is registered from. The SSRC binds at once, the host as soon as
    the answer is in; a packet for which nothing speaks is taken only when nobody better came for
    a while after it. Until then packets wait here, so that the first key frame is not lost.

    For whom more speaks takes the place of the one who is bound: a stranger who came first never
    keeps the device out.

    Args:
        offered: The SSRC in our offer.
        device_host: Where the device is registered from, or empty.
    """

    def __init__(self, offered: int, device_host: str = "") -> None:
        self.source: Source | None = None
        """The bound sender."""
        self.ssrc: int | None = None
        """The bound SSRC."""
        self.discarded = 0
        self.switched = 0
        """How often the sender changed its SSRC or address."""
        self.preempted = 0
        """How often a sender had to make room for a better one."""
        self._expected = {offered}
        self._hosts = {device_host} if device_host else set[str]()
        self._answered_at: float | None = None
        self._candidates: dict[tuple[Source, int], _Candidate] = {}
        self._others = 0
        self._other_ssrc: int | None = None
        self._last = 0.0

    @property
    def locked(self) -> bool:
        """Whether the bound sender has proved itself by its SSRC or its host."""
        return self._bound_rank() > 0

    @property
    def foreign(self) -> bool:
        """Whether media comes from a host that is neither the answered nor the registered one."""
        return self.source is not None and bool(self._hosts) and not self.knows(self.source)

    @property
    def remark(self) -> str:
        """What is odd about the sender, for people; empty if nothing is."""
        if self.source is None or not self.foreign:
            return ""
        sure = "" if self.locked else "; nothing else shows that it is the device"
        return (
            f"The media came from {self.source[0]}:{self.source[1]}, which is neither "
            f"the answered nor the registered address{sure}"
        )

    def knows(self, source: Source) -> bool:
        """Whether this is the answered host or the registered one."""
        return source[0] in self._hosts

    def settled(self, now: float) -> bool:
        """Whether the wait for somebody better is over."""
        return self._answered_at is not None and now - self._answered_at >= NAT_WAIT

    def answered(self, ssrc: int | None, host: str | None, now: float) -> None:
        """Take over what the answer says; `release` must follow."""
        if ssrc is not None:
            self._expected.add(ssrc)
        if host:
            self._hosts.add(host)
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
            candidates = sorted(self._candidates, key=lambda key: -self._rank(key[1], key[0]))
            for source, ssrc in candidates:
                if self._binds(ssrc, source, now):
                    self._bind(ssrc, source, now)
                    return source, self._candidates.pop((source, ssrc)).packets
        return None

    def drop_candidates(self) -> None:
        """Count what was kept in vain as discarded."""
        self.discarded += sum(len(held.packets) for held in self._candidates.values())
        self._candidates.clear()

    def _rank(self, ssrc: int, source: Source) -> int:
        return (ssrc in self._expected) + (source[0] in self._hosts)

    def _bound_rank(self) -> int:
        if self.source is None or self.ssrc is None:
            return 0
        return self._rank(self.ssrc, self.source)

    def _binds(self, ssrc: int, source: Source, now: float) -> bool:
        if ssrc in self._expected:
            return True
        if self._answered_at is None:
            return False
        return self.knows(source) or self.settled(now)

    def _bind(self, ssrc: int, source: Source, now: float) -> None:
        self.ssrc, self.source = ssrc, source
        self._last = now
        self._others = 0

    def _hold(self, ssrc: int, source: Source, packet: bytes) -> None:
        key = (source, ssrc)
        candidate = self._candidates.get(key)
        if candidate is None:
            if len(self._candidates) >= HELD_SOURCES and not self._make_room(source):
                self.discarded += 1
                return
            candidate = self._candidates[key] = _Candidate()
        if len(candidate.packets) >= HELD_PACKETS or candidate.size >= HELD_BYTES:
            self.discarded += 1
            return
        candidate.packets.append(packet)
        candidate.size += len(packet)

    def _make_room(self, source: Source) -> bool:
        """Let a known host take the place of a stranger."""
        stranger = next((key for key in self._candidates if not self.knows(key[0])), None)
        if stranger is None or not self.knows(source):
            return False
        self.discarded += len(self._candidates.pop(stranger).packets)
        return True

    def _rebinds(self, ssrc: int, source: Source, now: float) -> bool:
        silent = now - self._last >= SILENCE
        rank, bound = self._rank(ssrc, source), self._bound_rank()
        if source == self.source:
            self._others = self._others + 1 if ssrc == self._other_ssrc else 1
            self._other_ssrc = ssrc
            better = rank > bound == 0
            if not better and self._others < SWITCH_PACKETS and not silent:
                self.discarded += 1
                return False
        elif rank > bound:
            # Whoever has more to show for himself is the device; the other was not.
            self.preempted += 1
        elif not (silent and (ssrc == self.ssrc or rank == bound)):
            self.discarded += 1
            return False
        self.switched += 1
        self._bind(ssrc, source, now)
        return True
