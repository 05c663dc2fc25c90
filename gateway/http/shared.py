"""What the HTTP face needs for sharing with departments and platforms."""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.audit import AuditSink
from gateway.domain.policy import AccessControl
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.keys import KeyBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryStatus

__all__ = ["DeliveryBook", "SharingDeps"]


class DeliveryBook(Protocol):
    """How webhooks are delivered."""

    def status(self, hook_id: str) -> DeliveryStatus:
        """Return how a webhook's deliveries go."""

    def ping(self, hook_id: str) -> None:
        """Queue a test event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingDeps:
    """What sharing with departments and platforms needs."""

    access: AccessControl
    audit: AuditSink
    departments: DepartmentBook
    keys: KeyBook
    webhooks: WebhookBook
    deliveries: DeliveryBook
