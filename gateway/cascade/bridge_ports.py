"""What a bridged call needs of its surroundings: the platform's catalogue, the live sessions, and what all calls share."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from gateway.cascade.ports import IdentityPath
from gateway.domain.bridge import BridgeRecord
from gateway.domain.device import Channel, DeviceAddress, MediaTransport
from gateway.domain.media import Sender, SenderEvents, SenderSpec
from gateway.domain.policy import AccessControl
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin

__all__ = ["BridgeOwner", "ChannelResolver", "RelaySource"]


class ChannelResolver(Protocol):
    """A platform's catalogue, as far as a call needs it."""

    def resolve(self, shared_id: str) -> Channel | None:
        """The channel a platform knows under this code; None if it was never given it, or may not see it now."""

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        """Why there is none, for the record: a reason and a sentence."""


class RelaySource(Protocol):
    """The live sessions."""

    def has_stream(self, device_id: str, channel_id: str, stream: int) -> bool:
        """Whether a channel is known to have a stream beside its main one."""

    async def relay(
        self,
        device_id: str,
        channel_id: str,
        make: Callable[[SessionRecord], SenderSpec],
        events: SenderEvents,
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, Sender]:
        """Open a relay of a channel's stream, starting the stream if need be."""


class BridgeOwner(Protocol):
    """What all bridged calls share; `Bridges` is it."""

    own_id: str
    identities: IdentityPath
    sources: RelaySource
    access: AccessControl
    views: Callable[[str], ChannelResolver | None]
    local_host: Callable[[DeviceAddress], str]
    now: Callable[[], float]
    wall: Callable[[], datetime]
    late_offer_transport: MediaTransport

    def count_of(self, platform_id: str) -> int:
        """How many a platform has."""

    def lease_ssrc(self, wanted: int | None) -> int:
        """Return an SSRC no other stream to an upper uses now."""

    def release_ssrc(self, ssrc: int) -> None:
        """Give an SSRC back."""

    def ask_key_frame(self, record: BridgeRecord) -> None:
        """Ask the camera of a bridge for a key frame."""
