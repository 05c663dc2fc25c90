"""How a relay's packets get to the receiver: a UDP socket, a connection it makes, or one we make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.media.options import MediaOptions
from gb28181.aio.media_relay import NoSuchReceiver, UdpRelay
from gb28181.aio.media_udp import Address
from gb28181.aio.ports import PortLease
from gb28181.aio.reader import SocketReader
from gb28181.rtp.relay import RelayBatch, RelayStamp

__all__ = ["Link", "LinkOwner", "UdpLink", "spell"]

RTCP_BATCH = 16
RTCP_SIZE = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOwner:
    """What a link tells its sender; called on the loop."""

    name: str
    """For logs and tasks."""
    ready: Callable[[], None]
    """Packets can be sent."""
    lost: Callable[[str, str], None]
    """`SenderEvents.sender_lost`."""
    report: Callable[[bytes], None]
    """RTCP came from the receiver."""
    has_keyframes: Callable[[], bool]
    """Whether key frames are told apart in the source."""


class Link(Protocol):
    """One way to a receiver."""

    remote: str
    """`host:port`, empty while unknown."""

    @property
    def packets(self) -> int:
        """Packets that went out."""

    @property
    def octets(self) -> int:
        """Bytes of payload that went out."""

    @property
    def dropped(self) -> int:
        """Packets left out."""

    def start(self, remote: Address | None) -> None:
        """Begin, or take over another address."""

    def send(self, batch: RelayBatch, stamp: RelayStamp, first: int) -> None:
        """Send the runs from number `first` on, as far as there is room."""

    def send_report(self, data: bytes) -> None:
        """Send RTCP."""

    def tick(self, now: float) -> None:
        """Do what time asks for."""

    def close(self) -> None:
        """Stop; idempotent."""


def spell(remote: Address) -> str:
    """Write an address for people."""
    host, port = remote
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class UdpLink:
    """From the leased pair of ports, RTCP from and to the next higher one."""

    def __init__(
        self, lease: PortLease, owner: LinkOwner, options: MediaOptions, *, rtcp: bool
    ) -> None:
        self.remote = ""
        self._owner = owner
        self._options = options
        self._relay = UdpRelay(lease.rtp)
        self._rtcp = lease.rtcp
        self._target: Address | None = None
        self._reader = SocketReader(lease.rtcp, self._read) if rtcp else None

    @property
    def packets(self) -> int:
        """Packets that the system took."""
        return self._relay.packets

    @property
    def octets(self) -> int:
        """Bytes of payload that the system took."""
        return self._relay.octets

    @property
    def dropped(self) -> int:
        """Packets that the system or the receiver's host did not take."""
        return self._relay.dropped

    def start(self, remote: Address | None) -> None:
        """Connect the socket."""
        if remote is None:
            self._owner.lost("connect_failed", "The receiver named no address for the media")
            return
        try:
            self._relay.connect(remote)
        except (NoSuchReceiver, OSError) as exc:
            self._owner.lost("unreachable", f"Media cannot be sent to {spell(remote)}: {exc}")
            return
        self.remote = spell(remote)
        self._target = (remote[0], min(remote[1] + 1, 65_535))
        self._owner.ready()

    def send(self, batch: RelayBatch, stamp: RelayStamp, first: int) -> None:
        """Send each run in one call."""
        form = batch.datagrams
        stamp.apply(form)
        self._relay.send(form, first)

    def send_report(self, data: bytes) -> None:
        """Send to the receiver's RTCP port."""
        if self._target is not None:
            try:
                self._rtcp.sendto(data, self._target)
            except OSError:
                return  # the next report may get through; RTP tells whether anybody is there

    def tick(self, now: float) -> None:
        """Watch for a receiver that is gone."""
        refused = self._relay.refused_for(now)
        if refused >= self._options.relay_unreachable:
            self._owner.lost(
                "unreachable", f"{self.remote} has refused packets for {refused:.1f} s"
            )

    def close(self) -> None:
        """Read no more reports."""
        if self._reader is not None:
            self._reader.stop()

    def _read(self) -> None:
        for _ in range(RTCP_BATCH):
            try:
                data, source = self._rtcp.recvfrom(RTCP_SIZE)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if self._target is not None and source[0] == self._target[0]:
                self._owner.report(data)
