"""The SDP of a stream (RFC 4566; RFC 2326 C)."""

from collections.abc import Sequence

from gateway.domain.rtp_out import RtpTrack

__all__ = ["describe"]


def describe(tracks: Sequence[RtpTrack], *, name: str, number: int) -> bytes:
    """Return the SDP of a live stream; its tracks are controlled as `trackID=N`.

    Args:
        tracks: In order.
        name: Of the session.
        number: Tells descriptions of one name apart.
    """
    lines = [
        "v=0",
        f"o=- {number} 1 IN IP4 0.0.0.0",
        f"s={_plain(name)}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=0-",
    ]
    for position, track in enumerate(tracks):
        kind = track.payload_type
        channels = f"/{track.channels}" if track.kind == "audio" and track.channels > 1 else ""
        lines += [
            f"m={track.kind} 0 RTP/AVP {kind}",
            f"a=rtpmap:{kind} {track.encoding}/{track.clock_rate}{channels}",
        ]
        if track.fmtp:
            lines.append(f"a=fmtp:{kind} {track.fmtp}")
        lines.append(f"a=control:trackID={position}")
    return ("\r\n".join(lines) + "\r\n").encode()


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable()) or "-"
