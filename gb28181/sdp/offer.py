"""Media offers (RFC 3264, RFC 4145; GB/T 28181-2022 Annexes C, D and G)."""

import enum
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from gb28181.errors import LocalProtocolError, SdpError
from gb28181.sdp.answer import LiveAnswer, build_answer, read_answer
from gb28181.sdp.payload import ENCODINGS, encoding_names, offered_payloads, rtpmap_attributes
from gb28181.sdp.session import SdpMedia, SdpOrigin, SdpSession, parse, serialize
from gb28181.sdp.transport import PROTO, SETUP, Transport

__all__ = [
    "LiveAnswer",
    "LiveOffer",
    "StreamStyle",
    "build_answer",
    "build_live_offer",
    "read_answer",
    "read_offer",
    "stream_attribute",
]

DOWNLOAD_SPEEDS = range(1, 65)


class StreamStyle(enum.Enum):
    """How a vendor is asked for its main (0) or sub (1) stream."""

    STREAMNUMBER = "streamnumber"
    """2022: ``a=streamnumber:1``."""
    STREAM = "stream"
    """``a=stream:1``."""
    STREAM_WORD = "stream_word"
    """``a=stream:sub``."""
    STREAMPROFILE = "streamprofile"
    """Dahua: ``a=streamprofile:1``."""
    STREAM_MODE = "streamMode"
    """TP-Link, Mercury: ``a=streamMode:SUB``; they do not answer an INVITE without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOffer:
    """What the receiver of a stream offered, as its sender reads it."""

    name: str
    """`Play`, `Playback`, `Download`, `Talk`."""
    owner_id: str
    uri: str | None
    host: str
    """Where to send or connect to; "" when it named none and connects itself."""
    port: int
    transport: Transport
    """Role of the offerer."""
    ssrc: int | None
    payloads: dict[int, str]
    kind: str
    direction: str | None
    time: tuple[int, int]
    streamnumber: int | None
    """Stream asked for by any of the vendors' attributes, 0 main; None when not said."""
    downloadspeed: int | None
    f: str | None
    media: tuple[SdpMedia, ...] = ()
    """All media offered; an answer has as many."""
    chosen: int = 0
    """Number of the one that is meant, from 0."""

    def payload_for(self, encoding: str) -> int | None:
        """Return the payload type offered for an encoding (`PS`, `H264`); None if it is not.

        An offer that names no payload type at all leaves it to the sender: the usual one then.
        """
        wanted = encoding.upper()
        usual = next((n for n, text in ENCODINGS.items() if text.startswith(f"{wanted}/")), None)
        if not self.payloads:
            return usual
        return next((number for number, name in self.payloads.items() if name == wanted), None)

    def answer(
        self,
        *,
        owner_id: str,
        host: str,
        port: int,
        payload_type: int = 96,
        ssrc: int | None = None,
        filesize: int | None = None,
        direction: str | None = None,
    ) -> bytes:
        """Write the complementary answer, with the offer's ``y=`` unless another is given.

        Args:
            owner_id: Identifier of the answering machine.
            host: Its media address.
            port: Its media port, never 0.
            payload_type: The one payload type that will be sent, under the name it was offered.
            ssrc: ``y=``; None keeps the offer's.
            filesize: Bytes of the download.
            direction: Ours; None is the offer's reversed.
        """
        return build_answer(
            name=self.name,
            owner_id=owner_id,
            host=host,
            port=port,
            transport=self.transport,
            ssrc=self.ssrc if ssrc is None else ssrc,
            payload_type=payload_type,
            encoding=self.payloads.get(payload_type, ""),
            kind=self.kind,
            direction=direction or _REVERSED.get(self.direction or "", "sendonly"),
            time=self.time,
            filesize=filesize,
            f=self.f if self.kind == "audio" else None,
            refused=(self.media[: self.chosen], self.media[self.chosen + 1 :]),
        )


def stream_attribute(style: StreamStyle, number: int) -> tuple[str, str]:
    """Return the attribute that asks for a stream in a vendor's way."""
    word = "sub" if number else "main"
    match style:
        case StreamStyle.STREAM_WORD:
            return ("stream", word)
        case StreamStyle.STREAM_MODE:
            return ("streamMode", word.upper())
        case StreamStyle.STREAMNUMBER | StreamStyle.STREAM | StreamStyle.STREAMPROFILE:
            return (style.value, str(number))


