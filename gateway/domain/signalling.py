"""The signalling port: what sessions and the registry ask of SIP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.device import Device
from gb28181.manscdp.control import DeviceControl

__all__ = ["InviteAnswer", "InviteFailed", "MediaDialog", "Origin", "Signaller"]


@dataclass(frozen=True, slots=True)
class InviteAnswer:
    """A 2xx to our INVITE."""

    status: int
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who stands behind a request that goes on to a lower platform."""

    identity: str = ""
    """Monitor-User-Identity to send, our own code in front already."""
    asker: str = ""
    """One of our own: a department, key or user, for an identity that begins with us; empty: we ourselves."""


class InviteFailed(Exception):
    """An INVITE that did not come to a 2xx.

    Args:
        status: The final status, or None if no final response came.
        detail: Who did not answer for how long, or the refusing status and reason phrase.
        transport: Whether the message could not be sent at all (no connection, unreachable).
    """

    def __init__(self, status: int | None, detail: str, *, transport: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.transport = transport


class MediaDialog(Protocol):
    """An established INVITE dialog with a device."""

    @property
    def call_id(self) -> str:
        """Call-ID of the dialog."""

    @property
    def answer(self) -> InviteAnswer:
        """The answer it was established with."""

    async def bye(self) -> None:
        """End the dialog; returns after the answer or its deadline, never raises, idempotent."""


class Signaller(Protocol):
    """Sends GB/T 28181 requests to a device where it is registered."""

    def local_host(self, device: Device) -> str:
        """Address to advertise to this device in SDP: `[rtp] advertise`, or where its REGISTER arrived."""

    async def invite(
        self,
        device: Device,
        channel_id: str,
        sdp: bytes,
        *,
        subject: str,
        timeout: float,
        on_trying: Callable[[], None],
        on_bye: Callable[[str], None],
        origin: Origin | None = None,
    ) -> MediaDialog:
        """INVITE a channel; CANCELs at `timeout` seconds.

        `on_bye` is called once the device ended it, with the reason it gave, for people, or an empty one;
        `origin` is told to lower platforms only.

        Raises:
            InviteFailed: refused, unanswered or not sendable.
        """

    async def query_catalog(self, device: Device, sn: int) -> None:
        """Send a Catalog query; return once the device has acknowledged it.

        Raises:
            Unavailable: `device_offline`, `device_unreachable` or `device_refused`.
        """

    async def query_device_info(self, device: Device) -> None:
        """Ask for DeviceInfo; the answer goes to the registry.

        Raises:
            Unavailable: as for `query_catalog`.
        """

    async def control(
        self,
        device: Device,
        channel_id: str,
        command: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        """Send a DeviceControl to a channel, with an SN of our own.

        Returns:
            `OK`, `ERROR` or what else the device's Result says; empty if the command has no answer (protocol 4.5).

        Raises:
            Unavailable: as for `query_catalog`; `device_silent` when an answer was due and none came.
        """

    async def query_device_status(self, device: Device, target: str = "") -> dict[str, str]:
        """Ask a device, or one of its channels, for DeviceStatus and wait for its answer; fields by their standard names.

        Raises:
            Unavailable: as for `query_catalog`; `device_silent` when no answer came.
        """
