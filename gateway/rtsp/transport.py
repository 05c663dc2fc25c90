"""The Transport header (RFC 2326 12.39): which way a player wants its packets, and which way it gets them."""

import re
from dataclasses import dataclass

from gateway.rtsp.limits import MAX_TRANSPORTS
from gateway.rtsp.message import RtspParseError

__all__ = ["TrackWays", "TransportChoice", "read_transport"]

PAIR = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
LOWEST_PORT = 1_024
"""Nobody receives media below, and services of the player's host that are there did not ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportChoice:
    """One alternative that can be served."""

    tcp: bool
    pair: tuple[int, int] | None
    """Channels of RTP and RTCP (TCP), or the player's ports; None lets us choose the channels."""


class TrackWays:
    """The ways of a session's tracks, all of one kind."""

    def __init__(self) -> None:
        self.tcp = True
        """Which kind, once there is a track."""
        self._tracks: set[int] = set()
        self._channels: dict[int, int] = {}
        """Track by RTCP channel; -1 by RTP channel."""

    def __contains__(self, track: int) -> bool:
        return track in self._tracks

    def __len__(self) -> int:
        return len(self._tracks)

    def track_of(self, channel: int) -> int:
        """Return whose RTCP a channel carries; -1 if nobody's."""
        return self._channels.get(channel, -1)

    def choose(self, header: str, *, udp: bool) -> TransportChoice | None:
        """Return the way that one more track can go, with channels chosen if it is TCP.

        Raises:
            RtspParseError: the header is malformed.
        """
        for choice in read_transport(header):
            if self._tracks and choice.tcp != self.tcp:
                continue
            free = self._with_channels(choice) if choice.tcp else choice if udp else None
            if free is not None:
                return free
        return None

    def add(self, track: int, choice: TransportChoice) -> None:
        """Note that a track goes this way."""
        self._tracks.add(track)
        self.tcp = choice.tcp
        if choice.tcp and choice.pair is not None:
            self._channels |= {choice.pair[0]: -1, choice.pair[1]: track}

    def _with_channels(self, choice: TransportChoice) -> TransportChoice | None:
        taken, pair = self._channels, choice.pair
        if pair is None:
            first = next(n for n in range(0, 256, 2) if n not in taken and n + 1 not in taken)
            return TransportChoice(tcp=True, pair=(first, first + 1))
        return None if pair[0] in taken or pair[1] in taken else choice


def read_transport(header: str) -> list[TransportChoice]:
    """Return the alternatives that a server could serve, in the player's order.

    Raises:
        RtspParseError: the header is malformed.
    """
    alternatives = header.split(",")
    if len(alternatives) > MAX_TRANSPORTS:
        raise RtspParseError(f"more than {MAX_TRANSPORTS} alternatives in Transport")
    choices = [_read(text.strip()) for text in alternatives]
    return [choice for choice in choices if choice is not None]


def _read(text: str) -> TransportChoice | None:
    name, *rest = [part.strip() for part in text.split(";")]
    if not name:
        raise RtspParseError("expected Transport: RTP/AVP;unicast;client_port=N-M or the like")
    params: dict[str, str] = {}
    for part in rest:
        key, _, value = part.partition("=")
        params.setdefault(key.strip().lower(), value.strip().strip('"'))
    if "multicast" in params or params.get("mode", "play").lower() != "play":
        return None
    match name.upper():
        case "RTP/AVP/TCP":
            return TransportChoice(tcp=True, pair=_pair(params, "interleaved", 255))
        case "RTP/AVP" | "RTP/AVP/UDP":
            pair = _pair(params, "client_port", 65_535)
            if pair is None or min(pair) < LOWEST_PORT:
                return None
            return TransportChoice(tcp=False, pair=pair)
        case _:
            return None


def _pair(params: dict[str, str], name: str, highest: int) -> tuple[int, int] | None:
    text = params.get(name)
    if text is None:
        return None
    match = PAIR.fullmatch(text)
    if match is None:
        raise RtspParseError(f"expected {name}=N-M in Transport")
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    if first > highest or second > highest or first == second:
        raise RtspParseError(f"expected two different numbers up to {highest} as {name}")
    return first, second