def build_live_offer(
    *,
    owner_id: str,
    host: str,
    port: int,
    transport: str,
    ssrc: int | None,
    gb_version: str = "",
    payloads: Sequence[int] | None = None,
    streamnumber: int | None = None,
    attributes: Sequence[tuple[str, str]] = (),
    f: str | None = None,
    direction: str = "recvonly",
) -> bytes:
    """Write the offer for a live stream that we will receive, or send after an INVITE without SDP.

    Args:
        owner_id: Our platform identifier, for ``o=``.
        host: Address at which media is received, or from which it is sent.
        port: Port; a real one for a TCP connector too, since devices refuse 0 and dislike 9.
        transport: Our role: `udp`, `tcp_passive` or `tcp_active`.
        ssrc: ``y=``.
        gb_version: The device's X-GB-Ver, which decides the payload type of H.265.
        payloads: Payload types instead of the edition's own.
        streamnumber: 0 main, 1 first sub stream (2022).
        attributes: Further attributes, such as :func:`stream_attribute` gives.
        f: Media description line.
        direction: `recvonly`, or `sendonly` in a late offer of ours.
    """
    mode = Transport(transport)
    if not 0 < port <= 65_535:
        raise LocalProtocolError(f"an offer needs a real port, got {port}")
    numbers = tuple(payloads or offered_payloads(gb_version))
    # Dahua answers 403 "Not registered" unless the rtpmap of PS is the first a= line.
    lines: list[tuple[str, str | None]] = [*rtpmap_attributes(numbers), (direction, None)]
    if mode in SETUP:
        lines += [("setup", SETUP[mode]), ("connection", "new")]
    if streamnumber is not None:
        lines.append(stream_attribute(StreamStyle.STREAMNUMBER, streamnumber))
    lines += attributes
    media = SdpMedia(
        kind="video", port=port, proto=PROTO[mode], payloads=numbers, attributes=tuple(lines)
    )
    return serialize(
        SdpSession(
            origin=SdpOrigin(username=owner_id, host=host),
            name="Play",
            connection=host,
            media=(media,),
            ssrc=ssrc,
            f=f,
        )
    )


def read_offer(body: bytes) -> LiveOffer:
    """Read an offer as the side that will send.

    Raises:
        SdpError: 400 when it is no SDP or has no medium, 488 when it cannot be met.
    """
    session = parse(body)
    if not session.media:
        raise SdpError("the offer has no m= line")
    chosen = _meant(session)
    media = session.media[chosen]
    transport = _offered_transport(session, media)
    if media.port == 0 and transport is not Transport.TCP_ACTIVE:
        raise SdpError("the offer names port 0, where nothing can be sent", status=488)
    host = session.host_of(media)
    if not host and transport is not Transport.TCP_ACTIVE:
        raise SdpError("the offer names no address (c= or o=)", status=400)
    if _is_nobody(host) and transport is not Transport.TCP_ACTIVE:
        raise SdpError(f"the offer names {host}, where nothing can be sent", status=488)
    return LiveOffer(
        name=session.name,
        owner_id=session.origin.username if session.origin else "",
        uri=session.uri,
        host=host,
        port=media.port,
        transport=transport,
        ssrc=session.ssrc,
        payloads=encoding_names(media),
        kind=media.kind,
        direction=media.direction,
        time=session.time,
        streamnumber=_stream_number(session),
        downloadspeed=_download_speed(session),
        f=session.f,
        media=session.media,
        chosen=chosen,
    )


def _meant(session: SdpSession) -> int:
    """Return the number of the medium that is wanted: video, which may carry sound; sound where people talk."""
    kind = "audio" if session.name.lower() == "talk" else "video"
    open_ones = [number for number, item in enumerate(session.media) if item.port != 0]
    of_kind = [number for number in open_ones if session.media[number].kind == kind]
    return next(iter([*of_kind, *open_ones]), 0)


_REVERSED = {"recvonly": "sendonly", "sendonly": "recvonly", "sendrecv": "sendrecv"}
_STREAM_WORDS = {"main": 0, "sub": 1}


def _is_nobody(host: str) -> bool:
    """Whether an address is that of no host: 0.0.0.0 or a group's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast


def _offered_transport(session: SdpSession, media: SdpMedia) -> Transport:
    if "SAVP" in media.proto:
        raise SdpError(f"expected RTP in the clear, got {media.proto[:40]}", status=488)
    if not media.is_tcp:
        return Transport.UDP
    general = next((v for k, v in session.attributes if k.lower() == "setup"), None)
    setup = media.setup or (general or "").lower()
    match setup:
        case "passive" | "" | "actpass":
            # RFC 4145 defaults to active, but a GB receiver listens unless it says otherwise.
            return Transport.TCP_PASSIVE
        case "active":
            return Transport.TCP_ACTIVE
        case _:
            raise SdpError(
                f"expected setup:active or setup:passive, got {setup[:20]!r}", status=488
            )


def _stream_number(session: SdpSession) -> int | None:
    for name in ("streamnumber", "stream", "streamprofile", "streamMode"):
        value = (session.attribute(name) or "").lower()
        if value in _STREAM_WORDS:
            return _STREAM_WORDS[value]
        if value.isascii() and value.isdigit() and len(value) <= 2:
            return int(value)
    return None


def _download_speed(session: SdpSession) -> int | None:
    value = session.attribute("downloadspeed") or ""
    if value.isascii() and value.isdigit() and len(value) <= 2 and int(value) in DOWNLOAD_SPEEDS:
        return int(value)
    return None
