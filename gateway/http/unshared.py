"""Stands in where nothing is shared: our own people may do all, nobody else anything, and nothing is kept."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.domain.audit import AuditEntry
from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden, Unavailable
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessRequest,
    Action,
    Decision,
    Subject,
)
from gateway.domain.store import StoreHealth
from gateway.http.shared import SharingDeps
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.keys import KeyBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryStatus
from gateway.sharing.webhooks_target import TargetRule
from gb28181.aio.clock import utc_now

__all__ = ["make"]


def make() -> SharingDeps:
    """Return the stand-in."""
    nothing = _Nothing()
    changes = ChangeLog(nothing, wall=utc_now, new_id=lambda: secrets.token_hex(8))
    departments = DepartmentBook(nothing, changes)
    return SharingDeps(
        access=_LocalOnly(),
        audit=nothing,
        departments=departments,
        keys=KeyBook(nothing, box=nothing, departments=departments, changes=changes),
        webhooks=WebhookBook(
            nothing, box=nothing, departments=departments, changes=changes, targets=TargetRule()
        ),
        deliveries=nothing,
    )


class _Nothing:
    """Keeps nothing."""

    def record(self, entry: AuditEntry) -> None:
        return None

    def health(self) -> StoreHealth:
        return StoreHealth(ok=True)

    def seal(self, text: str) -> str:
        return text

    def unseal(self, sealed: str) -> str:
        return sealed

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return {}

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        raise Unavailable("not_shared", "This gateway shares nothing")

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        raise Unavailable("not_shared", "This gateway shares nothing")

    def status(self, hook_id: str) -> DeliveryStatus:
        return DeliveryStatus()

    def ping(self, hook_id: str) -> None:
        return None


class _LocalAccess:
    def __init__(self, request: AccessRequest, decision: Decision) -> None:
        self.access_id = ""
        self.request = request
        self.decision = decision

    def end(self, result: str, detail: str = "") -> None:
        return None


class _LocalOnly:
    def __init__(self) -> None:
        self.on_changed: list[Callable[[], None]] = []

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        if subject.is_local:
            return Decision(allowed=True, rule="builtin:local", reason="allowed")
        return Decision(allowed=False, reason="no_rule", detail="Nothing is shared")

    def check(self, request: AccessRequest) -> Decision:
        if not request.subject.is_local:
            raise Forbidden("no_rule", "Nothing is shared")
        return Decision(allowed=True, rule="builtin:local", reason="allowed")

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> _LocalAccess:
        return _LocalAccess(request, self.check(request))

    def refuse(self, request: AccessRequest, reason: str, detail: str) -> None:
        return None

    def accesses(self) -> Iterable[Access]:
        return ()
