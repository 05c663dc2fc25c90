"""What a bridged call and its upper have agreed on about media: offers, answers, and their changes (RFC 3264)."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from gateway.cascade.refusal import Refused
from gateway.domain.device import MediaTransport
from gb28181.errors import SdpError
from gb28181.sdp.offer import LiveOffer, build_live_offer, read_answer, read_offer
from gb28181.sdp.transport import Transport

__all__ = ["MediaTerms", "Target"]

PS: Final = 96
"""Payload type of PS in our own offers."""

_OURS: Final = {
    Transport.UDP: MediaTransport.UDP,
    # The upper listens, so we dial; the upper dials, so we listen.
    Transport.TCP_PASSIVE: MediaTransport.TCP_ACTIVE,
    Transport.TCP_ACTIVE: MediaTransport.TCP_PASSIVE,
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where media goes, and as what."""

    remote: tuple[str, int] | None
    """None: the receiver connects from wherever it is."""
    payload_type: int

    def __str__(self) -> str:
        return "" if self.remote is None else f"{self.remote[0]}:{self.remote[1]}"


class MediaTerms:
    """The description of one call; changes only when both sides have one that can be used.

    Args:
        sdp: Body of the INVITE; empty if it has none.
        late: What is offered then.

    Raises:
        Refused: the offer cannot be met.
    """

    def __init__(self, sdp: bytes, late: MediaTransport) -> None:
        self.offer = _read(sdp) if sdp.strip() else None
        self.sent = b""
        """Our description in the newest 200."""
        if self.offer is None:
            self.transport = late
            self.target = Target(None, PS)
        else:
            self.transport = _OURS[self.offer.transport]
            self.target = _target(self.offer)
        self._owner_id = ""
        self._at = ("", 0)
        self._ssrc: int | None = None

    @property
    def is_late(self) -> bool:
        """Whether the INVITE left the offer to us."""
        return self.offer is None

    def describe(self, *, owner_id: str, host: str, port: int, ssrc: int | None) -> bytes:
        """Return our answer, or our own offer where the INVITE had none.

        Args:
            owner_id: The channel, as the upper knows it.
            host: Our media address.
            port: Our media port.
            ssrc: SSRC of what we send.
        """
        self._owner_id, self._at, self._ssrc = owner_id, (host, port), ssrc
        if self.offer is not None:
            self.sent = self._answer(self.offer)
        else:
            self.sent = build_live_offer(
                owner_id=owner_id,
                host=host,
                port=port,
                transport=self.transport.value,
                ssrc=ssrc,
                payloads=[self.target.payload_type],
                direction="sendonly",
            )
        return self.sent

    def answered(self, body: bytes) -> Target:
        """Take the answer in an ACK to an offer of ours.

        Raises:
            SdpError: It cannot be used.
        """
        answer = read_answer(body, transport=self.transport.value, ssrc=self._ssrc, sending=True)
        usual = self.target.payload_type
        chosen = next((pt for pt, name in answer.payloads.items() if name == "PS"), usual)
        if answer.payloads and chosen not in answer.payloads:
            names = ", ".join(answer.payloads.values())
            raise SdpError(f"the answer takes {names[:80]}, but not PS", status=488)
        dialled = self.transport is not MediaTransport.TCP_PASSIVE
        if dialled and answer.host and not _is_address(answer.host):
            raise SdpError(f"expected an IP address, got {answer.host[:80]!r}", status=488)
        self.target = Target(answer.remote, chosen)
        return self.target

    def offered_again(self, sdp: bytes) -> bytes:
        """Take the offer of a re-INVITE: media may move and be renumbered, its transport stays.

        Returns:
            Our answer.

        Raises:
            Refused: it cannot be met; everything stays as it was.
        """
        offer = _read(sdp)
        if _OURS[offer.transport] is not self.transport:
            raise Refused(488, "The transport of a running stream cannot be changed")
        target = _target(offer)
        self.sent = self._answer(offer)
        self.target = target
        return self.sent

    def _answer(self, offer: LiveOffer) -> bytes:
        host, port = self._at
        return offer.answer(
            owner_id=self._owner_id,
            host=host,
            port=port,
            payload_type=_ps_type(offer),
            ssrc=self._ssrc,
            # Nothing is taken from the upper, whatever it offers to send.
            direction="sendonly",
        )


def _read(sdp: bytes) -> LiveOffer:
    try:
        offer = read_offer(sdp)
    except SdpError as exc:
        raise Refused(exc.status, f"The offer cannot be used: {exc}") from exc
    if offer.name.lower() != "play":
        raise Refused(488, f"s={offer.name[:20]} is not offered here, only Play")
    if offer.direction == "inactive":
        raise Refused(
            488, "The offer wants nothing sent (a=inactive); a live stream does not pause"
        )
    if offer.host and not _is_address(offer.host):
        # A name would have to be looked up, by whoever sends the media and before it can be said to be reachable.
        raise Refused(488, f"Expected an IP address to send media to, got {offer.host[:80]!r}")
    _ps_type(offer)
    return offer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _target(offer: LiveOffer) -> Target:
    return Target((offer.host, offer.port) if offer.host else None, _ps_type(offer))


def _ps_type(offer: LiveOffer) -> int:
    """Return the payload type for PS."""
    number = offer.payload_for("PS")
    if number is None:
        names = ", ".join(offer.payloads.values())
        raise Refused(488, f"The offer accepts {names[:80]}, but not PS")
    return number
