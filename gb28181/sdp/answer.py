"""Answers to media offers (RFC 3264, RFC 4145; GB/T 28181-2022 Annexes C, D and G)."""

from collections.abc import Sequence
from dataclasses import dataclass

from gb28181.errors import LocalProtocolError, SdpError
from gb28181.sdp.payload import encoding_names, rtpmap_attributes
from gb28181.sdp.session import SdpMedia, SdpOrigin, SdpSession, parse, serialize
from gb28181.sdp.transport import COMPLEMENT, PROTO, Transport

__all__ = ["LiveAnswer", "build_answer", "read_answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """What the sender of a stream answered."""

    host: str
    """Its media address; `""` when it named none, which matters only to a TCP connector."""
    port: int
    ssrc: int | None
    """Its ``y=``, which may differ from the offer's; None when absent."""
    payloads: dict[int, str]
    """Encoding names by payload type, e.g. ``{96: "PS"}``."""
    setup: str | None
    proto: str
    kind: str
    """`video` or `audio`."""
    owner_id: str
    """User name of ``o=``; "" when absent."""
    filesize: int | None
    """Bytes of a download, where announced."""
    remarks: tuple[str, ...]
    """Deviations that were tolerated, one sentence each."""

    @property
    def remote(self) -> tuple[str, int] | None:
        """The media address to dial, None when no host was named."""
        return (self.host, self.port) if self.host else None


def read_answer(
    body: bytes,
    *,
    transport: str | None = None,
    ssrc: int | None = None,
    sending: bool = False,
) -> LiveAnswer:
    """Read the answer to an offer of ours; in an ACK when the INVITE had none (RFC 3261 13.2.1).

    Args:
        body: The SDP of the 2xx.
        transport: What was offered, `udp`, `tcp_passive` or `tcp_active`; None skips that check.
        ssrc: What was offered as ``y=``, to remark on a different answer.
        sending: Whether we will send, as after a late offer: then UDP needs an address too.

    Raises:
        SdpError: It is no SDP, has no medium, refuses it with port 0, or contradicts the offer's
            transport or TCP role.
    """
    if not body.strip():
        raise SdpError("the answer has no SDP body", status=488)
    session = parse(body)
    media = _chosen_medium(session)
    setup = media.setup or _session_setup(session)
    remarks: list[str] = []
    if transport is not None:
        remarks += _check_transport(Transport(transport), media, setup)
    host = session.host_of(media)
    if not host and (transport == Transport.TCP_ACTIVE or (sending and transport == Transport.UDP)):
        raise SdpError("the answer names no address (c= or o=) to reach it at", status=488)
    if session.ssrc is None:
        remarks.append("the answer has no usable y= line; the offered SSRC stays")
    elif ssrc is not None and session.ssrc != ssrc:
        remarks.append(f"offered y={ssrc:010d}, answered y={session.ssrc:010d}")
    payloads = encoding_names(media)
    for encoding in sorted(_PRIVATE.intersection(payloads.values())):
        remarks.append(f"encoding {encoding} announces a stream of the vendor's own format")
    filesize = session.attribute("filesize") or ""
    return LiveAnswer(
        host=host,
        port=media.port,
        ssrc=session.ssrc,
        payloads=payloads,
        setup=setup,
        proto=media.proto,
        kind=media.kind,
        owner_id=session.origin.username if session.origin else "",
        filesize=int(filesize)
        if filesize.isascii() and filesize.isdigit() and len(filesize) < 19
        else None,
        remarks=tuple(remarks),
    )


def build_answer(
    *,
    name: str,
    owner_id: str,
    host: str,
    port: int,
    transport: str,
    ssrc: int | None,
    payload_type: int = 96,
    encoding: str = "",
    kind: str = "video",
    direction: str = "sendonly",
    time: tuple[int, int] = (0, 0),
    filesize: int | None = None,
    f: str | None = None,
    refused: tuple[Sequence[SdpMedia], Sequence[SdpMedia]] = ((), ()),
) -> bytes:
    """Write an answer.

    Args:
        name: The ``s=`` of the offer.
        owner_id: Identifier of the answering machine.
        host: Its media address.
        port: Its media port, never 0: some peers refuse that even from a TCP connector.
        transport: What was *offered*: `tcp_passive` (the offerer listens) is answered with
            ``setup:active``.
        ssrc: ``y=``; None leaves the line out.
        payload_type: The one payload type that will be sent.
        encoding: Its name where that is not the usual of its number, e.g. `PS` under 97.
        kind: Media kind of the offer.
        direction: Our direction.
        time: The offer's ``t=``.
        filesize: Bytes of the download.
        f: Media description line.
        refused: Media of the offer before and behind the one that is answered; an answer has a line for each.
    """
    mode = Transport(transport)
    if not 0 < port <= 65_535:
        raise LocalProtocolError(f"an answer needs a real port, got {port}")
    attributes: list[tuple[str, str | None]] = [
        (direction, None),
        *rtpmap_attributes([payload_type], {payload_type: encoding}),
    ]
    setup = COMPLEMENT.get(mode)
    if setup is not None:
        attributes += [("setup", setup), ("connection", "new")]
    if filesize is not None:
        attributes.append(("filesize", str(filesize)))
    media = SdpMedia(
        kind=kind,
        port=port,
        proto=PROTO[mode],
        payloads=(payload_type,),
        attributes=tuple(attributes),
    )
    before, after = refused
    return serialize(
        SdpSession(
            origin=SdpOrigin(username=owner_id, host=host),
            name=name,
            connection=host,
            time=time,
            media=(*map(_refused, before), media, *map(_refused, after)),
            ssrc=ssrc,
            f=f,
        )
    )


def _refused(media: SdpMedia) -> SdpMedia:
    """Return the line that refuses a medium (RFC 3264 6)."""
    return SdpMedia(kind=media.kind, port=0, proto=media.proto, payloads=media.payloads[:1] or (0,))


_PRIVATE = frozenset({"DAHUA", "HIKVISION"})


def _chosen_medium(session: SdpSession) -> SdpMedia:
    if not session.media:
        raise SdpError("the answer has no m= line", status=488)
    usable = [media for media in session.media if media.port != 0]
    if not usable:
        first = session.media[0]
        raise SdpError(f"the answer refuses the medium: m={first.kind} 0 {first.proto}", status=488)
    return next((media for media in usable if media.kind == "video"), usable[0])


def _session_setup(session: SdpSession) -> str | None:
    value = session.attribute("setup")
    return value.lower() if value else None


def _check_transport(offered: Transport, media: SdpMedia, setup: str | None) -> list[str]:
    expected = COMPLEMENT.get(offered)
    if expected is None:
        if media.is_tcp:
            raise SdpError(f"offered UDP (RTP/AVP), the answer says {media.proto}", status=488)
        return []
    remarks = []
    if not media.is_tcp:
        remarks.append(f"offered TCP/RTP/AVP, the answer says {media.proto}; taken as TCP")
    if setup in {None, "actpass"}:
        remarks.append(f"the answer gives no TCP role; taken as setup:{expected}")
    elif setup != expected:
        ours = "passive" if offered is Transport.TCP_PASSIVE else "active"
        raise SdpError(
            f"offered setup:{ours}, so the answer must say setup:{expected}, but it says setup:{setup[:20]}",
            status=488,
        )
    return remarks
