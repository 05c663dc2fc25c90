"""What the HTTP face needs for sharing with departments and platforms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.cascade.book import PlatformBook
from gateway.cascade.links_trial import TrialReport
from gateway.domain.audit import AuditSink
from gateway.domain.bridge import BridgeRecord
from gateway.domain.device import Channel
from gateway.domain.document import SharedId
from gateway.domain.platform import PlatformConfig, PlatformStatus
from gateway.domain.selector import ChannelFacts
from gateway.domain.signalling import Origin
from gateway.sharing.access import SharingAccess
from gateway.sharing.audit.checkpoint import Anchor
from gateway.sharing.audit.report import VerifyReport
from gateway.sharing.audit.search import AuditPage, AuditQuery
from gateway.sharing.audit.status import AuditStatus
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.grants import GrantBook
from gateway.sharing.keys import KeyBook
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.stops import StopBook
from gateway.sharing.users import UserBook
from gateway.sharing.users_session import SessionBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryStatus
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.ptz import PtzCommand

__all__ = [
    "AuditBook",
    "CameraControls",
    "DeliveryBook",
    "PlatformCatalogs",
    "PlatformLinks",
    "SharingDeps",
]


class DeliveryBook(Protocol):
    """How webhooks are delivered."""

    def status(self, hook_id: str) -> DeliveryStatus:
        """Return how a webhook's deliveries go."""

    def ping(self, hook_id: str) -> None:
        """Queue a test event."""


class AuditBook(AuditSink, Protocol):
    """The audit, to look at."""

    def status(self) -> AuditStatus:
        """Return the audit in figures."""

    def public_keys(self) -> bytes:
        """Return the keys that signed, as a PEM file."""

    async def search(
        self, query: AuditQuery, *, by: Mapping[str, str] | None = None, source: str = ""
    ) -> AuditPage:
        """Find records, newest first."""

    async def export(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        by: Mapping[str, str] | None = None,
        source: str = "",
    ) -> bytes:
        """Return a zip of all files with records of a period."""

    async def verify(self, *, expect: Anchor | None = None) -> VerifyReport:
        """Verify everything up to now."""


class PlatformLinks(Protocol):
    """The links to upper platforms."""

    def status(self, platform_id: str) -> PlatformStatus:
        """Return how a platform is now."""

    def reconnect(self, platform_id: str) -> None:
        """Register anew now."""

    async def test(self, config: PlatformConfig, password: str | None = None) -> TrialReport:
        """Try to register with a configuration that is not kept."""


class PlatformCatalogs(Protocol):
    """What upper platforms are shown."""

    async def preview(
        self, config: PlatformConfig, root: str | None = None
    ) -> Sequence[CatalogItem]:
        """Return what a platform with this configuration would get now; no code is given out for it."""

    async def codes(self, platform_id: str) -> Sequence[SharedId]:
        """Return all codes a platform was given."""

    def shared_id(self, platform_id: str, device_id: str, channel_id: str) -> str | None:
        """Return the code under which a platform sees a channel now."""


class CameraControls(Protocol):
    """Controls on their way to a camera."""

    async def ptz(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        command: PtzCommand,
        *,
        hold: float | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Send a PTZ command; a motion is stopped after `hold` seconds."""

    async def control(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        control: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        """Send any control; returns the device's Result, empty if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingDeps:
    """What sharing with departments and platforms needs."""

    access: SharingAccess
    facts: Callable[[Channel], ChannelFacts]
    """What rules look at, without the tags of the policy in force."""
    audit: AuditBook
    policies: PolicyBook
    grants: GrantBook
    stops: StopBook
    departments: DepartmentBook
    keys: KeyBook
    users: UserBook
    logins: SessionBook
    webhooks: WebhookBook
    deliveries: DeliveryBook
    platforms: PlatformBook
    links: PlatformLinks
    catalogs: PlatformCatalogs
    controls: CameraControls
    bridges: Callable[[], Sequence[BridgeRecord]] = tuple
    """Streams given to upper platforms: running ones, then ended ones, newest first."""
