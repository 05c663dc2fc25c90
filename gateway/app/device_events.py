"""Who is told when something happens to a device."""

from dataclasses import dataclass

from gateway.app.cascade import CascadeParts
from gateway.app.recording import RecordingParts
from gateway.app.signalling import Requests
from gateway.domain.device import CatalogDiff, Device, OfflineReason
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.live import LiveSessions
from gateway.sharing.access import SharingAccess
from gateway.sharing.webhooks_service import WebhookService
from gateway.signalling.journal import DialogJournal
from gateway.signalling.subscriptions import DeviceSubscriptions
from gb28181.aio.driver import SipDriver
from gb28181.aio.tasks import TaskScope

__all__ = ["DeviceEvents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvents:
    """Passes on what the registry and the SIP stack notice, to all whom it concerns."""

    registry: DeviceRegistry
    requests: Requests
    journal: DialogJournal
    sessions: LiveSessions
    subscriptions: DeviceSubscriptions
    cascade: CascadeParts
    recording: RecordingParts
    access: SharingAccess
    webhooks: WebhookService
    metrics: Metrics
    scope: TaskScope

    def connect(self, driver: SipDriver) -> None:
        """Begin to listen."""
        driver.on_connection_lost = self._connection_lost
        registry = self.registry
        registry.on_catalog.append(self._catalog_changed)
        registry.on_described.append(self.cascade.device_changed)
        registry.on_online.append(self._online)
        registry.on_offline.append(self._offline)
        registry.on_rebooted.append(self._rebooted)

    def begin(self) -> None:
        """Take up the devices that were online before this start and still count as such."""
        for device in self.registry.devices():
            if device.online:
                self._end_ghosts(device)
                self.subscriptions.device_online(device)

    def _connection_lost(self, connection: int, reason: str) -> None:
        self.registry.connection_lost(connection)
        self.cascade.connection_lost(connection, reason)

    def _catalog_changed(self, device_id: str, diff: CatalogDiff) -> None:
        self.cascade.catalog_changed(device_id, diff)
        changed = {*diff.added, *diff.removed, *diff.changed}
        self.access.touch(device_id, changed)
        self.webhooks.touch(device_id, changed)

    def _online(self, device: Device) -> None:
        self._end_ghosts(device)
        self.metrics.transitions.labels("online", "").inc()
        self.requests.catalog.request(device)
        self.subscriptions.device_online(device)
        self.cascade.device_changed(device)
        self.recording.device_online(device)
        self.webhooks.touch(device.device_id)

    def _offline(self, device: Device) -> None:
        reason = device.offline_reason or OfflineReason.NOT_CONNECTED
        self.metrics.transitions.labels("offline", reason.value).inc()
        self.sessions.device_offline(device, f"Device went offline: {reason.value}")
        self.requests.catalog.device_offline(device)
        self.subscriptions.device_offline(device)
        self.cascade.device_changed(device)
        self.webhooks.touch(device.device_id)

    def _rebooted(self, device: Device) -> None:
        # A new Call-ID should mean a reboot (protocol 3.3), but cheap cameras make one for every refresh:
        # whether its streams are gone is for the media to tell.
        self.requests.catalog.request(device)

    def _end_ghosts(self, device: Device) -> None:
        if self.journal.has_ghosts(device.device_id):
            self.scope.spawn(
                self.requests.signaller.end_ghosts(device), name=f"ghosts:{device.device_id}"
            )
