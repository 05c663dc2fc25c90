"""What a media session is, how far it came and why it ended."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

__all__ = [
    "EndReason",
    "Ended",
    "SessionKind",
    "SessionRecord",
    "SessionState",
    "SsrcFacts",
    "Stage",
    "stream_name",
]


def stream_name(device_id: str, channel_id: str, stream: int = 0) -> str:
    """Return the name of a channel's stream: `device/channel`, a sub stream with `~1` behind."""
    return f"{device_id}/{channel_id}" + (f"~{stream}" if stream else "")


class SessionKind(enum.StrEnum):
    """What the session carries; later kinds join here."""

    LIVE = "live"


class SessionState(enum.StrEnum):
    """Life of a session, in order."""

    IDLE = "idle"
    INVITING = "inviting"
    RUNNING = "running"
    CLOSING = "closing"
    ENDED = "ended"


class Stage(enum.StrEnum):
    """Steps towards a picture, in the order in which they must happen."""

    REQUESTED = "requested"
    PORT_LEASED = "port_leased"
    INVITED = "invited"
    TRYING = "trying"
    ANSWERED = "answered"
    CONNECTED = "connected"
    FIRST_PACKET = "first_packet"
    DECODABLE = "decodable"
    FIRST_OUTPUT = "first_output"


class EndReason(enum.StrEnum):
    """Why a session ended; every ended session has exactly one."""

    INVITE_TIMEOUT = "invite_timeout"
    INVITE_REFUSED = "invite_refused"
    ANSWER_UNUSABLE = "answer_unusable"
    CONNECT_FAILED = "connect_failed"
    NO_PACKET = "no_packet"
    NOT_DECODABLE = "not_decodable"
    SOURCE_LOST = "source_lost"
    CODEC_UNSUPPORTED = "codec_unsupported"
    SOURCE_UNREACHABLE = "source_unreachable"
    """A foreign source did not answer."""
    SOURCE_REFUSED = "source_refused"
    """A foreign source answered that we may not, or that there is no such thing."""
    NO_PUBLISHER = "no_publisher"
    """Nobody publishes to this channel."""
    PUBLISHER_LEFT = "publisher_left"
    """Whoever published has ended."""
    TOO_MANY_PULLS = "too_many_pulls"
    """As many foreign sources as are allowed are being fetched."""
    DEVICE_OFFLINE = "device_offline"
    DEVICE_BYE = "device_bye"
    NO_READERS = "no_readers"
    PORTS_EXHAUSTED = "rtp_ports_exhausted"
    STOPPED = "stopped"
    SHUTDOWN = "shutdown"
    INTERNAL_ERROR = "internal_error"

    @property
    def is_failure(self) -> bool:
        """Whether somebody should look into it, as opposed to an ordinary end."""
        return self not in {
            EndReason.NO_READERS,
            EndReason.PUBLISHER_LEFT,
            EndReason.STOPPED,
            EndReason.SHUTDOWN,
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a session: the reason and a sentence a person can act on."""

    reason: EndReason
    detail: str
    """What was expected, what came, and who did not answer for how long."""
    sip_status: int | None = None
    """Status of the refusing response, if one came."""


@dataclass(slots=True)
class SsrcFacts:
    """The three SSRC values whose disagreement explains many black pictures; decimal strings of 10 digits."""

    offered: str | None = None
    answered: str | None = None
    received: str | None = None


@dataclass(slots=True, kw_only=True)
class SessionRecord:
    """The diagnosis of one session; `stages` holds the seconds since `REQUESTED` at which each was reached."""

    session_id: str
    kind: SessionKind
    device_id: str
    channel_id: str
    transport: str
    """`udp`, `tcp_passive` or `tcp_active`: the gateway's own role in the offer; of a foreign source `rtsp_tcp`,
    `rtsp_udp`, `rtmp` or `rtmp_push`."""
    created_at: datetime
    foreign: bool = False
    """Media comes from a foreign source: there is no INVITE, no port and no SSRC."""
    stream: int = 0
    """0 the main stream, 1 the first sub stream."""
    state: SessionState = SessionState.IDLE
    stages: dict[Stage, float] = field(default_factory=dict)
    ssrc: SsrcFacts = field(default_factory=SsrcFacts)
    first_reader: float | None = None
    """Seconds after the request at which the first viewer was attached."""
    call_id: str | None = None
    viewers: int = 0
    remarks: list[str] = field(default_factory=list)
    """Deviations of the device that were tolerated, one sentence each."""
    ended: Ended | None = None
    ended_at: datetime | None = None

    @property
    def stage_reached(self) -> Stage:
        """The last stage, in order, that has a time."""
        reached = Stage.REQUESTED
        for stage in Stage:
            if stage in self.stages:
                reached = stage
        return reached

    @property
    def stream_id(self) -> str:
        """Name under which the media plane and the stream URLs know this session's stream."""
        return stream_name(self.device_id, self.channel_id, self.stream)
