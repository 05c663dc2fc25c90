"""What sessions need from the rest of the gateway, and the values they are tuned by."""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.device import Channel, Device, MediaTransport, TimelineKind
from gateway.domain.session import SessionRecord

__all__ = ["DeviceDirectory", "SessionObserver", "SessionSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Deadlines of a session in seconds, and its defaults."""

    platform_id: str
    """Our own 20-digit id: owner of the offer and receiver in Subject."""
    transport: MediaTransport = MediaTransport.UDP
    invite_timeout: float = 20.0
    """Devices open a stream in up to 15 s (protocol 2.10); then CANCEL."""
    first_packet_timeout: float = 10.0
    """From the answer to the first RTP packet."""
    decodable_timeout: float = 15.0
    """From the first packet to parameter sets and a key frame; long GOPs reach 10 s."""
    no_readers_grace: float = 15.0
    """How long a stream nobody watches is kept."""
    close_timeout: float = 5.0
    """How long shutdown waits for the answers to its BYEs."""
    max_sessions: int = 2000
    """Sessions at once; more than the RTP port pairs makes no sense."""
    history: int = 1000
    """Ended sessions kept for diagnosis."""


class DeviceDirectory(Protocol):
    """The registry as sessions see it."""

    def get(self, device_id: str) -> Device | None:
        """The device, if known."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """The channel, if catalogued."""

    def find_channel(self, channel_id: str) -> list[Channel]:
        """Every channel with that id, whatever its device."""

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        """Add to the device's timeline."""


class SessionObserver(Protocol):
    """Told of every session's start and end, e.g. for metrics."""

    def session_started(self, record: SessionRecord) -> None:
        """A session was requested."""

    def session_ended(self, record: SessionRecord) -> None:
        """A session reached `ENDED`; its record is final."""
