"""Streams given to upper platforms: what is known of each."""

import enum
from dataclasses import dataclass
from datetime import datetime

__all__ = ["BridgeEnd", "BridgeRecord"]


class BridgeEnd(enum.StrEnum):
    """Why a stream to an upper platform ended, or never came to be."""

    UPPER_BYE = "upper_bye"
    UPPER_CANCELLED = "upper_cancelled"
    NO_ACK = "no_ack"
    UPPER_LOST = "upper_lost"
    """Its link, its media connection or its receiver reports are gone (protocol 5.10)."""
    SOURCE_ENDED = "source_ended"
    """The session with the camera ended; `detail` gives its reason."""
    REFUSED = "refused"
    """Never established; `status` says what the upper was told."""
    STOPPED = "stopped"
    """Forced stop, revoked grant, changed policy or an operator."""
    ANSWER_UNUSABLE = "answer_unusable"
    """The SDP in the ACK cannot be used."""
    SHUTDOWN = "shutdown"
    INTERNAL_ERROR = "internal_error"

    @property
    def is_failure(self) -> bool:
        """Whether somebody should look into it."""
        return self in {
            BridgeEnd.NO_ACK,
            BridgeEnd.UPPER_LOST,
            BridgeEnd.SOURCE_ENDED,
            BridgeEnd.ANSWER_UNUSABLE,
            BridgeEnd.INTERNAL_ERROR,
        }


@dataclass(slots=True, kw_only=True)
class BridgeRecord:
    """One INVITE of an upper platform."""

    bridge_id: str
    platform_id: str
    shared_id: str
    """The channel's code as that platform knows it."""
    created_at: datetime
    device_id: str = ""
    channel_id: str = ""
    kind: str = "live"
    call_id: str = ""
    session_id: str = ""
    """The session with the device that feeds it."""
    transport: str = ""
    """Our own role towards the upper: `udp`, `tcp_passive`, `tcp_active`."""
    ssrc: str = ""
    remote: str = ""
    established_after: float | None = None
    """Seconds from the INVITE to our 200."""
    first_packet_after: float | None = None
    """Seconds from the INVITE to the first packet sent up."""
    end: BridgeEnd | None = None
    status: int | None = None
    """Status of our answer, if it was a refusal."""
    detail: str = ""
    ended_at: datetime | None = None
