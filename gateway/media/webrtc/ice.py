"""The gateway's end of ICE: a lite agent that answers checks and never makes any (RFC 8445 2.5, 7.3).

A viewer's browser has to reach us anyway, for we know no STUN or TURN server and offer nothing but our own addresses.
So it makes all checks, and we need neither its candidates nor the looking up of their mDNS names: an address is good
once a check from it has proven that it knows our password. Consent (RFC 7675) is seen from this end: a browser goes on
checking every few seconds, and one that has stopped is gone.

STUN messages are read and written by aioice, of which nothing but `aioice.stun` is used.
"""

import hmac
import struct
from dataclasses import dataclass

from aioice import stun

__all__ = ["Address", "IceLite"]

Address = tuple[str, int]

MAX_ADDRESSES = 16
"""Addresses of one viewer that proved themselves: one for each of its interfaces and their NATs."""
STALE = 3.0
"""Seconds without a check after which a nominated address gives way to one of lower priority."""
_MAX_STUN = 1_280
"""Bytes of a check; a browser's has about 110."""


@dataclass(slots=True)
class _Seen:
    """An address that proved itself."""

    at: float
    priority: int = 0
    nominated: bool = False


class IceLite:
    """One viewer's connectivity.

    Args:
        ufrag: Our user name, 4 or more ice-chars.
        password: Ours, 22 or more ice-chars.
        remote_ufrag: The viewer's user name.
    """

    def __init__(self, ufrag: str, password: str, remote_ufrag: str) -> None:
        self.selected: Address | None = None
        """Where media goes: the viewer's nomination."""
        self.heard_at: float | None = None
        """When the last good check came."""
        self._username = f"{ufrag}:{remote_ufrag}".encode()
        self._password = password.encode()
        self._seen: dict[Address, _Seen] = {}

    def knows(self, address: Address) -> bool:
        """Whether packets of this address may be the viewer's."""
        return address in self._seen

    def receive(self, data: bytes, address: Address, now: float) -> bytes | None:
        """Take a STUN packet; returns what is to be sent back to where it came from.

        What is not a good check is left unanswered: an answer would only help somebody who guesses.
        """
        message = _parse(data)
        if message is None or not self._is_good(message):
            return None
        if "ICE-CONTROLLED" in message.attributes:
            # We are always controlled (RFC 8445 6.1.1); the viewer is to change its mind.
            return self._answer(message, stun.Class.ERROR, {"ERROR-CODE": (487, "Role Conflict")})
        self._note(message, address, now)
        return self._answer(message, stun.Class.RESPONSE, {"XOR-MAPPED-ADDRESS": address})

    def _is_good(self, message: stun.Message) -> bool:
        if (
            message.message_class != stun.Class.REQUEST
            or message.message_method != stun.Method.BINDING
        ):
            return False
        username = message.attributes.get("USERNAME")
        if not isinstance(username, str) or "MESSAGE-INTEGRITY" not in message.attributes:
            return False
        return hmac.compare_digest(
            username.encode(), self._username
        ) and message.check_message_integrity(self._password)

    def _note(self, message: stun.Message, address: Address, now: float) -> None:
        self.heard_at = now
        seen = self._seen.get(address)
        if seen is None:
            if len(self._seen) >= MAX_ADDRESSES:
                oldest = min(
                    (other for other in self._seen if other != self.selected),
                    key=lambda other: self._seen[other].at,
                )
                del self._seen[oldest]
            seen = self._seen[address] = _Seen(now)
        seen.at = now
        seen.priority = message.attributes.get("PRIORITY", 0)
        if "USE-CANDIDATE" in message.attributes:
            seen.nominated = True
            self._select(address, seen, now)

    def _select(self, address: Address, seen: _Seen, now: float) -> None:
        current = None if self.selected is None else self._seen.get(self.selected)
        if current is None or seen.priority >= current.priority or now - current.at > STALE:
            self.selected = address

    def _answer(
        self, request: stun.Message, kind: stun.Class, attributes: dict[str, object]
    ) -> bytes:
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=kind,
            transaction_id=request.transaction_id,
            attributes=dict(attributes),
        )
        answer.add_message_integrity(self._password)
        return bytes(answer)


def _parse(data: bytes) -> stun.Message | None:
    if len(data) > _MAX_STUN:
        return None
    try:
        return stun.parse_message(data)
    # aioice says ValueError, and lets out what `struct` finds of attributes of a wrong length.
    except (ValueError, struct.error):
        return None
