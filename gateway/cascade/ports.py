"""What the cascade needs from SIP, and what SIP hands to it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.device import Channel, Device, DeviceAddress
from gateway.domain.platform import PlatformAddress, PlatformConfig
from gateway.domain.policy import Subject
from gb28181.flow.identity import MonitorIdentity
from gb28181.manscdp.message import Content, ManscdpMessage
from gb28181.sip.header.reason import Reason
from gb28181.sip.message import Response

__all__ = [
    "CallLeg",
    "ChannelDirectory",
    "IdentityPath",
    "IncomingCall",
    "SubscribeRequest",
    "UpperLink",
    "UpperRequester",
    "UpperSubscription",
    "UpperTransport",
]


class ChannelDirectory(Protocol):
    """The registry as the cascade sees it."""

    def devices(self) -> Iterable[Device]:
        """All devices."""

    def get(self, device_id: str) -> Device | None:
        """The device, if known."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """One channel."""

    def channels(self, device_id: str) -> Iterable[Channel]:
        """A device's channels in the order of its catalogue."""


class IdentityPath(Protocol):
    """Writes our own code into identities that go on; `gateway.sharing.identity` implements it."""

    def onward(self, identity: MonitorIdentity | None, asker: str) -> MonitorIdentity | None:
        """Return what goes on with a request to the next level; None if we may not write one.

        Raises:
            Forbidden: with `status` 482 or 483: a loop, or too many gateways.
        """


class UpperTransport(Protocol):
    """SIP towards upper platforms; implemented in `gateway.signalling.upper`.

    `route` is where the platform is reached (for TCP and TLS with our connection to it).
    """

    async def connect(self, config: PlatformConfig, address: PlatformAddress) -> DeviceAddress:
        """Dial a TCP or TLS platform, or find the local address towards a UDP one.

        Raises:
            Unavailable: `unreachable`, `tls_failed`.
        """

    def disconnect(self, route: DeviceAddress) -> None:
        """Drop the connection, if there is one; idempotent."""

    async def register(
        self,
        config: PlatformConfig,
        route: DeviceAddress,
        *,
        call_id: str,
        from_tag: str,
        cseq: int,
        headers: Iterable[tuple[str, str]],
    ) -> Response:
        """Send one REGISTER and return the final response.

        Raises:
            Unavailable: `no_answer`, `unreachable`.
        """

    async def message(
        self, config: PlatformConfig, route: DeviceAddress, content: Content
    ) -> Response:
        """Send a MESSAGE in the platform's charset and return the final response.

        Raises:
            Unavailable: `no_answer`, `unreachable`.
        """

    def contact(self, config: PlatformConfig, route: DeviceAddress) -> str:
        """Contact URI under which the platform reaches us on this route."""

    def local_host(self, route: DeviceAddress) -> str:
        """Address to write into SDP towards this platform."""


class UpperLink(Protocol):
    """One configured platform while the gateway runs; `gateway.cascade.link` implements it."""

    @property
    def config(self) -> PlatformConfig:
        """Its configuration."""

    @property
    def online(self) -> bool:
        """Whether we are registered there and its keepalives are answered."""

    @property
    def route(self) -> DeviceAddress | None:
        """Where it is reached now."""

    async def send(self, content: Content) -> None:
        """Send a MESSAGE and return once it is acknowledged.

        Raises:
            Unavailable: `platform_offline`, `no_answer`, `platform_refused`.
        """

    def note(self, event: str, detail: str) -> None:
        """Add to the platform's timeline (`PlatformEvent` value)."""


class UpperSubscription(Protocol):
    """An accepted SUBSCRIBE of a platform; wraps the notifier dialog."""

    async def notify(self, content: Content | None, *, expires: int, reason: str = "") -> bool:
        """Send NOTIFY and wait for its answer.

        Args:
            content: The body; None for an empty one.
            expires: Seconds left for Subscription-State; 0 says `terminated`.
            reason: Reason of a terminated subscription (RFC 6665: `timeout`, `deactivated`, `noresource`).

        Returns:
            Whether the subscriber took it; False for 481, a time-out or a lost connection: the subscription is gone.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest:
    """A SUBSCRIBE of a platform: new, refresh or cancel."""

    message: ManscdpMessage
    """Its body; the CmdType says what is subscribed (`Catalog`, `Alarm`)."""
    expires: int
    """Seconds asked for; 0 cancels."""
    identity: MonitorIdentity | None = None


class CallLeg(Protocol):
    """An established INVITE dialog with an upper platform."""

    on_ack: Callable[[bytes], None] | None
    """Called once with the body of the ACK (the answer, when our 200 carried the offer)."""
    on_bye: Callable[[str], None] | None
    """Called once when the dialog ended without us, with what happened: `bye`, `no_ack`, `connection_lost`."""
    on_reinvite: Callable[[bytes], tuple[int, bytes]] | None
    """Called with the SDP of a re-INVITE (empty if it has none); returns status and SDP of the answer."""
    on_answer: Callable[[bytes], None] | None
    """Called with the body of the ACK to a re-INVITE without SDP: the answer to what was offered then."""

    @property
    def call_id(self) -> str:
        """Call-ID."""

    @property
    def peer_reason(self) -> str:
        """Reason of the BYE it sent, for people; empty if it gave none."""

    async def bye(self, reason: Reason | None = None) -> None:
        """End it, saying why; idempotent, never raises, returns within seconds."""


class IncomingCall(Protocol):
    """An INVITE of an upper platform, not yet answered; 100 has been sent."""

    on_cancel: Callable[[], None] | None
    """Called when it was cancelled; 487 has been sent then."""

    @property
    def target(self) -> str:
        """Code in the Request-URI: the shared code of the channel."""

    @property
    def sdp(self) -> bytes:
        """The offer; empty if the INVITE has none."""

    @property
    def subject(self) -> str:
        """Subject header as sent, or empty."""

    @property
    def identity(self) -> str | None:
        """Monitor-User-Identity as sent, None if absent."""

    @property
    def route_path(self) -> str:
        """X-RoutePath or X-PreferredPath as sent, or empty."""

    @property
    def max_forwards(self) -> int:
        """Max-Forwards; 70 if absent."""

    @property
    def source(self) -> str:
        """Host it came from."""

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, or the upper is lost."""

    @property
    def peer_lost(self) -> bool:
        """Whether it was not the upper's wish: it cannot be reached any more."""

    @property
    def cancel_reason(self) -> str:
        """Reason of the CANCEL, for people; empty if it gave none."""

    def refuse(
        self, status: int, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer with a failure; ignored after CANCEL."""

    def accept(self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> CallLeg:
        """Answer 200 with the answer, or with our offer.

        Raises:
            Conflict: `cancelled`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperRequester:
    """Who stands behind a request of a platform."""

    platform_id: str
    subject: Subject
    source: str
    identity: MonitorIdentity | None = None
