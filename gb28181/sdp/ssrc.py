"""SSRCs of one SIP domain (GB/T 28181-2022 Annex G, the ``y=`` line).

     1           2-6                     7-10
    kind   domain digits 4-8     number, unique in the domain

Kind is 0 for live and 1 for history (playback and download).
"""

from collections import deque

from gb28181.errors import Gb28181Error, LocalProtocolError
from gb28181.ids.device_id import DeviceId

__all__ = ["SsrcExhausted", "SsrcPool"]

_NUMBERS = 10_000
_HISTORY = 1_000_000_000


class SsrcExhausted(Gb28181Error):
    """All SSRCs of this kind are leased or in quarantine."""


class SsrcPool:
    """Gives each stream an SSRC that no stream of the domain has, or had until lately.

    Args:
        domain_id: The platform's own 20-digit code, or its ten-digit domain.
        quarantine: Seconds a returned SSRC rests: devices ignore an INVITE that repeats one within
            15 s, and packets of the old stream may still arrive.
        start: First number to give; a random one keeps a restarted gateway off the SSRCs that
            devices are still sending with.
    """

    def __init__(self, domain_id: str, *, quarantine: float = 20.0, start: int = 0) -> None:
        digits = DeviceId(domain_id).ssrc_digits or _domain_digits(domain_id)
        self._base = int(digits) * _NUMBERS
        self._quarantine = quarantine
        self._foreign: set[int] = set()
        self._kinds = (_Kind(start, reserved=self._base == 0), _Kind(start))

    def lease(self, now: float, history: bool = False) -> int:  # noqa: FBT001, FBT002 -- the house contract's call
        """Take an SSRC.

        Raises:
            SsrcExhausted: 10,000 streams of this kind are running or have just ended.
        """
        number = self._kinds[history].take(now)
        if number is None:
            kind = "history" if history else "live"
            raise SsrcExhausted(
                f"all {_NUMBERS} {kind} SSRCs are leased or within {self._quarantine:g} s of their release"
            )
        return self._base + number + (_HISTORY if history else 0)

    def claim(self, ssrc: int, now: float) -> bool:
        """Take an SSRC that a peer chose; False when it is in use here, resting, or none (0).

        One of another domain is only remembered: the pool never gives it out itself.
        """
        place = self._place(ssrc)
        if place is not None:
            return place[0].take_this(place[1], now)
        if not 0 < ssrc < 2 * _HISTORY or ssrc in self._foreign:
            return False
        self._foreign.add(ssrc)
        return True

    def release(self, ssrc: int, now: float) -> bool:
        """Give an SSRC back; False when it was not taken from this pool (nothing happens)."""
        place = self._place(ssrc)
        if place is not None:
            return place[0].give_back(place[1], now + self._quarantine)
        if ssrc not in self._foreign:
            return False
        self._foreign.remove(ssrc)
        return True

    def _place(self, ssrc: int) -> "tuple[_Kind, int] | None":
        history, rest = divmod(ssrc, _HISTORY)
        number = rest - self._base
        if history not in {0, 1} or not 0 <= number < _NUMBERS:
            return None
        return self._kinds[history], number

    @property
    def in_use(self) -> int:
        """SSRCs taken at present, live and history together."""
        return sum(kind.leased for kind in self._kinds) + len(self._foreign)


class _Kind:
    def __init__(self, start: int, *, reserved: bool = False) -> None:
        # Number 0 of domain 00000 would be SSRC 0, which some devices send for "none".
        self._fresh = deque((start + i) % _NUMBERS for i in range(_NUMBERS))
        if reserved:
            self._fresh.remove(0)
        self._resting: deque[tuple[float, int]] = deque()
        self._leased: set[int] = set()

    @property
    def leased(self) -> int:
        return len(self._leased)

    def take(self, now: float) -> int | None:
        while self._resting and self._resting[0][0] <= now:
            self._fresh.append(self._resting.popleft()[1])
        if not self._fresh:
            return None
        number = self._fresh.popleft()
        self._leased.add(number)
        return number

    def take_this(self, number: int, now: float) -> bool:
        while self._resting and self._resting[0][0] <= now:
            self._fresh.append(self._resting.popleft()[1])
        if number not in self._fresh:
            return False
        self._fresh.remove(number)
        self._leased.add(number)
        return True

    def give_back(self, number: int, free_at: float) -> bool:
        if number not in self._leased:
            return False
        self._leased.remove(number)
        self._resting.append((free_at, number))
        return True


def _domain_digits(domain_id: str) -> str:
    digits = domain_id[3:8]
    if len(domain_id) < 8 or not (domain_id[:8].isascii() and domain_id[:8].isdigit()):
        raise LocalProtocolError(
            f"expected a domain of at least eight digits to build SSRCs from, got {domain_id!r}"
        )
    return digits
